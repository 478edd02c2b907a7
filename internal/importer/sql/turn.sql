-- Imports run one at a time. Otherwise two imports that insert the same rows could deadlock.
SELECT FROM thaw.import_turn AS t FOR UPDATE;

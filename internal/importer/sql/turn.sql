-- Imports run one at a time. Otherwise two imports that insert the same rows could deadlock.
SELECT FROM thaw.import_lock AS t FOR UPDATE;

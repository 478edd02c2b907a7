-- Two imports take turns: rows that both insert would otherwise be locked in an order that neither can choose.
SELECT FROM thaw.import_turn AS t FOR UPDATE;

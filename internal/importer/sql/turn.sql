-- Two imports take turns: rows that both insert would otherwise be locked in an order that neither can choose.
SELECT pg_advisory_xact_lock(hashtextextended('thaw.import', 0));

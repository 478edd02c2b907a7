-- Two imports take turns: rows that both insert would otherwise be locked in an order that neither can choose.
SELECT pg_advisory_xact_lock(hashtextextended('thaw.import', 0));

INSERT INTO thaw.workspaces (key)
SELECT DISTINCT a.workspace
FROM import_accounts AS a
WHERE NOT EXISTS (SELECT FROM thaw.workspaces AS known WHERE known.key = a.workspace)
ORDER BY a.workspace
-- The platform may be writing the same one at this moment.
ON CONFLICT (key) DO NOTHING;

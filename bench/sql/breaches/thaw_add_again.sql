-- The accounts of the members in Berlin are removed at the provider, and connected again as new
-- ones.
UPDATE thaw.accounts SET status = 'removed', status_at = thaw.now() WHERE timezone = 'Europe/Berlin';
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, timezone, status, status_at, connected_at)
SELECT a.workspace_id, a.provider_account_id || '-again', a.member_id, a.timezone, 'connected', thaw.now(), thaw.now()
FROM thaw.accounts AS a WHERE a.timezone = 'Europe/Berlin' ORDER BY a.id;
UPDATE thaw.enrollments AS e SET account_id = again.id
FROM thaw.accounts AS a
JOIN thaw.accounts AS again ON again.provider_account_id = a.provider_account_id || '-again'
WHERE e.account_id = a.id;

INSERT INTO thaw.workspaces (key)
SELECT DISTINCT a.workspace
FROM import_accounts AS a
WHERE NOT EXISTS (SELECT FROM thaw.workspaces AS known WHERE known.key = a.workspace)
ORDER BY a.workspace
-- The platform may insert the same workspace concurrently.
ON CONFLICT (key) DO NOTHING;

-- New accounts. Their status_at stays null, because they have no signal yet. A signal that arrived
-- before its account is applied by a trigger of this insert, and is newer than the file. A
-- connected account with siblings could resume prospects that are paused in the file before their
-- rows are loaded. So it becomes connected after all rows are loaded.
INSERT INTO thaw.accounts (
    workspace_id, provider, provider_account_id, member_id, status, first_connected_at, connected_at)
SELECT workspace.id, a.provider, a.account, a.member, becomes.status, connected.at, connected.at
FROM import_accounts AS a
JOIN thaw.workspaces AS workspace ON workspace.key = a.workspace
CROSS JOIN LATERAL (SELECT CASE
    WHEN a.status = 'connected' AND EXISTS (
        SELECT FROM thaw.accounts AS sibling
        WHERE sibling.workspace_id = workspace.id AND sibling.provider = a.provider AND sibling.member_id = a.member)
    THEN 'connecting' ELSE a.status END AS status) AS becomes
CROSS JOIN LATERAL (SELECT CASE WHEN becomes.status = 'connected' THEN thaw.now() END AS at) AS connected
WHERE NOT EXISTS (
    SELECT FROM thaw.accounts AS known
    WHERE known.provider = a.provider AND known.provider_account_id = a.account)
ORDER BY a.provider, a.account
ON CONFLICT (provider, provider_account_id) DO NOTHING;

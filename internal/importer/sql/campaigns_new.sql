INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
SELECT workspace.id, c.campaign, c.status, c.paused_reason, CASE WHEN c.status = 'paused' THEN thaw.now() END
FROM import_campaigns AS c
JOIN thaw.workspaces AS workspace ON workspace.key = c.workspace
WHERE NOT EXISTS (
    SELECT FROM thaw.campaigns AS known WHERE known.workspace_id = workspace.id AND known.key = c.campaign)
ORDER BY workspace.id, c.campaign
ON CONFLICT (workspace_id, key) DO NOTHING;

-- An enrollment, its campaign and its account belong to one workspace, and so do a grant and its account.
SELECT format('enrollment %s: in workspace %s, its campaign in %s, its account in %s',
    e.id, e.workspace_id, coalesce(c.workspace_id::text, 'none'), coalesce(a.workspace_id::text, 'none'))
FROM thaw.enrollments AS e
LEFT JOIN thaw.campaigns AS c ON c.id = e.campaign_id
LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
WHERE c.workspace_id IS DISTINCT FROM e.workspace_id OR a.workspace_id IS DISTINCT FROM e.workspace_id
UNION ALL
SELECT format('grant of account %s at tick %s: in workspace %s, its account in %s',
    g.account_id, g.tick_at, g.workspace_id, coalesce(a.workspace_id::text, 'none'))
FROM thaw.grants AS g
LEFT JOIN thaw.accounts AS a ON a.id = g.account_id
WHERE a.workspace_id IS DISTINCT FROM g.workspace_id

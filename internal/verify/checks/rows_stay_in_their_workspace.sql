-- An enrollment, its campaign and its account, if it has one, belong to the same workspace.
-- ranges: thaw.enrollments id
SELECT format('enrollment %s: in workspace %s, its campaign in %s, its account in %s',
    e.id, e.workspace_id, coalesce(c.workspace_id::text, 'none'), coalesce(a.workspace_id::text, 'none'))
FROM thaw.enrollments AS e
LEFT JOIN thaw.campaigns AS c ON c.id = e.campaign_id
LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
WHERE e.id BETWEEN 0 AND 9223372036854775807
    AND (c.workspace_id IS DISTINCT FROM e.workspace_id OR e.account_id IS NOT NULL AND a.workspace_id IS DISTINCT FROM e.workspace_id)

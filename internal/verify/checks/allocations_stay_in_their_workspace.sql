-- An allocation and its account belong to the same workspace.
SELECT format('allocation of account %s at tick %s: in workspace %s, its account in %s',
    g.account_id, g.tick_at, g.workspace_id, coalesce(a.workspace_id::text, 'none'))
FROM thaw.allocations AS g
LEFT JOIN thaw.accounts AS a ON a.id = g.account_id
WHERE a.workspace_id IS DISTINCT FROM g.workspace_id

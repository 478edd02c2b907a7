-- The workspaces of the platform, a page in the order of their keys, with what waits or failed in
-- each. The errors of a row that Thaw does not have yet belong to no workspace.
SELECT w.key, w.external_id, w.shadow,
    (SELECT count(*) FROM thaw.accounts AS a WHERE a.workspace_id = w.id AND a.external_id IS NOT NULL) AS accounts,
    (SELECT count(*) FROM thaw.accounts AS a WHERE a.workspace_id = w.id AND a.parked_reason IS NOT NULL) AS parked_accounts
FROM thaw.workspaces AS w
WHERE w.external_id IS NOT NULL AND w.key > $1
ORDER BY w.key
LIMIT $2;

-- name: CampaignPage :many
-- Ordered by workspace and id, as accounts are.
SELECT c.id, c.workspace_id, workspace.key AS workspace, c.key AS campaign, c.name, c.status::text AS status,
    coalesce(c.paused_reason::text, '')::text AS paused_reason, c.paused_at, c.waits_for_account, c.created_at,
    coalesce(c.external_id, '')::text AS external_id
FROM thaw.campaigns AS c
JOIN thaw.workspaces AS workspace ON workspace.id = c.workspace_id
WHERE (c.workspace_id, c.id) > (sqlc.arg(after_workspace)::bigint, sqlc.arg(after_id)::bigint)
    AND c.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(status)::text IS NULL OR c.status::text = sqlc.narg(status)::text)
ORDER BY c.workspace_id, c.id
LIMIT sqlc.arg(size)::integer;

-- name: WorkspacePage :many
SELECT w.id, w.key AS workspace, w.name, w.auto_resume, w.auto_resume_reason, w.auto_resume_changed_at, w.auto_resume_changed_by,
    w.shadow, w.created_at, coalesce(w.external_id, '')::text AS external_id
FROM thaw.workspaces AS w
WHERE w.id > sqlc.arg(after_id)::bigint
    AND w.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(auto_resume)::boolean IS NULL OR w.auto_resume = sqlc.narg(auto_resume)::boolean)
ORDER BY w.id
LIMIT sqlc.arg(size)::integer;

-- name: WorkspaceCounts :many
-- The accounts and the paused prospects of the given workspaces.
WITH paused AS MATERIALIZED (
    SELECT a.workspace_id, sum(p.paused)::bigint AS total, coalesce(sum(p.paused) FILTER (WHERE p.waits_for_account), 0)::bigint AS waiting
    FROM thaw.accounts AS a
    JOIN thaw.paused_parts AS p ON p.account_id = a.id
    WHERE a.workspace_id = ANY (sqlc.arg(ids)::bigint[])
    GROUP BY a.workspace_id
), accounts AS MATERIALIZED (
    SELECT a.workspace_id, count(*) AS total, count(*) FILTER (WHERE a.status = 'connected') AS connected
    FROM thaw.accounts AS a
    WHERE a.workspace_id = ANY (sqlc.arg(ids)::bigint[])
    GROUP BY a.workspace_id
)
SELECT w.id, coalesce(accounts.total, 0)::bigint AS accounts, coalesce(accounts.connected, 0)::bigint AS connected,
    coalesce(paused.total, 0)::bigint AS paused, coalesce(paused.waiting, 0)::bigint AS waiting
FROM thaw.workspaces AS w
LEFT JOIN accounts ON accounts.workspace_id = w.id
LEFT JOIN paused ON paused.workspace_id = w.id
WHERE w.id = ANY (sqlc.arg(ids)::bigint[])
ORDER BY w.id;

-- name: FindWorkspace :one
SELECT w.id, w.key
FROM thaw.workspaces_named(sqlc.arg(workspace)::text, sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint) AS named
JOIN thaw.workspaces AS w ON w.id = named.id;

-- name: FindCampaign :one
SELECT named.id::bigint AS id FROM thaw.campaigns_named(sqlc.arg(campaign)::text, sqlc.arg(workspace_id)::bigint) AS named;

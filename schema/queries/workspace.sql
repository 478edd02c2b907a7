-- name: SetAutoResume :one
SELECT thaw.set_auto_resume(sqlc.arg(workspace_key)::text, sqlc.arg(enabled)::boolean, sqlc.narg(reason)::text,
    sqlc.arg(actor)::text)::boolean AS changed;

-- name: ListAutoResume :many
-- total: of all that match, without the limit.
SELECT w.key, w.auto_resume, w.auto_resume_reason, w.auto_resume_changed_at, w.auto_resume_changed_by, count(*) OVER () AS total
FROM thaw.workspaces AS w
WHERE sqlc.narg(enabled)::boolean IS NULL OR w.auto_resume = sqlc.narg(enabled)::boolean
ORDER BY w.auto_resume, w.key
LIMIT sqlc.arg(size)::integer;

-- name: SetAutoResume :one
SELECT thaw.set_auto_resume(sqlc.arg(workspace_key)::text, sqlc.arg(enabled)::boolean, sqlc.narg(reason)::text,
    sqlc.arg(actor)::text)::boolean AS changed;

-- name: ListAutoResume :many
SELECT w.key, w.auto_resume, w.auto_resume_reason, w.auto_resume_changed_at, w.auto_resume_changed_by
FROM thaw.workspaces AS w
ORDER BY w.auto_resume, w.key;

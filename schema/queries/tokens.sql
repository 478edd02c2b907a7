-- name: CreateToken :one
WITH made AS (
    INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by, expires_at, can_only_send)
    VALUES (sqlc.narg(workspace_id)::bigint, sqlc.arg(name)::text, sqlc.arg(hash)::bytea, sqlc.arg(created_by)::text,
        thaw.now() + sqlc.narg(lasts)::interval, sqlc.arg(can_only_send)::boolean)
    RETURNING id, workspace_id, name, created_by, expires_at
), recorded AS (
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id)
    SELECT 'token_created', made.created_by, sqlc.narg(reason)::text, format('token %s (%s)', made.id, made.name), made.workspace_id
    FROM made
)
SELECT made.id, made.expires_at FROM made;

-- name: UseToken :one
-- The token with this hash, if it is valid. Its use is recorded at most once in five minutes, so
-- that most reads do not write.
WITH token AS (
    SELECT t.id, t.name, t.workspace_id, t.can_only_send
    FROM thaw.api_tokens AS t
    WHERE t.hash = sqlc.arg(hash)::bytea AND t.revoked_at IS NULL AND (t.expires_at > thaw.now()) IS NOT FALSE
), noted AS (
    UPDATE thaw.api_tokens AS t SET last_used_at = thaw.now()
    FROM token
    WHERE t.id = token.id AND (t.last_used_at > thaw.now() - interval '5 minutes') IS NOT TRUE
)
SELECT token.id, token.name, token.workspace_id, token.can_only_send FROM token;

-- name: ListTokens :many
-- Newest first. total: of all that match, without the limit. only_valid: neither revoked nor
-- expired.
SELECT t.id, coalesce(w.key, '')::text AS workspace, t.name, t.created_at, t.created_by, t.last_used_at, t.expires_at, t.revoked_at, t.can_only_send,
    count(*) OVER () AS total
FROM thaw.api_tokens AS t
LEFT JOIN thaw.workspaces AS w ON w.id = t.workspace_id
WHERE (sqlc.narg(workspace)::text IS NULL OR w.id IN (SELECT named.id FROM thaw.workspaces_named(sqlc.narg(workspace)::text) AS named))
    AND (NOT sqlc.arg(only_valid)::boolean OR t.revoked_at IS NULL AND (t.expires_at > thaw.now()) IS NOT FALSE)
ORDER BY t.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: RevokeToken :one
-- name empty: there is no such token.
SELECT coalesce(r.name, '')::text AS name, r.is_changed::boolean AS is_changed
FROM thaw.revoke_token(sqlc.arg(id)::bigint, sqlc.arg(reason)::text, sqlc.arg(actor)::text) AS r;

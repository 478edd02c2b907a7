-- name: CreateToken :one
INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by, expires_at)
VALUES (sqlc.narg(workspace_id)::bigint, sqlc.arg(name)::text, sqlc.arg(hash)::bytea, sqlc.arg(created_by)::text,
    thaw.now() + sqlc.narg(lasts)::interval)
RETURNING id, expires_at;

-- name: UseToken :one
-- The token with this hash, if it is valid. Its use is recorded at most once in five minutes, so
-- that most reads do not write.
WITH token AS (
    SELECT t.id, t.name, t.workspace_id
    FROM thaw.api_tokens AS t
    WHERE t.hash = sqlc.arg(hash)::bytea AND t.revoked_at IS NULL AND (t.expires_at > thaw.now()) IS NOT FALSE
), noted AS (
    UPDATE thaw.api_tokens AS t SET last_used_at = thaw.now()
    FROM token
    WHERE t.id = token.id AND (t.last_used_at > thaw.now() - interval '5 minutes') IS NOT TRUE
)
SELECT token.id, token.name, token.workspace_id FROM token;

-- name: ListTokens :many
SELECT t.id, coalesce(w.key, '')::text AS workspace, t.name, t.created_at, t.created_by, t.last_used_at, t.expires_at, t.revoked_at
FROM thaw.api_tokens AS t
LEFT JOIN thaw.workspaces AS w ON w.id = t.workspace_id
ORDER BY t.id;

-- name: RevokeToken :one
-- Revoking a revoked token changes nothing.
UPDATE thaw.api_tokens AS t SET revoked_at = coalesce(t.revoked_at, thaw.now())
WHERE t.id = sqlc.arg(id)::bigint
RETURNING t.name;

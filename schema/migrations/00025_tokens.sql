-- Bearer tokens for the JSON API. Each gives access to one workspace, or to all.

-- +goose Up

CREATE TABLE thaw.api_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id bigint REFERENCES thaw.workspaces (id),
    name         text NOT NULL CHECK (name <> ''),
    -- A token is long and random, so a plain hash is safe, and the index can find it.
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT thaw.now(),
    created_by   text NOT NULL,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT api_tokens_expires_after_it_was_made CHECK (expires_at > created_at)
);
COMMENT ON TABLE thaw.api_tokens IS 'Bearer tokens of the JSON API. A token is shown once, when it is created; only its SHA-256 hash is stored.';
COMMENT ON COLUMN thaw.api_tokens.workspace_id IS 'The only workspace that the token gives access to. Null: all workspaces, as for an operator.';
COMMENT ON COLUMN thaw.api_tokens.last_used_at IS 'When the token was last used, accurate to five minutes. Null: never.';

-- Revokes a token, and records it. name null: there is no such token. is_changed false: it was
-- revoked already.
-- +goose StatementBegin
CREATE FUNCTION thaw.revoke_token(p_token_id bigint, p_reason text, p_actor text, OUT name text, OUT is_changed boolean) LANGUAGE plpgsql AS $$
DECLARE
    token thaw.api_tokens;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT t.* INTO token FROM thaw.api_tokens AS t WHERE t.id = p_token_id FOR NO KEY UPDATE;
    name := token.name;
    is_changed := token.id IS NOT NULL AND token.revoked_at IS NULL;
    IF is_changed THEN
        UPDATE thaw.api_tokens AS t SET revoked_at = thaw.now() WHERE t.id = token.id;
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id)
        VALUES ('token_revoked', p_actor, p_reason, format('token %s (%s)', token.id, token.name), token.workspace_id);
    END IF;
END;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION thaw.revoke_token(bigint, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.revoke_token(bigint, text, text);
DROP TABLE thaw.api_tokens;

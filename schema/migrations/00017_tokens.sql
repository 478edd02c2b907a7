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

-- +goose Down
DROP TABLE thaw.api_tokens;

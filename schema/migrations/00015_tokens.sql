-- Who may use the JSON API without being an operator: bearer tokens, each for one workspace, or for all.

-- +goose Up

CREATE TABLE thaw.api_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id bigint REFERENCES thaw.workspaces (id),
    name         text NOT NULL CHECK (name <> ''),
    -- A token is random and long, so that a plain hash of it cannot be turned back, and is found by the index.
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT thaw.now(),
    created_by   text NOT NULL,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT api_tokens_expires_after_it_was_made CHECK (expires_at > created_at)
);
COMMENT ON TABLE thaw.api_tokens IS 'Bearer tokens of the JSON API. A token is shown once, when it is made; this is its SHA-256.';
COMMENT ON COLUMN thaw.api_tokens.workspace_id IS 'The only workspace that it may see; null: all, as an operator.';
COMMENT ON COLUMN thaw.api_tokens.last_used_at IS 'To within five minutes; null: never.';

-- +goose Down
DROP TABLE thaw.api_tokens;

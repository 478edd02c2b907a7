-- The audit log: who did what, when, to what, and why. Functions write most rows. Triggers write
-- those for a change of auto-resume or of a setting, by every writer: a function, a process that is
-- started with a flag, or a plain UPDATE.

-- +goose Up

-- Actions of people, of the monitor of safety mode, and of the provider (links). There are few
-- rows, and they are never removed: an audit may ask for them years later.
CREATE TABLE thaw.manual_actions (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                 timestamptz NOT NULL DEFAULT thaw.now(),
    what               text NOT NULL CHECK (what IN (
        'safety_entered', 'safety_exited', 'held', 'hold_corrected', 'paused', 'resumed', 'auto_resume_off', 'auto_resume_on',
        'settings_changed', 'linked', 'heal_cap_set', 'heal_cap_removed', 'heal_started', 'heal_stopped', 'heal_resumed',
        'imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'endpoint_enabled', 'endpoint_removed', 'messages_replayed',
        'token_created', 'token_revoked', 'jobs_changed', 'undone', 'instance_adopted', 'server_changed', 'shadow_on', 'shadow_off',
        'prospect_erased', 'workspace_removed', 'adopted', 'adoption_fixed', 'adoption_removed')),
    actor              text NOT NULL CHECK (actor <> ''),
    -- The database role of the session. The caller can choose actor but not this.
    session_role       text NOT NULL DEFAULT session_user,
    reason             text CHECK (reason <> ''),
    -- What exactly, if no other column says it: the file of an import, the URL of an endpoint
    -- without its secrets, the name of a token.
    detail             text CHECK (detail <> ''),
    -- The subject; all null: the fleet. A prospect is identified by its URL, because it may be in
    -- several campaigns.
    workspace_id       bigint,
    account_id         bigint,
    campaign_id        bigint,
    prospect_url       text,
    heal_id            bigint,
    -- For 'undone': the action that was undone.
    undoes             bigint REFERENCES thaw.manual_actions (id),
    -- For a hold, auto-resume and the heal cap: the values that the action replaced, for an undo.
    before             jsonb,
    -- For a hold: its end. For a pause, a resume or an import: how many prospects it changed; null
    -- until the import ends. For the monitor: its counts.
    until              timestamptz,
    enrollments        integer,
    accounts_lost      integer,
    accounts_connected integer,
    -- When a worker process wrote the action to its log. Null: none has yet.
    logged_at          timestamptz,
    -- Auto-resume of a workspace may be switched, and a heal started, without a reason. A file or
    -- the name of a token says why enough, and River UI asks for no reason.
    CONSTRAINT manual_actions_have_a_reason CHECK (
        reason IS NOT NULL OR what IN ('auto_resume_off', 'auto_resume_on', 'heal_started')
        OR detail IS NOT NULL AND what IN ('imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'token_created', 'jobs_changed', 'adoption_fixed')),
    -- hold_corrected and undone without an end: the hold was ended.
    CONSTRAINT manual_actions_hold_has_an_end CHECK (
        CASE WHEN what = 'held' THEN until IS NOT NULL WHEN what IN ('hold_corrected', 'undone') THEN true ELSE until IS NULL END),
    CONSTRAINT manual_actions_undone_names_its_action CHECK ((what = 'undone') = (undoes IS NOT NULL))
);
COMMENT ON TABLE thaw.manual_actions IS 'The audit log of manual actions, and of safety mode entered and exited by the monitor: who did what, when, to what, and why.';
CREATE INDEX manual_actions_account_idx ON thaw.manual_actions (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX manual_actions_workspace_idx ON thaw.manual_actions (workspace_id, at, id) WHERE workspace_id IS NOT NULL;
-- The page of the audit log, newest first: of a kind in a workspace, all, of an actor, of a kind.
CREATE INDEX manual_actions_workspace_what_idx ON thaw.manual_actions (workspace_id, what, at, id) WHERE workspace_id IS NOT NULL;
CREATE INDEX manual_actions_at_idx ON thaw.manual_actions (at, id);
-- A sample of a log that one person filled has one actor and one kind of action. The planner would
-- then expect that a filter by them keeps every row, and read the log by time.
ALTER TABLE thaw.manual_actions ALTER COLUMN actor SET (n_distinct = 100), ALTER COLUMN what SET (n_distinct = 20);
CREATE INDEX manual_actions_actor_idx ON thaw.manual_actions (actor, at, id);
CREATE INDEX manual_actions_what_idx ON thaw.manual_actions (what, at, id);
-- Finds the actions that no process has logged yet, which are almost none.
CREATE INDEX manual_actions_unlogged_idx ON thaw.manual_actions (id) WHERE logged_at IS NULL;
-- Finds the undo of an action.
CREATE INDEX manual_actions_undoes_idx ON thaw.manual_actions (undoes) WHERE undoes IS NOT NULL;
-- Finds the few rows about safety mode among those about accounts.
CREATE INDEX manual_actions_safety_idx ON thaw.manual_actions (id) WHERE what IN ('safety_entered', 'safety_exited');

-- A trigger, because the platform may write auto_resume itself. A new reason is recorded too, so
-- that it does not hide the one before.
-- +goose StatementBegin
CREATE FUNCTION thaw.workspaces_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, before)
    VALUES (CASE WHEN NEW.auto_resume THEN 'auto_resume_on' ELSE 'auto_resume_off' END,
        CASE WHEN NEW.auto_resume_changed_at = thaw.now() THEN coalesce(NEW.auto_resume_changed_by, session_user) ELSE session_user END,
        nullif(NEW.auto_resume_reason, ''), NEW.id,
        jsonb_build_object('auto_resume', OLD.auto_resume, 'auto_resume_reason', OLD.auto_resume_reason));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER workspaces_write_history AFTER UPDATE OF auto_resume, auto_resume_reason ON thaw.workspaces
    FOR EACH ROW WHEN (OLD.auto_resume <> NEW.auto_resume
        OR nullif(OLD.auto_resume_reason, '') IS DISTINCT FROM nullif(NEW.auto_resume_reason, '')) EXECUTE FUNCTION thaw.workspaces_write_history();

-- Every change is recorded as a manual action with the old and the new values. changed_by counts
-- only if changed_at was set in the same transaction.
-- +goose StatementBegin
CREATE FUNCTION thaw.settings_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason)
    SELECT 'settings_changed',
        CASE WHEN NEW.changed_at = thaw.now() THEN coalesce(NEW.changed_by, session_user) ELSE session_user END,
        string_agg(format('%s %s -> %s', after.key, before.value, after.value), ', ' ORDER BY after.key)
    FROM jsonb_each_text(to_jsonb(OLD)) AS before
    JOIN jsonb_each_text(to_jsonb(NEW)) AS after ON after.key = before.key
    WHERE after.value IS DISTINCT FROM before.value AND after.key NOT IN ('changed_at', 'changed_by')
    HAVING count(*) > 0;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER settings_write_history AFTER UPDATE ON thaw.settings
    FOR EACH ROW EXECUTE FUNCTION thaw.settings_write_history();

-- +goose Down
DROP TRIGGER settings_write_history ON thaw.settings;
DROP FUNCTION thaw.settings_write_history();
DROP TRIGGER workspaces_write_history ON thaw.workspaces;
DROP FUNCTION thaw.workspaces_write_history();
DROP TABLE thaw.manual_actions;

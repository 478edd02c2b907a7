-- The history: one row for every transition of an enrollment, a campaign or an account.
--
-- History rows have no foreign keys to the fleet tables: only functions of this schema write them,
-- and they outlive an enrollment that the platform deletes.

-- +goose Up

-- 'released': a person requeued a prospect, and a later sweep resumes it. 'changed': the platform
-- moved it from paused to a status other than active. 'settled': an action that was under way was
-- completed after the pause, so the step moved on.
CREATE TYPE thaw.event_kind AS ENUM ('paused', 'resumed', 'moved', 'imported', 'released', 'changed', 'settled');
-- 'platform': a plain UPDATE, by any role.
CREATE TYPE thaw.event_source AS ENUM ('signal', 'sweep', 'heal', 'operator', 'scheduler', 'import', 'platform');

CREATE TABLE thaw.enrollment_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enrollment_id   bigint NOT NULL,
    at              timestamptz NOT NULL,
    tick_at         timestamptz,
    heal_id         bigint,
    signal_id       bigint,
    job_id          bigint,
    from_account_id bigint,
    to_account_id   bigint,
    step            integer NOT NULL,
    kind            thaw.event_kind NOT NULL,
    source          thaw.event_source NOT NULL,
    from_status     thaw.enrollment_status NOT NULL,
    to_status       thaw.enrollment_status NOT NULL,
    reason          thaw.pause_reason,
    paused_at       timestamptz,
    detail          text,
    -- For a manual action: the action and, if the prospect was paused already, the reason of that
    -- pause, so that the action can be undone.
    action_id       bigint,
    from_reason     thaw.pause_reason,
    CONSTRAINT enrollment_events_pause_has_a_reason CHECK (kind <> 'paused' OR reason IS NOT NULL),
    CONSTRAINT enrollment_events_names_its_pause CHECK (
        kind NOT IN ('paused', 'resumed', 'released') OR paused_at IS NOT NULL),
    CONSTRAINT enrollment_events_names_its_pass CHECK (
        kind NOT IN ('resumed', 'moved')
        OR CASE source
               WHEN 'sweep' THEN tick_at IS NOT NULL
               WHEN 'signal' THEN tick_at IS NOT NULL AND signal_id IS NOT NULL
               WHEN 'heal' THEN heal_id IS NOT NULL
               ELSE true
           END)
-- Retention removes small parts of the table at a time. Vacuum starts after 2% has changed, so
-- that the space is reused.
) WITH (autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE thaw.enrollment_events IS 'The history of enrollments: one row per transition, written in the transaction that makes it.';
COMMENT ON COLUMN thaw.enrollment_events.reason IS 'For a pause: its reason. For a resume: the reason of the pause that it ended.';
COMMENT ON COLUMN thaw.enrollment_events.paused_at IS
    'The start of the pause that this event begins or ends. It identifies the pause: two resumes with the same value ended one pause twice, which must not happen.';
CREATE INDEX enrollment_events_history_idx ON thaw.enrollment_events (enrollment_id, id);
-- Finds what a manual action changed.
CREATE INDEX enrollment_events_action_idx ON thaw.enrollment_events (action_id, id) WHERE action_id IS NOT NULL;

CREATE TABLE thaw.campaign_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL,
    at          timestamptz NOT NULL,
    account_id  bigint,
    tick_at     timestamptz,
    heal_id     bigint,
    signal_id   bigint,
    job_id      bigint,
    kind        thaw.event_kind NOT NULL,
    source      thaw.event_source NOT NULL,
    from_status thaw.campaign_status NOT NULL,
    to_status   thaw.campaign_status NOT NULL,
    reason      thaw.pause_reason,
    detail      text,
    -- As in thaw.enrollment_events.
    action_id   bigint,
    from_reason thaw.pause_reason
);
COMMENT ON TABLE thaw.campaign_events IS 'The history of campaigns, as thaw.enrollment_events.';
CREATE INDEX campaign_events_history_idx ON thaw.campaign_events (campaign_id, id);

CREATE TABLE thaw.account_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  bigint NOT NULL,
    at          timestamptz NOT NULL,
    from_status thaw.account_status NOT NULL,
    to_status   thaw.account_status NOT NULL,
    last_error  text,
    -- How many prospects were paused because of this status. Null: none.
    enrollments integer,
    CONSTRAINT account_events_change_something CHECK (from_status <> to_status)
);
COMMENT ON TABLE thaw.account_events IS 'The history of account statuses, for all writers.';
CREATE INDEX account_events_history_idx ON thaw.account_events (account_id, id);

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.account_events (account_id, at, from_status, to_status, last_error)
    VALUES (NEW.id, thaw.now(), OLD.status, NEW.status, NEW.last_error);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_write_history AFTER UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION thaw.accounts_write_history();

-- The start of a pause that a writer backdates: not before the last resume. Otherwise a pause that
-- has ended would seem to last on and could be ended twice. This happens when a file is loaded
-- again, or when an application keeps the old time.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_begins(p_enrollment_id bigint, p_paused_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(p_paused_at, (
        SELECT max(event.at) FROM thaw.enrollment_events AS event
        WHERE event.enrollment_id = p_enrollment_id AND event.kind = 'resumed'));
END;
$$;
-- +goose StatementEnd

-- AFTER UPDATE, because a BEFORE UPDATE trigger would make every update of the table lock its row
-- once more.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_date_pause() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.enrollments AS e SET paused_at = thaw.pause_begins(NEW.id, NEW.paused_at)
    WHERE e.id = NEW.id AND e.paused_at = NEW.paused_at AND e.paused_at < thaw.pause_begins(NEW.id, NEW.paused_at);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_date_pause AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.paused_at < thaw.now() AND (OLD.paused_at IS NULL OR NEW.paused_at < OLD.paused_at))
    EXECUTE FUNCTION thaw.enrollments_date_pause();

-- +goose Down
DROP TRIGGER enrollments_date_pause ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_date_pause();
DROP FUNCTION thaw.pause_begins(bigint, timestamptz);
DROP TRIGGER accounts_write_history ON thaw.accounts;
DROP FUNCTION thaw.accounts_write_history();
DROP TABLE thaw.account_events, thaw.campaign_events, thaw.enrollment_events;
DROP TYPE thaw.event_source, thaw.event_kind;

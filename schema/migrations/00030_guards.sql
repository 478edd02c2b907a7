-- Rules for writers other than Thaw: the platform's role, and people at a psql prompt.
--
--   identity   a role that only writes the fleet tables cannot change ids, workspaces and provider
--              account IDs
--   history    a pause, a resume or a move by a plain UPDATE writes an event, as one by Thaw does
--   times      times out of range are rejected
--   holds      only an operator can correct a hold, with a reason that is recorded first
--   imports    one at a time, by a lock that no other role can take
--   paths      functions do not resolve names through the search path of their caller
--
-- Two conditions decide what a trigger does. A writer is trusted if it may insert into the history,
-- thaw.enrollment_events. That includes the owner of the schema, and with it the workers and
-- functions with the owner's rights, but not a role with the grants of docs/sql.md. A statement is
-- Thaw's own if a trusted writer runs it with the setting thaw.counts_by_statement = on, as the
-- functions do that write their own history (see 00026_counts.sql). Any role can change a setting,
-- so the setting alone is never sufficient.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION thaw.is_trusted_writer() RETURNS boolean LANGUAGE sql STABLE
RETURN pg_catalog.has_table_privilege('thaw.enrollment_events', 'INSERT');
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.is_trusted_writer() IS 'Whether the current role may write history. True for Thaw itself, false for a role that only writes the fleet tables.';

-- Identity. Otherwise a writer could evade a hold and the cap per account: rename the account, and
-- insert a new row with its provider account ID.

-- +goose StatementBegin
CREATE FUNCTION thaw.keep_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF thaw.is_trusted_writer() THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the identity of a row in thaw.% cannot be changed', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = 'thaw',
            HINT = CASE TG_TABLE_NAME
                WHEN 'accounts' THEN 'id, workspace_id, provider and provider_account_id cannot be changed after the insert. For a person who connected again as a new account, insert a new row with the same member_id.'
                WHEN 'enrollments' THEN 'id, workspace_id and campaign_id cannot be changed after the insert. Insert a new enrollment instead.'
                ELSE 'id and workspace_id cannot be changed after the insert. Insert a new row instead.' END;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_keep_identity BEFORE UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (
        OLD.id <> NEW.id OR OLD.workspace_id <> NEW.workspace_id OR OLD.provider <> NEW.provider
        OR OLD.provider_account_id <> NEW.provider_account_id)
    EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER campaigns_keep_identity BEFORE UPDATE ON thaw.campaigns
    FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.workspace_id <> NEW.workspace_id)
    EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER enrollments_keep_identity BEFORE UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.workspace_id <> NEW.workspace_id OR OLD.campaign_id <> NEW.campaign_id)
    EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER workspaces_keep_identity BEFORE UPDATE ON thaw.workspaces
    FOR EACH ROW WHEN (OLD.id <> NEW.id)
    EXECUTE FUNCTION thaw.keep_identity();

-- Only a trusted writer may choose an id; others get one from the sequence. A trigger is needed
-- because OVERRIDING SYSTEM VALUE requires no privilege.
-- +goose StatementBegin
CREATE FUNCTION thaw.assign_id() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    drawn bigint;
BEGIN
    BEGIN
        drawn := currval(pg_get_serial_sequence('thaw.' || TG_TABLE_NAME, 'id'));
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        drawn := NULL; -- nothing was drawn in this session
    END;
    IF drawn IS DISTINCT FROM NEW.id THEN
        RAISE EXCEPTION 'the id of a new row in thaw.% cannot be chosen', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = 'thaw', HINT = 'Omit id from the insert.';
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_assign_id BEFORE INSERT ON thaw.accounts
    FOR EACH ROW WHEN (NOT thaw.is_trusted_writer()) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER campaigns_assign_id BEFORE INSERT ON thaw.campaigns
    FOR EACH ROW WHEN (NOT thaw.is_trusted_writer()) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER workspaces_assign_id BEFORE INSERT ON thaw.workspaces
    FOR EACH ROW WHEN (NOT thaw.is_trusted_writer()) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER enrollments_assign_id BEFORE INSERT ON thaw.enrollments
    FOR EACH ROW WHEN (NOT thaw.is_trusted_writer()) EXECUTE FUNCTION thaw.assign_id();

-- History. The platform may pause and resume by a plain UPDATE, even what a person paused, as its
-- own pages do. Every such change is recorded (docs/decisions/0025).

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind thaw.event_kind := CASE
        WHEN NEW.status = 'active' THEN 'resumed'
        WHEN NEW.status <> 'paused' THEN 'changed'
        -- As with thaw.resume_prospect: a prospect that a person or a restriction paused waits for
        -- its account again.
        WHEN NEW.waits_for_account AND OLD.status = 'paused' AND NOT OLD.waits_for_account THEN 'released'
        ELSE 'paused' END;
BEGIN
    IF OLD.paused_reason IS DISTINCT FROM NEW.paused_reason THEN
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        VALUES (NEW.id, thaw.now(), OLD.account_id, OLD.account_id, NEW.step, kind, 'platform', OLD.status, NEW.status,
            CASE kind WHEN 'paused' THEN NEW.paused_reason ELSE OLD.paused_reason END,
            CASE kind WHEN 'paused' THEN NEW.paused_at ELSE OLD.paused_at END,
            'by database role ' || session_user || CASE NEW.paused_reason WHEN 'paused_by_user' THEN coalesce(': ' || NEW.own_reason, '') ELSE '' END);
    END IF;
    -- Not a move: an account is assigned to a prospect without one, or taken away.
    IF OLD.account_id <> NEW.account_id THEN
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        VALUES (NEW.id, thaw.now(), OLD.account_id, NEW.account_id, NEW.step, 'moved', 'platform', NEW.status, NEW.status,
            NEW.paused_reason, NEW.paused_at, 'by database role ' || session_user);
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
-- Steps, replies and completions are not recorded: only what starts, changes or ends a pause, or
-- moves a prospect.
CREATE TRIGGER enrollments_write_history AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (
        (OLD.paused_reason IS DISTINCT FROM NEW.paused_reason OR OLD.account_id <> NEW.account_id)
        AND (current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on' OR NOT thaw.is_trusted_writer()))
    EXECUTE FUNCTION thaw.enrollments_write_history();

-- +goose StatementBegin
CREATE FUNCTION thaw.campaigns_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status, reason, detail)
    VALUES (NEW.id, thaw.now(),
        CASE NEW.status WHEN 'paused' THEN 'paused' WHEN 'running' THEN 'resumed' ELSE 'changed' END::thaw.event_kind,
        'platform', OLD.status, NEW.status, coalesce(NEW.paused_reason, OLD.paused_reason),
        'by database role ' || session_user);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER campaigns_write_history AFTER UPDATE ON thaw.campaigns
    FOR EACH ROW WHEN (
        OLD.paused_reason IS DISTINCT FROM NEW.paused_reason
        AND (current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on' OR NOT thaw.is_trusted_writer()))
    EXECUTE FUNCTION thaw.campaigns_write_history();

-- A hold by a plain UPDATE is recorded as a manual action too.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_write_hold() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, until, before)
    VALUES ('held', session_user, NEW.hold_reason, NEW.workspace_id, NEW.id, NEW.hold_until, thaw.hold_of(OLD));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_write_hold AFTER UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (
        NEW.hold_until IS NOT NULL AND OLD.hold_until IS DISTINCT FROM NEW.hold_until
        AND (current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on' OR NOT thaw.is_trusted_writer()))
    EXECUTE FUNCTION thaw.accounts_write_hold();

-- Times. 'infinity', the year 12000 and the year 0 are valid values of the type, but no page, CSV
-- file or JSON document can show them. One such row would break every list of its workspace.

ALTER TABLE thaw.workspaces ADD CONSTRAINT workspaces_times_are_in_range CHECK (
    created_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND auto_resume_changed_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00');
ALTER TABLE thaw.accounts ADD CONSTRAINT accounts_times_are_in_range CHECK (
    status_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND first_connected_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND connected_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND disconnected_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND pause_after BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND hold_until BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND created_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00');
ALTER TABLE thaw.campaigns ADD CONSTRAINT campaigns_times_are_in_range CHECK (
    paused_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND created_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00');
ALTER TABLE thaw.enrollments ADD CONSTRAINT enrollments_times_are_in_range CHECK (
    paused_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND next_action_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
    AND created_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00');
ALTER TABLE thaw.api_tokens ADD CONSTRAINT api_tokens_times_are_in_range CHECK (
    expires_at BETWEEN '2000-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00');

-- Holds.

-- Only thaw.correct_hold can write a hold that is longer than thaw.longest_hold(). The triggers do
-- not call that function themselves, because every role that writes accounts would need it.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_bound_hold() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.hold_until > thaw.now() + thaw.longest_hold() THEN
        RAISE EXCEPTION 'a hold must end within a year, not at %', thaw.job_time(NEW.hold_until)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_hold_is_within_a_year', TABLE = 'accounts', SCHEMA = 'thaw',
                HINT = 'Set an end within a year. An operator can set a later one with thaw hold --correct or thaw.correct_hold.';
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_bound_hold_insert BEFORE INSERT ON thaw.accounts
    FOR EACH ROW WHEN (NEW.hold_until IS NOT NULL) EXECUTE FUNCTION thaw.accounts_bound_hold();
CREATE TRIGGER accounts_bound_hold_update BEFORE UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (
        NEW.hold_until IS NOT NULL AND OLD.hold_until IS DISTINCT FROM NEW.hold_until
        AND (current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on' OR NOT thaw.is_trusted_writer()))
    EXECUTE FUNCTION thaw.accounts_bound_hold();

-- Corrects a hold: sets another end, earlier or later, at most 10 years away, or ends it now
-- (null).
-- +goose StatementBegin
CREATE FUNCTION thaw.correct_hold(
    account text, until timestamptz, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(correct_hold.account, correct_hold.provider) FOR NO KEY UPDATE;
    IF held.hold_until IS NULL OR held.hold_until <= thaw.now() THEN
        RAISE EXCEPTION 'account "%" is not on hold', correct_hold.account
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a current hold can be corrected.';
    ELSIF correct_hold.until <= thaw.now() OR correct_hold.until > thaw.now() + interval '10 years' THEN
        RAISE EXCEPTION 'a hold must end in the future, at most 10 years away, not at %', thaw.job_time(correct_hold.until)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'To end the hold now, omit the end (null in SQL).';
    END IF;
    RETURN thaw.set_hold('hold_corrected', held, correct_hold.until, correct_hold.reason, correct_hold.actor);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.correct_hold(text, timestamptz, text, text, text) IS
    'For operators: sets another end of a hold, or ends it now (until null), with a reason for the audit log. Only the owner of the schema may call it.';

REVOKE ALL ON FUNCTION thaw.hold_of(thaw.accounts) FROM PUBLIC;
REVOKE ALL ON FUNCTION thaw.correct_hold(text, timestamptz, text, text, text), thaw.keep_identity(), thaw.assign_id(),
    thaw.enrollments_write_history(), thaw.campaigns_write_history(), thaw.accounts_write_hold(), thaw.accounts_bound_hold() FROM PUBLIC;

-- A row lock and not an advisory lock: any role with CONNECT could take an advisory lock and block
-- imports.
CREATE TABLE thaw.import_lock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE thaw.import_lock IS 'One row: an import locks it until it ends, so that imports take turns.';
INSERT INTO thaw.import_lock DEFAULT VALUES;

-- Paths. This step comes last: every function whose body is resolved at run time gets a search path
-- with the catalog only. A body of standard SQL (BEGIN ATOMIC, RETURN) was resolved when it was
-- created and stays without one, so that it can be inlined.
-- +goose StatementBegin
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'thaw'::regnamespace AND p.proname NOT LIKE 'river\_%' AND p.prosqlbody IS NULL
            AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS option (text) WHERE option.text LIKE 'search\_path=%')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', f);
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE thaw.import_lock;
DROP FUNCTION thaw.correct_hold(text, timestamptz, text, text, text);
ALTER TABLE thaw.api_tokens DROP CONSTRAINT api_tokens_times_are_in_range;
ALTER TABLE thaw.enrollments DROP CONSTRAINT enrollments_times_are_in_range;
ALTER TABLE thaw.campaigns DROP CONSTRAINT campaigns_times_are_in_range;
ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_times_are_in_range;
ALTER TABLE thaw.workspaces DROP CONSTRAINT workspaces_times_are_in_range;
DROP TRIGGER accounts_bound_hold_update ON thaw.accounts;
DROP TRIGGER accounts_bound_hold_insert ON thaw.accounts;
DROP FUNCTION thaw.accounts_bound_hold();
DROP TRIGGER accounts_write_hold ON thaw.accounts;
DROP FUNCTION thaw.accounts_write_hold();
DROP TRIGGER campaigns_write_history ON thaw.campaigns;
DROP FUNCTION thaw.campaigns_write_history();
DROP TRIGGER enrollments_write_history ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_write_history();
DROP TRIGGER enrollments_assign_id ON thaw.enrollments;
DROP TRIGGER workspaces_assign_id ON thaw.workspaces;
DROP TRIGGER campaigns_assign_id ON thaw.campaigns;
DROP TRIGGER accounts_assign_id ON thaw.accounts;
DROP FUNCTION thaw.assign_id();
DROP TRIGGER workspaces_keep_identity ON thaw.workspaces;
DROP TRIGGER enrollments_keep_identity ON thaw.enrollments;
DROP TRIGGER campaigns_keep_identity ON thaw.campaigns;
DROP TRIGGER accounts_keep_identity ON thaw.accounts;
DROP FUNCTION thaw.keep_identity();
DROP FUNCTION thaw.is_trusted_writer();

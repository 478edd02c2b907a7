-- Rules for writers other than Thaw: the platform's role, and people at a psql prompt.
--
--   identity   a role that only writes the fleet tables cannot change ids, workspaces and provider
--              account IDs
--   history    a pause, a resume or a move by a plain UPDATE writes an event, as one by Thaw does
--   times      times out of range are rejected
--   holds      only an operator can correct a hold, with a reason that is recorded first
--   paths      functions do not resolve names through the search path of their caller
--
-- Two conditions decide what a trigger does. A writer is trusted if it may insert into the history,
-- thaw.enrollment_events. That includes the owner of the schema, and with it the workers and
-- functions with the owner's rights, but not a role with the grants of docs/sql.md. A statement is
-- Thaw's own if a trusted writer runs it with the setting thaw.counts_by_statement = on, as the
-- functions do that write their own history (see 00018_counts.sql). Any role can change a setting,
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

-- Undo of manual actions. An undo restores only what the action replaced: rows that have been
-- changed again since then stay as they are. A prospect that was active before a pause becomes
-- resumable instead of active, so that the next sweeps resume it within the caps. An undo is
-- recorded as a manual action of its own.

-- The prospects whose last event is the action, after the event p_after, in the order of events.
-- +goose StatementBegin
CREATE FUNCTION thaw.undoable(p_action_id bigint, p_after bigint, p_size integer)
RETURNS TABLE (event_id bigint, enrollment_id bigint, account_id bigint) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT event.id, e.id, e.account_id
    FROM thaw.enrollment_events AS event
    JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
    WHERE event.action_id = p_action_id AND event.id > p_after AND e.status = 'paused'
        AND NOT EXISTS (
            SELECT FROM thaw.enrollment_events AS later WHERE later.enrollment_id = event.enrollment_id AND later.id > event.id)
    ORDER BY event.id
    LIMIT p_size;
END;
$$;
-- +goose StatementEnd

-- What to do instead of an undo of such an action. Null: an undo is possible.
-- +goose StatementBegin
CREATE FUNCTION thaw.instead_of_undo(p_what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_what
    WHEN 'safety_entered' THEN 'Exit safety mode instead.'
    WHEN 'safety_exited' THEN 'Enter safety mode again instead.'
    WHEN 'heal_started' THEN 'Stop the heal instead. What it has resumed stays resumed.'
    WHEN 'heal_stopped' THEN 'Continue the heal instead.'
    WHEN 'heal_resumed' THEN 'Stop the heal instead.'
    WHEN 'settings_changed' THEN 'Set the old value again. The audit log has it.'
    WHEN 'linked' THEN 'Accounts stay linked.'
    WHEN 'imported' THEN 'Import a file with the earlier state instead.'
    WHEN 'signals_replayed' THEN 'A newer signal about an account replaces its status.'
    WHEN 'reconciled' THEN 'A newer signal about an account replaces its status.'
    WHEN 'endpoint_added' THEN 'Remove the endpoint instead.'
    WHEN 'endpoint_enabled' THEN 'Remove the endpoint instead.'
    WHEN 'endpoint_removed' THEN 'Start a process with --webhook-url to add the endpoint again.'
    WHEN 'messages_replayed' THEN 'Receivers detect repeated messages by their ID.'
    WHEN 'token_created' THEN 'Revoke the token instead.'
    WHEN 'token_revoked' THEN 'Create another token instead.'
    WHEN 'jobs_changed' THEN 'Retry or resume the jobs in River UI instead.'
    WHEN 'instance_adopted' THEN 'Adopt it under the name that it had before.'
    WHEN 'adopted' THEN 'Use thaw adopt remove, or apply the mapping that it had before.'
    WHEN 'adoption_fixed' THEN 'The copy follows the platform.'
    WHEN 'adoption_removed' THEN 'Use thaw adopt apply.'
    WHEN 'server_changed' THEN 'It is an event, not an action.'
    WHEN 'prospect_erased' THEN 'What was erased cannot be restored.'
    WHEN 'workspace_removed' THEN 'What was removed cannot be restored.'
    WHEN 'undone' THEN 'Take the original action again instead.' END;
-- +goose StatementEnd

-- Whether a list offers to undo an action: it is of a kind that can be undone, and was not undone.
-- thaw.preview_undo also looks at what has changed since.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_undoable(p_action_id bigint, p_what text) RETURNS boolean LANGUAGE sql STABLE
RETURN thaw.instead_of_undo(p_what) IS NULL AND NOT EXISTS (SELECT FROM thaw.manual_actions AS later WHERE later.undoes = p_action_id);
-- +goose StatementEnd

-- What an undo of an action would do: a refusal (null: it can be undone), and how many prospects it
-- would restore.
-- +goose StatementBegin
CREATE FUNCTION thaw.preview_undo(p_action_id bigint, OUT refusal text, OUT hint text, OUT enrollments bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
    action thaw.manual_actions;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no action %', p_action_id USING ERRCODE = 'no_data_found', HINT = 'The audit log lists the actions.';
    END IF;
    hint := thaw.instead_of_undo(action.what);
    IF hint IS NOT NULL THEN
        refusal := format('action %s (%s) cannot be undone', action.id, replace(action.what, '_', ' '));
        RETURN;
    END IF;
    hint := 'Look at the history for what happened since.';
    IF action.campaign_id IS NOT NULL THEN
        IF (SELECT event.action_id FROM thaw.campaign_events AS event WHERE event.campaign_id = action.campaign_id ORDER BY event.id DESC LIMIT 1)
            IS DISTINCT FROM action.id
        THEN
            refusal := format('action %s cannot be undone: the campaign has changed since', action.id);
        END IF;
    ELSIF action.what IN ('paused', 'resumed') THEN
        SELECT count(*) INTO enrollments FROM thaw.undoable(action.id, 0, 2147483647);
        IF enrollments = 0 THEN
            refusal := CASE
                WHEN action.enrollments > 0 THEN format('action %s cannot be undone: all of its %s prospects have changed since', action.id, action.enrollments)
                ELSE format('action %s cannot be undone: it changed no prospects', action.id) END;
        END IF;
    ELSIF EXISTS (
        SELECT FROM thaw.manual_actions AS later
        LEFT JOIN thaw.manual_actions AS undone ON undone.id = later.undoes
        WHERE later.id > action.id
            AND CASE WHEN action.account_id IS NOT NULL THEN later.account_id = action.account_id ELSE later.workspace_id = action.workspace_id END
            AND left(coalesce(undone.what, later.what), 6) IN (left(action.what, 6), CASE WHEN action.what IN ('held', 'hold_corrected') THEN 'held' END,
                CASE WHEN action.what IN ('held', 'hold_corrected') THEN 'hold_c' END))
    THEN
        refusal := format('action %s cannot be undone: a later action has replaced it', action.id);
    END IF;
    IF refusal IS NULL THEN
        hint := NULL;
    END IF;
END;
$$;
-- +goose StatementEnd

-- Records an undo and restores everything but prospects, for which batches follow
-- (thaw.undo_batch). Returns the id of the new action.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_undo(p_action_id bigint, p_reason text, p_actor text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    action  thaw.manual_actions;
    preview record;
    undo_id bigint;
    ends    timestamptz;
    event   thaw.campaign_events;
    was     thaw.campaigns;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    -- What the action is about is locked first: its account, campaign or workspace.
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    PERFORM a.id FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    SELECT c.* INTO was FROM thaw.campaigns AS c WHERE c.id = action.campaign_id FOR NO KEY UPDATE;
    IF action.before IS NOT NULL AND action.account_id IS NULL THEN
        PERFORM w.id FROM thaw.workspaces AS w WHERE w.id = action.workspace_id FOR NO KEY UPDATE;
    END IF;
    preview := thaw.preview_undo(p_action_id);
    IF preview.refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', preview.refusal USING ERRCODE = 'object_not_in_prerequisite_state', HINT = preview.hint;
    END IF;
    IF action.what IN ('held', 'hold_corrected') THEN
        -- A hold that has ended in the meantime is not restored.
        ends := (action.before ->> 'hold_until')::timestamptz;
        ends := CASE WHEN ends > thaw.now() THEN ends END;
    END IF;
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, account_id, campaign_id, prospect_url, until, enrollments, undoes)
    VALUES ('undone', p_actor, p_reason, action.workspace_id, action.account_id, action.campaign_id, action.prospect_url, ends,
        CASE WHEN preview.enrollments IS NOT NULL THEN 0 END, action.id)
    RETURNING d.id INTO undo_id;

    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    IF action.what IN ('held', 'hold_corrected') THEN
        UPDATE thaw.accounts AS a SET hold_until = ends, hold_reason = CASE WHEN ends IS NOT NULL THEN action.before ->> 'hold_reason' END
        WHERE a.id = action.account_id;
    ELSIF action.what IN ('auto_resume_on', 'auto_resume_off') THEN
        UPDATE thaw.workspaces AS w SET auto_resume = (action.before ->> 'auto_resume')::boolean,
            auto_resume_reason = action.before ->> 'auto_resume_reason', auto_resume_changed_at = thaw.now(), auto_resume_changed_by = p_actor
        WHERE w.id = action.workspace_id;
    ELSIF action.what IN ('shadow_on', 'shadow_off') THEN
        UPDATE thaw.workspaces AS w SET shadow = (action.before ->> 'shadow')::boolean WHERE w.id = action.workspace_id;
    ELSIF action.what IN ('heal_cap_set', 'heal_cap_removed') THEN
        UPDATE thaw.workspaces AS w SET heal_cap = (action.before ->> 'heal_cap')::integer WHERE w.id = action.workspace_id;
    ELSIF action.campaign_id IS NOT NULL THEN
        SELECT e.* INTO event FROM thaw.campaign_events AS e WHERE e.campaign_id = action.campaign_id ORDER BY e.id DESC LIMIT 1;
        UPDATE thaw.campaigns AS c SET status = event.from_status, paused_reason = event.from_reason,
            paused_at = CASE WHEN event.from_status = 'paused' THEN coalesce(c.paused_at, thaw.now()) END
        WHERE c.id = action.campaign_id;
        INSERT INTO thaw.campaign_events (
            campaign_id, at, kind, source, from_status, to_status, reason, detail, action_id, from_reason)
        VALUES (action.campaign_id, thaw.now(),
            CASE event.from_status WHEN 'paused' THEN 'paused' ELSE 'resumed' END::thaw.event_kind, 'operator', was.status, event.from_status,
            coalesce(event.from_reason, was.paused_reason), format('%s: %s', p_actor, p_reason), undo_id, was.paused_reason);
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN undo_id;
END;
$$;
-- +goose StatementEnd

-- One batch of an undo: restores at most p_size prospects, from those after the event p_after on.
-- last_event_id: pass it as p_after to the next batch. Null: none remain.
-- +goose StatementBegin
CREATE FUNCTION thaw.undo_batch(p_undo_id bigint, p_after bigint, p_size integer, OUT restored integer, OUT last_event_id bigint)
LANGUAGE plpgsql AS $$
DECLARE
    undo   thaw.manual_actions;
    events bigint[];
    wanted bigint[];
BEGIN
    SELECT d.* INTO undo FROM thaw.manual_actions AS d WHERE d.id = p_undo_id;
    restored := 0;
    SELECT array_agg(next.event_id), array_agg(next.enrollment_id), max(next.event_id) INTO events, wanted, last_event_id
    FROM thaw.undoable(undo.undoes, p_after, p_size) AS next;
    IF events IS NULL THEN
        RETURN;
    END IF;
    -- The accounts come first, as everywhere. Then the state is read again: a row that has changed
    -- since it was found is left alone.
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (SELECT e.account_id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted))
    ORDER BY a.id FOR NO KEY UPDATE;
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted) ORDER BY e.id FOR NO KEY UPDATE;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH before AS (
        SELECT e.id, e.paused_reason, e.paused_at, event.from_status,
            -- An active prospect waits for its account, and the next sweeps resume it.
            CASE event.from_status WHEN 'paused' THEN event.from_reason WHEN 'active' THEN 'account_issue' END AS reason
        FROM thaw.undoable(undo.undoes, p_after, p_size) AS found
        JOIN thaw.enrollment_events AS event ON event.id = found.event_id
        JOIN thaw.enrollments AS e ON e.id = found.enrollment_id
        WHERE found.event_id = ANY (events)
    ), written AS (
        UPDATE thaw.enrollments AS e SET
            status = CASE WHEN before.reason IS NULL THEN before.from_status ELSE 'paused' END,
            paused_reason = before.reason,
            paused_at = CASE WHEN before.reason IS NOT NULL THEN e.paused_at END
        FROM before
        WHERE e.id = before.id
        RETURNING e.id, e.step, e.account_id, e.status, e.waits_for_account, before.paused_at, before.reason, before.paused_reason
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail,
        action_id, from_reason)
    SELECT written.id, thaw.now(), written.account_id, written.account_id, written.step,
        CASE WHEN written.reason IS NULL THEN 'changed' WHEN written.waits_for_account THEN 'released' ELSE 'paused' END::thaw.event_kind,
        'operator', 'paused', written.status,
        CASE WHEN written.reason IS NULL OR written.waits_for_account THEN written.paused_reason ELSE written.reason END,
        written.paused_at, format('%s: %s', undo.actor, undo.reason), p_undo_id, written.paused_reason
    FROM written;
    GET DIAGNOSTICS restored = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    UPDATE thaw.manual_actions AS d SET enrollments = d.enrollments + restored WHERE d.id = p_undo_id;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.undo(action_id bigint, reason text, actor text DEFAULT current_user)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    undo_id bigint := thaw.start_undo(undo.action_id, undo.reason, undo.actor);
BEGIN
    PERFORM thaw.undo_batch(undo_id, 0, 2147483647);
    RETURN (SELECT coalesce(d.enrollments, 1) FROM thaw.manual_actions AS d WHERE d.id = undo_id);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.undo(bigint, text, text) IS
    'For operators: undoes a manual action (an id of thaw.manual_actions). Anything that was changed again after the action is left as it is. Returns how many prospects it restored, or 1 if the action did not concern prospects. Fails if nothing is left to undo. Only the owner of the schema may call it.';

REVOKE ALL ON FUNCTION thaw.instead_of_undo(text), thaw.is_undoable(bigint, text), thaw.undoable(bigint, bigint, integer), thaw.preview_undo(bigint), thaw.start_undo(bigint, text, text),
    thaw.undo_batch(bigint, bigint, integer), thaw.undo(bigint, text, text), thaw.hold_of(thaw.accounts) FROM PUBLIC;
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
DROP FUNCTION thaw.undo(bigint, text, text);
DROP FUNCTION thaw.undo_batch(bigint, bigint, integer);
DROP FUNCTION thaw.start_undo(bigint, text, text);
DROP FUNCTION thaw.preview_undo(bigint);
DROP FUNCTION thaw.is_undoable(bigint, text);
DROP FUNCTION thaw.instead_of_undo(text);
DROP FUNCTION thaw.undoable(bigint, bigint, integer);
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

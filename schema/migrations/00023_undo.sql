-- Undo of manual actions. An undo restores only what the action replaced: rows that have been
-- changed again since then stay as they are. A prospect that was active before a pause becomes
-- resumable instead of active, so that the next sweeps resume it within the caps. An undo is
-- recorded as a manual action of its own.

-- +goose Up

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
    thaw.undo_batch(bigint, bigint, integer), thaw.undo(bigint, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.undo(bigint, text, text);
DROP FUNCTION thaw.undo_batch(bigint, bigint, integer);
DROP FUNCTION thaw.start_undo(bigint, text, text);
DROP FUNCTION thaw.preview_undo(bigint);
DROP FUNCTION thaw.is_undoable(bigint, text);
DROP FUNCTION thaw.instead_of_undo(text);
DROP FUNCTION thaw.undoable(bigint, bigint, integer);

-- What came of an action. A settlement moves the prospect on, frees quota where the request
-- certainly did not reach the provider, and never where it may have.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.accounts, thaw.campaigns, thaw.enrollments IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.accounts, thaw.campaigns, thaw.enrollments IN SHARE ROW EXCLUSIVE MODE;

-- Puts a kind of an account on hold. An existing hold is only extended.
-- +goose StatementBegin
CREATE FUNCTION thaw.hold_kind(p_account_id bigint, p_kind text, p_until timestamptz, p_code text, p_reason text, p_actor text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.action_holds AS h (account_id, kind, sender_id, until, code, reason, actor)
    VALUES (p_account_id, p_kind, (SELECT s.sender_id FROM thaw.sending_accounts AS s WHERE s.account_id = p_account_id), p_until, p_code,
        p_reason, p_actor)
    ON CONFLICT (account_id, kind) DO UPDATE SET
        until = excluded.until, code = excluded.code, reason = excluded.reason, actor = excluded.actor, at = thaw.now(),
        sender_id = excluded.sender_id
    WHERE excluded.until > h.until;
    IF FOUND THEN
        PERFORM thaw.publish('account.limited', NULL, p_account_id, jsonb_build_object(
            'kind', p_kind, 'until', thaw.rfc3339(p_until), 'code', p_code, 'reason', p_reason));
    END IF;
END;
$$;
-- +goose StatementEnd

-- Until when a limit of the provider holds a kind, if the provider does not say. The codes are
-- those of the provider (docs/sending.md).
-- +goose StatementBegin
CREATE FUNCTION thaw.limit_ends(p_account_id bigint, p_kind text, p_error_code text) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at   timestamptz := thaw.now();
    zone text;
    day  date;
    ends timestamptz;
BEGIN
    IF p_error_code = 'insufficient_credits' THEN
        RETURN date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 month';
    END IF;
    SELECT g.timezone, g.day, g.day_ends_at INTO zone, day, ends FROM thaw.kind_gates(ARRAY[p_account_id], ARRAY[p_kind]) AS g;
    IF p_error_code = 'cannot_resend_yet' THEN
        RETURN coalesce(thaw.day_start(zone, (date_trunc('week', day) + interval '7 days')::date), at + interval '7 days');
    END IF;
    -- Without a time zone, no day is known.
    RETURN coalesce(ends, at + interval '24 hours');
END;
$$;
-- +goose StatementEnd

-- Moves an enrollment past the step of an action. The kind of the next step follows from the steps
-- of the campaign (enrollments_note_next_kind), unless the platform passes it. After the last step
-- of a linear campaign the enrollment is completed, also if it was paused meanwhile: a resume would
-- find nothing left to do. Otherwise a paused enrollment stays paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.advance(p_action thaw.actions, p_next_kind text, p_next_at timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next      thaw.campaign_steps;
    is_linear boolean := EXISTS (SELECT FROM thaw.campaign_steps AS s WHERE s.campaign_id = p_action.campaign_id);
    is_last   boolean;
BEGIN
    SELECT s.* INTO next FROM thaw.campaign_steps AS s WHERE s.campaign_id = p_action.campaign_id AND s.position = p_action.step + 1;
    is_last := is_linear AND next.kind IS NULL AND p_next_kind IS NULL;
    UPDATE thaw.enrollments AS e SET
        step = e.step + 1,
        next_kind = coalesce(p_next_kind, next.kind),
        -- A next kind without a time is due at once.
        next_action_at = coalesce(p_next_at, thaw.now() + next.delay, CASE WHEN p_next_kind IS NOT NULL THEN thaw.now() END),
        status = CASE WHEN is_last AND e.status IN ('active', 'paused') THEN 'completed' ELSE e.status END,
        paused_reason = CASE WHEN NOT is_last THEN e.paused_reason END, paused_at = CASE WHEN NOT is_last THEN e.paused_at END
    WHERE e.id = p_action.enrollment_id AND e.step = p_action.step;
END;
$$;
-- +goose StatementEnd

-- What senders report (thaw.settle), and what the provider's own list shows (thaw.verify_action).
-- reason is of the latter.
-- +goose StatementBegin
CREATE FUNCTION thaw.settle_action(
    reservation bigint, outcome text, provider_ref text, error_code text, until timestamptz, next_kind text, next_at timestamptz, if_refused text,
    actor text, reason text
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    action   thaw.actions;
    account  thaw.accounts;
    at       timestamptz := thaw.now();
    result   thaw.action_outcome;
    new_state thaw.action_state;
    refusals integer;
    is_erased boolean;
BEGIN
    PERFORM thaw.require_actor(settle_action.actor), thaw.require_text('provider_ref', settle_action.provider_ref), thaw.require_text('error_code', settle_action.error_code);
    IF settle_action.outcome = ANY (enum_range(NULL::thaw.action_outcome)::text[]) THEN
        result := settle_action.outcome;
    END IF;
    IF result IS NULL THEN
        RAISE EXCEPTION 'the outcome "%" is unknown', coalesce(left(settle_action.outcome, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = format('Use one of: %s.', array_to_string(enum_range(NULL, 'released'::thaw.action_outcome), ', '));
    ELSIF settle_action.if_refused IS NULL OR settle_action.if_refused NOT IN ('fail', 'skip', 'keep') THEN
        RAISE EXCEPTION 'if_refused is "%"', coalesce(left(settle_action.if_refused, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use fail, skip or keep.';
    ELSIF settle_action.next_kind IS NOT NULL AND NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = settle_action.next_kind) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', left(settle_action.next_kind, 100)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a kind of thaw.action_kinds.';
    ELSIF settle_action.until > at + interval '400 days' OR settle_action.next_at > at + interval '3660 days' THEN
        RAISE EXCEPTION 'a time is too far in the future' USING ERRCODE = 'invalid_parameter_value', HINT = 'until may be 400 days ahead, next_at ten years.';
    END IF;
    provider_ref := nullif(btrim(settle_action.provider_ref), '');
    -- A time that is over means now.
    until := CASE WHEN settle_action.until IS NOT NULL THEN greatest(settle_action.until, at) END;
    next_at := CASE WHEN settle_action.next_at IS NOT NULL THEN greatest(settle_action.next_at, at) END;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = settle_action.reservation;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(settle_action.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    END IF;
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    -- The sender may have changed before the account was locked.
    PERFORM s.id FROM thaw.senders AS s WHERE s.id = (SELECT a.sender_id FROM thaw.actions AS a WHERE a.id = action.id) FOR NO KEY UPDATE;
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = action.enrollment_id FOR NO KEY UPDATE;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = settle_action.reservation FOR NO KEY UPDATE;

    is_erased := action.prospect_url ~ '^\[(erased|removed) ';
    -- A delivery without the ID that the provider gives to each delivery is not proven, unless it
    -- was reported with its ID before.
    IF result = 'sent' AND settle_action.provider_ref IS NULL AND action.state <> 'sent' AND (SELECT k.has_provider_ref FROM thaw.action_kinds AS k WHERE k.kind = action.kind) THEN
        result := 'unknown';
    END IF;
    new_state := CASE
        WHEN result IN ('sent', 'verified_sent') THEN 'sent'
        WHEN result = 'already' THEN 'already'
        WHEN result = 'refused' THEN 'refused'
        WHEN result = 'unknown' THEN 'unknown'
        ELSE 'released' END::thaw.action_state;

    IF action.outcome = result AND action.state = new_state
        -- A pause, or the end of the lease, gave it back before.
        OR result = 'released' AND action.outcome IS NULL AND action.state IN ('released', 'expired')
    THEN
        RETURN action.state::text;
    END IF;
    IF NOT (CASE
        WHEN result = 'released' THEN action.state = 'reserved'
        WHEN result IN ('verified_sent', 'verified_absent') THEN action.state = 'unknown'
        -- The report may come after the lease: the sender was only slow.
        ELSE action.state = 'started' OR action.state = 'unknown' AND action.outcome IS NULL END)
    THEN
        RAISE EXCEPTION 'action % cannot be settled as %: it is %', action.id, result,
                action.state || coalesce(' (' || action.outcome || ')', '')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = CASE
                WHEN action.state = 'reserved' THEN 'Call thaw.start before the call to the provider, or settle it as released to give it back.'
                WHEN action.state = 'unknown' THEN 'Look at the provider, then settle it as verified_sent or verified_absent, with thaw.verify_action.'
                ELSE 'Nothing was changed. An action is settled once.' END;
    END IF;

    IF action.closed_as IN ('accepted', 'withdrawn') AND new_state NOT IN ('sent', 'already', 'unknown') THEN
        RAISE EXCEPTION 'action % cannot be settled as %: its invite was %, so the prospect had it', action.id, result, action.closed_as
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Settle it as sent, or as verified_sent. Nothing was changed.';
    END IF;

    UPDATE thaw.actions AS a SET
        state = new_state, outcome = result, lease_until = NULL, settled_at = greatest(at, a.started_at, a.reserved_at),
        -- The request may have been made at any time until now.
        used_at = CASE WHEN a.state = 'started' THEN at ELSE a.used_at END,
        -- Of a prospect that was erased meanwhile, nothing is stored that may name them.
        provider_ref = CASE WHEN settle_action.provider_ref IS NOT NULL AND is_erased THEN '[erased]' ELSE coalesce(settle_action.provider_ref, a.provider_ref) END,
        error_code = CASE WHEN NOT is_erased THEN coalesce(settle_action.error_code, a.error_code) END,
        -- An invite that did not reach the prospect has no end at the provider.
        closed_at = CASE WHEN new_state IN ('sent', 'already', 'unknown') THEN a.closed_at END,
        closed_as = CASE WHEN new_state IN ('sent', 'already', 'unknown') THEN a.closed_as END
    WHERE a.id = action.id;

    -- A prospect that the platform has moved to another step since keeps the time of that step.
    CASE
        WHEN new_state = 'sent' THEN
            UPDATE thaw.senders AS s SET ramp_started_at = coalesce(s.ramp_started_at, at), last_sent_at = greatest(s.last_sent_at, at)
            WHERE s.id = action.sender_id;
            PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
        WHEN new_state = 'already' THEN
            PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
        WHEN new_state = 'refused' THEN
            IF settle_action.if_refused = 'skip' THEN
                PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
            ELSIF settle_action.if_refused = 'fail' THEN
                UPDATE thaw.enrollments AS e SET status = 'failed', paused_reason = NULL, paused_at = NULL
                WHERE e.id = action.enrollment_id AND e.step = action.step AND e.status IN ('active', 'paused');
            ELSE
                UPDATE thaw.enrollments AS e SET next_action_at = coalesce(settle_action.next_at, at + interval '1 day')
                WHERE e.id = action.enrollment_id AND e.step = action.step;
            END IF;
            SELECT count(DISTINCT thaw.prospect_key(a.prospect_url)) INTO refusals FROM thaw.actions AS a
            WHERE a.account_id = action.account_id AND a.kind = action.kind AND a.state = 'refused' AND a.settled_at > at - interval '24 hours';
            IF refusals >= 3 AND account.id IS NOT NULL THEN
                PERFORM thaw.hold_kind(action.account_id, action.kind, thaw.limit_ends(action.account_id, action.kind, NULL), 'refusals',
                    format('the provider refused %ss to %s prospects within a day', action.kind, refusals), settle_action.actor);
            END IF;
        WHEN account.id IS NULL AND result IN ('limited', 'account_lost', 'restricted') THEN
            NULL; -- the account was deleted since, and nothing is left to hold
        WHEN result = 'limited' THEN
            PERFORM thaw.hold_kind(action.account_id, action.kind,
                -- A time that is over says nothing about when the limit ends.
                CASE WHEN settle_action.until > at THEN settle_action.until ELSE thaw.limit_ends(action.account_id, action.kind, settle_action.error_code) END,
                coalesce(CASE WHEN settle_action.error_code ~ '^[a-z][a-z0-9_]{0,63}$' THEN settle_action.error_code END, 'limited'),
                'the provider reports a limit' || coalesce(': ' || settle_action.error_code, ''), settle_action.actor);
        WHEN result = 'throttled' THEN
            UPDATE thaw.enrollments AS e SET next_action_at = coalesce(settle_action.until, at + interval '5 minutes')
            WHERE e.id = action.enrollment_id AND e.step = action.step;
        WHEN result IN ('account_lost', 'restricted') THEN
            -- It was so when the request was made. The account may have connected again since.
            PERFORM thaw.receive_signal(account.provider, account.provider_account_id, result::text,
                CASE result WHEN 'restricted' THEN 'restricted' ELSE 'disconnected' END, action.started_at, NULL, 'action:' || action.id, false, NULL);
        WHEN new_state = 'unknown' THEN
            PERFORM thaw.publish_unknown(ARRAY[action.id]);
        ELSE NULL; -- released: it may be reserved again
    END CASE;
    IF result IN ('verified_sent', 'verified_absent') THEN
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id, campaign_id, prospect_url)
        VALUES ('action_settled', settle_action.actor, settle_action.reason, format('action %s: %s', action.id, result), action.workspace_id,
            action.account_id, action.campaign_id, action.prospect_url);
    END IF;
    -- Before the gap is over there is nothing to do. What is not used any more, another account of
    -- the person may use.
    PERFORM thaw.nudge(action.account_id, greatest(at, (SELECT s.next_allowed_at FROM thaw.senders AS s WHERE s.id = action.sender_id)));
    IF NOT thaw.counts_as_used(new_state) THEN
        PERFORM thaw.nudge_siblings(action.sender_id, action.account_id);
    END IF;
    RETURN new_state::text;
END;
$$;
-- +goose StatementEnd

-- A sender does not verify: it would free what it has done itself, and do it again.
-- +goose StatementBegin
CREATE FUNCTION thaw.settle(
    reservation bigint, outcome text, provider_ref text DEFAULT NULL, error_code text DEFAULT NULL, until timestamptz DEFAULT NULL,
    next_kind text DEFAULT NULL, next_at timestamptz DEFAULT NULL, if_refused text DEFAULT 'fail', actor text DEFAULT current_user
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settle.outcome IN ('verified_sent', 'verified_absent') THEN
        RAISE EXCEPTION '% is not an outcome that a sender reports', settle.outcome
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Look at the provider, then use thaw.verify_action, thaw actions settle or the page of the action. Each needs a reason.';
    END IF;
    RETURN thaw.settle_action(settle.reservation, settle.outcome, settle.provider_ref, settle.error_code, settle.until, settle.next_kind,
        settle.next_at, settle.if_refused, settle.actor, NULL);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.settle(bigint, text, text, text, timestamptz, text, timestamptz, text, text) IS
    'Records what came of a started action: sent (with provider_ref), already, refused (the enrollment fails, if_refused: or skips the step, or keeps it), limited (the kind is on hold until), throttled (try again at until), account_lost, restricted, unknown; released ends a reservation that was not started. An unknown action is settled with thaw.verify_action. next_kind and next_at are for campaigns without steps. Returns the state. The same outcome again changes nothing; another one is an error.';

-- Publishes a message for each of the given accounts, as thaw.publish does for one, in statements
-- for all of them. p_data has one object per account.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_each(p_type text, p_account_ids bigint[], p_data jsonb[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    endpoint bigint;
    places   bigint[];
    messages text[];
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    WITH written AS (
        INSERT INTO thaw.outbox (type, account_id, data)
        SELECT p_type, given.account_id, thaw.subject(NULL, given.account_id) || jsonb_strip_nulls(given.data)
        FROM unnest(p_account_ids, p_data) WITH ORDINALITY AS given (account_id, data, place)
        ORDER BY given.place
        RETURNING id, message_id
    )
    SELECT array_agg(written.id ORDER BY written.id), array_agg(written.message_id ORDER BY written.id) INTO places, messages FROM written;
    FOR endpoint IN SELECT e.id FROM thaw.webhook_endpoints AS e WHERE e.disabled_at IS NULL ORDER BY e.id FOR KEY SHARE OF e LOOP
        INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id) SELECT written.id, endpoint FROM unnest(places) AS written (id);
        PERFORM thaw.enqueue_many('deliver', 'webhooks_' || endpoint, 2::smallint, ARRAY(
            SELECT jsonb_build_object('endpoint_id', endpoint, 'message_id', message.id)
            FROM unnest(messages) WITH ORDINALITY AS message (id, place) ORDER BY message.place));
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- Reports actions whose outcome is unknown: one message per account.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_unknown(p_action_ids bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.publish_each('actions.unknown', array_agg(unsettled.account_id ORDER BY unsettled.account_id),
        array_agg(jsonb_build_object('actions', unsettled.actions) ORDER BY unsettled.account_id))
    FROM (
        SELECT a.account_id, jsonb_agg(jsonb_build_object('reservation', a.id, 'kind', a.kind, 'prospect_url', a.prospect_url, 'started_at', thaw.rfc3339(a.started_at)) ORDER BY a.id) AS actions
        FROM thaw.actions AS a WHERE a.id = ANY (p_action_ids) GROUP BY a.account_id) AS unsettled
    HAVING count(*) > 0;
END;
$$;
-- +goose StatementEnd

-- Ends leases: a reservation that was not started expires, and a started action that was not
-- settled is unknown. At most p_size, without waiting for locked rows. Returns how many.
-- +goose StatementBegin
CREATE FUNCTION thaw.expire_actions(p_size integer DEFAULT 1000) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    at      timestamptz := thaw.now();
    expired integer;
    unknown bigint[];
BEGIN
    WITH changed AS (
        UPDATE thaw.actions AS a SET
            state = CASE a.state WHEN 'reserved' THEN 'expired' ELSE 'unknown' END::thaw.action_state,
            used_at = CASE a.state WHEN 'started' THEN greatest(a.used_at, least(a.lease_until, at)) ELSE a.used_at END,
            lease_until = NULL, settled_at = greatest(at, a.started_at, a.reserved_at)
        WHERE a.id = ANY (ARRAY(
            SELECT ended.id FROM thaw.actions AS ended
            WHERE ended.lease_until <= at ORDER BY ended.lease_until LIMIT p_size FOR NO KEY UPDATE SKIP LOCKED))
        RETURNING a.id, a.state, a.account_id
    ), nudged AS (
        INSERT INTO thaw.nudges (account_id, at) SELECT DISTINCT changed.account_id, at FROM changed
    )
    SELECT count(*), array_agg(changed.id) FILTER (WHERE changed.state = 'unknown') INTO expired, unknown FROM changed;
    PERFORM thaw.publish_unknown(unknown);
    RETURN expired;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.expire_actions(integer) IS 'Ends the leases that are over. Every worker process calls it.';

-- Records how an invite ended at the provider. A withdrawn one may be repeated after three weeks;
-- an accepted one never.
-- +goose StatementBegin
CREATE FUNCTION thaw.close_invite(reservation bigint, as_what text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    action thaw.actions;
    newer  bigint;
BEGIN
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = close_invite.reservation FOR NO KEY UPDATE;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(close_invite.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    ELSIF close_invite.as_what IS NULL OR close_invite.as_what NOT IN ('accepted', 'withdrawn') THEN
        RAISE EXCEPTION 'an invite does not end as "%"', coalesce(left(close_invite.as_what, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use accepted or withdrawn.';
    ELSIF action.kind <> 'invite' OR action.state NOT IN ('sent', 'already', 'unknown') THEN
        RAISE EXCEPTION 'action % is no sent invite: it is % (%)', action.id, action.kind, action.state
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only an invite that was sent can be accepted or withdrawn.';
    ELSIF action.closed_as = close_invite.as_what OR action.closed_as = 'duplicate' THEN
        RETURN false;
    ELSIF action.closed_as = 'accepted' THEN
        RAISE EXCEPTION 'the invite of action % was accepted', action.id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'It cannot be withdrawn any more. Nothing was changed.';
    ELSIF close_invite.as_what = 'accepted' AND action.closed_as = 'withdrawn' THEN
        newer := (
            SELECT min(a.id) FROM thaw.actions AS a
            WHERE a.kind = 'invite' AND a.sender_id = action.sender_id AND thaw.prospect_key(a.prospect_url) = thaw.prospect_key(action.prospect_url)
                AND (a.is_used OR a.state = 'already') AND (a.closed_as IS NULL OR a.closed_as = 'accepted'));
        IF newer IS NOT NULL THEN
            RAISE EXCEPTION 'the invite of action % was withdrawn, and action % invites the prospect again', action.id, newer
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Close that one. Nothing was changed.';
        END IF;
    END IF;
    UPDATE thaw.actions AS a SET closed_at = thaw.now(), closed_as = close_invite.as_what WHERE a.id = action.id;
    -- The ceiling of open invites may have held the accounts of the person.
    PERFORM thaw.nudge(action.account_id, thaw.now()), thaw.nudge_siblings(action.sender_id, action.account_id);
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.close_invite(bigint, text) IS
    'Records that a sent invite was accepted or withdrawn. Until then it counts toward the ceiling of pending invites, and no second one goes to the prospect. An accepted invite stays accepted. Returns false if this was recorded before.';

-- Releases what is reserved when an account, a campaign or a prospect stops. What is started goes
-- on: the request may be under way. Rows that a sender has locked are left to its last look
-- (thaw.start). The triggers find the rows, each by its own index.
-- +goose StatementBegin
CREATE FUNCTION thaw.release_actions(p_ids bigint[], p_code text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_ids <> '{}' THEN
        UPDATE thaw.actions AS a SET state = 'released', lease_until = NULL, settled_at = greatest(thaw.now(), a.reserved_at), error_code = p_code
        WHERE a.id = ANY (p_ids);
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_release_actions() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.account_id = NEW.id AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'account_not_connected');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_release_actions AFTER UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (OLD.status = 'connected' AND NEW.status <> 'connected') EXECUTE FUNCTION thaw.accounts_release_actions();

-- +goose StatementBegin
CREATE FUNCTION thaw.campaigns_release_actions() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.campaign_id = NEW.id AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'campaign_not_running');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER campaigns_release_actions AFTER UPDATE OF status ON thaw.campaigns
    FOR EACH ROW WHEN (OLD.status = 'running' AND NEW.status <> 'running') EXECUTE FUNCTION thaw.campaigns_release_actions();

-- A pause of prospects, by any writer. Pausing an account pauses its prospects. One of the two
-- triggers fires, as for counts (00026_counts.sql). Other ends call none on platforms that only use
-- the gate: the last look refuses what is reserved.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_release_row() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.enrollment_id = NEW.id AND open.is_used AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'not_active');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_release_row AFTER UPDATE OF status ON thaw.enrollments
    FOR EACH ROW WHEN (
        OLD.status = 'active' AND (NEW.status = 'paused' OR NEW.status <> 'active' AND NEW.next_kind IS NOT NULL)
        AND current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION thaw.enrollments_release_row();

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_release_set() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id
        FROM new_rows AS e
        JOIN thaw.actions AS open ON open.enrollment_id = e.id AND open.is_used AND open.state = 'reserved'
        WHERE e.status = 'paused' ORDER BY open.id FOR NO KEY UPDATE OF open SKIP LOCKED), 'not_active');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_release_set AFTER UPDATE ON thaw.enrollments
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('thaw.counts_by_statement', true) = 'on')
    EXECUTE FUNCTION thaw.enrollments_release_set();

REVOKE ALL ON FUNCTION thaw.hold_kind(bigint, text, timestamptz, text, text, text), thaw.limit_ends(bigint, text, text),
    thaw.advance(thaw.actions, text, timestamptz),
    thaw.settle_action(bigint, text, text, text, timestamptz, text, timestamptz, text, text, text),
    thaw.settle(bigint, text, text, text, timestamptz, text, timestamptz, text, text),
    thaw.publish_each(text, bigint[], jsonb[]), thaw.publish_unknown(bigint[]), thaw.expire_actions(integer), thaw.close_invite(bigint, text),
    thaw.release_actions(bigint[], text), thaw.accounts_release_actions(),
    thaw.campaigns_release_actions(), thaw.enrollments_release_row(), thaw.enrollments_release_set() FROM PUBLIC;

-- +goose Down
DROP TRIGGER enrollments_release_set ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_release_set();
DROP TRIGGER enrollments_release_row ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_release_row();
DROP TRIGGER campaigns_release_actions ON thaw.campaigns;
DROP FUNCTION thaw.campaigns_release_actions();
DROP TRIGGER accounts_release_actions ON thaw.accounts;
DROP FUNCTION thaw.accounts_release_actions();
DROP FUNCTION thaw.release_actions(bigint[], text);
DROP FUNCTION thaw.close_invite(bigint, text);
DROP FUNCTION thaw.expire_actions(integer);
DROP FUNCTION thaw.publish_unknown(bigint[]);
DROP FUNCTION thaw.publish_each(text, bigint[], jsonb[]);
DROP FUNCTION thaw.settle(bigint, text, text, text, timestamptz, text, timestamptz, text, text);
DROP FUNCTION thaw.settle_action(bigint, text, text, text, timestamptz, text, timestamptz, text, text, text);
DROP FUNCTION thaw.advance(thaw.actions, text, timestamptz);
DROP FUNCTION thaw.limit_ends(bigint, text, text);
DROP FUNCTION thaw.hold_kind(bigint, text, timestamptz, text, text, text);

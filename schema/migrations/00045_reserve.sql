-- Giving out actions: a reservation, and the last look in the moment before the call.
--
-- Lock order: accounts, senders, the cap of the campaign, enrollments, actions (docs/design.md).
-- The row of the sender is the lock that racing reservations queue for, so a cap of 30 is 30 for
-- any number of callers. A caller keeps these locks until its transaction ends, so a reservation
-- belongs into a short transaction of its own.

-- +goose Up

-- Locks an account, and the person in whose name it sends. Returns the sender.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_sender(p_account_id bigint) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account thaw.accounts;
    known   bigint;
    locked  bigint;
BEGIN
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM thaw.person_changes) THEN
        IF thaw.are_persons_unknown() THEN
            RAISE EXCEPTION 'the persons behind many accounts have just changed'
                USING ERRCODE = 'serialization_failure', HINT = 'Try again in a few seconds: what they have used is being added up.';
        END IF;
        PERFORM thaw.follow_persons();
    END IF;
    -- The sender may change while this transaction waits for it.
    FOR attempt IN 1..10 LOOP
        SELECT s.id INTO known
        FROM thaw.sending_accounts AS sending
        JOIN thaw.senders AS s ON s.id = sending.sender_id
        WHERE sending.account_id = p_account_id AND s.provider = account.provider AND s.key = thaw.person_of(account);
        IF known = locked THEN
            RETURN locked;
        ELSIF known IS NULL THEN
            -- The account sends for the first time.
            PERFORM thaw.ensure_senders(ARRAY[p_account_id]);
        ELSE
            PERFORM s.id FROM thaw.senders AS s WHERE s.id = known FOR NO KEY UPDATE;
            locked := known;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'the person behind account % changes again and again', p_account_id USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
END;
$$;
-- +goose StatementEnd

-- Campaigns with a cap of their own are limited across accounts.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_campaign_caps(p_campaign_ids bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM own.id FROM thaw.action_overrides AS own WHERE own.campaign_id = ANY (p_campaign_ids) ORDER BY own.id FOR NO KEY UPDATE;
END;
$$;
-- +goose StatementEnd

-- A random number from 0 to 1. The key says what it is for: a simulation replaces the function, and
-- draws the same number for the same key.
-- +goose StatementBegin
CREATE FUNCTION thaw.draw(p_key text) RETURNS double precision LANGUAGE sql VOLATILE
RETURN random();
-- +goose StatementEnd

-- Reserves actions for enrollments whose gates are open: one per account, that of its first
-- enrollment in the order of the array. The caller has locked the accounts, the senders, the caps
-- of the campaigns and the enrollments, with one account per sender. Returns one row per
-- enrollment: the action, or the closed gate. Neither: the gates are open, and another one was
-- first.
-- +goose StatementBegin
CREATE FUNCTION thaw.reserve_rows(p_enrollment_ids bigint[], p_kinds text[], p_lease interval, p_actor text)
RETURNS TABLE (
    enrollment_id bigint, account_id bigint, campaign_id bigint, kind text, step integer, action_id bigint, code text, opens_at timestamptz, next_allowed_at timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := thaw.now();
    settings thaw.settings;
BEGIN
    PERFORM thaw.require_short_transaction();
    SELECT s.* INTO settings FROM thaw.settings AS s;
    RETURN QUERY
    WITH gate AS MATERIALIZED (
        -- Only in the name of the person that is locked: another one may have become known since.
        SELECT g.*, CASE WHEN g.code IS NULL AND (SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = g.account_id) = g.sender_id
            THEN row_number() OVER (PARTITION BY g.account_id, g.code IS NULL ORDER BY asked.place) = 1 END AS is_first
        FROM thaw.action_gates(p_enrollment_ids, p_kinds) AS g
        JOIN unnest(p_enrollment_ids) WITH ORDINALITY AS asked (id, place) ON asked.id = g.enrollment_id
    ), pick AS MATERIALIZED (
        -- Several accounts may ask for one campaign at once: its cap allows the first ones.
        SELECT gate.*, row_number() OVER (PARTITION BY gate.campaign_id, gate.kind, gate.day ORDER BY gate.enrollment_id) AS turn,
            settings.action_gap_from + (settings.action_gap_to - settings.action_gap_from) * thaw.draw(format('gap %s %s', gate.enrollment_id, gate.step)) AS gap,
            gate.gap_from + (gate.gap_to - gate.gap_from) * thaw.draw(format('kind gap %s %s', gate.enrollment_id, gate.step)) AS kind_gap
        FROM gate
        WHERE gate.is_first
    ), reserved AS (
        INSERT INTO thaw.actions (
            workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, actor, reserved_at,
            lease_until, used_at, local_day, timezone, gap, next_of_kind_at)
        SELECT pick.workspace_id, pick.account_id, pick.sender_id, pick.campaign_id, pick.enrollment_id, pick.provider, pick.member_id,
            pick.prospect_url, pick.step, pick.kind, p_actor, at, at + p_lease, at, pick.day, pick.timezone, pick.gap, at + pick.kind_gap
        FROM pick
        WHERE pick.campaign_remaining IS NULL OR pick.turn <= pick.campaign_remaining
        RETURNING id, enrollment_id
    ), paced AS (
        UPDATE thaw.senders AS s SET
            day = pick.day, day_began_at = pick.day_began_at,
            day_timezone = CASE WHEN s.day = pick.day THEN s.day_timezone ELSE pick.timezone END, next_allowed_at = at + pick.gap
        FROM reserved
        JOIN pick ON pick.enrollment_id = reserved.enrollment_id
        WHERE s.id = pick.sender_id
    )
    SELECT gate.enrollment_id, gate.account_id, gate.campaign_id, gate.kind, gate.step, reserved.id,
        CASE WHEN gate.is_first AND reserved.id IS NULL THEN 'campaign_cap' ELSE gate.code END,
        -- Those that were first may still be refused at their start.
        CASE WHEN gate.is_first AND reserved.id IS NULL THEN at + interval '1 minute' ELSE gate.opens_at END,
        CASE WHEN reserved.id IS NOT NULL THEN at + pick.gap END
    FROM gate
    LEFT JOIN pick ON pick.enrollment_id = gate.enrollment_id
    LEFT JOIN reserved ON reserved.enrollment_id = gate.enrollment_id;
END;
$$;
-- +goose StatementEnd

-- How long ago a transaction may have begun that reserves or starts an action. Tests replace the
-- function.
-- +goose StatementBegin
CREATE FUNCTION thaw.longest_reserving() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '1 minute';
-- +goose StatementEnd

-- The times of this transaction are those of its start. One that began long ago would reserve by a
-- clock that has stopped: a window may have closed since.
-- +goose StatementBegin
CREATE FUNCTION thaw.require_short_transaction() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF clock_timestamp() - pg_catalog.now() > thaw.longest_reserving() THEN
        RAISE EXCEPTION 'this transaction began % seconds ago', round(extract(epoch FROM clock_timestamp() - pg_catalog.now()))
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Its clock is the time of its start. Reserve and start actions in short transactions of their own.';
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.require_actor(p_actor text) RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_text('actor', p_actor);
    IF coalesce(btrim(p_actor), '') = '' THEN
        RAISE EXCEPTION 'no actor was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the sender. The name is stored in the ledger.';
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.checked_lease(p_lease interval) RETURNS interval LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_lease NOT BETWEEN interval '10 seconds' AND interval '1 day' THEN
        RAISE EXCEPTION 'the lease is %', p_lease
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 10 seconds to 1 day. The default is settings.action_lease.';
    END IF;
    RETURN coalesce(p_lease, (SELECT s.action_lease FROM thaw.settings AS s));
END;
$$;
-- +goose StatementEnd

CREATE TYPE thaw.reservation AS (
    id bigint, code text, opens_at timestamptz, kind text, step integer, lease_until timestamptz);

-- +goose StatementBegin
CREATE FUNCTION thaw.reserve(
    enrollment bigint, action text DEFAULT NULL, lease interval DEFAULT NULL, actor text DEFAULT current_user
) RETURNS thaw.reservation LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result  thaw.reservation;
    found_account  bigint;
    found_campaign bigint;
    given   record;
BEGIN
    PERFORM thaw.require_actor(reserve.actor);
    lease := thaw.checked_lease(reserve.lease);
    IF reserve.action IS NOT NULL AND NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = reserve.action) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', left(reserve.action, 100)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a kind of thaw.action_kinds, or null for the next kind of the enrollment.';
    END IF;
    SELECT e.account_id, e.campaign_id INTO found_account, found_campaign FROM thaw.enrollments AS e WHERE e.id = reserve.enrollment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no enrollment %', coalesce(reserve.enrollment::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments. thaw.find_enrollment returns it for an ID of the platform.';
    END IF;
    IF found_account IS NULL THEN
        result.code := 'no_account';
        RETURN result;
    END IF;
    PERFORM thaw.lock_sender(found_account);
    PERFORM thaw.lock_campaign_caps(ARRAY[found_campaign]);
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = reserve.enrollment AND e.account_id = found_account FOR NO KEY UPDATE;
    -- It moved to another account while this transaction waited for the first one. The lock of the
    -- other account comes before those that are held now, so it cannot be waited for.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the enrollment % has just moved to another account', reserve.enrollment
            USING ERRCODE = 'serialization_failure', HINT = 'Reserve it again.';
    END IF;
    SELECT r.* INTO given FROM thaw.reserve_rows(ARRAY[reserve.enrollment], ARRAY[reserve.action], reserve.lease, reserve.actor) AS r;
    IF given.action_id IS NULL AND given.code IS NULL THEN
        RAISE EXCEPTION 'the person behind the account of enrollment % has just changed', reserve.enrollment
            USING ERRCODE = 'serialization_failure', HINT = 'Reserve it again.';
    ELSIF given.action_id IS NULL THEN
        result.code := given.code;
        result.opens_at := given.opens_at;
    ELSE
        result.id := given.action_id;
        result.kind := given.kind;
        result.step := given.step;
        result.lease_until := thaw.now() + reserve.lease;
    END IF;
    RETURN result;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.reserve(bigint, text, interval, text) IS
    'Reserves the next action of an enrollment, if all gates are open: id is the reservation. Otherwise code is the closed gate, and opens_at when to ask again (null: not at a known time); nothing changes. action is the kind, such as invite (null: that of the next step). The reservation ends after lease (null: settings.action_lease) unless thaw.start is called. Commit soon: the account is locked until then.';

-- The last look. What changed since the reservation counts: a disconnect, a hold, safety mode, a
-- stopped campaign, a lower cap. A closed gate releases the reservation, except a cooldown: then
-- the caller only has to wait.
-- +goose StatementBegin
CREATE FUNCTION thaw.start(reservation bigint) RETURNS thaw.reservation LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result thaw.reservation;
    action thaw.actions;
    gate   record;
    at     timestamptz := thaw.now();
    lease  interval := (SELECT s.action_lease FROM thaw.settings AS s);
    sender bigint;
BEGIN
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = start.reservation;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(start.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    END IF;
    -- The account is gone if its workspace was removed. What was used by then is kept.
    IF EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = action.account_id) THEN
        sender := thaw.lock_sender(action.account_id);
    END IF;
    PERFORM thaw.lock_campaign_caps(ARRAY[action.campaign_id]);
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = action.enrollment_id FOR NO KEY UPDATE;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = start.reservation FOR NO KEY UPDATE;
    PERFORM thaw.require_short_transaction(); -- it may have waited for the locks
    result.kind := action.kind;
    result.step := action.step;
    IF action.state <> 'reserved' THEN
        result.code := CASE action.state WHEN 'started' THEN 'already_started' WHEN 'sent' THEN 'already_sent' WHEN 'already' THEN 'already_sent'
            WHEN 'unknown' THEN 'already_unknown' WHEN 'expired' THEN 'lease_expired' ELSE 'released' END;
        RETURN result;
    ELSIF action.lease_until <= at THEN
        UPDATE thaw.actions AS a SET state = 'expired', lease_until = NULL, settled_at = greatest(at, a.reserved_at) WHERE a.id = action.id;
        result.code := 'lease_expired';
        RETURN result;
    END IF;
    SELECT g.* INTO gate FROM thaw.action_gates(ARRAY[action.enrollment_id], ARRAY[action.kind], ARRAY[action.id]) AS g;
    IF gate.account_id = action.account_id AND gate.sender_id IS DISTINCT FROM sender THEN
        RAISE EXCEPTION 'the person behind the account of action % has just changed', action.id
            USING ERRCODE = 'serialization_failure', HINT = 'Start it again.';
    END IF;
    -- The enrollment may have moved to another account or step since, or be gone.
    IF gate.enrollment_id IS NULL OR gate.account_id IS DISTINCT FROM action.account_id THEN
        result.code := 'not_active';
    ELSIF gate.step <> action.step THEN
        result.code := 'no_such_step';
    ELSE
        result.code := gate.code;
        result.opens_at := gate.opens_at;
    END IF;
    IF result.code = 'cooldown' AND result.opens_at < action.lease_until THEN
        result.id := action.id;
        result.lease_until := action.lease_until;
        RETURN result;
    ELSIF result.code IS NOT NULL THEN
        UPDATE thaw.actions AS a SET state = 'released', lease_until = NULL, settled_at = greatest(at, a.reserved_at), error_code = result.code
        WHERE a.id = action.id;
        RETURN result;
    END IF;
    UPDATE thaw.actions AS a SET
        state = 'started', started_at = greatest(at, a.reserved_at), used_at = at, lease_until = at + lease, local_day = gate.day, timezone = gate.timezone,
        next_of_kind_at = greatest(a.next_of_kind_at, at + gate.gap_from)
    WHERE a.id = action.id;
    UPDATE thaw.senders AS s SET
        last_started_at = at, next_allowed_at = greatest(s.next_allowed_at, at + action.gap), day = gate.day, day_began_at = gate.day_began_at,
        day_timezone = CASE WHEN s.day = gate.day THEN s.day_timezone ELSE gate.timezone END,
        ramp_started_at = gate.ramp_started_at, restriction_seen_at = greatest(s.restriction_seen_at, gate.restricted_at)
    WHERE s.id = action.sender_id;
    result.id := action.id;
    result.lease_until := at + lease;
    RETURN result;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.start(bigint) IS
    'The last look in the moment before the call. code null: go, and settle the action before lease_until. Commit before you call the provider. Otherwise do not call: code says why. After cooldown, if id is set, the reservation is kept: call start again at opens_at. Otherwise it is released.';

REVOKE ALL ON FUNCTION thaw.lock_sender(bigint), thaw.lock_campaign_caps(bigint[]), thaw.draw(text), thaw.reserve_rows(bigint[], text[], interval, text), thaw.longest_reserving(), thaw.require_short_transaction(),
    thaw.require_actor(text),
    thaw.checked_lease(interval), thaw.reserve(bigint, text, interval, text), thaw.start(bigint) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.start(bigint);
DROP FUNCTION thaw.reserve(bigint, text, interval, text);
DROP TYPE thaw.reservation;
DROP FUNCTION thaw.checked_lease(interval);
DROP FUNCTION thaw.require_actor(text);
DROP FUNCTION thaw.require_short_transaction();
DROP FUNCTION thaw.longest_reserving();
DROP FUNCTION thaw.reserve_rows(bigint[], text[], interval, text);
DROP FUNCTION thaw.draw(text);
DROP FUNCTION thaw.lock_campaign_caps(bigint[]);
DROP FUNCTION thaw.lock_sender(bigint);

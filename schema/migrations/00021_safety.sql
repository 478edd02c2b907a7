-- Safety mode. Many accounts that are lost at once indicate an incident at the provider. While
-- safety mode is on, nothing is resumed or sent, and grace periods of transient errors are
-- suspended. Hard disconnects still pause prospects.
--
-- Losses are checked in two places: by every signal that takes a connection away, in its
-- transaction, and once a minute by the job "watch", for losses in concurrent transactions or
-- without a signal. Operators can enter and exit safety mode as well. The row thaw.safety
-- serializes all of them, so that safety mode is entered and exited once. A pass in progress at
-- that moment completes.

-- +goose Up

-- One mark per minute: how many accounts were connected, and the number of the last loss. Written
-- by thaw.watch and kept slightly longer than the window.
CREATE TABLE thaw.safety_marks (
    at                 timestamptz PRIMARY KEY,
    losses             bigint NOT NULL,
    accounts_connected integer NOT NULL
);
COMMENT ON TABLE thaw.safety_marks IS 'The recent marks of the safety monitor, one per minute: the number of the last loss, and how many accounts were connected.';

-- Whether enough accounts may have been lost within the window to make a count worthwhile. It
-- compares two numbers of the loss sequence, so its cost does not depend on the number of losses.
-- It may return true too often (an account that was lost twice, a loss that was rolled back, a mark
-- that is up to a minute old) and does so if marks are missing. It never returns false if
-- thaw.losses finds a breach.
-- +goose StatementBegin
CREATE FUNCTION thaw.may_be_breach() RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings thaw.settings;
    newest   thaw.safety_marks;
    lost     bigint;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT m.* INTO newest FROM thaw.safety_marks AS m ORDER BY m.at DESC LIMIT 1;
    SELECT l.last_value - m.losses INTO lost
    FROM thaw.losses_seq AS l
    CROSS JOIN (
        SELECT mark.losses FROM thaw.safety_marks AS mark
        WHERE mark.at <= thaw.now() - settings.safety_window ORDER BY mark.at DESC LIMIT 1) AS m;
    RETURN newest.at IS NULL OR newest.at < thaw.now() - settings.safety_window OR lost IS NULL
        OR lost >= settings.safety_accounts
            AND lost * 100 >= newest.accounts_connected::bigint * settings.safety_percent;
END;
$$;
-- +goose StatementEnd

-- Counts the accounts that were lost within the window and those that were connected when it began,
-- and decides whether that is a breach. An account counts once, however often it was lost, and a
-- flapping account only with its first losses (accounts_note_disconnection). Losses before the last
-- end of safety mode do not count.
--
-- There are two windows. The short window is for sudden losses and also counts accounts that are
-- connected again. The slow window (is_slow) counts accounts that are not, and only while accounts
-- are still being lost at a pace that would exceed its threshold.
-- +goose StatementBegin
CREATE FUNCTION thaw.losses(OUT accounts_lost integer, OUT accounts_connected integer, OUT is_breach boolean, OUT is_slow boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings thaw.settings;
    ended    timestamptz;
    since    timestamptz;
    pace     bigint;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT s.ended_at INTO ended FROM thaw.safety AS s;
    since := greatest(thaw.now() - settings.safety_window, ended);
    is_slow := false;
    SELECT count(*) INTO accounts_lost FROM thaw.accounts AS a WHERE a.lost_at > since;
    is_breach := accounts_lost >= settings.safety_accounts;
    IF is_breach THEN
        -- Counts only as many as the decision needs.
        SELECT count(*) INTO accounts_connected FROM (
            SELECT FROM thaw.accounts AS a
            WHERE a.status = 'connected' OR a.lost_at > since
            LIMIT accounts_lost::bigint * 100 / settings.safety_percent + 1) AS counted;
        is_breach := accounts_lost::bigint * 100 >= accounts_connected::bigint * settings.safety_percent;
    END IF;
    IF is_breach OR accounts_lost = 0 THEN
        RETURN;
    END IF;

    -- The current pace, extrapolated to the slow window.
    pace := accounts_lost * (extract(epoch FROM settings.safety_slow_window) / extract(epoch FROM settings.safety_window));
    since := greatest(thaw.now() - settings.safety_slow_window, ended);
    DECLARE
        slowly integer := (SELECT count(*) FROM thaw.accounts AS a WHERE a.lost_at > since AND a.status <> 'connected');
        of_all integer;
    BEGIN
        IF slowly >= settings.safety_accounts THEN
            SELECT count(*) INTO of_all FROM (
                SELECT FROM thaw.accounts AS a
                WHERE a.status = 'connected' OR a.lost_at > since
                LIMIT slowly::bigint * 100 / settings.safety_slow_percent + 1) AS counted;
            is_slow := least(slowly, pace) * 100 >= of_all::bigint * settings.safety_slow_percent;
            IF is_slow THEN
                is_breach := true;
                accounts_lost := slowly;
                accounts_connected := of_all;
            END IF;
        END IF;
    END;
END;
$$;
-- +goose StatementEnd

-- Enters safety mode. False: it was on already.
-- +goose StatementBegin
CREATE FUNCTION thaw.enter_safety_mode(
    p_reason text, p_actor text, p_manual_exit boolean, p_accounts_lost integer DEFAULT NULL, p_accounts_connected integer DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE thaw.safety AS s SET
        since = thaw.now(), reason = p_reason, entered_by = p_actor, manual_exit = p_manual_exit,
        accounts_lost = p_accounts_lost, accounts_connected = p_accounts_connected
    WHERE s.since IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.manual_actions (what, actor, reason, accounts_lost, accounts_connected)
    VALUES ('safety_entered', p_actor, p_reason, p_accounts_lost, p_accounts_connected);
    PERFORM thaw.publish('safety.entered', NULL, NULL, jsonb_build_object(
        'reason', p_reason, 'actor', p_actor, 'accounts_lost', p_accounts_lost, 'accounts_connected', p_accounts_connected));
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- Exits safety mode. False: it was off already. Time in safety mode does not count toward the grace
-- period of a transient error: pauses that were due within it are postponed accordingly. Accounts
-- are locked before the row of safety mode, as everywhere.
-- +goose StatementBegin
CREATE FUNCTION thaw.exit_safety_mode(p_reason text, p_actor text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    transient_errors bigint[];
BEGIN
    IF (SELECT s.since IS NULL FROM thaw.safety AS s) THEN
        RETURN false;
    ELSIF thaw.why_copy() IS NOT NULL THEN
        RAISE EXCEPTION '%', thaw.why_copy()
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Safety mode ends when you make it an instance of its own: thaw instance adopt --as NAME.';
    END IF;
    SELECT array_agg(transient_error.id) INTO transient_errors FROM (
        SELECT a.id FROM thaw.accounts AS a
        WHERE a.pause_after IS NOT NULL AND thaw.is_transient(a.status)
        ORDER BY a.id FOR NO KEY UPDATE) AS transient_error;
    SELECT s.since INTO began FROM thaw.safety AS s FOR NO KEY UPDATE;
    IF began IS NULL THEN
        RETURN false;
    END IF;
    UPDATE thaw.safety AS s SET
        since = NULL, reason = NULL, entered_by = NULL, manual_exit = false, accounts_lost = NULL, accounts_connected = NULL,
        breached_at = NULL, ended_at = thaw.now();
    UPDATE thaw.accounts AS a SET
        pause_after = a.pause_after + (thaw.now() - greatest(began, a.pause_after - settings.grace_period))
    FROM thaw.settings
    WHERE a.id = ANY (transient_errors);
    INSERT INTO thaw.manual_actions (what, actor, reason) VALUES ('safety_exited', p_actor, p_reason);
    PERFORM thaw.publish('safety.exited', NULL, NULL, jsonb_build_object('reason', p_reason, 'actor', p_actor, 'since', thaw.rfc3339(began)));
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- Enters safety mode if the losses are a breach.
-- +goose StatementBegin
CREATE FUNCTION thaw.enter_on_breach(p_losses record) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_losses.is_breach THEN
        PERFORM thaw.enter_safety_mode(
            format('%s of %s connected accounts were lost within %s', p_losses.accounts_lost, p_losses.accounts_connected,
                (SELECT CASE
                    WHEN p_losses.is_slow THEN ceil(extract(epoch FROM s.safety_slow_window) / 3600) || ' hours'
                    ELSE ceil(extract(epoch FROM s.safety_window) / 60) || ' minutes' END FROM thaw.settings AS s)),
            'monitor', false, p_losses.accounts_lost, p_losses.accounts_connected);
    END IF;
END;
$$;
-- +goose StatementEnd

-- Called by a signal that takes a connection away. The row of safety mode is read first: while it
-- is on, the signals of an incident must not queue for it. Slow losses are left to thaw.watch.
-- +goose StatementBegin
CREATE FUNCTION thaw.check_losses() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT s.since IS NULL FROM thaw.safety AS s) AND thaw.may_be_breach() THEN
        PERFORM thaw.enter_on_breach(thaw.losses());
    END IF;
END;
$$;
-- +goose StatementEnd

-- Writes the mark of the minute for thaw.may_be_breach.
-- +goose StatementBegin
CREATE FUNCTION thaw.mark_losses() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.safety_marks (at, losses, accounts_connected)
    SELECT thaw.now(), l.last_value, (SELECT count(*) FROM thaw.accounts AS a WHERE a.status = 'connected')
    FROM thaw.losses_seq AS l
    ON CONFLICT (at) DO NOTHING;
    DELETE FROM thaw.safety_marks AS m
    WHERE m.at < thaw.now() - (SELECT s.safety_window FROM thaw.settings AS s) - interval '10 minutes';
END;
$$;
-- +goose StatementEnd

-- Called by the job "watch" once a minute. Verdicts for safety mode: calm (it stays off), entered,
-- on, exited.
-- +goose StatementBegin
CREATE FUNCTION thaw.watch() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    safety thaw.safety;
    calm   interval;
BEGIN
    PERFORM thaw.check_instance();
    PERFORM thaw.pick_up_signals('1 day');
    PERFORM thaw.mark_losses();
    PERFORM thaw.publish_recovered();
    PERFORM thaw.learn_silence();
    SELECT s.* INTO safety FROM thaw.safety AS s;
    SELECT s.safety_calm INTO calm FROM thaw.settings AS s;
    IF safety.since IS NULL THEN
        PERFORM thaw.enter_on_breach(thaw.losses());
        RETURN CASE WHEN (SELECT s.since IS NOT NULL FROM thaw.safety AS s) THEN 'entered' ELSE 'calm' END;
    ELSIF (thaw.losses()).is_breach THEN
        UPDATE thaw.safety AS s SET breached_at = thaw.now() WHERE s.since IS NOT NULL;
    ELSIF NOT safety.manual_exit AND greatest(safety.since, safety.breached_at) + calm <= thaw.now() THEN
        PERFORM thaw.exit_safety_mode(
            format('calm for %s minutes', ceil(extract(epoch FROM calm) / 60)), 'monitor');
        RETURN 'exited';
    END IF;
    RETURN 'on';
END;
$$;
-- +goose StatementEnd

-- Records how many enrollments are paused, once per tick, from the counts. The longer a count
-- takes, the less often it runs: at most a thousandth of the time is spent on it.
-- +goose StatementBegin
CREATE FUNCTION thaw.sample_backlog() RETURNS boolean LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    tick  timestamptz := thaw.tick();
    began timestamptz := clock_timestamp();
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT s.tick_at, s.took FROM thaw.backlog_samples AS s ORDER BY s.tick_at DESC LIMIT 1) AS newest
        WHERE newest.tick_at >= tick OR newest.tick_at + newest.took * 1000 > thaw.now())
    THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.backlog_samples (tick_at, paused, waiting, took)
    SELECT tick, coalesce(sum(p.paused), 0), coalesce(sum(p.paused) FILTER (WHERE p.waits_for_account), 0), clock_timestamp() - began
    FROM thaw.paused_parts AS p
    ON CONFLICT (tick_at) DO NOTHING;
    RETURN FOUND;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.request_watch() RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    minute timestamptz := date_bin('1 minute', thaw.now(), '2000-01-01 00:00:00+00');
BEGIN
    PERFORM thaw.enqueue('watch', 'sweep', 1::smallint,
        jsonb_build_object('minute_at', thaw.job_time(minute)), '0', B'11110101');
    RETURN minute;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.request_watch() IS
    'Enqueues the job watch of the current minute, unless it is enqueued or done already, and returns the minute. Every process calls it once a minute.';

-- +goose StatementBegin
CREATE FUNCTION thaw.safety_enter(reason text, actor text DEFAULT current_user, manual_exit boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    RETURN thaw.enter_safety_mode(reason, actor, manual_exit);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.safety_enter(text, text, boolean) IS
    'Enters safety mode: nothing is resumed and nothing is sent. It ends by itself after a calm period (settings.safety_calm); with manual_exit, only thaw.safety_exit ends it. Returns false if it was on already; then nothing changes.';

-- +goose StatementBegin
CREATE FUNCTION thaw.safety_exit(reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    RETURN thaw.exit_safety_mode(reason, actor);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.safety_exit(text, text) IS
    'Exits safety mode. The next sweep resumes prospects again, within its caps. Returns false if it was off already.';

-- Rejects a manual action without a reason or an actor, which the audit log needs.
-- +goose StatementBegin
CREATE FUNCTION thaw.require_reason(p_reason text, p_actor text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'no reason was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a reason. It is stored in the audit log.';
    ELSIF coalesce(btrim(p_actor), '') = '' THEN
        RAISE EXCEPTION 'no actor was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the person who takes this action. The name is stored in the audit log.';
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.losses(), thaw.may_be_breach(), thaw.enter_on_breach(record), thaw.mark_losses(), thaw.enter_safety_mode(text, text, boolean, integer, integer), thaw.exit_safety_mode(text, text),
    thaw.check_losses(), thaw.watch(), thaw.sample_backlog(), thaw.request_watch(), thaw.safety_enter(text, text, boolean), thaw.safety_exit(text, text),
    thaw.require_reason(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.safety_exit(text, text);
DROP FUNCTION thaw.safety_enter(text, text, boolean);
DROP FUNCTION thaw.require_reason(text, text);
DROP FUNCTION thaw.request_watch();
DROP FUNCTION thaw.sample_backlog();
DROP FUNCTION thaw.watch();
DROP FUNCTION thaw.check_losses();
DROP FUNCTION thaw.exit_safety_mode(text, text);
DROP FUNCTION thaw.enter_safety_mode(text, text, boolean, integer, integer);
DROP FUNCTION thaw.mark_losses();
DROP FUNCTION thaw.enter_on_breach(record);
DROP FUNCTION thaw.losses();
DROP FUNCTION thaw.may_be_breach();
DROP TABLE thaw.safety_marks;

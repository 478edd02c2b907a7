-- Safety mode. Many accounts that are lost at once are the provider's incident, not their owners': in it nobody is woken, nothing
-- is sent, blips do not run out; what is certainly disconnected is paused as ever.
--
-- It is asked for in three places: by every signal that takes a connection away, in its transaction; once a minute by the job
-- "watch", for what came in transactions side by side or without a signal; and by people. The row thaw.safety makes it begin and
-- end once, however many ask at the same moment. A pass that is under way in that moment comes to its end.

-- +goose Up

-- How many accounts were lost within the window, of how many that were connected when it began, and whether that crosses both
-- thresholds. What was lost before safety mode last ended was dealt with then. Of the connected no more are counted than decide:
-- the cost follows the losses, not the fleet.
-- +goose StatementBegin
CREATE FUNCTION thaw.losses(OUT accounts_lost integer, OUT accounts_connected integer, OUT is_breach boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    settings thaw.settings;
    since    timestamptz;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT greatest(thaw.now() - settings.safety_window, s.ended_at) INTO since FROM thaw.safety AS s;
    SELECT count(*) INTO accounts_lost FROM thaw.accounts AS a WHERE a.disconnected_at > since;
    is_breach := accounts_lost >= settings.safety_accounts;
    IF is_breach THEN
        SELECT count(*) INTO accounts_connected FROM (
            SELECT FROM thaw.accounts AS a
            WHERE a.status = 'connected' OR a.disconnected_at > since
            LIMIT accounts_lost::bigint * 100 / settings.safety_percent + 1) AS counted;
        is_breach := accounts_lost::bigint * 100 >= accounts_connected::bigint * settings.safety_percent;
    END IF;
END;
$$;
-- +goose StatementEnd

-- Begins safety mode; false: it was on already.
-- +goose StatementBegin
CREATE FUNCTION thaw.begin_safety(
    p_why text, p_decided_by text, p_stays boolean, p_accounts_lost integer DEFAULT NULL, p_accounts_connected integer DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE thaw.safety AS s SET
        since = thaw.now(), reason = p_why, entered_by = p_decided_by, stays = p_stays,
        accounts_lost = p_accounts_lost, accounts_connected = p_accounts_connected
    WHERE s.since IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.decisions (what, decided_by, why, accounts_lost, accounts_connected)
    VALUES ('safety_entered', p_decided_by, p_why, p_accounts_lost, p_accounts_connected);
    PERFORM thaw.publish('safety.entered', NULL, NULL, jsonb_build_object(
        'reason', p_why, 'by', p_decided_by, 'accounts_lost', p_accounts_lost, 'accounts_connected', p_accounts_connected));
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- Ends safety mode; false: it was off already. Its time does not count into the tolerance of a blip: what was due to be paused
-- within it is due so much later. Accounts are locked before the row of safety mode, as everywhere.
-- +goose StatementBegin
CREATE FUNCTION thaw.end_safety(p_why text, p_decided_by text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    blips bigint[];
BEGIN
    IF (SELECT s.since IS NULL FROM thaw.safety AS s) THEN
        RETURN false;
    END IF;
    SELECT array_agg(blip.id) INTO blips FROM (
        SELECT a.id FROM thaw.accounts AS a
        WHERE a.pause_after IS NOT NULL AND a.status IN ('connecting', 'error')
        ORDER BY a.id FOR NO KEY UPDATE) AS blip;
    SELECT s.since INTO began FROM thaw.safety AS s FOR NO KEY UPDATE;
    IF began IS NULL THEN
        RETURN false;
    END IF;
    UPDATE thaw.safety AS s SET
        since = NULL, reason = NULL, entered_by = NULL, stays = false, accounts_lost = NULL, accounts_connected = NULL,
        breached_at = NULL, ended_at = thaw.now();
    UPDATE thaw.accounts AS a SET
        pause_after = a.pause_after + (thaw.now() - greatest(began, a.pause_after - settings.tolerance))
    FROM thaw.settings
    WHERE a.id = ANY (blips);
    INSERT INTO thaw.decisions (what, decided_by, why) VALUES ('safety_left', p_decided_by, p_why);
    PERFORM thaw.publish('safety.left', NULL, NULL, jsonb_build_object('reason', p_why, 'by', p_decided_by, 'since', thaw.rfc3339(began)));
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- What a signal asks that has taken a connection away. The row of safety mode is read first: while it is on, an incident's
-- signals must not queue for it.
-- +goose StatementBegin
CREATE FUNCTION thaw.notice_losses() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    losses record;
BEGIN
    IF (SELECT s.since IS NOT NULL FROM thaw.safety AS s) THEN
        RETURN;
    END IF;
    losses := thaw.losses();
    IF losses.is_breach THEN
        PERFORM thaw.begin_safety(
            format('%s of %s connected accounts were lost within %s minutes', losses.accounts_lost, losses.accounts_connected,
                (SELECT ceil(extract(epoch FROM s.safety_window) / 60) FROM thaw.settings AS s)),
            'monitor', false, losses.accounts_lost, losses.accounts_connected);
    END IF;
END;
$$;
-- +goose StatementEnd

-- What the job "watch" does each minute. Verdicts: calm (it is off and stays off), entered, on, left.
-- +goose StatementBegin
CREATE FUNCTION thaw.watch() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    safety thaw.safety;
    calm   interval;
BEGIN
    SELECT s.* INTO safety FROM thaw.safety AS s;
    SELECT s.safety_calm INTO calm FROM thaw.settings AS s;
    IF safety.since IS NULL THEN
        PERFORM thaw.notice_losses();
        RETURN CASE WHEN (SELECT s.since IS NOT NULL FROM thaw.safety AS s) THEN 'entered' ELSE 'calm' END;
    ELSIF (thaw.losses()).is_breach THEN
        UPDATE thaw.safety AS s SET breached_at = thaw.now() WHERE s.since IS NOT NULL;
    ELSIF NOT safety.stays AND greatest(safety.since, safety.breached_at) + calm <= thaw.now() THEN
        PERFORM thaw.end_safety(
            format('calm for %s minutes', ceil(extract(epoch FROM calm) / 60)), 'monitor');
        RETURN 'left';
    END IF;
    RETURN 'on';
END;
$$;
-- +goose StatementEnd

-- Writes down how many enrollments are paused, once a tick, by the counts. What takes long is done the more rarely.
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
CREATE FUNCTION thaw.ask_watch() RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    minute timestamptz := date_bin('1 minute', thaw.now(), '2000-01-01 00:00:00+00');
BEGIN
    PERFORM thaw.enqueue('watch', 'sweep', 1::smallint,
        jsonb_build_object('minute_at', to_char(minute AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '0', B'11110101');
    RETURN minute;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.ask_watch() IS
    'Enqueues the look of the current minute, unless it is there or done, and returns the minute. What every process calls once a minute.';

-- +goose StatementBegin
CREATE FUNCTION thaw.safety_enter(why text, decided_by text DEFAULT current_user, stays boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_reason(why, decided_by);
    RETURN thaw.begin_safety(why, decided_by, stays);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.safety_enter(text, text, boolean) IS
    'Begins safety mode: nobody is woken and nothing is sent. It ends after a calm time by itself; with stays only by thaw.safety_clear. False: it was on already, and stays as it was.';

-- +goose StatementBegin
CREATE FUNCTION thaw.safety_clear(why text, decided_by text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.require_reason(why, decided_by);
    RETURN thaw.end_safety(why, decided_by);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.safety_clear(text, text) IS
    'Ends safety mode. The next tick goes on, within its caps. False: it was off already.';

-- A decision that nobody can be asked about later is refused.
-- +goose StatementBegin
CREATE FUNCTION thaw.require_reason(p_why text, p_decided_by text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF coalesce(btrim(p_why), '') = '' THEN
        RAISE EXCEPTION 'no reason was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, for whoever asks later.';
    ELSIF coalesce(btrim(p_decided_by), '') = '' THEN
        RAISE EXCEPTION 'nobody was named' USING ERRCODE = 'invalid_parameter_value', HINT = 'Say who decided it.';
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.losses(), thaw.begin_safety(text, text, boolean, integer, integer), thaw.end_safety(text, text),
    thaw.notice_losses(), thaw.watch(), thaw.sample_backlog(), thaw.ask_watch(), thaw.safety_enter(text, text, boolean), thaw.safety_clear(text, text),
    thaw.require_reason(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.safety_clear(text, text);
DROP FUNCTION thaw.safety_enter(text, text, boolean);
DROP FUNCTION thaw.require_reason(text, text);
DROP FUNCTION thaw.ask_watch();
DROP FUNCTION thaw.sample_backlog();
DROP FUNCTION thaw.watch();
DROP FUNCTION thaw.notice_losses();
DROP FUNCTION thaw.end_safety(text, text);
DROP FUNCTION thaw.begin_safety(text, text, boolean, integer, integer);
DROP FUNCTION thaw.losses();

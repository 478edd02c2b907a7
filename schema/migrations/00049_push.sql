-- The scheduler at work: what every worker process does once a second, and the job schedule, which
-- gives actions out to platforms that are called instead of polling.
--
-- The job is unique by its time. Every process asks for the one of the current minute, as for the
-- job watch. While something is due, it also asks for those in between, every 10 seconds. So a
-- prospect that was just resumed does not wait for the next full minute, and a fleet with nothing
-- to do has one job per minute.

-- +goose Up

-- One row, so that monitoring sees a scheduler that no longer runs.
CREATE TABLE thaw.scheduler (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    finished_at timestamptz
);
COMMENT ON TABLE thaw.scheduler IS 'One row: when the job schedule last finished.';
INSERT INTO thaw.scheduler DEFAULT VALUES;

-- Whether the platform takes what is sent to it: one row.
CREATE TABLE thaw.pushing (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    watched      bigint[] NOT NULL DEFAULT '{}',
    watched_at   timestamptz,
    wait         interval,
    paused_until timestamptz
);
COMMENT ON TABLE thaw.pushing IS 'One row: whether the platform starts the actions that are sent to it.';
COMMENT ON COLUMN thaw.pushing.watched IS 'Actions that were sent together at watched_at, until one of them is started or all have ended.';
COMMENT ON COLUMN thaw.pushing.wait IS 'How long sending pauses after actions that expired: twice as long each time, up to 10 minutes. Null: the last ones were taken.';
INSERT INTO thaw.pushing DEFAULT VALUES;

-- Whether due actions are sent to the platform. Without an enabled endpoint they would only
-- expire, so they are left to senders that poll.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_pushing() RETURNS boolean LANGUAGE sql STABLE
RETURN (SELECT s.push_actions FROM thaw.settings AS s) AND thaw.has_endpoint();
-- +goose StatementEnd

-- Enqueues the job schedule of the current period, unless it is enqueued or done already. Returns
-- whether it is new.
-- +goose StatementBegin
CREATE FUNCTION thaw.request_schedule(p_period interval DEFAULT '1 minute') RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN thaw.is_pushing() AND thaw.enqueue_many('schedule', 'schedule', 2::smallint,
        ARRAY[jsonb_build_object('at', thaw.job_time(date_bin(p_period, thaw.now(), '2000-01-01 00:00:00+00')))], B'11110101') > 0;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.request_schedule(interval) IS
    'Enqueues the job schedule of the current minute, if due actions are sent to the platform (settings.push_actions). Every process calls it once a minute.';

-- Notifies listeners of the channel thaw_actions while something is due. Not in the transactions
-- that make it due (docs/decisions/0019): every worker process calls this once a second, in a
-- transaction of its own that does not wait for the disk.
-- +goose StatementBegin
CREATE FUNCTION thaw.ring_actions() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.sending_accounts AS s WHERE s.next_at <= thaw.now() AND s.next_at < 'infinity') THEN
        RETURN false;
    END IF;
    SET LOCAL synchronous_commit = off;
    PERFORM pg_notify('thaw_actions', ''), thaw.request_schedule('10 seconds');
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.ring_actions() IS 'Notifies listeners on thaw_actions if an account may have something to send now. Returns whether it did.';

-- How many actions may be sent now, of p_limit; 0 while the platform does not take them. A receiver
-- that is down or does not answer would otherwise get a message per account and lease for ever.
-- So a batch is watched. If none of it was started in a fifth of a lease, the rest waits for it. If
-- all of it expired, sending pauses, and then a few actions try the receiver again.
-- +goose StatementBegin
CREATE FUNCTION thaw.may_push(p_limit integer) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at    timestamptz := thaw.now();
    state thaw.pushing;
    seen  record;
BEGIN
    SELECT s.* INTO state FROM thaw.pushing AS s FOR NO KEY UPDATE;
    IF state.watched <> '{}' THEN
        SELECT count(*) FILTER (WHERE a.started_at IS NOT NULL OR a.outcome = 'released') AS taken,
            count(*) FILTER (WHERE a.state = 'reserved') AS open, count(*) FILTER (WHERE a.state = 'expired') AS expired
        INTO seen FROM thaw.actions AS a WHERE a.id = ANY (state.watched);
        IF seen.taken > 0 THEN
            state.wait := NULL;
        ELSIF seen.open > 0 THEN
            RETURN CASE WHEN state.wait IS NULL AND at < state.watched_at + (SELECT s.action_lease FROM thaw.settings AS s) / 5
                THEN p_limit ELSE 0 END;
        ELSIF seen.expired > 0 THEN
            state.wait := least(coalesce(state.wait * 2, '1 minute'), '10 minutes');
        END IF; -- All were released, by a pause or a closed gate, which says nothing.
        state.paused_until := CASE WHEN seen.taken = 0 AND seen.expired > 0 THEN at + state.wait END;
        UPDATE thaw.pushing SET watched = '{}', watched_at = NULL, wait = state.wait, paused_until = state.paused_until;
    END IF;
    RETURN CASE WHEN state.paused_until > at THEN 0 WHEN state.wait IS NULL THEN p_limit ELSE least(p_limit, 10) END;
END;
$$;
-- +goose StatementEnd

-- How long the receiver of a message can still act on it. Zero or less: not any more. Null: at any
-- time. A message about a due action is of no use after the lease.
-- +goose StatementBegin
CREATE FUNCTION thaw.ends_in(p_type text, p_data jsonb) RETURNS interval LANGUAGE sql STABLE
RETURN CASE WHEN p_type = 'action.due' THEN (p_data ->> 'lease_until')::timestamptz - thaw.now() END;
-- +goose StatementEnd

-- Does not send messages again that are of no use any more. A worker would not send them either,
-- but it would record them as failed, even those that were delivered. Otherwise this is the
-- function of 00024_outbox.sql.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.replay(
    p_message_id text, p_since timestamptz, p_failed boolean, p_before bigint, p_size integer,
    OUT messages bigint, OUT deliveries bigint, OUT next_before bigint
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    page bigint[];
BEGIN
    -- Ids rise with time, so finding the newest needs no index on time.
    IF p_message_id IS NOT NULL THEN
        page := ARRAY(SELECT o.id FROM thaw.outbox AS o WHERE o.message_id = p_message_id);
    ELSE
        page := ARRAY(
            SELECT o.id FROM thaw.outbox AS o WHERE p_before IS NULL OR o.id < p_before ORDER BY o.id DESC LIMIT p_size);
        SELECT min(o.id) INTO next_before
        FROM thaw.outbox AS o WHERE o.id = ANY (page) HAVING max(o.at) >= p_since AND count(*) = p_size;
    END IF;
    SELECT count(*) FILTER (WHERE sent.given > 0), coalesce(sum(sent.given), 0) INTO messages, deliveries
    FROM (
        SELECT thaw.deliver(o.id, p_failed) AS given
        FROM thaw.outbox AS o
        WHERE o.id = ANY (page) AND NOT o.is_open AND coalesce(thaw.ends_in(o.type, o.data) > '0', true)
            AND (p_message_id IS NOT NULL OR o.at >= p_since)) AS sent;
    -- A delivery whose next attempt may be hours away is attempted now.
    PERFORM thaw.expedite('deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', o.message_id))
    FROM thaw.outbox AS o
    JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
    WHERE o.id = ANY (page) AND d.state = 'waiting' AND d.attempts = 0;
END;
$$;
-- +goose StatementEnd

-- Reserves due actions and publishes each as action.due, in one transaction: a message is never
-- without its reservation. Returns how many accounts it looked at (0: nothing is due now) and how
-- many actions it reserved.
-- +goose StatementBegin
CREATE FUNCTION thaw.push_actions(p_limit integer, OUT looked integer, OUT reserved integer) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    given   bigint[];
    allowed integer;
BEGIN
    looked := 0;
    reserved := 0;
    IF NOT thaw.is_pushing() THEN
        RETURN;
    END IF;
    allowed := thaw.may_push(p_limit);
    IF allowed = 0 THEN
        RETURN;
    END IF;
    SELECT b.looked, b.action_ids INTO looked, given FROM thaw.schedule_batch(allowed, thaw.checked_lease(NULL), 'schedule') AS b;
    reserved := coalesce(cardinality(given), 0);
    PERFORM thaw.publish_each('action.due', array_agg(due.account_id ORDER BY due.id), array_agg(due.data ORDER BY due.id))
    FROM (
        SELECT a.id, a.account_id, jsonb_build_object(
            'reservation', a.id, 'lease_until', thaw.rfc3339(a.lease_until), 'kind', a.kind, 'step', a.step, 'campaign', campaign.key,
            'campaign_external_id', campaign.external_id, 'enrollment', a.enrollment_id, 'enrollment_external_id', e.external_id,
            'prospect_url', a.prospect_url) AS data
        FROM thaw.actions AS a
        JOIN thaw.campaigns AS campaign ON campaign.id = a.campaign_id
        JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
        WHERE a.id = ANY (given)) AS due
    HAVING count(*) > 0;
    IF reserved > 0 THEN
        UPDATE thaw.pushing SET watched = given, watched_at = thaw.now() WHERE watched = '{}';
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.is_pushing(), thaw.request_schedule(interval), thaw.ring_actions(), thaw.may_push(integer), thaw.ends_in(text, jsonb), thaw.push_actions(integer) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.push_actions(integer);
DROP FUNCTION thaw.may_push(integer);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.replay(
    p_message_id text, p_since timestamptz, p_failed boolean, p_before bigint, p_size integer,
    OUT messages bigint, OUT deliveries bigint, OUT next_before bigint
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    page bigint[];
BEGIN
    -- Ids rise with time, so finding the newest needs no index on time.
    IF p_message_id IS NOT NULL THEN
        page := ARRAY(SELECT o.id FROM thaw.outbox AS o WHERE o.message_id = p_message_id);
    ELSE
        page := ARRAY(
            SELECT o.id FROM thaw.outbox AS o WHERE p_before IS NULL OR o.id < p_before ORDER BY o.id DESC LIMIT p_size);
        SELECT min(o.id) INTO next_before
        FROM thaw.outbox AS o WHERE o.id = ANY (page) HAVING max(o.at) >= p_since AND count(*) = p_size;
    END IF;
    SELECT count(*) FILTER (WHERE sent.given > 0), coalesce(sum(sent.given), 0) INTO messages, deliveries
    FROM (
        SELECT thaw.deliver(o.id, p_failed) AS given
        FROM thaw.outbox AS o
        WHERE o.id = ANY (page) AND NOT o.is_open AND (p_message_id IS NOT NULL OR o.at >= p_since)) AS sent;
    -- A delivery whose next attempt may be hours away is attempted now.
    PERFORM thaw.expedite('deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', o.message_id))
    FROM thaw.outbox AS o
    JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
    WHERE o.id = ANY (page) AND d.state = 'waiting' AND d.attempts = 0;
END;
$$;
-- +goose StatementEnd
DROP FUNCTION thaw.ends_in(text, jsonb);
DROP FUNCTION thaw.ring_actions();
DROP FUNCTION thaw.request_schedule(interval);
DROP FUNCTION thaw.is_pushing();
DROP TABLE thaw.pushing;
DROP TABLE thaw.scheduler;

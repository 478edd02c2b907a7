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

-- Reserves due actions and publishes each as action.due, in one transaction: a message is never
-- without its reservation. Returns how many accounts it looked at (0: nothing is due now) and how
-- many actions it reserved.
-- +goose StatementBegin
CREATE FUNCTION thaw.push_actions(p_limit integer, OUT looked integer, OUT reserved integer) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    given bigint[];
BEGIN
    looked := 0;
    reserved := 0;
    IF NOT thaw.is_pushing() THEN
        RETURN;
    END IF;
    SELECT b.looked, b.action_ids INTO looked, given FROM thaw.schedule_batch(p_limit, thaw.checked_lease(NULL), 'schedule') AS b;
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
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.is_pushing(), thaw.request_schedule(interval), thaw.ring_actions(), thaw.push_actions(integer) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.push_actions(integer);
DROP FUNCTION thaw.ring_actions();
DROP FUNCTION thaw.request_schedule(interval);
DROP FUNCTION thaw.is_pushing();
DROP TABLE thaw.scheduler;

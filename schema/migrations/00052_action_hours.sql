-- The chart of actions. A month of a large fleet has too many actions to count for a page, so each
-- hour is counted once from the ledger, and the last two hours again until they are complete. The
-- ledger stays the only source: no transaction of a sender changes these numbers.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.scheduler IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.scheduler IN ACCESS EXCLUSIVE MODE;

CREATE TABLE thaw.action_hours (
    hour        timestamptz PRIMARY KEY,
    sent        bigint NOT NULL,
    unknown     bigint NOT NULL,
    undelivered bigint NOT NULL
);
COMMENT ON TABLE thaw.action_hours IS 'How many started actions were settled per hour, for the chart of the fleet. An hour without any has no row.';
COMMENT ON COLUMN thaw.action_hours.unknown IS 'Those that were unknown when the hour was last counted.';
COMMENT ON COLUMN thaw.action_hours.undelivered IS 'Those that the provider rejected, that were not needed, or that a limit of the provider prevented.';

ALTER TABLE thaw.scheduler ADD COLUMN hours_counted_at timestamptz;
COMMENT ON COLUMN thaw.scheduler.hours_counted_at IS 'When thaw.action_hours was last counted. Null: never.';

-- Every process calls this about once a minute; it counts at most every 5 minutes. In the worst
-- case, after a long time without a process, it reads 31 days.
-- +goose StatementBegin
CREATE FUNCTION thaw.count_action_hours() RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    at       timestamptz := thaw.now();
    settings thaw.settings;
    last     timestamptz;
    since    timestamptz;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT coalesce(s.hours_counted_at, '-infinity') INTO last FROM thaw.scheduler AS s
    WHERE s.hours_counted_at IS NULL OR s.hours_counted_at <= at - least(settings.tick, interval '5 minutes')
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The hour before is counted again: a settlement may commit after its hour.
    since := date_bin('1 hour', greatest(last, at - interval '31 days') - interval '1 hour', '2000-01-01 00:00:00+00');
    DELETE FROM thaw.action_hours AS h WHERE h.hour >= since OR h.hour < at - settings.keep_history;
    INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered)
    SELECT date_bin('1 hour', a.settled_at, '2000-01-01 00:00:00+00'), count(*) FILTER (WHERE a.state = 'sent'),
        count(*) FILTER (WHERE a.state = 'unknown'), count(*) FILTER (WHERE a.state NOT IN ('sent', 'unknown'))
    FROM thaw.actions AS a
    WHERE a.settled_at >= since AND a.started_at IS NOT NULL
    GROUP BY 1
    ORDER BY 1;
    UPDATE thaw.scheduler SET hours_counted_at = at;
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.count_action_hours() IS 'Counts what was settled per hour since the last count. Returns whether it did: at most every 5 minutes. Every worker process calls it.';

REVOKE ALL ON FUNCTION thaw.count_action_hours() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.count_action_hours();
ALTER TABLE thaw.scheduler DROP COLUMN hours_counted_at;
DROP TABLE thaw.action_hours;

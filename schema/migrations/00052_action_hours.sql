-- The chart of actions. A month of a large fleet has too many actions to count for a page, so each
-- hour is counted once from the ledger, and the last two hours again until they are complete. The
-- ledger stays the only source: no transaction of a sender changes these numbers. A change of what
-- was settled before, for example when an unknown action is verified, or its row is removed, notes
-- the hour, and the next count counts that hour again.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.scheduler, thaw.actions IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.scheduler IN ACCESS EXCLUSIVE MODE;
LOCK TABLE thaw.actions IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE thaw.action_hours (
    hour        timestamptz PRIMARY KEY,
    sent        bigint NOT NULL,
    unknown     bigint NOT NULL,
    undelivered bigint NOT NULL
);
COMMENT ON TABLE thaw.action_hours IS 'How many started actions were settled per hour, for the chart of the fleet: the last 31 days. An hour without any has no row.';
COMMENT ON COLUMN thaw.action_hours.unknown IS 'Those that are still unknown. One that is verified later counts in the hour of the verification instead.';
COMMENT ON COLUMN thaw.action_hours.undelivered IS 'Those that the provider rejected, that were not needed, or that a limit of the provider prevented.';

ALTER TABLE thaw.scheduler ADD COLUMN hours_counted_at timestamptz;
COMMENT ON COLUMN thaw.scheduler.hours_counted_at IS 'When thaw.action_hours was last counted. Null: never.';

-- Only appended to and read by the count, so that no two settlements wait for each other.
CREATE TABLE thaw.action_hour_changes (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hour timestamptz NOT NULL
);
CREATE INDEX action_hour_changes_hour_idx ON thaw.action_hour_changes (hour);
COMMENT ON TABLE thaw.action_hour_changes IS 'Hours of which settled actions have changed since. They are counted again for thaw.action_hours within minutes, and removed here.';

-- The hour of a time, as the chart has it.
-- +goose StatementBegin
CREATE FUNCTION thaw.hour_of(p_at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('1 hour', p_at, '2000-01-01 00:00:00+00');
-- +goose StatementEnd

-- The first settlement of an action is in the hour that is counted next, and notes nothing.
-- +goose StatementBegin
CREATE FUNCTION thaw.actions_note_hours() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO thaw.action_hour_changes (hour)
        SELECT DISTINCT thaw.hour_of(a.settled_at) FROM old_rows AS a
        WHERE a.started_at IS NOT NULL AND a.settled_at > thaw.now() - interval '32 days';
    ELSE
        INSERT INTO thaw.action_hour_changes (hour) VALUES (thaw.hour_of(OLD.settled_at));
        IF thaw.hour_of(NEW.settled_at) <> thaw.hour_of(OLD.settled_at) THEN
            INSERT INTO thaw.action_hour_changes (hour) VALUES (thaw.hour_of(NEW.settled_at));
        END IF;
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER actions_note_hours_update AFTER UPDATE OF state, settled_at ON thaw.actions
    FOR EACH ROW WHEN (
        OLD.started_at IS NOT NULL AND OLD.settled_at IS NOT NULL
        AND (OLD.state <> NEW.state OR OLD.settled_at IS DISTINCT FROM NEW.settled_at))
    EXECUTE FUNCTION thaw.actions_note_hours();
CREATE TRIGGER actions_note_hours_delete AFTER DELETE ON thaw.actions
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION thaw.actions_note_hours();

-- Every process calls this about once a minute; it counts at most every 5 minutes. In the worst
-- case, after a long time without a process, it reads 31 days.
-- +goose StatementBegin
CREATE FUNCTION thaw.count_action_hours() RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    at       timestamptz := thaw.now();
    settings thaw.settings;
    last     timestamptz;
    oldest   timestamptz := thaw.hour_of(at - interval '31 days');
    since    timestamptz;
    changed  timestamptz[];
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT coalesce(s.hours_counted_at, '-infinity') INTO last FROM thaw.scheduler AS s
    WHERE s.hours_counted_at IS NULL OR s.hours_counted_at <= at - least(settings.tick, interval '5 minutes')
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The hour before is counted again: a settlement may commit after its hour.
    since := greatest(oldest, thaw.hour_of(last) - interval '1 hour');
    -- At most 100 changed hours at a time. The others follow with the next counts.
    changed := ARRAY(SELECT DISTINCT c.hour FROM thaw.action_hour_changes AS c ORDER BY c.hour LIMIT 100);
    -- What is noted from here on for these hours is committed, and the count below has it.
    DELETE FROM thaw.action_hour_changes AS c WHERE c.hour = ANY (changed);
    DELETE FROM thaw.action_hours AS h WHERE h.hour >= since OR h.hour < oldest OR h.hour = ANY (changed);
    INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered)
    SELECT thaw.hour_of(a.settled_at), count(*) FILTER (WHERE a.state = 'sent'),
        count(*) FILTER (WHERE a.state = 'unknown'), count(*) FILTER (WHERE a.state NOT IN ('sent', 'unknown'))
    FROM thaw.actions AS a
    WHERE a.settled_at >= since AND a.started_at IS NOT NULL
    GROUP BY 1
    ORDER BY 1;
    INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered)
    SELECT again.hour, counted.sent, counted.unknown, counted.undelivered
    FROM unnest(changed) AS again (hour)
    CROSS JOIN LATERAL (
        SELECT count(*) AS actions, count(*) FILTER (WHERE a.state = 'sent') AS sent,
            count(*) FILTER (WHERE a.state = 'unknown') AS unknown, count(*) FILTER (WHERE a.state NOT IN ('sent', 'unknown')) AS undelivered
        FROM thaw.actions AS a
        WHERE a.settled_at >= again.hour AND a.settled_at < again.hour + interval '1 hour' AND a.started_at IS NOT NULL) AS counted
    WHERE again.hour >= oldest AND again.hour < since AND counted.actions > 0
    ORDER BY again.hour;
    UPDATE thaw.scheduler SET hours_counted_at = at;
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.count_action_hours() IS 'Counts what was settled per hour since the last count, and the hours that have changed since (thaw.action_hour_changes). Returns whether it did: at most every 5 minutes. Every worker process calls it.';

REVOKE ALL ON FUNCTION thaw.hour_of(timestamptz), thaw.actions_note_hours(), thaw.count_action_hours() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.count_action_hours();
DROP TRIGGER actions_note_hours_delete ON thaw.actions;
DROP TRIGGER actions_note_hours_update ON thaw.actions;
DROP FUNCTION thaw.actions_note_hours();
DROP FUNCTION thaw.hour_of(timestamptz);
ALTER TABLE thaw.scheduler DROP COLUMN hours_counted_at;
DROP TABLE thaw.action_hour_changes, thaw.action_hours;

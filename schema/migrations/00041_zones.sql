-- Local time: zones, days and windows. Sending is limited by the day and the clock of the person
-- behind an account. Every rule about local time is in this file, and uses the zones of Postgres.
--
-- Clock changes. A local time that occurs twice, or not at all, is read so that a window is never
-- open at a local time outside of it: it opens at the later reading and closes at the earlier one.
-- A day begins at its first midnight.
--
-- The gates call these functions often. An expression is a function in SQL, which the planner puts
-- in place of the call. What needs variables is in plpgsql, which keeps its plans for the session:
-- a function in SQL that the planner cannot replace is planned again in each statement.

-- +goose Up

-- The zones that Postgres knows. pg_timezone_names reads the zone files of the server at every
-- query, and AT TIME ZONE fails for a zone that is not there.
CREATE TABLE thaw.zones (
    key  text COLLATE "C" PRIMARY KEY CHECK (key = lower(name)),
    name text NOT NULL CHECK (name <> '')
);
COMMENT ON TABLE thaw.zones IS 'The IANA time zones of this server, by lower-case name. Refreshed when a process starts (thaw.refresh_zones).';

-- +goose StatementBegin
CREATE FUNCTION thaw.refresh_zones() RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed integer;
BEGIN
    WITH server AS MATERIALIZED (
        SELECT lower(z.name) AS key, min(z.name) AS name
        FROM pg_catalog.pg_timezone_names AS z
        WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('Factory', 'localtime', 'posixrules')
        GROUP BY lower(z.name)
    ), gone AS (
        DELETE FROM thaw.zones AS z WHERE NOT EXISTS (SELECT FROM server WHERE server.key = z.key)
        RETURNING z.key
    ), new AS (
        INSERT INTO thaw.zones (key, name)
        SELECT server.key, server.name FROM server
        WHERE NOT EXISTS (SELECT FROM thaw.zones AS z WHERE z.key = server.key)
        ORDER BY server.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM new) INTO changed;
    RETURN changed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.refresh_zones() IS 'Reads the time zones of the server again and returns how many were added or removed.';
SELECT thaw.refresh_zones();

-- The zone with this name, in the spelling of the server. Null: there is none.
-- +goose StatementBegin
CREATE FUNCTION thaw.zone_named(p_name text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (SELECT z.name FROM thaw.zones AS z WHERE z.key = lower(p_name) COLLATE "C");
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.utc_offset(p_zone text, p_at timestamptz) RETURNS interval LANGUAGE sql STABLE
RETURN (p_at AT TIME ZONE p_zone) - (p_at AT TIME ZONE 'UTC');
-- +goose StatementEnd

-- Postgres reads a local time that occurs twice as the later one, and one that does not occur with
-- the offset from before the change. The earlier reading uses the offset of six hours before.
-- +goose StatementBegin
CREATE FUNCTION thaw.first_instant(p_zone text, p_local timestamp) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    later   timestamptz := p_local AT TIME ZONE p_zone;
    earlier timestamptz := (p_local - thaw.utc_offset(p_zone, later - interval '6 hours')) AT TIME ZONE 'UTC';
BEGIN
    RETURN CASE WHEN earlier < later AND earlier AT TIME ZONE p_zone = p_local THEN earlier ELSE later END;
END;
$$;
-- +goose StatementEnd

-- When the local date begins.
-- +goose StatementBegin
CREATE FUNCTION thaw.day_start(p_zone text, p_day date) RETURNS timestamptz LANGUAGE sql STABLE
RETURN thaw.first_instant(p_zone, p_day::timestamp);
-- +goose StatementEnd

-- When a window that closes at this local time closes: if the time occurs twice, the first time; if
-- it does not occur, before the change.
-- +goose StatementBegin
CREATE FUNCTION thaw.closing(p_zone text, p_local timestamp) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN (p_local AT TIME ZONE p_zone) AT TIME ZONE p_zone <> p_local
            THEN (p_local - thaw.utc_offset(p_zone, p_local AT TIME ZONE p_zone)) AT TIME ZONE 'UTC'
        ELSE thaw.first_instant(p_zone, p_local) END;
END;
$$;
-- +goose StatementEnd

-- Whether a window is open at a time, and when it changes. Weekdays are ISO numbers (1 is Monday)
-- of the day on which the window opens. A window that closes at or before its opening time closes
-- on the next day. closes_at: null while it is closed. opens_at: the next opening after p_at.
-- +goose StatementBegin
CREATE FUNCTION thaw.window_at(
    p_zone text, p_weekdays smallint[], p_opens time, p_closes time, p_at timestamptz,
    OUT is_open boolean, OUT opens_at timestamptz, OUT closes_at timestamptz
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today     date := (p_at AT TIME ZONE p_zone)::date;
    overnight boolean := p_closes <= p_opens;
    day       date;
    began     timestamptz;
    ended     timestamptz;
BEGIN
    is_open := false;
    -- Two weeks: a change of the clock may leave nothing of the only window of a week.
    FOR n IN -1..15 LOOP
        day := today + n;
        CONTINUE WHEN extract(isodow FROM day) <> ALL (p_weekdays);
        began := (day + p_opens) AT TIME ZONE p_zone;
        -- What opened yesterday and closed yesterday is over.
        CONTINUE WHEN n = -1 AND NOT overnight AND began <= p_at;
        ended := thaw.closing(p_zone, day + p_closes + CASE WHEN overnight THEN interval '1 day' ELSE '0' END);
        -- A change of the clock may leave nothing of a window.
        CONTINUE WHEN began >= ended;
        IF began > p_at THEN
            opens_at := least(opens_at, began);
            EXIT WHEN n >= 0;
        ELSIF p_at < ended THEN
            is_open := true;
            closes_at := greatest(closes_at, ended);
        END IF;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- The local day that an action counts into, from the day that the last action counted into. After a
-- change of the zone, the next day begins at a midnight of the new zone, but not before 24 hours
-- have passed since the last day began, and its date is later: a change never gives a second day.
-- +goose StatementBegin
CREATE FUNCTION thaw.local_day(
    p_day date, p_began_at timestamptz, p_day_zone text, p_zone text, p_at timestamptz,
    OUT day date, OUT began_at timestamptz, OUT ends_at timestamptz
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next_day date;
BEGIN
    IF p_day IS NOT NULL THEN
        IF p_zone = p_day_zone THEN
            next_day := p_day + 1;
        ELSE
            next_day := ((p_began_at + interval '24 hours') AT TIME ZONE p_zone)::date;
            IF thaw.day_start(p_zone, next_day) < p_began_at + interval '24 hours' THEN
                next_day := next_day + 1;
            END IF;
            next_day := greatest(next_day, p_day + 1);
        END IF;
        ends_at := thaw.day_start(p_zone, next_day);
        IF p_at < ends_at THEN
            day := p_day;
            began_at := p_began_at;
            RETURN;
        END IF;
    END IF;
    day := (p_at AT TIME ZONE p_zone)::date;
    began_at := thaw.day_start(p_zone, day);
    ends_at := thaw.day_start(p_zone, day + 1);
    -- Clocks that go back after midnight show the date before once more. The next day goes on.
    IF ends_at <= p_at THEN
        day := day + 1;
        began_at := ends_at;
        ends_at := thaw.day_start(p_zone, day + 1);
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.refresh_zones(), thaw.zone_named(text), thaw.utc_offset(text, timestamptz),
    thaw.first_instant(text, timestamp), thaw.day_start(text, date), thaw.closing(text, timestamp),
    thaw.window_at(text, smallint[], time, time, timestamptz),
    thaw.local_day(date, timestamptz, text, text, timestamptz) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.local_day(date, timestamptz, text, text, timestamptz);
DROP FUNCTION thaw.window_at(text, smallint[], time, time, timestamptz);
DROP FUNCTION thaw.closing(text, timestamp);
DROP FUNCTION thaw.day_start(text, date);
DROP FUNCTION thaw.first_instant(text, timestamp);
DROP FUNCTION thaw.utc_offset(text, timestamptz);
DROP FUNCTION thaw.zone_named(text);
DROP FUNCTION thaw.refresh_zones();
DROP TABLE thaw.zones;

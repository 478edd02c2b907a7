-- Which instance of Thaw this database is. A copy of a database (staging made from a dump, a
-- restored backup) has the rows of the original, and is often started with the settings of the
-- original. A copy must not resume prospects or deliver webhooks.
--
-- Postgres identifies a database by the system identifier of its server and by its oid: a dump that
-- is restored has others. Thaw records both when its first process starts, and compares them when a
-- process starts, once a minute, in every resume pass and before every delivery. A copy is in
-- safety mode, which only thaw.adopt_instance ends.
--
-- A streaming replica has the identity of its primary, so a promoted replica is the same instance.
-- A physical backup has the identity of the original too. Both begin a new timeline. A promotion is
-- a matter of minutes, so a new timeline on which Thaw was last seen more than an hour ago counts
-- as a restored backup. A snapshot of a disk has neither another identity nor a new timeline: only
-- --instance tells it apart (docs/operations.md).

-- +goose Up

CREATE TABLE thaw.instance (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id                uuid NOT NULL DEFAULT gen_random_uuid(),
    name              text NOT NULL,
    system_identifier bigint NOT NULL,
    database_name     text NOT NULL,
    database_oid      oid NOT NULL,
    timeline          integer NOT NULL,
    recorded_at       timestamptz NOT NULL DEFAULT thaw.now(),
    seen_at           timestamptz NOT NULL DEFAULT thaw.now(),
    doubt             text CHECK (doubt <> ''),
    CONSTRAINT instance_name_is_plain CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$')
);
COMMENT ON TABLE thaw.instance IS
    'At most one row: the instance that wrote this database, and the server and the database where it did. Empty until the first process starts.';
COMMENT ON COLUMN thaw.instance.id IS 'Random. An adopted copy gets a new one.';
COMMENT ON COLUMN thaw.instance.name IS 'The name in webhook messages and on pages. The name of the database at first; thaw instance adopt --as sets it.';
COMMENT ON COLUMN thaw.instance.system_identifier IS 'pg_control_system(); 0 if the server does not show it.';
COMMENT ON COLUMN thaw.instance.timeline IS 'The timeline of the server; 0 if the server does not show it.';
COMMENT ON COLUMN thaw.instance.seen_at IS 'When a process last found everything unchanged, to the minute.';
COMMENT ON COLUMN thaw.instance.doubt IS 'Why this may be a restored backup although the identity is the same. Null: there is no doubt.';

-- The identity of the database that the session is connected to. Some providers of managed
-- databases hide the two server values; then only the database is compared.
-- +goose StatementBegin
CREATE FUNCTION thaw.this_database(OUT system_identifier bigint, OUT database_name text, OUT database_oid oid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT d.datname, d.oid INTO database_name, database_oid FROM pg_database AS d WHERE d.datname = current_database();
    system_identifier := (SELECT c.system_identifier FROM pg_control_system() AS c);
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
    SELECT 0, d.datname, d.oid INTO system_identifier, database_name, database_oid
    FROM pg_database AS d WHERE d.datname = current_database();
END;
$$;
-- +goose StatementEnd

-- The timeline that the server writes now. The one in the control file is older until the first
-- checkpoint after a promotion.
-- +goose StatementBegin
CREATE FUNCTION thaw.this_timeline() RETURNS integer LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported OR object_not_in_prerequisite_state THEN
    RETURN 0;
END;
$$;
-- +goose StatementEnd

-- Why this database is a copy, or may be one. Null: it is not, or no process has started yet.
-- +goose StatementBegin
CREATE FUNCTION thaw.why_copy() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE
            WHEN recorded.system_identifier <> here.system_identifier OR recorded.database_oid <> here.database_oid
                    OR recorded.database_name <> here.database_name THEN
                format('this database is a copy: instance %s is database %s (oid %s, server %s), and this is database %s (oid %s, server %s)',
                    recorded.name, recorded.database_name, recorded.database_oid, recorded.system_identifier,
                    here.database_name, here.database_oid, here.system_identifier)
            ELSE recorded.doubt END
        FROM thaw.instance AS recorded CROSS JOIN thaw.this_database() AS here);
END;
$$;
-- +goose StatementEnd

-- Records the identity when the first process starts, and compares it from then on: called by every
-- process at its start, and by the job "watch". Enters safety mode in a copy. Returns what a person
-- must know, null if there is nothing. The row is first in the lock order.
-- +goose StatementBegin
CREATE FUNCTION thaw.check_instance(p_name text DEFAULT NULL) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    recorded thaw.instance;
    newest   integer := thaw.this_timeline();
    problem  text;
BEGIN
    INSERT INTO thaw.instance (name, system_identifier, database_name, database_oid, timeline)
    SELECT coalesce(p_name, thaw.instance_name(here.database_name)), here.system_identifier, here.database_name, here.database_oid, newest
    FROM thaw.this_database() AS here
    ON CONFLICT (only_row) DO NOTHING;
    SELECT i.* INTO recorded FROM thaw.instance AS i FOR NO KEY UPDATE;

    problem := thaw.why_copy();
    IF problem IS NULL AND newest <> recorded.timeline AND newest <> 0 AND recorded.timeline <> 0 THEN
        IF recorded.seen_at < thaw.now() - interval '1 hour' THEN
            problem := format('this database may be a restored backup: the timeline of the server changed from %s to %s, and instance %s was last seen here at %s',
                recorded.timeline, newest, recorded.name, thaw.rfc3339(recorded.seen_at));
            UPDATE thaw.instance SET doubt = problem;
        ELSE
            UPDATE thaw.instance AS i SET timeline = newest, seen_at = thaw.now();
            problem := format('the server was promoted, or reset to an earlier time (timeline %s to %s): Thaw cannot know what happened after %s and is not here, such as signals, pauses and resumes, and messages that were delivered. Compare the accounts with the provider: thaw reconcile',
                recorded.timeline, newest, thaw.rfc3339(recorded.seen_at));
            INSERT INTO thaw.manual_actions (what, actor, reason) VALUES ('server_changed', 'monitor', problem);
            RETURN problem;
        END IF;
    END IF;
    IF problem IS NULL THEN
        -- At most once a minute, however many processes start.
        UPDATE thaw.instance AS i SET seen_at = thaw.now(), timeline = newest
        WHERE i.seen_at < thaw.now() - interval '30 seconds';
        RETURN NULL;
    END IF;
    -- The copy may be in safety mode already, from the original.
    IF NOT thaw.enter_safety_mode(problem, 'instance', true) THEN
        UPDATE thaw.safety AS s SET reason = problem, entered_by = 'instance', manual_exit = true
        WHERE s.entered_by <> 'instance' OR s.reason <> problem;
    END IF;
    RETURN problem || '. Nothing is resumed and no webhook is delivered. If this is a copy that you want to run, or the original after a move, run: thaw instance adopt --as NAME --reason TEXT';
END;
$$;
-- +goose StatementEnd

-- A name for an instance, from the name of its database.
-- +goose StatementBegin
CREATE FUNCTION thaw.instance_name(p_database_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(nullif(left(regexp_replace(regexp_replace(p_database_name, '[^A-Za-z0-9._-]', '-', 'g'), '^[^A-Za-z0-9]+', ''), 63), ''), 'thaw');
-- +goose StatementEnd

-- Makes this database an instance of its own, with the given name, or renames it. In a copy this
-- also ends safety mode, and messages that the original wrote are not delivered. Returns true if
-- the database was a copy.
-- +goose StatementBegin
CREATE FUNCTION thaw.adopt_instance(name text, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    recorded thaw.instance;
    was_copy boolean;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    IF adopt_instance.name IS NULL OR adopt_instance.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' THEN
        RAISE EXCEPTION '"%" is not a name for an instance', adopt_instance.name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A name has up to 63 letters, digits, dots, underscores and hyphens, such as staging.';
    END IF;
    PERFORM thaw.check_instance(adopt_instance.name);
    SELECT i.* INTO recorded FROM thaw.instance AS i FOR NO KEY UPDATE;
    was_copy := thaw.why_copy() IS NOT NULL;
    IF was_copy AND adopt_instance.name = recorded.name AND recorded.doubt IS NULL THEN
        RAISE WARNING 'instance % keeps its name: if the original still runs, both write messages with the same name', recorded.name;
    END IF;
    UPDATE thaw.instance AS i SET
        id = CASE WHEN was_copy THEN gen_random_uuid() ELSE i.id END, name = adopt_instance.name, doubt = NULL,
        system_identifier = here.system_identifier, database_name = here.database_name, database_oid = here.database_oid,
        timeline = thaw.this_timeline(), recorded_at = thaw.now(), seen_at = thaw.now()
    FROM thaw.this_database() AS here;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('instance_adopted', actor, adopt_instance.reason,
        CASE WHEN recorded.name = adopt_instance.name THEN recorded.name ELSE recorded.name || ' to ' || adopt_instance.name END);
    IF was_copy THEN
        -- Before safety mode ends, which writes a message of the new instance.
        UPDATE thaw.webhook_deliveries AS d SET
            state = 'failed', next_attempt_at = NULL, last_error = format('not sent: written before this database became instance %s', adopt_instance.name)
        FROM thaw.webhook_endpoints AS e
        WHERE d.endpoint_id = e.id AND d.state = 'waiting';
        IF (SELECT s.entered_by = 'instance' FROM thaw.safety AS s) THEN
            PERFORM thaw.exit_safety_mode(reason, actor);
        END IF;
    END IF;
    RETURN was_copy;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.adopt_instance(text, text, text) IS
    'Makes this database an instance of its own, or renames it. In a copy of a database, this ends safety mode; waiting messages of the original are not delivered. Returns true if it was a copy.';

REVOKE ALL ON FUNCTION thaw.this_database(), thaw.this_timeline(), thaw.why_copy(), thaw.check_instance(text),
    thaw.instance_name(text), thaw.adopt_instance(text, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.adopt_instance(text, text, text);
DROP FUNCTION thaw.instance_name(text);
DROP FUNCTION thaw.check_instance(text);
DROP FUNCTION thaw.why_copy();
DROP FUNCTION thaw.this_timeline();
DROP FUNCTION thaw.this_database();
DROP TABLE thaw.instance;

-- Erasure, offboarding and retention of the ledger of actions. Overrides, windows, holds and steps
-- belong to workspaces, accounts and campaigns, and are removed with them.
--
-- The functions of v0.1.0 list their tables. From here on a table registers itself, so that a new
-- one replaces no function:
--
--   erasure      thaw.person_columns: a row per column that identifies a person
--   offboarding  thaw.removal_phases: a row per phase, which is done by thaw.remove_<phase>
--   retention    thaw.retention: a row per table, with the column that has the age of a row, and
--                thaw.prune_<table>(after, to), which removes the rows of a walk between two ids
--
-- remove_part and prune_ids of v0.1.0 keep their definitions under another name (_core) and do the
-- tables that they list.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.retention IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.retention IN ACCESS EXCLUSIVE MODE;

-- Erasure

CREATE TABLE thaw.person_columns (
    table_name  name NOT NULL,
    column_name name NOT NULL,
    named_by    name NOT NULL,
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE thaw.person_columns IS
    'Columns that identify a person although they are part of a key, or say nothing of the person themselves. An erasure replaces them by [erased ID].';
COMMENT ON COLUMN thaw.person_columns.named_by IS 'The column, often the same one, that mentions the person.';
-- The ledger keeps that a sender used an action, and no longer for whom.
INSERT INTO thaw.person_columns (table_name, column_name, named_by)
VALUES ('actions', 'prospect_url', 'prospect_url'), ('actions', 'provider_ref', 'prospect_url');

-- The mark of a registered column differs by row, because a sender has one open invite per
-- prospect.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.mention_tables() RETURNS TABLE (table_name text, key_name text, key_type text, condition text, changes text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT c.table_name, coalesce(key.name, 'ctid'), coalesce(key.type, 'tid'), string_agg(format('t.%I::text ~* $1', c.column_name), ' OR '),
        string_agg(format(CASE WHEN person.named_by IS NULL THEN '%1$I = regexp_replace(t.%1$I::text, $1, ''[erased]'', ''gi'')::%2$s'
            ELSE '%1$I = CASE WHEN t.%1$I IS NOT NULL AND t.%3$I ~* $1 THEN ''[erased '' || t.%4$I || '']'' ELSE regexp_replace(t.%1$I, $1, ''[erased]'', ''gi'') END'
            END, c.column_name, c.type_name, person.named_by, coalesce(key.name, 'ctid')), ', ')
    FROM thaw.text_columns() AS c
    LEFT JOIN thaw.person_columns AS person ON person.table_name = c.table_name AND person.column_name = c.column_name
    LEFT JOIN LATERAL (
        SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('thaw.%I', c.table_name)::regclass AND i.indisprimary AND i.indnkeyatts = 1
            AND a.atttypid IN ('bigint'::regtype, 'integer'::regtype)) AS key ON true
    WHERE NOT c.is_name OR person.named_by IS NOT NULL
    GROUP BY c.table_name, key.name, key.type
    -- Enrollments before their history.
    ORDER BY c.table_name = 'enrollment_events', c.table_name;
END;
$$;
-- +goose StatementEnd

-- Offboarding

CREATE TABLE thaw.removal_phases (
    phase   name PRIMARY KEY,
    follows name NOT NULL UNIQUE
);
COMMENT ON TABLE thaw.removal_phases IS 'Phases of the removal of a workspace that thaw.remove_workspace does not list. thaw.remove_<phase> does a batch.';
COMMENT ON COLUMN thaw.removal_phases.follows IS 'The phase before, listed or not.';
-- Actions need the workspace and its accounts. Senders are left when the accounts are gone.
INSERT INTO thaw.removal_phases (phase, follows) VALUES ('actions', 'kept'), ('senders', 'changes');

-- +goose StatementBegin
CREATE FUNCTION thaw.remove_actions(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    gone  constant bigint := p_removal.workspace_id;
    to_id bigint;
BEGIN
    to_id := (SELECT max(next.id) FROM (SELECT a.id FROM thaw.actions AS a WHERE a.id > p_removal.at_id ORDER BY a.id LIMIT 10 * p_size) AS next);
    -- What a person used in the last 168 hours stays used, because the person may send for other
    -- workspaces too. These rows lose everything else, and retention removes them.
    DELETE FROM thaw.actions AS a
    WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone
        AND NOT (a.state IN ('started', 'sent', 'unknown') AND a.used_at > thaw.now() - interval '8 days');
    UPDATE thaw.actions AS a SET
        prospect_url = '[removed ' || a.id || ']', member_id = NULL, actor = '[removed]', error_code = NULL,
        provider_ref = CASE WHEN a.provider_ref IS NOT NULL THEN '[removed]' END,
        state = CASE a.state WHEN 'started' THEN 'unknown' ELSE a.state END, lease_until = NULL, settled_at = coalesce(a.settled_at, thaw.now())
    WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone;
    is_over := to_id IS NULL;
    p_removal.at_id := coalesce(to_id, 0);
END;
$$;
-- +goose StatementEnd

-- Removes those of the given senders that have neither an account nor an action.
-- +goose StatementBegin
CREATE FUNCTION thaw.remove_unused_senders(p_senders bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM thaw.senders AS s
    WHERE s.id = ANY (p_senders) AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS sending WHERE sending.sender_id = s.id)
        AND NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.sender_id = s.id);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.remove_senders(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    ids constant bigint[] := ARRAY(SELECT s.id FROM thaw.senders AS s WHERE s.id > p_removal.at_id ORDER BY s.id LIMIT p_size);
BEGIN
    PERFORM thaw.remove_unused_senders(ids);
    is_over := ids = '{}';
    p_removal.at_id := coalesce(ids[cardinality(ids)], 0);
END;
$$;
-- +goose StatementEnd

ALTER FUNCTION thaw.remove_part(thaw.workspace_removals, integer) RENAME TO remove_part_core;

-- One batch of a phase. is_over: the walk of the phase has ended, and no registered one follows it.
-- Then p_removal.phase is one that thaw.remove_workspace lists.
-- +goose StatementBegin
CREATE FUNCTION thaw.remove_part(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    registered thaw.removal_phases;
    following  name;
    part       record;
BEGIN
    SELECT p.* INTO registered FROM thaw.removal_phases AS p WHERE p.phase = p_removal.phase;
    EXECUTE format('SELECT * FROM thaw.%I($1, $2)', CASE WHEN registered.phase IS NULL THEN 'remove_part_core' ELSE 'remove_' || registered.phase END)
    INTO part USING p_removal, p_size;
    p_removal := part.p_removal;
    is_over := part.is_over;
    IF NOT is_over THEN
        RETURN;
    END IF;
    following := (SELECT p.phase FROM thaw.removal_phases AS p WHERE p.follows = p_removal.phase);
    IF following IS NOT NULL THEN
        is_over := false;
        p_removal.phase := following;
        p_removal.at_id := 0;
        p_removal.at_tick := '-infinity';
        RETURN;
    END IF;
    WHILE registered.phase IS NOT NULL LOOP
        p_removal.phase := registered.follows;
        SELECT p.* INTO registered FROM thaw.removal_phases AS p WHERE p.phase = p_removal.phase;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- Retention

ALTER TABLE thaw.retention ADD COLUMN age_column name NOT NULL DEFAULT 'at';
COMMENT ON COLUMN thaw.retention.age_column IS 'The column of the table that has the age of a row. Tables by tick have it in tick_at.';
UPDATE thaw.retention SET age_column = 'received_at' WHERE part = 'account_signals';
UPDATE thaw.retention SET age_column = 'requested_at' WHERE part = 'heals';
INSERT INTO thaw.retention (part, turn, age_column) SELECT 'actions', max(r.turn) + 1, 'reserved_at' FROM thaw.retention AS r;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamptz, p_size integer)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached bigint;
    line    record;
BEGIN
    FOR line IN EXECUTE format('SELECT t.id, t.%I AS at FROM thaw.%I AS t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
        p_walk.age_column, p_walk.part)
        USING p_walk.walk_id, p_size
    LOOP
        EXIT WHEN line.at >= p_before;
        reached := line.id;
    END LOOP;
    RETURN reached;
END;
$$;
-- +goose StatementEnd

-- Keeps what caps still count, what is under way or unknown, what the step of an enrollment or an
-- invite may not repeat, and the senders that are left. Of a removed workspace, only what caps
-- count.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_actions(p_after bigint, p_to bigint) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed integer;
    senders bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM thaw.actions AS a
        WHERE a.ctid = ANY (ARRAY(
            SELECT old.ctid
            FROM thaw.actions AS old
            WHERE old.id > p_after AND old.id <= p_to AND old.lease_until IS NULL
                AND old.used_at < thaw.now() - interval '8 days'
                AND (EXISTS (SELECT FROM thaw.workspaces AS w WHERE w.id = old.workspace_id) AND (
                    old.state = 'unknown'
                    OR old.kind = 'invite' AND (old.is_used OR old.state = 'already') AND coalesce(old.closed_as, 'accepted') = 'accepted'
                    OR old.closed_as = 'withdrawn' AND old.closed_at > thaw.now() - interval '21 days'
                    OR (old.is_used OR old.state = 'already') AND EXISTS (
                        SELECT FROM thaw.enrollments AS e WHERE e.id = old.enrollment_id AND e.step <= old.step))) IS NOT TRUE
            FOR UPDATE OF old SKIP LOCKED))
        RETURNING a.sender_id
    )
    SELECT count(*), array_agg(DISTINCT gone.sender_id) INTO removed, senders FROM gone;
    PERFORM thaw.remove_unused_senders(senders);
    RETURN removed;
END;
$$;
-- +goose StatementEnd

ALTER FUNCTION thaw.prune_ids(text, bigint, bigint) RENAME TO prune_ids_core;

-- Removes the rows between two ids of a walk, except those that are still needed, and returns how
-- many.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_ids(p_part text, p_after bigint, p_to bigint) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed integer;
BEGIN
    IF to_regprocedure(format('thaw.%I(bigint, bigint)', 'prune_' || p_part)) IS NULL THEN
        RETURN thaw.prune_ids_core(p_part, p_after, p_to);
    END IF;
    EXECUTE format('SELECT thaw.%I($1, $2)', 'prune_' || p_part) INTO removed USING p_after, p_to;
    RETURN removed;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.remove_actions(thaw.workspace_removals, integer), thaw.remove_unused_senders(bigint[]),
    thaw.remove_senders(thaw.workspace_removals, integer), thaw.remove_part(thaw.workspace_removals, integer),
    thaw.prune_actions(bigint, bigint), thaw.prune_ids(text, bigint, bigint) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.prune_ids(text, bigint, bigint);
ALTER FUNCTION thaw.prune_ids_core(text, bigint, bigint) RENAME TO prune_ids;
DROP FUNCTION thaw.prune_actions(bigint, bigint);
DELETE FROM thaw.retention WHERE part = 'actions';
ALTER TABLE thaw.retention DROP COLUMN age_column;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamptz, p_size integer)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached bigint;
    line    record;
BEGIN
    FOR line IN EXECUTE format('SELECT t.id, t.%I AS at FROM thaw.%I AS t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
        CASE p_walk.part WHEN 'account_signals' THEN 'received_at' WHEN 'heals' THEN 'requested_at' ELSE 'at' END, p_walk.part)
        USING p_walk.walk_id, p_size
    LOOP
        EXIT WHEN line.at >= p_before;
        reached := line.id;
    END LOOP;
    RETURN reached;
END;
$$;
-- +goose StatementEnd
DROP FUNCTION thaw.remove_part(thaw.workspace_removals, integer);
ALTER FUNCTION thaw.remove_part_core(thaw.workspace_removals, integer) RENAME TO remove_part;
-- A removal that is in one of these phases goes on with the phase after it.
UPDATE thaw.workspace_removals SET phase = CASE phase WHEN 'actions' THEN 'accounts' ELSE 'rest' END, at_id = 0
WHERE phase IN (SELECT p.phase FROM thaw.removal_phases AS p);
DROP FUNCTION thaw.remove_senders(thaw.workspace_removals, integer);
DROP FUNCTION thaw.remove_unused_senders(bigint[]);
DROP FUNCTION thaw.remove_actions(thaw.workspace_removals, integer);
DROP TABLE thaw.removal_phases;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.mention_tables() RETURNS TABLE (table_name text, key_name text, key_type text, condition text, changes text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT c.table_name, coalesce(key.name, 'ctid'), coalesce(key.type, 'tid'), string_agg(format('t.%I::text ~* $1', c.column_name), ' OR '),
        string_agg(format('%I = regexp_replace(t.%1$I::text, $1, ''[erased]'', ''gi'')::%s', c.column_name, c.type_name), ', ')
    FROM thaw.text_columns() AS c
    LEFT JOIN LATERAL (
        SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('thaw.%I', c.table_name)::regclass AND i.indisprimary AND i.indnkeyatts = 1
            AND a.atttypid IN ('bigint'::regtype, 'integer'::regtype)) AS key ON true
    WHERE NOT c.is_name
    GROUP BY c.table_name, key.name, key.type
    -- Enrollments before their history.
    ORDER BY c.table_name = 'enrollment_events', c.table_name;
END;
$$;
-- +goose StatementEnd
DROP TABLE thaw.person_columns;

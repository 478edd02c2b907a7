-- Adoption: the platform has accounts, campaigns and prospects in tables of its own, and the fleet
-- tables of Thaw are a copy of them. Triggers on the platform's tables (thaw adopt generates them)
-- pass the rows of each statement to thaw.take_workspaces, thaw.take_accounts, thaw.take_campaigns
-- and thaw.take_enrollments, in the platform's transaction.
--
-- This file has the state of the adoption and the changes that are not applied yet.
-- 00035_apply.sql applies changes, 00036_take.sql has the functions that the triggers call, and
-- 00037_changes.sql is the way back.
--
--   ownership   the platform owns terminal statuses, the pauses of people and their end, deletions,
--               URLs and steps; Thaw owns pauses for an account reason, their end, and the time of
--               the next action that it sets (thaw.taken_enrollment, thaw.taken_campaign)
--   failures    an error never fails the platform's write: the change is kept in thaw.adopt_errors
--               and merged with the next change of the row (thaw.keep_taken). A change that cannot
--               be applied as it is parks its row: it is not resumed and not reported as active
--   locks       rows are locked by id. A lock that is not free within 50 ms is not waited for: the
--               change is kept and applied within a second (thaw.retry_adoption). This is shorter
--               than the time after which Postgres looks for deadlocks, so these functions are part
--               of none
--   steps       a step of a running prospect is not copied; its pause takes the step along
--   shadow      in a shadow workspace the platform owns everything, and Thaw changes nothing
--
-- An element of the argument has the platform's ID (id), the IDs of its parents, and the columns
-- that changed. A key that is absent did not change.

-- +goose Up

CREATE TABLE thaw.adopt_state (
    only_row            boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    started_at          timestamptz,
    phase               text NOT NULL DEFAULT 'off' CHECK (phase IN ('off', 'installing', 'backfilling', 'running')),
    mapping             text,
    progress            jsonb NOT NULL DEFAULT '{}',
    shadow_by_default   boolean NOT NULL DEFAULT true,
    checked_at          timestamptz,
    rows_checked        bigint,
    drift_rows          bigint CHECK (drift_rows >= 0),
    drift_detail        text,
    drift_limit_rows    integer NOT NULL DEFAULT 100 CHECK (drift_limit_rows >= 0),
    drift_limit_percent integer NOT NULL DEFAULT 1 CHECK (drift_limit_percent BETWEEN 0 AND 100),
    column_types        jsonb NOT NULL DEFAULT '{}',
    problems            text[] NOT NULL DEFAULT '{}',
    check_due_at        timestamptz,
    consumer            text,
    consumer_error      text,
    consumer_error_at   timestamptz,
    consumer_error_ended_at timestamptz,
    CONSTRAINT adopt_state_phase_is_started CHECK ((started_at IS NULL) = (phase = 'off'))
);
COMMENT ON TABLE thaw.adopt_state IS 'One row: whether Thaw copies the platform''s own tables (started_at), and what the last comparison found.';
COMMENT ON COLUMN thaw.adopt_state.mapping IS 'The mapping file as it was applied.';
COMMENT ON COLUMN thaw.adopt_state.progress IS 'How far the backfill is, by table.';
COMMENT ON COLUMN thaw.adopt_state.shadow_by_default IS 'Whether a new workspace of the platform starts in shadow mode.';
COMMENT ON COLUMN thaw.adopt_state.drift_rows IS 'How many rows of the copy differed in the last comparison. Null: there was none.';
COMMENT ON COLUMN thaw.adopt_state.drift_limit_rows IS 'A comparison that finds more rows than this, and more than drift_limit_percent of all, enters safety mode.';
COMMENT ON COLUMN thaw.adopt_state.column_types IS 'The types of the mapped columns when the mapping was applied, by schema.table.column.';
COMMENT ON COLUMN thaw.adopt_state.problems IS 'What no longer fits the mapping (tables, columns, triggers, rights), by the last look at the catalog.';
COMMENT ON COLUMN thaw.adopt_state.check_due_at IS 'Since when the copy of some rows may be wrong because of a problem. Null: it is not, or a check found no difference since.';
COMMENT ON COLUMN thaw.adopt_state.consumer_error IS 'The last error of a consumer (thaw adopt run) that could not write a batch. Null: there was none.';
COMMENT ON COLUMN thaw.adopt_state.consumer_error_ended_at IS 'When a batch succeeded after the last error. Null: none has.';
INSERT INTO thaw.adopt_state DEFAULT VALUES;

-- Rows are only appended and deleted, never updated, so that a failure never waits for another
-- transaction. All rows of one ID together are its pending change, in the order of id.
CREATE TABLE thaw.adopt_errors (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('workspace', 'account', 'campaign', 'enrollment')),
    external_id text CHECK (external_id <> ''),
    change      jsonb NOT NULL,
    code        text NOT NULL CHECK (code <> ''),
    problem     text NOT NULL CHECK (length(problem) BETWEEN 1 AND 1000),
    is_deferred boolean NOT NULL DEFAULT false,
    attempts    integer NOT NULL DEFAULT 1 CHECK (attempts >= 1),
    next_at     timestamptz,
    place       bigint,
    first_at    timestamptz NOT NULL DEFAULT thaw.now(),
    at          timestamptz NOT NULL DEFAULT thaw.now(),
    CONSTRAINT adopt_errors_deferred_is_retried CHECK (NOT is_deferred OR next_at IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE thaw.adopt_errors IS 'Changes of the platform''s rows that could not be applied to the copy yet.';
COMMENT ON COLUMN thaw.adopt_errors.external_id IS 'The platform''s ID of the row. Null: the rows of a whole statement are unknown, and only a comparison (thaw adopt check) finds them.';
COMMENT ON COLUMN thaw.adopt_errors.change IS 'What is to be applied: the argument of thaw.take_enrollments and the like, with the former failures of the row.';
COMMENT ON COLUMN thaw.adopt_errors.code IS 'A SQLSTATE, or unknown_word, unknown_row, unknown_parent, ambiguous.';
COMMENT ON COLUMN thaw.adopt_errors.is_deferred IS 'Whether only a lock or another passing condition was in the way. The row is not parked.';
COMMENT ON COLUMN thaw.adopt_errors.place IS 'The id that the newest change in it had when it was first kept. Null: its own id. 0: a row of a backfill, which is older than every change. Changes of one row are merged in this order.';
COMMENT ON COLUMN thaw.adopt_errors.next_at IS 'When it is tried again. Null: with the next change of the row, or by thaw adopt check --fix.';
CREATE INDEX adopt_errors_row_idx ON thaw.adopt_errors (kind, external_id, id);
CREATE INDEX adopt_errors_next_idx ON thaw.adopt_errors (next_at) WHERE next_at IS NOT NULL;

-- Whether Thaw copies the platform's tables. If not, no change is queued for the platform.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_adopted() RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.started_at IS NOT NULL FROM thaw.adopt_state AS s);
END;
$$;
-- +goose StatementEnd

-- What happens with one row. A change is the platform's; kept_ids are the rows of
-- thaw.adopt_errors that are part of it.
CREATE TYPE thaw.taken AS (
    external_id text, change jsonb, kept_ids bigint[], was_parked boolean, row_id bigint, workspace_id bigint, campaign_id bigint,
    account_id bigint, is_shadow boolean, code text, problem text);

-- A later change of the same row on top of an earlier one.
-- +goose StatementBegin
CREATE FUNCTION thaw.merge_change(p_earlier jsonb, p_later jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN (CASE WHEN p_later ? 'status' OR p_later ? 'unknown' THEN p_earlier - '{status,unknown,reason,own_reason}'::text[] ELSE p_earlier END) || p_later;
-- +goose StatementEnd
-- Changes of one row, in their order, as one.
-- +goose StatementBegin
CREATE FUNCTION thaw.merged(p_changes jsonb[]) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change jsonb;
    merged jsonb := '{}';
BEGIN
    FOREACH change IN ARRAY coalesce(p_changes, '{}') LOOP
        merged := thaw.merge_change(merged, change);
    END LOOP;
    RETURN merged;
END;
$$;
-- +goose StatementEnd

-- What was kept of rows, claimed for this transaction: no other one applies, replaces or deletes
-- it. Only all of a row can be claimed (is_claimed): a part alone would lose its order. What
-- another transaction has claimed is not waited for.
CREATE TYPE thaw.kept_change AS (
    external_id text, ids bigint[], change jsonb, was_parked boolean, attempts integer, first_at timestamptz, place bigint, is_claimed boolean);
-- +goose StatementBegin
CREATE FUNCTION thaw.claim_kept(p_kind text, p_external_ids text[]) RETURNS SETOF thaw.kept_change LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    claimed bigint[];
BEGIN
    claimed := ARRAY(
        SELECT x.id FROM thaw.adopt_errors AS x WHERE x.kind = p_kind AND x.external_id = ANY (p_external_ids)
        ORDER BY x.id FOR UPDATE SKIP LOCKED);
    -- Read again: what another transaction has replaced since is seen here, and is not claimed.
    RETURN QUERY
    SELECT x.external_id, array_agg(x.id), thaw.merged(array_agg(x.change ORDER BY coalesce(x.place, x.id))), bool_or(NOT x.is_deferred),
        max(least(x.attempts, 30)), min(x.first_at), max(coalesce(x.place, x.id)), bool_and(mine.id IS NOT NULL)
    FROM thaw.adopt_errors AS x
    LEFT JOIN unnest(claimed) AS mine (id) ON mine.id = x.id
    WHERE x.kind = p_kind AND x.external_id = ANY (p_external_ids)
    GROUP BY x.external_id;
END;
$$;
-- +goose StatementEnd

-- The changes by row, each with what was kept of its earlier failures. A backfill reads an older
-- snapshot, so kept changes are newer than its rows. An element without an ID has no row.
--
-- If another transaction has claimed what was kept of a row, the change has a code: it is kept too,
-- and applied after it. A retry has nothing newer, so it leaves such a row alone.
-- +goose StatementBegin
CREATE FUNCTION thaw.with_kept(p_kind text, p_rows jsonb, p_is_backfill boolean) RETURNS thaw.taken[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    is_retry boolean := coalesce(current_setting('thaw.retrying', true), '') = 'on';
    given    thaw.taken[];
    ids      text[];
BEGIN
    SELECT array_agg(ROW(one.id, one.change, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken), array_agg(one.id)
    INTO given, ids
    FROM (
        SELECT g.element ->> 'id' AS id, thaw.merged(array_agg(g.element ORDER BY g.n)) AS change
        FROM jsonb_array_elements(p_rows) WITH ORDINALITY AS g (element, n)
        WHERE g.element ->> 'id' <> ''
        GROUP BY g.element ->> 'id') AS one;
    IF NOT is_retry AND NOT EXISTS (SELECT FROM thaw.adopt_errors AS x WHERE x.kind = p_kind AND x.external_id = ANY (ids)) THEN
        RETURN given;
    END IF;
    RETURN (
        SELECT array_agg(ROW(g.external_id,
            CASE WHEN kept.is_claimed IS NOT TRUE THEN g.change WHEN p_is_backfill THEN thaw.merge_change(g.change, kept.change)
                ELSE thaw.merge_change(kept.change, g.change) END,
            CASE WHEN kept.is_claimed THEN kept.ids END, coalesce(kept.was_parked, false), NULL, NULL, NULL, NULL, NULL,
            CASE WHEN NOT kept.is_claimed THEN '55P03' END,
            CASE WHEN NOT kept.is_claimed THEN 'another transaction applies an earlier change of the row' END)::thaw.taken)
        FROM unnest(given) AS g
        LEFT JOIN thaw.claim_kept(p_kind, ids) AS kept ON kept.external_id = g.external_id
        WHERE NOT is_retry OR kept.is_claimed);
END;
$$;
-- +goose StatementEnd

-- Locks rows of a fleet table by id and returns those that it could lock. Rows that others hold are
-- waited for at most lock_timeout each, three times in all.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_taken(p_table regclass, p_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    locked  bigint[] := '{}';
    missing bigint[] := p_ids;
    more    bigint[];
BEGIN
    IF coalesce(cardinality(p_ids), 0) = 0 THEN
        RETURN locked;
    END IF;
    FOR round IN 1..4 LOOP
        IF p_table = 'thaw.enrollments'::regclass THEN
            -- Written out, so that it is not planned for each call.
            more := ARRAY(SELECT t.id FROM thaw.enrollments AS t WHERE t.id = ANY (missing) ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED);
        ELSE
            EXECUTE format('SELECT array_agg(free.id) FROM (
                SELECT t.id FROM %s AS t WHERE t.id = ANY ($1) ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED) AS free', p_table)
            INTO more USING missing;
        END IF;
        locked := locked || more;
        EXIT WHEN cardinality(locked) = cardinality(p_ids);
        missing := ARRAY(SELECT unnest(missing) EXCEPT SELECT unnest(more) ORDER BY 1);
        EXIT WHEN round = 4;
        BEGIN
            EXECUTE format('SELECT t.id FROM %s AS t WHERE t.id = $1 FOR NO KEY UPDATE', p_table) USING missing[1];
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            EXIT;
        END;
    END LOOP;
    RETURN locked;
END;
$$;
-- +goose StatementEnd

-- Keeps changes that could not be applied, with the reason, and parks their rows unless the change
-- is only deferred. What was kept of a row before becomes part of it; if another transaction has
-- claimed that, both are kept, in their order. A row of a backfill is older than every change.
-- Returns how many.
-- +goose StatementBegin
CREATE FUNCTION thaw.keep_taken(p_kind text, p_taken thaw.taken[], p_code text, p_problem text, p_is_deferred boolean, p_is_backfill boolean)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_retry boolean := coalesce(current_setting('thaw.retrying', true), '') = 'on';
    earlier  thaw.kept_change[] := ARRAY(SELECT k FROM thaw.claim_kept(p_kind, ARRAY(SELECT t.external_id FROM unnest(p_taken) AS t)) AS k);
    kept     integer;
BEGIN
    DELETE FROM thaw.adopt_errors AS x WHERE x.id = ANY (ARRAY(SELECT unnest(k.ids) FROM unnest(earlier) AS k WHERE k.is_claimed));
    INSERT INTO thaw.adopt_errors (kind, external_id, change, code, problem, is_deferred, attempts, next_at, first_at, place)
    SELECT p_kind, t.external_id,
        -- A row that is parked now is paused. Its status until then is part of the change, so that
        -- a change that has none restores it.
        thaw.merge_change(CASE WHEN NOT p_is_deferred AND NOT was.was_parked THEN thaw.status_before(p_kind, t.external_id) ELSE '{}' END,
            CASE WHEN is_retry THEN was.change WHEN p_is_backfill THEN thaw.merge_change(t.change, was.change)
                ELSE thaw.merge_change(was.change, t.change) END),
        coalesce(t.code, p_code), left(coalesce(t.problem, p_problem), 1000),
        p_is_deferred AND NOT (was.was_parked AND was.is_claimed), was.attempts + 1,
        CASE WHEN coalesce(t.code, p_code) IN ('unknown_word', 'ambiguous') THEN NULL
            WHEN p_is_deferred THEN thaw.now() + least(2 ^ was.attempts, 60) * interval '0.5 seconds'
            ELSE thaw.now() + least(2 ^ was.attempts, 3600) * interval '1 second' END,
        coalesce(k.first_at, thaw.now()),
        -- A retry has nothing newer than what was kept.
        CASE WHEN is_retry OR p_is_backfill THEN was.place END
    FROM unnest(p_taken) AS t
    LEFT JOIN unnest(earlier) AS k ON k.external_id = t.external_id
    CROSS JOIN LATERAL (
        SELECT coalesce(k.is_claimed, false) AS is_claimed, coalesce(k.was_parked, false) AS was_parked, coalesce(k.attempts, 0) AS attempts,
            CASE WHEN k.is_claimed THEN k.change ELSE '{}' END AS change, CASE WHEN k.is_claimed THEN k.place ELSE 0 END AS place) AS was
    WHERE NOT is_retry OR was.is_claimed
    ORDER BY t.external_id;
    GET DIAGNOSTICS kept = ROW_COUNT;
    IF NOT p_is_deferred THEN
        BEGIN
            PERFORM thaw.park(p_kind, p_taken, p_problem);
        EXCEPTION WHEN OTHERS THEN
            NULL; -- the row is parked by the next attempt
        END;
    END IF;
    RETURN kept;
END;
$$;
-- +goose StatementEnd

-- The status of a row as a change of the platform.
-- +goose StatementBegin
CREATE FUNCTION thaw.status_before(p_kind text, p_external_id text) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(CASE p_kind
        WHEN 'campaign' THEN (
            SELECT jsonb_build_object('status', c.status, 'reason', c.paused_reason) FROM thaw.campaigns AS c
            WHERE c.external_id = p_external_id LIMIT 1)
        WHEN 'enrollment' THEN (
            SELECT jsonb_build_object('status', e.status, 'reason', e.paused_reason, 'own_reason', e.own_reason) FROM thaw.enrollments AS e
            WHERE e.external_id = p_external_id LIMIT 1) END, '{}');
END;
$$;
-- +goose StatementEnd

-- Parks rows whose change is not applied: what the platform says about them is not known. Thaw
-- resumes nothing through a parked account and nothing in a parked campaign, and a parked prospect
-- is paused. Rows that do not exist yet need nothing.
-- +goose StatementBegin
CREATE FUNCTION thaw.park(p_kind text, p_taken thaw.taken[], p_problem text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    ids bigint[];
BEGIN
    CASE p_kind
    WHEN 'account' THEN
        ids := thaw.lock_taken('thaw.accounts', ARRAY(
            SELECT a.id FROM unnest(p_taken) AS t JOIN thaw.accounts AS a ON a.external_id = t.external_id ORDER BY a.id));
        UPDATE thaw.accounts AS a SET parked_reason = left(coalesce(t.problem, p_problem), 1000)
        FROM unnest(p_taken) AS t WHERE a.id = ANY (ids) AND a.external_id = t.external_id;
    WHEN 'campaign' THEN
        ids := thaw.lock_taken('thaw.campaigns', ARRAY(
            SELECT c.id FROM unnest(p_taken) AS t JOIN thaw.campaigns AS c ON c.external_id = t.external_id ORDER BY c.id));
        UPDATE thaw.campaigns AS c SET status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(c.paused_at, thaw.now())
        WHERE c.id = ANY (ids) AND c.paused_reason IS DISTINCT FROM 'paused_by_user';
    WHEN 'enrollment' THEN
        ids := thaw.lock_taken('thaw.enrollments', ARRAY(
            SELECT e.id FROM unnest(p_taken) AS t JOIN thaw.enrollments AS e ON e.external_id = t.external_id ORDER BY e.id));
        UPDATE thaw.enrollments AS e SET status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(e.paused_at, thaw.now()),
            own_reason = left('parked: ' || coalesce(t.problem, p_problem), 1000)
        FROM unnest(p_taken) AS t
        WHERE e.id = ANY (ids) AND e.external_id = t.external_id;
    ELSE
        NULL;
    END CASE;
END;
$$;
-- +goose StatementEnd

-- What follows a call of apply_*: rows that were set aside are kept, and what was kept of applied
-- rows is done.
-- +goose StatementBegin
CREATE FUNCTION thaw.settle_taken(p_kind text, p_taken thaw.taken[], p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deferred thaw.taken[];
    parked   thaw.taken[];
    done     bigint[];
    failed   integer := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(p_taken) AS t WHERE t.code IS NOT NULL OR t.kept_ids IS NOT NULL) THEN
        RETURN 0;
    END IF;
    deferred := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code = '55P03');
    parked := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code <> '55P03');
    done := ARRAY(SELECT unnest(t.kept_ids) FROM unnest(p_taken) AS t WHERE t.code IS NULL);
    IF done <> '{}' THEN
        DELETE FROM thaw.adopt_errors AS x WHERE x.id = ANY (done);
    END IF;
    IF deferred <> '{}' THEN
        failed := failed + thaw.keep_taken(p_kind, deferred, '55P03', 'another transaction holds the row', true, p_is_backfill);
    END IF;
    IF parked <> '{}' THEN
        failed := failed + thaw.keep_taken(p_kind, parked, 'unknown', 'unknown', false, p_is_backfill);
    END IF;
    RETURN failed;
END;
$$;
-- +goose StatementEnd

-- The changes, with a code at those whose row could not be locked.
-- +goose StatementBegin
CREATE FUNCTION thaw.set_aside(p_taken thaw.taken[], p_locked bigint[]) RETURNS thaw.taken[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM unnest(p_taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL) = cardinality(p_locked) THEN
        RETURN p_taken;
    END IF;
    RETURN ARRAY(
        SELECT CASE WHEN t.row_id IS NULL OR t.code IS NOT NULL OR t.row_id IN (SELECT unnest(p_locked)) THEN t
            ELSE ROW(t.external_id, t.change, t.kept_ids, t.was_parked, t.row_id, t.workspace_id, t.campaign_id, t.account_id, t.is_shadow,
                '55P03', 'another transaction holds the row')::thaw.taken END
        FROM unnest(p_taken) AS t);
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.is_adopted(), thaw.merge_change(jsonb, jsonb), thaw.merged(jsonb[]), thaw.claim_kept(text, text[]),
    thaw.with_kept(text, jsonb, boolean), thaw.lock_taken(regclass, bigint[]),
    thaw.keep_taken(text, thaw.taken[], text, text, boolean, boolean), thaw.status_before(text, text),
    thaw.park(text, thaw.taken[], text), thaw.settle_taken(text, thaw.taken[], boolean),
    thaw.set_aside(thaw.taken[], bigint[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.set_aside(thaw.taken[], bigint[]);
DROP FUNCTION thaw.settle_taken(text, thaw.taken[], boolean);
DROP FUNCTION thaw.park(text, thaw.taken[], text);
DROP FUNCTION thaw.status_before(text, text);
DROP FUNCTION thaw.keep_taken(text, thaw.taken[], text, text, boolean, boolean);
DROP FUNCTION thaw.lock_taken(regclass, bigint[]);
DROP FUNCTION thaw.with_kept(text, jsonb, boolean);
DROP FUNCTION thaw.claim_kept(text, text[]);
DROP FUNCTION thaw.merged(jsonb[]);
DROP FUNCTION thaw.merge_change(jsonb, jsonb);
DROP TYPE thaw.kept_change;
DROP TYPE thaw.taken;
DROP FUNCTION thaw.is_adopted();
DROP TABLE thaw.adopt_errors, thaw.adopt_state;

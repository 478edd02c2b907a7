-- Adoption: the platform has accounts, campaigns and prospects in tables of its own, and the fleet
-- tables of Thaw are a copy of them. Triggers on the platform's tables (thaw adopt generates them)
-- pass the rows of each statement to thaw.take_workspaces, thaw.take_accounts, thaw.take_campaigns
-- and thaw.take_enrollments, in the platform's transaction. 00035_changes.sql is the way back.
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
    CONSTRAINT adopt_state_phase_is_started CHECK ((started_at IS NULL) = (phase = 'off'))
);
COMMENT ON TABLE thaw.adopt_state IS 'One row: whether Thaw copies the platform''s own tables (started_at), and what the last comparison found.';
COMMENT ON COLUMN thaw.adopt_state.mapping IS 'The mapping file as it was applied.';
COMMENT ON COLUMN thaw.adopt_state.progress IS 'How far the backfill is, by table.';
COMMENT ON COLUMN thaw.adopt_state.shadow_by_default IS 'Whether a new workspace of the platform starts in shadow mode.';
COMMENT ON COLUMN thaw.adopt_state.drift_rows IS 'How many rows of the copy differed in the last comparison. Null: there was none.';
COMMENT ON COLUMN thaw.adopt_state.drift_limit_rows IS 'A comparison that finds more rows than this, and more than drift_limit_percent of all, enters safety mode.';
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
        EXECUTE format('SELECT array_agg(free.id) FROM (
            SELECT t.id FROM %s AS t WHERE t.id = ANY ($1) ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED) AS free', p_table)
        INTO more USING missing;
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

-- The changes of one statement. Never raises: if they cannot be applied together, each half is
-- tried on its own, down to the row that fails. Returns how many rows were not applied.
-- +goose StatementBegin
CREATE FUNCTION thaw.take(p_kind text, p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size    integer;
    half    integer;
    code    text;
    problem text;
    is_deferred boolean;
BEGIN
    IF jsonb_typeof(p_rows) IS DISTINCT FROM 'array' THEN
        RETURN thaw.note_adopt_failure(p_kind, '22023', 'the rows are not a JSON array');
    END IF;
    size := jsonb_array_length(p_rows);
    IF size = 0 THEN
        RETURN 0;
    ELSIF size > 10000 THEN
        RETURN thaw.note_adopt_failure(p_kind, '54000', format('%s rows in one call; at most 10000 are taken', size));
    END IF;
    BEGIN
        RETURN CASE p_kind
            WHEN 'workspace' THEN thaw.apply_workspaces(p_rows, p_is_backfill)
            WHEN 'account' THEN thaw.apply_accounts(p_rows, p_is_backfill)
            WHEN 'campaign' THEN thaw.apply_campaigns(p_rows, p_is_backfill)
            ELSE thaw.apply_enrollments(p_rows, p_is_backfill) END;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
    END;
    -- Another transaction or the server is in the way: the rows are not at fault, and half of them
    -- would fail in the same way.
    is_deferred := left(code, 2) IN ('40', '53', '55', '57', '58');
    IF is_deferred OR size = 1 THEN
        IF size = 1 AND coalesce(p_rows -> 0 ->> 'id', '') = '' THEN
            RETURN thaw.note_adopt_failure(p_kind, code, problem);
        END IF;
        RETURN thaw.keep_taken(p_kind, ARRAY(
            SELECT ROW(r.element ->> 'id', r.element, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken
            FROM jsonb_array_elements(p_rows) AS r (element) WHERE r.element ->> 'id' <> ''), code, problem, is_deferred, p_is_backfill);
    END IF;
    half := size / 2;
    RETURN thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[0 to $upper]', jsonb_build_object('upper', half - 1)), p_is_backfill)
        + thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[$lower to last]', jsonb_build_object('lower', half)), p_is_backfill);
EXCEPTION WHEN OTHERS THEN
    -- Not even the failure could be kept. A comparison finds the difference.
    RAISE WARNING 'thaw: % rows of the platform were not copied: %', p_kind, SQLERRM;
    RETURN coalesce(size, 0);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.note_adopt_failure(kind text, sqlstate text, message text) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    INSERT INTO thaw.adopt_errors (kind, change, code, problem)
    VALUES (note_adopt_failure.kind, '{}', coalesce(nullif(note_adopt_failure.sqlstate, ''), 'unknown'),
        left(coalesce(nullif(note_adopt_failure.message, ''), 'no message'), 1000));
    RETURN 1;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'thaw: a statement on the platform''s tables was not copied: %', message;
    RETURN 1;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.note_adopt_failure(text, text, text) IS
    'Called by the triggers of thaw adopt when they could not pass the rows of a statement: kind of the rows, SQLSTATE and message. A comparison (thaw adopt check) is then needed. Never raises. Returns 1.';

-- What follows a call of apply_*: rows that were set aside are kept, and what was kept of applied
-- rows is done.
-- +goose StatementBegin
CREATE FUNCTION thaw.settle_taken(p_kind text, p_taken thaw.taken[], p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deferred thaw.taken[] := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code = '55P03');
    parked   thaw.taken[] := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code <> '55P03');
    done     bigint[] := ARRAY(SELECT unnest(t.kept_ids) FROM unnest(p_taken) AS t WHERE t.code IS NULL);
    failed   integer := 0;
BEGIN
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

-- Workspaces. The key is the platform's ID unless the mapping names a column.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_workspaces(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken  thaw.taken[] := thaw.with_kept('workspace', p_rows, p_is_backfill);
    locked bigint[];
BEGIN
    -- A workspace that Thaw knew before the adoption has no ID of the platform yet.
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked,
            coalesce((SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.external_id),
                (SELECT w.id FROM thaw.workspaces AS w WHERE w.key = coalesce(t.change ->> 'key', t.external_id) AND w.external_id IS NULL)),
            NULL, NULL, NULL, NULL, t.code, t.problem)::thaw.taken
        FROM unnest(taken) AS t);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.workspaces AS w WHERE w.id = t.row_id AND w.external_id IS NULL));
    END IF;
    INSERT INTO thaw.workspaces (external_id, key, name, shadow)
    SELECT t.external_id, coalesce(t.change ->> 'key', t.external_id), coalesce(t.change ->> 'name', ''), s.shadow_by_default
    FROM unnest(taken) AS t CROSS JOIN thaw.adopt_state AS s
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;
    locked := thaw.lock_taken('thaw.workspaces', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    UPDATE thaw.workspaces AS w SET external_id = t.external_id, key = coalesce(t.change ->> 'key', w.key), name = coalesce(t.change ->> 'name', w.name)
    FROM unnest(taken) AS t
    WHERE w.id = t.row_id AND w.id = ANY (locked)
        AND (w.external_id, w.key, w.name) IS DISTINCT FROM (t.external_id, coalesce(t.change ->> 'key', w.key), coalesce(t.change ->> 'name', w.name));
    RETURN thaw.settle_taken('workspace', thaw.set_aside(taken, locked), p_is_backfill);
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

-- Accounts. The status goes through thaw.signal, like every status. An account without an ID at
-- its provider, which a platform may have before the first login, gets a placeholder.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_accounts(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken   thaw.taken[] := thaw.with_kept('account', p_rows, p_is_backfill);
    locked  bigint[];
    one     record;
    outcome text;
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, NULL, failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(a.id) AS id, min(a.workspace_id) AS workspace_id, count(*) AS n FROM thaw.accounts AS a
            WHERE a.external_id = t.external_id AND (NOT t.change ? 'workspace' OR a.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE known.id IS NULL AND a.external_id IS NULL AND a.workspace_id = workspace.id
                AND a.provider = coalesce(t.change ->> 'provider', 'linkedin') AND a.provider_account_id = t.change ->> 'provider_account_id') AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have an account with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ? 'workspace' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                WHEN known.id IS NULL AND linked.id IS NULL AND NOT t.change ? 'provider_account_id' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = t.row_id AND a.external_id IS NULL));
    END IF;

    INSERT INTO thaw.accounts (external_id, workspace_id, provider, provider_account_id, member_id, display_name, timezone)
    SELECT t.external_id, t.workspace_id, coalesce(t.change ->> 'provider', 'linkedin'),
        coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id), nullif(t.change ->> 'member_id', ''),
        coalesce(t.change ->> 'name', ''), coalesce(nullif(t.change ->> 'timezone', ''), 'UTC')
    FROM unnest(taken) AS t
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;

    locked := thaw.lock_taken('thaw.accounts', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    UPDATE thaw.accounts AS a SET external_id = new.external_id, provider = new.provider, provider_account_id = new.provider_account_id,
        member_id = new.member_id, display_name = new.display_name, timezone = new.timezone, parked_reason = new.parked_reason
    FROM (
        SELECT t.row_id, t.external_id, coalesce(t.change ->> 'provider', old.provider) AS provider,
            CASE WHEN t.change ? 'provider_account_id' THEN coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id)
                ELSE old.provider_account_id END AS provider_account_id,
            CASE WHEN t.change ? 'member_id' THEN nullif(t.change ->> 'member_id', '') ELSE old.member_id END AS member_id,
            CASE WHEN t.change ? 'name' THEN coalesce(t.change ->> 'name', '') ELSE old.display_name END AS display_name,
            CASE WHEN t.change ? 'timezone' THEN coalesce(nullif(t.change ->> 'timezone', ''), 'UTC') ELSE old.timezone END AS timezone,
            CASE WHEN NOT t.was_parked THEN old.parked_reason END AS parked_reason
        FROM unnest(taken) AS t JOIN thaw.accounts AS old ON old.id = t.row_id
        WHERE t.code IS NULL) AS new
    WHERE a.id = new.row_id
        AND (a.external_id, a.provider, a.provider_account_id, a.member_id, a.display_name, a.timezone, a.parked_reason)
            IS DISTINCT FROM (new.external_id, new.provider, new.provider_account_id, new.member_id, new.display_name, new.timezone, new.parked_reason);

    FOR one IN
        SELECT a.*, word.status AS new_status
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (t.change ->> 'deleted')::boolean THEN 'removed' ELSE t.change ->> 'status' END::thaw.account_status AS status) AS word
        JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
        WHERE t.code IS NULL AND word.status <> a.status
        ORDER BY a.id
    LOOP
        -- Connecting replaces connected only with a time of its own, in a later second.
        outcome := thaw.signal(one.provider, one.provider_account_id, one.new_status::text,
            CASE WHEN one.new_status = 'connecting' AND one.status = 'connected' THEN greatest(thaw.now(), one.status_at + interval '1 second') END);
        IF outcome <> 'applied' THEN
            PERFORM thaw.queue_changes('account', ARRAY[one.id], one.new_status::text, 'signal');
        END IF;
    END LOOP;
    RETURN thaw.settle_taken('account', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd

-- The ownership rule of campaigns: the row after a change of the platform. verdict is keep if the
-- change is Thaw's to make, so that the row stays as it is and the platform is told.
-- +goose StatementBegin
CREATE FUNCTION thaw.taken_campaign(p_old thaw.campaigns, p_change jsonb, p_is_shadow boolean, p_was_parked boolean, OUT new thaw.campaigns, OUT verdict text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    status thaw.campaign_status := CASE WHEN (p_change ->> 'deleted')::boolean THEN 'completed' ELSE p_change ->> 'status' END;
    reason thaw.pause_reason := p_change ->> 'reason';
    -- Whether the pause is Thaw's.
    is_kept boolean := coalesce(p_old.waits_for_account, false) AND NOT p_is_shadow AND NOT p_was_parked;
BEGIN
    new := p_old;
    new.key := coalesce(p_change ->> 'key', new.key);
    new.name := CASE WHEN p_change ? 'name' THEN coalesce(p_change ->> 'name', '') ELSE new.name END;
    IF status IS NULL AND p_old.status = 'paused' AND p_change ? 'reason' THEN
        status := 'paused';
    END IF;
    IF status IS NULL THEN
        RETURN;
    ELSIF status = 'paused' THEN
        reason := coalesce(reason, 'paused_by_user');
        IF NOT (is_kept AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, (p_change ->> 'paused_at')::timestamptz, thaw.now());
        END IF;
    ELSIF status = 'running' AND is_kept THEN
        verdict := 'keep';
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.apply_campaigns(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken  thaw.taken[] := thaw.with_kept('campaign', p_rows, p_is_backfill);
    locked bigint[];
    kept   bigint[];
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = coalesce(workspace.id, known.workspace_id)), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.external_id AND (NOT t.change ? 'workspace' OR c.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT c.id FROM thaw.campaigns AS c
            WHERE known.id IS NULL AND c.external_id IS NULL AND c.workspace_id = workspace.id AND c.key = coalesce(t.change ->> 'key', t.external_id)) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ?& '{workspace,status}'::text[] THEN ARRAY['unknown_row', 'a campaign that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = t.row_id AND c.external_id IS NULL));
    END IF;

    INSERT INTO thaw.campaigns (external_id, workspace_id, key, name, status, paused_reason, paused_at)
    SELECT t.external_id, t.workspace_id, coalesce((ruled.new).key, t.external_id), coalesce((ruled.new).name, ''), (ruled.new).status,
        (ruled.new).paused_reason, (ruled.new).paused_at
    FROM unnest(taken) AS t
    CROSS JOIN LATERAL thaw.taken_campaign(NULL, t.change, true, false) AS ruled
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;

    locked := thaw.lock_taken('thaw.campaigns', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, t.external_id, c AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.campaigns AS c ON c.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_campaign(c, t.change, t.is_shadow, t.was_parked) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.campaigns AS c SET external_id = ruled.external_id, key = (ruled.new).key, name = (ruled.new).name,
            status = (ruled.new).status, paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at
        FROM ruled
        WHERE c.id = ruled.row_id AND (ruled.new IS DISTINCT FROM ruled.old OR c.external_id IS DISTINCT FROM ruled.external_id)
    )
    SELECT array_agg(ruled.row_id) INTO kept FROM ruled WHERE ruled.verdict = 'keep';
    PERFORM thaw.queue_changes('campaign', kept, 'running', 'person');
    RETURN thaw.settle_taken('campaign', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd

-- Those of the accounts through which a person may resume now. Automatic resumes may be off: this
-- one is not automatic.
-- +goose StatementBegin
CREATE FUNCTION thaw.usable_accounts(p_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.id = ANY (p_ids) AND thaw.blocked_by(a, true) IS NULL);
END;
$$;
-- +goose StatementEnd

-- Since when a prospect is paused that was not: since the platform's time, if there is one. A time
-- tells the pauses of a prospect apart, so that of a pause that has ended is not used again: the
-- platform may keep its first time, and may pause twice in one transaction.
-- +goose StatementBegin
CREATE FUNCTION thaw.new_paused_at(p_enrollment_id bigint, p_theirs timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended timestamptz := (
        SELECT max(v.paused_at) FROM thaw.enrollment_events AS v WHERE v.enrollment_id = p_enrollment_id AND v.kind = 'resumed');
BEGIN
    RETURN CASE WHEN p_theirs > ended OR ended IS NULL AND p_theirs IS NOT NULL THEN p_theirs
        ELSE greatest(thaw.now(), ended + interval '1 microsecond') END;
END;
$$;
-- +goose StatementEnd

-- The ownership rule of prospects: the row after a change of the platform. The row that is passed
-- is null for a new one. p_usable_ids are accounts through which a person may resume
-- (thaw.usable_accounts). A person's resume of a person's pause through such an account, in a
-- running campaign, is applied: nothing is left to wait for, and the platform's sender has its own
-- limits. verdict says what any other resume becomes:
--
--   keep      the prospect waits for its account: it stays paused, and the platform is told
--   requeue   a person, or a restriction, had paused it: it waits for its account again, as after
--             thaw.resume_prospect, and the platform is told
-- +goose StatementBegin
CREATE FUNCTION thaw.taken_enrollment(
    p_old thaw.enrollments, p_taken thaw.taken, p_usable_ids bigint[], OUT new thaw.enrollments, OUT verdict text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change  jsonb := p_taken.change;
    status  thaw.enrollment_status := CASE WHEN (change ->> 'deleted')::boolean THEN 'removed' ELSE change ->> 'status' END;
    reason  thaw.pause_reason := change ->> 'reason';
    own     text := left(nullif(change ->> 'own_reason', ''), 1000);
    -- Whether a resume is Thaw's to decide.
    is_held boolean := coalesce(p_old.status = 'paused', false) AND NOT p_taken.is_shadow AND NOT p_taken.was_parked;
BEGIN
    new := p_old;
    new.external_id := p_taken.external_id;
    new.workspace_id := coalesce(p_old.workspace_id, p_taken.workspace_id);
    new.campaign_id := coalesce(p_taken.campaign_id, p_old.campaign_id);
    IF change ? 'account' THEN
        new.account_id := p_taken.account_id;
    END IF;
    IF change ? 'prospect_url' THEN
        new.prospect_url := change ->> 'prospect_url';
    END IF;

    IF status IS NULL AND p_old.status = 'paused' AND (change ? 'reason' OR change ? 'own_reason') THEN
        -- The same pause with another reason.
        status := 'paused';
        reason := CASE WHEN change ? 'reason' THEN coalesce(reason, 'paused_by_user') ELSE p_old.paused_reason END;
        own := CASE WHEN change ? 'own_reason' THEN own ELSE p_old.own_reason END;
    ELSIF status IS NULL AND reason IS NOT NULL AND NOT thaw.waits_for_account(reason) AND p_old.status IN ('pending', 'active') THEN
        -- The platform has not heard yet that Thaw resumed the prospect. A person pauses it.
        status := 'paused';
    END IF;
    CASE
    WHEN status IS NULL THEN
        NULL;
    WHEN status = 'paused' THEN
        IF thaw.is_of_campaigns(reason) THEN
            own := coalesce(own, reason::text);
            reason := 'paused_by_user';
        END IF;
        reason := coalesce(reason, 'paused_by_user');
        -- Which account reason it is, and since when, is Thaw's to say.
        IF NOT (is_held AND p_old.waits_for_account AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, thaw.new_paused_at(p_old.id, (change ->> 'paused_at')::timestamptz));
            new.own_reason := CASE WHEN reason = 'paused_by_user' THEN own END;
        END IF;
    WHEN status IN ('active', 'pending') AND is_held AND (status = 'active' OR p_old.waits_for_account)
        AND NOT (p_old.paused_reason = 'paused_by_user' AND coalesce(new.account_id = ANY (p_usable_ids), false)
            AND EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = new.campaign_id AND c.status = 'running'))
    THEN
        verdict := CASE WHEN p_old.waits_for_account THEN 'keep' ELSE 'requeue' END;
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
        new.own_reason := NULL;
    END CASE;

    -- The step and the time of the next action of a running prospect are not copied. A change of
    -- status takes them along.
    IF new.status <> 'active' OR p_old.status IS DISTINCT FROM 'active' THEN
        IF change ? 'step' THEN
            new.step := coalesce((change ->> 'step')::integer, 0);
        END IF;
        IF change ? 'next_action_at' THEN
            new.next_action_at := (change ->> 'next_action_at')::timestamptz;
        END IF;
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.apply_enrollments(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken    thaw.taken[] := thaw.with_kept('enrollment', p_rows, p_is_backfill);
    locked   bigint[];
    kept     bigint[];
    requeued bigint[];
    usable   bigint[];
    role     text := 'in the platform''s table, by database role ' || session_user;
    -- Until then, a backfill may bring a row that was deleted after its snapshot. It is copied as
    -- removed, so that the same batch does not bring it again.
    is_complete boolean := (SELECT s.phase = 'running' FROM thaw.adopt_state AS s);
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, row.id, row.workspace_id, campaign.id, account.id,
            (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = row.workspace_id), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.change ->> 'campaign'
                AND (NOT t.change ? 'workspace' OR c.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS campaign
        CROSS JOIN LATERAL (
            SELECT min(e.id) AS id, min(e.workspace_id) AS workspace_id, count(*) AS n FROM thaw.enrollments AS e
            WHERE e.external_id = t.external_id
                AND (NOT t.change ? 'workspace' OR e.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS known
        -- A prospect that Thaw knew before the adoption has no ID of the platform yet.
        LEFT JOIN LATERAL (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE known.id IS NULL AND e.prospect_url = t.change ->> 'prospect_url' AND e.campaign_id = campaign.id AND e.external_id IS NULL
            ORDER BY e.id LIMIT 1) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(known.id, linked.id) AS id, coalesce(known.workspace_id, campaign.workspace_id) AS workspace_id) AS row
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = t.change ->> 'account' AND a.workspace_id = row.workspace_id) AS account ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a prospect with ID %s', known.n, t.external_id)]
                WHEN campaign.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', campaign.n, t.change ->> 'campaign')]
                WHEN row.id IS NULL AND (t.change ->> 'deleted')::boolean AND is_complete
                    THEN NULL -- inserted and deleted again
                WHEN row.id IS NULL AND NOT t.change ?& '{campaign,status,prospect_url}'::text[]
                    THEN ARRAY['unknown_row', 'a prospect that was never inserted changed']
                WHEN t.change ? 'campaign' AND campaign.id IS NULL
                    THEN ARRAY['unknown_parent', format('there is no campaign with ID %s', t.change ->> 'campaign')]
                WHEN known.workspace_id <> campaign.workspace_id
                    THEN ARRAY['unknown_parent', format('campaign %s is in another workspace', t.change ->> 'campaign')]
                WHEN t.change ->> 'account' IS NOT NULL AND account.id IS NULL
                    THEN ARRAY['unknown_parent', format('the workspace has no account with ID %s', t.change ->> 'account')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        -- Known rows are newer than the snapshot that the backfill reads. Only what was kept of
        -- their changes is applied.
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = t.row_id AND e.external_id IS NULL));
    END IF;

    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    INSERT INTO thaw.enrollments (
        external_id, workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, own_reason, next_action_at, prospect_url)
    SELECT t.external_id, t.workspace_id, t.campaign_id, t.account_id, coalesce((ruled.new).step, 0), (ruled.new).status, (ruled.new).paused_reason,
        (ruled.new).paused_at, (ruled.new).own_reason, (ruled.new).next_action_at, (ruled.new).prospect_url
    FROM unnest(taken) AS t
    CROSS JOIN LATERAL thaw.taken_enrollment(NULL, t, NULL) AS ruled
    WHERE t.row_id IS NULL AND t.code IS NULL AND NOT (is_complete AND coalesce((t.change ->> 'deleted')::boolean, false))
    ORDER BY length(t.external_id), t.external_id;

    locked := thaw.lock_taken('thaw.enrollments', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    usable := thaw.usable_accounts(ARRAY(
        SELECT coalesce(t.account_id, e.account_id) FROM unnest(taken) AS t JOIN thaw.enrollments AS e ON e.id = t.row_id
        WHERE t.code IS NULL AND t.change ->> 'status' = 'active' AND e.paused_reason = 'paused_by_user'));
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, e AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.enrollments AS e ON e.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_enrollment(e, t, usable) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.enrollments AS e SET external_id = (ruled.new).external_id, campaign_id = (ruled.new).campaign_id,
            account_id = (ruled.new).account_id, step = (ruled.new).step, status = (ruled.new).status,
            paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at, own_reason = (ruled.new).own_reason,
            next_action_at = (ruled.new).next_action_at, prospect_url = (ruled.new).prospect_url
        FROM ruled
        WHERE e.id = ruled.row_id AND ruled.new IS DISTINCT FROM ruled.old
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        SELECT ruled.row_id, thaw.now(), (ruled.old).account_id, event.to_account_id, (ruled.new).step, event.kind, 'platform',
            event.from_status, CASE event.kind WHEN 'settled' THEN 'paused' ELSE (ruled.new).status END, event.reason, event.paused_at, role
        FROM ruled
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (ruled.new).status = 'active' THEN 'resumed'
                    WHEN (ruled.new).status <> 'paused' THEN 'changed'
                    WHEN thaw.waits_for_account((ruled.new).paused_reason) AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account THEN 'released'
                    ELSE 'paused' END::thaw.event_kind AS kind,
                (ruled.old).account_id AS to_account_id, (ruled.old).status AS from_status,
                CASE WHEN (ruled.new).status = 'paused' AND NOT (thaw.waits_for_account((ruled.new).paused_reason)
                    AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account)
                    THEN (ruled.new).paused_reason ELSE (ruled.old).paused_reason END AS reason,
                coalesce((ruled.old).paused_at, (ruled.new).paused_at) AS paused_at
            WHERE (ruled.old).paused_reason IS DISTINCT FROM (ruled.new).paused_reason
            UNION ALL
            -- As in 00032_settle.sql.
            SELECT 'settled', (ruled.old).account_id, (ruled.old).status, (ruled.old).paused_reason, (ruled.old).paused_at
            WHERE (ruled.old).status = 'paused' AND (ruled.old).step <> (ruled.new).step
            UNION ALL
            SELECT 'moved', (ruled.new).account_id, (ruled.new).status, (ruled.new).paused_reason, (ruled.new).paused_at
            WHERE (ruled.old).account_id <> (ruled.new).account_id) AS event
        ORDER BY ruled.row_id, event.kind = 'settled' DESC, event.kind = 'moved'
    )
    SELECT array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'keep'), array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'requeue')
    INTO kept, requeued
    FROM ruled;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    PERFORM thaw.queue_changes('enrollment', kept, 'active', 'person');
    IF requeued IS NOT NULL THEN
        PERFORM thaw.requeue_taken(requeued);
    END IF;
    RETURN thaw.settle_taken('enrollment', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd

-- A person resumed prospects on the platform: a manual action per workspace, as by
-- thaw.resume_prospect. Its events tell the platform that they wait for their account.
-- +goose StatementBegin
CREATE FUNCTION thaw.requeue_taken(p_enrollment_ids bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_workspace record;
    action_id    bigint;
BEGIN
    FOR of_workspace IN
        SELECT e.workspace_id, array_agg(e.id ORDER BY e.id) AS ids, CASE WHEN count(*) = 1 THEN min(e.prospect_url) END AS prospect_url
        FROM thaw.enrollments AS e WHERE e.id = ANY (p_enrollment_ids) GROUP BY e.workspace_id ORDER BY e.workspace_id
    LOOP
        INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, prospect_url, enrollments)
        VALUES ('resumed', session_user, 'resumed on the platform', of_workspace.workspace_id, of_workspace.prospect_url, 0)
        RETURNING d.id INTO action_id;
        PERFORM thaw.apply_action(action_id, of_workspace.ids);
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- The functions that the triggers call.

-- +goose StatementBegin
CREATE FUNCTION thaw.take_workspaces(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('workspace', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_workspaces(jsonb, boolean) IS
    'Copies changes of the platform''s workspaces: an array of objects with id and the changed ones of key, name. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_accounts(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    failed integer;
BEGIN
    -- A status that the platform has is not told to the platform.
    PERFORM set_config('thaw.taking', 'on', true);
    failed := thaw.take('account', rows, is_backfill);
    PERFORM set_config('thaw.taking', '', true);
    RETURN failed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_accounts(jsonb, boolean) IS
    'Copies changes of the platform''s accounts: an array of objects with id, workspace and the changed ones of provider, provider_account_id, member_id, name, timezone, status (or unknown: a word that is not mapped), deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_campaigns(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('campaign', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_campaigns(jsonb, boolean) IS
    'Copies changes of the platform''s campaigns: an array of objects with id, workspace and the changed ones of key, name, status (or unknown), reason, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_enrollments(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('enrollment', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_enrollments(jsonb, boolean) IS
    'Copies changes of the platform''s prospects: an array of objects with id, campaign and the changed ones of account, prospect_url, status (or unknown), reason, own_reason, step, next_action_at, paused_at, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- Applies changes that were kept, at most p_size of each kind, and returns how many could not be
-- applied again. Every worker process calls it once a second. everything: also those that are not
-- due, for a person who has removed the cause.
-- +goose StatementBegin
CREATE FUNCTION thaw.retry_adoption(size integer DEFAULT 1000, everything boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
DECLARE
    its_kind text;
    due      jsonb;
    failed   integer := 0;
BEGIN
    IF NOT everything AND NOT EXISTS (SELECT FROM thaw.adopt_errors AS x WHERE x.next_at <= thaw.now()) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('thaw.taking', 'on', true);
    PERFORM set_config('thaw.retrying', 'on', true);
    FOREACH its_kind IN ARRAY '{workspace,account,campaign,enrollment}'::text[] LOOP
        SELECT jsonb_agg(DISTINCT jsonb_build_object('id', one.external_id)) INTO due FROM (
            SELECT x.external_id FROM thaw.adopt_errors AS x
            WHERE x.kind = its_kind AND x.external_id IS NOT NULL AND (everything OR x.next_at <= thaw.now())
            ORDER BY x.next_at LIMIT size) AS one;
        IF due IS NOT NULL THEN
            failed := failed + thaw.take(its_kind, due, false);
        END IF;
    END LOOP;
    PERFORM set_config('thaw.taking', '', true);
    PERFORM set_config('thaw.retrying', '', true);
    RETURN failed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.retry_adoption(integer, boolean) IS
    'Applies changes of the platform''s rows that could not be applied before. everything: also those that wait for a person. Returns how many could not be applied again.';

REVOKE ALL ON FUNCTION thaw.is_adopted(), thaw.merge_change(jsonb, jsonb), thaw.merged(jsonb[]), thaw.claim_kept(text, text[]), thaw.with_kept(text, jsonb, boolean),
    thaw.lock_taken(regclass, bigint[]), thaw.keep_taken(text, thaw.taken[], text, text, boolean, boolean), thaw.status_before(text, text),
    thaw.park(text, thaw.taken[], text), thaw.take(text, jsonb, boolean), thaw.note_adopt_failure(text, text, text),
    thaw.settle_taken(text, thaw.taken[], boolean), thaw.set_aside(thaw.taken[], bigint[]), thaw.apply_workspaces(jsonb, boolean),
    thaw.apply_accounts(jsonb, boolean), thaw.taken_campaign(thaw.campaigns, jsonb, boolean, boolean), thaw.apply_campaigns(jsonb, boolean),
    thaw.usable_accounts(bigint[]), thaw.new_paused_at(bigint, timestamptz), thaw.taken_enrollment(thaw.enrollments, thaw.taken, bigint[]), thaw.apply_enrollments(jsonb, boolean), thaw.requeue_taken(bigint[]),
    thaw.take_workspaces(jsonb, boolean), thaw.take_accounts(jsonb, boolean), thaw.take_campaigns(jsonb, boolean),
    thaw.take_enrollments(jsonb, boolean), thaw.retry_adoption(integer, boolean) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.retry_adoption(integer, boolean);
DROP FUNCTION thaw.take_enrollments(jsonb, boolean);
DROP FUNCTION thaw.take_campaigns(jsonb, boolean);
DROP FUNCTION thaw.take_accounts(jsonb, boolean);
DROP FUNCTION thaw.take_workspaces(jsonb, boolean);
DROP FUNCTION thaw.requeue_taken(bigint[]);
DROP FUNCTION thaw.apply_enrollments(jsonb, boolean);
DROP FUNCTION thaw.taken_enrollment(thaw.enrollments, thaw.taken, bigint[]);
DROP FUNCTION thaw.new_paused_at(bigint, timestamptz);
DROP FUNCTION thaw.usable_accounts(bigint[]);
DROP FUNCTION thaw.apply_campaigns(jsonb, boolean);
DROP FUNCTION thaw.taken_campaign(thaw.campaigns, jsonb, boolean, boolean);
DROP FUNCTION thaw.apply_accounts(jsonb, boolean);
DROP FUNCTION thaw.apply_workspaces(jsonb, boolean);
DROP FUNCTION thaw.set_aside(thaw.taken[], bigint[]);
DROP FUNCTION thaw.settle_taken(text, thaw.taken[], boolean);
DROP FUNCTION thaw.note_adopt_failure(text, text, text);
DROP FUNCTION thaw.take(text, jsonb, boolean);
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

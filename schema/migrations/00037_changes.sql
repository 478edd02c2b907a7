-- Adoption, the way back: what Thaw changed in its copy, for the platform's own tables; shadow
-- mode; and what a comparison of both found.
--
-- A consumer of the platform (or thaw adopt run) calls thaw.take_changes in the transaction in
-- which it writes the platform's rows: it removes what it returns, so a change is delivered exactly
-- once. There is no cursor that could pass over a change that commits late.
--
-- The queue is only appended to, never updated: a transition of Thaw never waits for a consumer,
-- which may wait for the platform's rows, which the platform may hold while it waits for Thaw's.

-- +goose Up

CREATE TABLE thaw.changes_queue (
    generation      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('account', 'campaign', 'enrollment')),
    row_id          bigint NOT NULL,
    from_status     text NOT NULL CHECK (from_status <> ''),
    from_account_id bigint,
    cause           text NOT NULL CHECK (cause <> ''),
    at              timestamptz NOT NULL DEFAULT thaw.now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE thaw.changes_queue IS 'Changes of Thaw that the platform has not taken yet (thaw.take_changes). Empty without thaw adopt.';
COMMENT ON COLUMN thaw.changes_queue.generation IS 'Rises with every change of a row: it is drawn while the row is locked.';
COMMENT ON COLUMN thaw.changes_queue.from_account_id IS 'The account that the prospect was moved from. Null: it was not moved.';
CREATE INDEX changes_queue_row_idx ON thaw.changes_queue (kind, row_id, generation);

-- Appends changes of rows of one kind, if they are rows of the platform, in live workspaces.
-- p_from is the status that the platform's rows have. p_at: since when the changes wait.
-- +goose StatementBegin
CREATE FUNCTION thaw.queue_changes(p_kind text, p_ids bigint[], p_from text, p_cause text, p_at timestamptz DEFAULT thaw.now()) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
    IF p_ids IS NULL OR NOT thaw.is_adopted() THEN
        RETURN;
    END IF;
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause, at)
    SELECT p_kind, subject.id, p_from, p_cause, p_at
    FROM (
        SELECT a.id, a.workspace_id FROM thaw.accounts AS a WHERE p_kind = 'account' AND a.id = ANY (p_ids) AND a.external_id IS NOT NULL
        UNION ALL
        SELECT c.id, c.workspace_id FROM thaw.campaigns AS c WHERE p_kind = 'campaign' AND c.id = ANY (p_ids) AND c.external_id IS NOT NULL
        UNION ALL
        SELECT e.id, e.workspace_id FROM thaw.enrollments AS e WHERE p_kind = 'enrollment' AND e.id = ANY (p_ids) AND e.external_id IS NOT NULL) AS subject
    JOIN thaw.workspaces AS w ON w.id = subject.workspace_id AND NOT w.shadow
    ORDER BY subject.id;
END;
$$;
-- +goose StatementEnd

-- The history says what Thaw changed, so the queue is filled from it. Changes with source platform
-- came from the platform.
-- +goose StatementBegin
CREATE FUNCTION thaw.cause_of(p_source thaw.event_source) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_source WHEN 'operator' THEN 'person' WHEN 'scheduler' THEN 'sweep' ELSE p_source::text END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollment_events_queue() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_rows AS n WHERE n.source <> 'platform') OR NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    PERFORM thaw.refuse_in_shadow(ARRAY(
        SELECT DISTINCT e.workspace_id FROM new_rows AS n JOIN thaw.enrollments AS e ON e.id = n.enrollment_id
        WHERE n.source <> 'platform' AND e.external_id IS NOT NULL));
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, from_account_id, cause)
    SELECT 'enrollment', change.id, change.from_status, change.from_account_id, change.cause
    FROM (
        SELECT e.id, (array_agg(n.from_status::text ORDER BY n.id))[1] AS from_status,
            min(n.from_account_id) FILTER (WHERE n.kind = 'moved') AS from_account_id, thaw.cause_of(min(n.source)) AS cause
        FROM new_rows AS n
        JOIN thaw.enrollments AS e ON e.id = n.enrollment_id
        WHERE n.source <> 'platform' AND e.external_id IS NOT NULL
        GROUP BY e.id) AS change
    ORDER BY change.id;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollment_events_queue AFTER INSERT ON thaw.enrollment_events
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.enrollment_events_queue();

-- +goose StatementBegin
CREATE FUNCTION thaw.campaign_events_queue() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
    IF NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    PERFORM thaw.refuse_in_shadow(ARRAY(
        SELECT DISTINCT c.workspace_id FROM new_rows AS n JOIN thaw.campaigns AS c ON c.id = n.campaign_id
        WHERE n.source <> 'platform' AND c.external_id IS NOT NULL));
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause)
    SELECT 'campaign', c.id, n.from_status, thaw.cause_of(n.source)
    FROM new_rows AS n
    JOIN thaw.campaigns AS c ON c.id = n.campaign_id
    WHERE n.source <> 'platform' AND c.external_id IS NOT NULL
    ORDER BY c.id, n.id;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER campaign_events_queue AFTER INSERT ON thaw.campaign_events
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.campaign_events_queue();

-- +goose StatementBegin
CREATE FUNCTION thaw.account_events_queue() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
    IF NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause)
    SELECT 'account', a.id, n.from_status, 'signal'
    FROM new_rows AS n
    JOIN thaw.accounts AS a ON a.id = n.account_id
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id AND NOT w.shadow
    WHERE a.external_id IS NOT NULL
    ORDER BY a.id, n.id;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
-- thaw.take_accounts sets the setting: the platform knows the status that it sent. A role that sets
-- it itself only keeps its own statuses from being returned to it.
CREATE TRIGGER account_events_queue AFTER INSERT ON thaw.account_events
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('thaw.taking', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION thaw.account_events_queue();

-- Takes the changes of at most n rows, those that have waited longest, for the caller's
-- transaction. Two callers never get changes of the same row at the same time: each locks the
-- oldest change of a row, and passes over rows whose oldest change another one has locked.
--
-- The rows are in the order in which the caller must lock the platform's rows: accounts, campaigns,
-- prospects, each by ID (as numbers or UUIDs sort). Several changes of a row are one, with its
-- present state. Parked rows stay in the queue.
-- +goose StatementBegin
CREATE FUNCTION thaw.take_changes(consumer text, n integer DEFAULT 500) RETURNS TABLE (
    kind text, workspace text, account text, campaign text, enrollment text, from_status text, to_status text, reason text,
    next_action_at timestamptz, moved_from text, cause text, generation bigint, at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    kinds text[];
    rows  bigint[];
BEGIN
    IF coalesce(btrim(take_changes.consumer), '') = '' OR length(take_changes.consumer) > 256 THEN
        RAISE EXCEPTION 'the consumer has no name' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name it, with at most 256 characters.';
    ELSIF coalesce(take_changes.n, 0) NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'n is %', coalesce(take_changes.n::text, 'null') USING ERRCODE = 'invalid_parameter_value', HINT = 'Take 1 to 10000 rows per call.';
    END IF;
    SELECT array_agg(first.kind), array_agg(first.row_id) INTO kinds, rows
    FROM (
        SELECT q.kind, q.row_id
        FROM thaw.changes_queue AS q
        WHERE NOT EXISTS (
                SELECT FROM thaw.changes_queue AS older
                WHERE older.kind = q.kind AND older.row_id = q.row_id AND older.generation < q.generation)
            AND (q.kind <> 'enrollment' OR NOT EXISTS (
                SELECT FROM thaw.enrollments AS e
                JOIN thaw.adopt_errors AS x ON x.kind = 'enrollment' AND x.external_id = e.external_id
                WHERE e.id = q.row_id))
        ORDER BY q.generation
        LIMIT take_changes.n
        FOR UPDATE OF q SKIP LOCKED) AS first;
    -- For thaw.confirm_changes: what it puts back has waited since then.
    PERFORM set_config('thaw.taken_since', coalesce((
        SELECT min(q.at)::text FROM thaw.changes_queue AS q JOIN unnest(kinds, rows) AS first (kind, row_id) ON q.kind = first.kind AND q.row_id = first.row_id), ''), true);
    RETURN QUERY
    WITH taken AS MATERIALIZED (
        DELETE FROM thaw.changes_queue AS q
        USING unnest(kinds, rows) AS first (kind, row_id)
        WHERE q.kind = first.kind AND q.row_id = first.row_id
        RETURNING q.*
    ), change AS MATERIALIZED (
        SELECT t.kind, t.row_id, max(t.generation) AS generation, (array_agg(t.from_status ORDER BY t.generation))[1] AS from_status,
            (array_agg(t.from_account_id ORDER BY t.generation) FILTER (WHERE t.from_account_id IS NOT NULL))[1] AS from_account_id,
            (array_agg(t.cause ORDER BY t.generation DESC))[1] AS cause, min(t.at) AS at
        FROM taken AS t GROUP BY t.kind, t.row_id
    ), now AS (
        SELECT 1 AS place, c.*, w.external_id AS workspace, a.external_id AS account, NULL AS campaign, NULL AS enrollment,
            a.status::text AS to_status, NULL AS reason, NULL::timestamptz AS next_action_at, NULL AS moved_from, a.external_id AS id
        FROM change AS c
        JOIN thaw.accounts AS a ON a.id = c.row_id
        JOIN thaw.workspaces AS w ON w.id = a.workspace_id
        WHERE c.kind = 'account'
        UNION ALL
        SELECT 2, c.*, w.external_id, NULL, g.external_id, NULL, g.status::text, g.paused_reason::text, NULL, NULL, g.external_id
        FROM change AS c
        JOIN thaw.campaigns AS g ON g.id = c.row_id
        JOIN thaw.workspaces AS w ON w.id = g.workspace_id
        WHERE c.kind = 'campaign' AND g.status IN ('running', 'paused')
        UNION ALL
        SELECT 3, c.*, w.external_id, a.external_id, g.external_id, e.external_id, e.status::text, e.paused_reason::text, e.next_action_at,
            was.external_id, e.external_id
        FROM change AS c
        JOIN thaw.enrollments AS e ON e.id = c.row_id
        JOIN thaw.campaigns AS g ON g.id = e.campaign_id
        JOIN thaw.workspaces AS w ON w.id = e.workspace_id
        LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
        LEFT JOIN thaw.accounts AS was ON was.id = c.from_account_id AND was.id <> e.account_id
        -- A prospect that has finished since is the platform's. One that seems to be as it was
        -- before is returned: the platform may have changed it in between.
        WHERE c.kind = 'enrollment' AND e.status IN ('pending', 'active', 'paused')
    )
    SELECT now.kind, now.workspace, now.account, now.campaign, now.enrollment, now.from_status, now.to_status, now.reason,
        now.next_action_at, now.moved_from, now.cause, now.generation, now.at
    FROM now
    WHERE now.id IS NOT NULL
    ORDER BY now.place, length(now.id), now.id COLLATE "C";
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_changes(text, integer) IS
    'Returns and removes, in the caller''s transaction, what Thaw changed: the platform''s IDs, the status before and now, the reason of a pause, the time of the next action, the account that a prospect was moved from, the cause (signal, sweep, heal, person, import), a number that rises with every change of a row, and since when the change waits. Call it in READ COMMITTED, lock the platform''s rows in the order of the result, and write. At most n rows, the longest-waiting ones.';

-- What to write into the platform's rows, for a caller that has taken their changes and then locked
-- them. The platform may have changed a row between both, and Thaw may have kept that change
-- because its own row was locked. So the kept changes are applied first. A row for which that fails
-- goes back into the queue and is not returned; nor is a prospect that has finished.
-- +goose StatementBegin
CREATE FUNCTION thaw.confirm_changes(kind text, ids text[])
RETURNS TABLE (id text, status text, reason text, own_reason text, account text, next_action_at timestamptz, paused_at timestamptz) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    kept  text[];
    ready text[] := confirm_changes.ids;
BEGIN
    IF confirm_changes.kind NOT IN ('account', 'campaign', 'enrollment') OR coalesce(cardinality(confirm_changes.ids), 0) > 10000 THEN
        RAISE EXCEPTION 'the changes of % rows of kind "%" cannot be confirmed', coalesce(cardinality(confirm_changes.ids), 0), confirm_changes.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass a kind and at most 10000 IDs that thaw.take_changes returned.';
    END IF;
    kept := ARRAY(
        SELECT DISTINCT x.external_id FROM thaw.adopt_errors AS x
        WHERE x.kind = confirm_changes.kind AND x.external_id = ANY (confirm_changes.ids));
    IF kept <> '{}' THEN
        -- As thaw.retry_adoption does: nothing here is newer than what was kept.
        PERFORM set_config('thaw.taking', 'on', true), set_config('thaw.retrying', 'on', true);
        PERFORM thaw.take(confirm_changes.kind, (SELECT jsonb_agg(jsonb_build_object('id', k.id)) FROM unnest(kept) AS k (id)), false);
        PERFORM set_config('thaw.taking', '', true), set_config('thaw.retrying', '', true);
        kept := ARRAY(
            SELECT DISTINCT x.external_id FROM thaw.adopt_errors AS x
            WHERE x.kind = confirm_changes.kind AND x.external_id = ANY (confirm_changes.ids));
        PERFORM thaw.queue_changes(confirm_changes.kind, ARRAY(
            SELECT a.id FROM thaw.accounts AS a WHERE confirm_changes.kind = 'account' AND a.external_id = ANY (kept)
            UNION ALL
            SELECT c.id FROM thaw.campaigns AS c WHERE confirm_changes.kind = 'campaign' AND c.external_id = ANY (kept)
            UNION ALL
            SELECT e.id FROM thaw.enrollments AS e WHERE confirm_changes.kind = 'enrollment' AND e.external_id = ANY (kept)), 'unknown', 'person',
            coalesce(nullif(current_setting('thaw.taken_since', true), '')::timestamptz, thaw.now()));
        ready := ARRAY(SELECT unnest(ready) EXCEPT SELECT unnest(kept));
    END IF;
    RETURN QUERY
    SELECT now.id, now.status, now.reason, now.own_reason, now.account, now.next_action_at, now.paused_at
    FROM (
        SELECT a.external_id AS id, a.status::text AS status, NULL AS reason, NULL AS own_reason, NULL AS account, NULL::timestamptz AS next_action_at,
            NULL::timestamptz AS paused_at
        FROM thaw.accounts AS a WHERE confirm_changes.kind = 'account' AND a.external_id = ANY (ready)
        UNION ALL
        SELECT c.external_id, c.status::text, c.paused_reason::text, NULL, NULL, NULL, c.paused_at
        FROM thaw.campaigns AS c
        WHERE confirm_changes.kind = 'campaign' AND c.external_id = ANY (ready) AND c.status IN ('running', 'paused')
        UNION ALL
        SELECT e.external_id, e.status::text, e.paused_reason::text, e.own_reason, a.external_id, e.next_action_at, e.paused_at
        FROM thaw.enrollments AS e
        LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
        WHERE confirm_changes.kind = 'enrollment' AND e.external_id = ANY (ready) AND e.status IN ('pending', 'active', 'paused')) AS now
    ORDER BY length(now.id), now.id COLLATE "C";
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.confirm_changes(text, text[]) IS
    'What to write into the platform''s rows: call it after thaw.take_changes and after locking the rows, with their kind (account, campaign, enrollment) and their IDs. Rows that are not returned need nothing now.';

-- Notifies listeners of the channel thaw.changes while changes wait. Not in the transactions that
-- queue them (docs/decisions/0019): every worker process calls this once a second, in a
-- transaction of its own that does not wait for the disk.
-- +goose StatementBegin
CREATE FUNCTION thaw.ring_changes() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.changes_queue) THEN
        RETURN false;
    END IF;
    SET LOCAL synchronous_commit = off;
    PERFORM pg_notify('thaw.changes', '');
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- Shadow mode. In a shadow workspace the copy follows the platform, which owns everything: Thaw
-- pauses, resumes and moves nothing there, and queues nothing. It computes and shows what it would
-- do. The rule of the passes is in thaw.block_reason, that of pauses in thaw.pause_batch. Whatever
-- else would change a prospect or a campaign is refused here.
-- +goose StatementBegin
CREATE FUNCTION thaw.refuse_in_shadow(p_workspace_ids bigint[]) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shadow text := (SELECT min(w.key) FROM thaw.workspaces AS w WHERE w.id = ANY (p_workspace_ids) AND w.shadow);
BEGIN
    IF shadow IS NOT NULL THEN
        RAISE EXCEPTION 'workspace "%" is in shadow mode: Thaw changes nothing in it', shadow
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = format('Make the change on the platform, or take the workspace live first: thaw adopt live --workspace %s', shadow);
    END IF;
END;
$$;
-- +goose StatementEnd

-- Takes workspaces live or back to shadow mode, and records it for each. All of them (null): new
-- workspaces follow. Going live tells the platform the status of every account, because signals
-- that came in shadow mode were not queued.
-- +goose StatementBegin
CREATE FUNCTION thaw.set_shadow(p_workspace_key text, p_shadow boolean, p_reason text, p_actor text) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    the_id    bigint := CASE WHEN p_workspace_key IS NOT NULL THEN thaw.find_workspace(p_workspace_key) END;
    workspace thaw.workspaces;
    changed   integer := 0;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    IF p_workspace_key IS NULL THEN
        UPDATE thaw.adopt_state AS s SET shadow_by_default = p_shadow;
    END IF;
    FOR workspace IN
        SELECT w.* FROM thaw.workspaces AS w
        WHERE w.shadow <> p_shadow AND (w.id = the_id OR the_id IS NULL AND (w.external_id IS NOT NULL OR w.shadow))
        ORDER BY w.id FOR NO KEY UPDATE
    LOOP
        UPDATE thaw.workspaces AS w SET shadow = p_shadow WHERE w.id = workspace.id;
        INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, before)
        VALUES (CASE WHEN p_shadow THEN 'shadow_on' ELSE 'shadow_off' END, p_actor, p_reason, workspace.id, jsonb_build_object('shadow', workspace.shadow));
        IF NOT p_shadow THEN
            PERFORM thaw.queue_changes('account', ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id), 'unknown', 'person');
        END IF;
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.go_live(workspace_key text, reason text, actor text DEFAULT current_user) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN thaw.set_shadow(workspace_key, false, reason, actor);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.go_live(text, text, text) IS
    'Takes a workspace from shadow mode to live, or all (workspace_key null; new workspaces are live then too). Returns how many changed.';

-- +goose StatementBegin
CREATE FUNCTION thaw.go_shadow(workspace_key text, reason text, actor text DEFAULT current_user) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN thaw.set_shadow(workspace_key, true, reason, actor);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.go_shadow(text, text, text) IS
    'Puts a workspace into shadow mode, or all that the platform''s tables have (workspace_key null; new workspaces start in it then too). Thaw then changes nothing in it. Returns how many changed.';

-- The adoption as a whole.

-- Starts it: from now on changes are queued. mapping is what was applied.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_adoption(mapping text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET mapping = start_adoption.mapping, started_at = coalesce(s.started_at, thaw.now()),
        phase = CASE s.phase WHEN 'off' THEN 'installing' ELSE s.phase END;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.start_adoption(text) IS 'Records that Thaw copies the platform''s tables, with this mapping. Called by thaw adopt apply.';

-- +goose StatementBegin
CREATE FUNCTION thaw.set_adopt_phase(phase text, progress jsonb DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET phase = set_adopt_phase.phase, progress = coalesce(set_adopt_phase.progress, s.progress);
END;
$$;
-- +goose StatementEnd

-- Ends it. The rows of the copy stay as they are, with their IDs of the platform, so that the
-- adoption can be started again.
-- +goose StatementBegin
CREATE FUNCTION thaw.stop_adoption() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET started_at = NULL, phase = 'off', mapping = NULL, progress = '{}', shadow_by_default = true,
        checked_at = NULL, rows_checked = NULL, drift_rows = NULL, drift_detail = NULL, column_types = '{}', problems = '{}', check_due_at = NULL,
        consumer = NULL, consumer_error = NULL, consumer_error_at = NULL, consumer_error_ended_at = NULL;
    DELETE FROM thaw.changes_queue;
    DELETE FROM thaw.adopt_errors;
    UPDATE thaw.accounts AS a SET parked_reason = NULL WHERE a.parked_reason IS NOT NULL;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.stop_adoption() IS 'Records that Thaw no longer copies the platform''s tables. Called by thaw adopt remove.';

-- Stores what a comparison found. It began at p_began: failures of whole statements before that are
-- covered by it. Over the limit of drift, the copy cannot be trusted: safety mode is entered, and
-- only an operator exits it. Returns whether the drift is over the limit.
-- +goose StatementBegin
CREATE FUNCTION thaw.note_check(rows_checked bigint, drift_rows bigint, detail text, began timestamptz DEFAULT thaw.now()) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_over boolean;
BEGIN
    UPDATE thaw.adopt_state AS s SET checked_at = thaw.now(), rows_checked = note_check.rows_checked, drift_rows = note_check.drift_rows,
        drift_detail = note_check.detail
    RETURNING note_check.drift_rows > s.drift_limit_rows AND note_check.drift_rows * 100 > note_check.rows_checked * s.drift_limit_percent INTO is_over;
    DELETE FROM thaw.adopt_errors AS x WHERE x.external_id IS NULL AND x.at < began;
    IF is_over THEN
        PERFORM thaw.enter_safety_mode(
            format('drift: %s of %s rows of the platform differ from Thaw''s copy', note_check.drift_rows, note_check.rows_checked), 'monitor', true);
    END IF;
    RETURN is_over;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.note_check(bigint, bigint, text, timestamptz) IS
    'Stores the result of a comparison of the platform''s tables with the copy. Called by thaw adopt check.';

-- How the reason of an account begins that is parked because the platform's tables no longer fit
-- the mapping, and not because of its own row.
-- +goose StatementBegin
CREATE FUNCTION thaw.unfit() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'the platform''s tables no longer fit the mapping: ';
-- +goose StatementEnd

-- The adoption in figures, for readiness, metrics and pages.
CREATE VIEW thaw.adopt_summary AS
SELECT s.started_at IS NOT NULL AS is_adopted, s.phase, s.checked_at, s.drift_rows, s.rows_checked, s.drift_detail,
    s.drift_rows > s.drift_limit_rows AND s.drift_rows * 100 > s.rows_checked * s.drift_limit_percent AS is_over_limit,
    (SELECT count(*) FROM (SELECT FROM thaw.adopt_errors AS x WHERE x.external_id IS NULL LIMIT 100000) AS lost) AS failed_statements,
    (SELECT count(DISTINCT (kept.kind, kept.external_id)) FROM (
        SELECT x.kind, x.external_id FROM thaw.adopt_errors AS x WHERE x.external_id IS NOT NULL AND NOT x.is_deferred LIMIT 100000) AS kept) AS parked,
    (SELECT count(DISTINCT (kept.kind, kept.external_id)) FROM (
        SELECT x.kind, x.external_id FROM thaw.adopt_errors AS x WHERE x.is_deferred LIMIT 100000) AS kept) AS deferred,
    (SELECT count(*) FROM (SELECT FROM thaw.changes_queue LIMIT 100000) AS waiting) AS changes,
    -- A change that a consumer has put back is at the end of the queue and keeps its time.
    (SELECT min(waiting.at) FROM (SELECT q.at FROM thaw.changes_queue AS q ORDER BY q.generation LIMIT 100000) AS waiting) AS oldest_change_at,
    (SELECT count(*) FROM thaw.workspaces AS w WHERE w.shadow) AS shadow_workspaces,
    s.problems, s.check_due_at,
    (SELECT count(*) FROM thaw.accounts AS a WHERE a.parked_reason IS NOT NULL AND starts_with(a.parked_reason, thaw.unfit())) AS held_accounts
FROM thaw.adopt_state AS s;
COMMENT ON VIEW thaw.adopt_summary IS 'One row: the state of the copy of the platform''s tables. parked and deferred count rows whose change could not be applied. Every count but held_accounts stops at 100,000. problems, check_due_at and held_accounts: see thaw.note_adopt_problems.';

REVOKE ALL ON FUNCTION thaw.queue_changes(text, bigint[], text, text, timestamptz), thaw.cause_of(thaw.event_source), thaw.enrollment_events_queue(),
    thaw.campaign_events_queue(), thaw.account_events_queue(), thaw.take_changes(text, integer), thaw.confirm_changes(text, text[]), thaw.ring_changes(),
    thaw.refuse_in_shadow(bigint[]), thaw.set_shadow(text, boolean, text, text), thaw.go_live(text, text, text), thaw.go_shadow(text, text, text),
    thaw.start_adoption(text), thaw.set_adopt_phase(text, jsonb), thaw.stop_adoption(), thaw.unfit(), thaw.note_check(bigint, bigint, text, timestamptz) FROM PUBLIC;

-- +goose Down
DROP VIEW thaw.adopt_summary;
DROP FUNCTION thaw.unfit();
DROP FUNCTION thaw.note_check(bigint, bigint, text, timestamptz);
DROP FUNCTION thaw.stop_adoption();
DROP FUNCTION thaw.set_adopt_phase(text, jsonb);
DROP FUNCTION thaw.start_adoption(text);
DROP FUNCTION thaw.go_shadow(text, text, text);
DROP FUNCTION thaw.go_live(text, text, text);
DROP FUNCTION thaw.set_shadow(text, boolean, text, text);
DROP FUNCTION thaw.refuse_in_shadow(bigint[]);
DROP FUNCTION thaw.ring_changes();
DROP FUNCTION thaw.confirm_changes(text, text[]);
DROP FUNCTION thaw.take_changes(text, integer);
DROP TRIGGER account_events_queue ON thaw.account_events;
DROP FUNCTION thaw.account_events_queue();
DROP TRIGGER campaign_events_queue ON thaw.campaign_events;
DROP FUNCTION thaw.campaign_events_queue();
DROP TRIGGER enrollment_events_queue ON thaw.enrollment_events;
DROP FUNCTION thaw.enrollment_events_queue();
DROP FUNCTION thaw.cause_of(thaw.event_source);
DROP FUNCTION thaw.queue_changes(text, bigint[], text, text, timestamptz);
DROP TABLE thaw.changes_queue;

-- The number of paused enrollments by account, campaign and reason. Ticks, pages and metric scrapes
-- need it for fleets of any size; counting the rows would cost time in proportion to the backlog.
--
-- How the counts stay exact:
--
--   paused_deltas   changes that are not yet in the counts; every statement that pauses or resumes
--                   rows appends some, in its own transaction
--   paused_counts   the folded deltas by account, campaign and reason
--   waiting_totals  the same by account, for enrollments that wait for an account
--
-- Counts and deltas read in one snapshot are exact (view thaw.paused_parts). A statement that
-- changes enrollments never updates a count: writes of the platform and of Thaw would wait for each
-- other on a shared row, and deadlock. Triggers write the deltas, so that no statement can omit
-- them. By default a row trigger appends one delta per changed row, and a statement that pauses or
-- resumes nothing calls no trigger function. With the setting thaw.counts_by_statement = on, a statement
-- trigger appends one delta per account, campaign and reason. The setting only chooses how deltas
-- are written: the counts are exact either way, whichever role sets it. Functions set it around
-- their statement with set_config, because only a superuser may create a function with the clause
-- SET thaw.counts_by_statement.
--
-- Plans and pages use the counts; a pass decides on the rows. A count can be wrong if rows were
-- restored with triggers disabled. thaw.recount finds and corrects it, a slice of the accounts per
-- minute, and so does thaw verify.

-- +goose Up

CREATE TABLE thaw.paused_counts (
    account_id        bigint NOT NULL,
    campaign_id       bigint NOT NULL,
    reason            thaw.pause_reason NOT NULL,
    -- As in enrollments; derived from the reason.
    waits_for_account boolean NOT NULL,
    paused            integer NOT NULL,
    PRIMARY KEY (account_id, campaign_id, reason)
-- Free space for HOT updates of counts.
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.paused_counts IS
    'Paused enrollments by account, campaign and reason, excluding changes still in thaw.paused_deltas. Read thaw.paused_lines instead.';
-- Finds the lines of campaigns that let nothing resume, which are subtracted from the totals of
-- their accounts.
CREATE INDEX paused_counts_campaign_idx ON thaw.paused_counts (campaign_id);

CREATE TABLE thaw.waiting_totals (
    account_id bigint PRIMARY KEY,
    waiting    integer NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.waiting_totals IS
    'Enrollments that wait for an account, by account: sums of thaw.paused_counts, so that a tick reads one row per account.';

-- No foreign keys: they would lock the account and the campaign for the duration of the platform's
-- transaction.
CREATE TABLE thaw.paused_deltas (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id        bigint NOT NULL,
    campaign_id       bigint NOT NULL,
    reason            thaw.pause_reason NOT NULL,
    waits_for_account boolean NOT NULL,
    delta             integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE thaw.paused_deltas IS 'Changes of the number of paused enrollments that are not yet added to thaw.paused_counts.';

-- One row: the progress of folding. Its lock lets only one fold or recount run at a time.
--
-- All deltas up to folded_to are folded and no new ones can appear there, so readers and folds
-- start after it. Otherwise they would walk over more and more folded rows that an old snapshot
-- keeps. Ids are drawn in one order and committed in another. All ids up to mark_id can be skipped
-- once every transaction has ended that had drawn an id when mark_id was read; mark_xmax was the
-- next transaction id at that time. A long transaction that writes no deltas does not count
-- (thaw.deltas_settled).
CREATE TABLE thaw.count_state (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    folded_to    bigint NOT NULL DEFAULT 0,
    mark_id      bigint NOT NULL DEFAULT 0,
    mark_xmax    xid8 NOT NULL DEFAULT '0',
    -- The last recounted account; the next slice starts after it.
    recounted_to bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE thaw.count_state IS 'One row: the progress of folding deltas and of recounting accounts.';
INSERT INTO thaw.count_state DEFAULT VALUES;

-- Counts and deltas together. A line may have several parts; add them up.
CREATE VIEW thaw.paused_parts AS
SELECT c.account_id, c.campaign_id, c.reason, c.waits_for_account, c.paused
FROM thaw.paused_counts AS c
UNION ALL
SELECT d.account_id, d.campaign_id, d.reason, d.waits_for_account, d.delta
FROM thaw.paused_deltas AS d
WHERE d.id > (SELECT s.folded_to FROM thaw.count_state AS s);

CREATE VIEW thaw.paused_lines AS
SELECT p.account_id, p.campaign_id, p.reason, p.waits_for_account, sum(p.paused)::bigint AS paused
FROM thaw.paused_parts AS p
GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account
HAVING sum(p.paused) > 0;
COMMENT ON VIEW thaw.paused_lines IS
    'How many enrollments are paused, by account, campaign and reason. Exact in a snapshot, without reading enrollments.';

-- The same by account, for those that wait for an account.
CREATE VIEW thaw.waiting_parts AS
SELECT t.account_id, t.waiting
FROM thaw.waiting_totals AS t
UNION ALL
SELECT d.account_id, d.delta
FROM thaw.paused_deltas AS d
WHERE d.waits_for_account AND d.id > (SELECT s.folded_to FROM thaw.count_state AS s);

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_count_row() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.paused_reason IS NOT NULL THEN
        INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
        VALUES (OLD.account_id, OLD.campaign_id, OLD.paused_reason, OLD.waits_for_account, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.paused_reason IS NOT NULL THEN
        INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
        VALUES (NEW.account_id, NEW.campaign_id, NEW.paused_reason, NEW.waits_for_account, 1);
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_count_update() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT line.account_id, line.campaign_id, line.paused_reason, line.waits_for_account, sum(line.n)
    FROM (
        SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, -1 AS n FROM old_rows AS o
        WHERE o.paused_reason IS NOT NULL
        UNION ALL
        SELECT n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account, 1 FROM new_rows AS n
        WHERE n.paused_reason IS NOT NULL) AS line
    GROUP BY line.account_id, line.campaign_id, line.paused_reason, line.waits_for_account
    HAVING sum(line.n) <> 0;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_count_insert() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account, count(*)
    FROM new_rows AS n
    WHERE n.paused_reason IS NOT NULL
    GROUP BY n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_count_delete() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, -count(*)
    FROM old_rows AS o
    WHERE o.paused_reason IS NOT NULL
    GROUP BY o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- TRUNCATE locks the table against other writers, so this sees all lines.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_count_truncate() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT l.account_id, l.campaign_id, l.reason, l.waits_for_account, -l.paused FROM thaw.paused_lines AS l;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- Exactly one of each pair below fires. The conditions do not use UPDATE OF: a trigger of the
-- platform may change a column that its statement does not name.
CREATE TRIGGER enrollments_count_update_row AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (
        (OLD.paused_reason IS DISTINCT FROM NEW.paused_reason
            OR NEW.paused_reason IS NOT NULL
                AND (OLD.account_id <> NEW.account_id OR OLD.campaign_id <> NEW.campaign_id))
        AND current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_update_set AFTER UPDATE ON thaw.enrollments
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('thaw.counts_by_statement', true) = 'on')
    EXECUTE FUNCTION thaw.enrollments_count_update();
CREATE TRIGGER enrollments_count_insert_row AFTER INSERT ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.paused_reason IS NOT NULL AND current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_insert_set AFTER INSERT ON thaw.enrollments
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('thaw.counts_by_statement', true) = 'on')
    EXECUTE FUNCTION thaw.enrollments_count_insert();
CREATE TRIGGER enrollments_count_delete_row AFTER DELETE ON thaw.enrollments
    FOR EACH ROW WHEN (OLD.paused_reason IS NOT NULL AND current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_delete_set AFTER DELETE ON thaw.enrollments
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('thaw.counts_by_statement', true) = 'on')
    EXECUTE FUNCTION thaw.enrollments_count_delete();
CREATE TRIGGER enrollments_count_truncate BEFORE TRUNCATE ON thaw.enrollments
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.enrollments_count_truncate();

-- Whether all transactions before p_xmax that may have written deltas have ended. A transaction
-- that has drawn an id, including a prepared one, holds a lock on the table until it ends, and
-- releases it only after its rows are visible. A transaction that holds the lock without a
-- transaction id may have drawn an id at any time. The calling transaction ignores its own lock.
-- +goose StatementBegin
CREATE FUNCTION thaw.deltas_settled(p_xmax xid8) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    -- Transaction ids in pg_locks have 32 bits; the distance to the next one is less than half of
    -- that range.
    next bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
BEGIN
    RETURN NOT EXISTS (
        WITH locks AS MATERIALIZED (SELECT l.* FROM pg_catalog.pg_locks AS l)
        SELECT FROM locks AS writer
        LEFT JOIN locks AS own
            ON own.virtualtransaction = writer.virtualtransaction AND own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
        WHERE writer.locktype = 'relation' AND writer.relation = 'thaw.paused_deltas'::regclass
            AND writer.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
            AND writer.mode = 'RowExclusiveLock' AND writer.granted
            AND writer.pid IS DISTINCT FROM pg_backend_pid()
            AND (own.transactionid IS NULL
                OR next + (own.transactionid::text::bigint - next % 4294967296 + 6442450944) % 4294967296 - 2147483648
                    < p_xmax::text::bigint));
END;
$$;
-- +goose StatementEnd

-- Adds at most p_size deltas to the counts and returns how many. 0: there are none, or another
-- process is folding. Called by the job "watch".
-- +goose StatementBegin
CREATE FUNCTION thaw.fold_counts(p_size integer DEFAULT 20000) RETURNS integer LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    state   thaw.count_state;
    settled bigint := 0;
    last_id bigint;
    emptied bigint[];
    idle    bigint[];
    folded  integer;
BEGIN
    SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- After a restore into another cluster, transaction ids start over; after a logical
    -- replication, sequences may too.
    IF state.mark_xmax > pg_snapshot_xmax(pg_current_snapshot()) THEN
        state.mark_id := 0;
        state.mark_xmax := '0';
    END IF;
    IF state.folded_to > (SELECT ids.last_value FROM thaw.paused_deltas_id_seq AS ids) THEN
        state.folded_to := 0;
        state.mark_id := 0;
    END IF;
    -- Checked before the deltas are read: the statement below sees everything that has ended by
    -- now.
    IF thaw.deltas_settled(state.mark_xmax) THEN
        settled := state.mark_id;
    END IF;

    WITH gone AS (
        DELETE FROM thaw.paused_deltas AS d
        WHERE d.id > state.folded_to AND d.id <= (
            SELECT max(next.id) FROM (
                SELECT n.id FROM thaw.paused_deltas AS n WHERE n.id > state.folded_to ORDER BY n.id LIMIT p_size) AS next)
        RETURNING d.*
    ), lines AS (
        INSERT INTO thaw.paused_counts AS c (account_id, campaign_id, reason, waits_for_account, paused)
        SELECT g.account_id, g.campaign_id, g.reason, g.waits_for_account, sum(g.delta)
        FROM gone AS g
        GROUP BY g.account_id, g.campaign_id, g.reason, g.waits_for_account
        HAVING sum(g.delta) <> 0
        ON CONFLICT (account_id, campaign_id, reason) DO UPDATE SET paused = c.paused + excluded.paused
        RETURNING c.account_id, c.paused
    ), totals AS (
        INSERT INTO thaw.waiting_totals AS t (account_id, waiting)
        SELECT g.account_id, sum(g.delta) FROM gone AS g WHERE g.waits_for_account
        GROUP BY g.account_id
        HAVING sum(g.delta) <> 0
        ON CONFLICT (account_id) DO UPDATE SET waiting = t.waiting + excluded.waiting
        RETURNING t.account_id, t.waiting
    )
    SELECT count(*), max(g.id),
        (SELECT array_agg(DISTINCT l.account_id) FROM lines AS l WHERE l.paused = 0),
        (SELECT array_agg(t.account_id) FROM totals AS t WHERE t.waiting = 0)
    INTO folded, last_id, emptied, idle
    FROM gone AS g;
    DELETE FROM thaw.paused_counts AS c WHERE c.account_id = ANY (emptied) AND c.paused = 0;
    DELETE FROM thaw.waiting_totals AS t WHERE t.account_id = ANY (idle) AND t.waiting = 0;

    -- All deltas up to the settled id are folded, unless this call was limited by p_size.
    IF folded = p_size THEN
        settled := least(settled, last_id);
    END IF;
    IF settled > state.folded_to OR last_id IS NOT NULL OR state.mark_xmax = '0' THEN
        UPDATE thaw.count_state AS s SET
            folded_to = greatest(state.folded_to, settled),
            -- A mark is kept until it is settled; then the state of this call becomes the next
            -- mark.
            mark_id = CASE WHEN settled > 0 OR state.mark_id = 0 THEN coalesce(last_id, 0) ELSE state.mark_id END,
            mark_xmax = CASE WHEN settled > 0 OR state.mark_id = 0
                THEN pg_snapshot_xmax(pg_current_snapshot()) ELSE state.mark_xmax END;
    END IF;
    RETURN folded;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.fold_counts(integer) IS
    'Adds recorded changes to the counts of paused enrollments and returns how many. One process runs it at a time.';

-- Counts the paused enrollments of the next p_accounts accounts, compares them with the counts, and
-- appends the differences as deltas. Comparison and correction are one statement with one snapshot,
-- so concurrent writes do not affect it. A slice ends early after p_rows rows, but an account is
-- always counted completely. p_accounts null: all accounts.
-- +goose StatementBegin
CREATE FUNCTION thaw.recount(
    p_accounts integer DEFAULT NULL, p_rows integer DEFAULT 200000, OUT accounts integer, OUT corrected integer
) LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    state thaw.count_state;
    lo    bigint := -1;
    hi    bigint;
    first bigint;
BEGIN
    accounts := 0;
    corrected := 0;
    IF p_accounts IS NULL THEN
        SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE;
        SELECT count(*) INTO accounts FROM thaw.accounts;
    ELSE
        SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        lo := state.recounted_to;
        SELECT count(*), max(slice.id) INTO accounts, hi FROM (
            SELECT a.id FROM thaw.accounts AS a WHERE a.id > lo ORDER BY a.id LIMIT p_accounts) AS slice;
        IF accounts < p_accounts THEN
            hi := NULL;
        END IF;
        -- The account that exceeds p_rows starts the next slice, unless it is the first of this
        -- one.
        SELECT least(
            (SELECT e.account_id FROM thaw.enrollments AS e
             WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > lo
             ORDER BY e.account_id OFFSET p_rows LIMIT 1),
            (SELECT e.account_id FROM thaw.enrollments AS e
             WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id > lo
             ORDER BY e.account_id OFFSET p_rows LIMIT 1)) - 1 INTO first;
        IF first IS NOT NULL THEN
            hi := least(hi, greatest(first, (SELECT min(a.id) FROM thaw.accounts AS a WHERE a.id > lo)));
        END IF;
    END IF;

    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT account_id, campaign_id, reason, waits_for_account, coalesce(rows.paused, 0) - coalesce(known.paused, 0)
    FROM (
        SELECT e.account_id, e.campaign_id, e.paused_reason AS reason, e.waits_for_account, count(*) AS paused
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > lo AND (hi IS NULL OR e.account_id <= hi)
        GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account
        UNION ALL
        SELECT e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account, count(*)
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id > lo AND (hi IS NULL OR e.account_id <= hi)
        GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account) AS rows
    FULL JOIN (
        SELECT p.account_id, p.campaign_id, p.reason, p.waits_for_account, sum(p.paused) AS paused
        FROM thaw.paused_parts AS p
        WHERE p.account_id > lo AND (hi IS NULL OR p.account_id <= hi)
        GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account) AS known
        USING (account_id, campaign_id, reason, waits_for_account)
    WHERE coalesce(rows.paused, 0) <> coalesce(known.paused, 0);
    GET DIAGNOSTICS corrected = ROW_COUNT;

    -- The totals are sums of the counts. Only a fold writes either, and the lock keeps it from
    -- running now.
    INSERT INTO thaw.waiting_totals AS t (account_id, waiting)
    SELECT c.account_id, sum(c.paused) FROM thaw.paused_counts AS c
    WHERE c.waits_for_account AND c.account_id > lo AND (hi IS NULL OR c.account_id <= hi)
    GROUP BY c.account_id
    ON CONFLICT (account_id) DO UPDATE SET waiting = excluded.waiting WHERE t.waiting <> excluded.waiting;
    DELETE FROM thaw.waiting_totals AS t
    WHERE t.account_id > lo AND (hi IS NULL OR t.account_id <= hi) AND NOT EXISTS (
        SELECT FROM thaw.paused_counts AS c WHERE c.waits_for_account AND c.account_id = t.account_id);

    UPDATE thaw.count_state AS s SET recounted_to = coalesce(hi, 0);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.recount(integer, integer) IS
    'Compares the counts of paused enrollments with the rows and corrects them; without arguments, for all accounts. Returns how many accounts were checked and how many counts were corrected.';

-- How many prospects wait, by the account that they are on (source). Waiting prospects in campaigns
-- that let nothing resume are usually few and are subtracted from the totals: add the parts up.
CREATE VIEW thaw.open_parts AS
SELECT p.account_id, p.waiting FROM thaw.waiting_parts AS p
UNION ALL
SELECT l.account_id, -l.paused
FROM thaw.campaigns AS c
JOIN thaw.paused_parts AS l ON l.campaign_id = c.id
WHERE l.waits_for_account AND NOT thaw.allows_resume(c.status, c.waits_for_account);

-- How many prospects may resume now, by source account and target account. An account that nothing
-- blocks is connected and so its own target. The view resume_targets is therefore written out in
-- two parts: a join with the whole view, and then with the target, would read and hash all accounts
-- twice.
CREATE VIEW thaw.resumable_parts AS
SELECT part.account_id AS source_id, account.id AS account_id, account.workspace_id, part.waiting
FROM thaw.open_parts AS part
JOIN thaw.accounts AS account ON account.id = part.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
CROSS JOIN thaw.safety
WHERE thaw.block_reason(account, safety.since IS NOT NULL, workspace.auto_resume) IS NULL
UNION ALL
SELECT part.account_id, target.id, target.workspace_id, part.waiting
FROM thaw.open_parts AS part
JOIN thaw.sibling_targets AS moved ON moved.source_id = part.account_id
JOIN thaw.accounts AS target ON target.id = moved.target_id
JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
CROSS JOIN thaw.safety
WHERE thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume) IS NULL;

CREATE VIEW thaw.resumable_accounts AS
SELECT p.account_id, p.workspace_id, sum(p.waiting)::bigint AS waiting
FROM thaw.resumable_parts AS p
GROUP BY p.account_id, p.workspace_id
HAVING sum(p.waiting) > 0;
COMMENT ON VIEW thaw.resumable_accounts IS
    'The accounts through which prospects may resume now, and how many. Uses counts, without reading enrollments.';

-- The same line by line for the whole fleet: source account, campaign and target account. Set-based
-- and from counts: the cost depends on the number of lines. SECURITY DEFINER, so that a role that
-- may read the view thaw.backlog needs no rights on the underlying tables and functions.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable_lines()
RETURNS TABLE (workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
BEGIN ATOMIC
    SELECT target.workspace_id, target.id, part.account_id, campaign.id, sum(part.paused)::bigint
    FROM thaw.paused_parts AS part
    JOIN thaw.resume_targets AS resume ON resume.source_id = part.account_id
    JOIN thaw.accounts AS target ON target.id = resume.target_id
    JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
    JOIN thaw.campaigns AS campaign ON campaign.id = part.campaign_id
    CROSS JOIN thaw.safety
    WHERE part.waits_for_account
        AND thaw.allows_resume(campaign.status, campaign.waits_for_account)
        AND thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume) IS NULL
    GROUP BY target.workspace_id, target.id, part.account_id, campaign.id
    HAVING sum(part.paused) > 0;
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resumable_lines() IS
    'How many prospects may resume now, by source account, campaign and target account. Uses counts.';

-- The last tick that allocated something to an account or to a workspace. thaw.allocations has the
-- same information, but needs one index descent per account; these tables are read as a whole. Only
-- the sweep writes them.
CREATE TABLE thaw.account_served (
    account_id bigint PRIMARY KEY,
    tick_at    timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE thaw.workspace_served (
    workspace_id bigint PRIMARY KEY,
    tick_at      timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.account_served IS 'The last tick that allocated something to an account.';
COMMENT ON TABLE thaw.workspace_served IS 'The last tick that allocated something to a workspace.';

-- The newest forecast of a large fleet, which new processes and commands read instead of computing
-- their own. One row: the job "watch" replaces it once a minute, and deletes it while the fleet is
-- small. Package readmodel writes and reads content, and computes a forecast itself if it cannot
-- read it.
CREATE TABLE thaw.forecasts (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    made_at  timestamptz NOT NULL,
    content  bytea NOT NULL
);
COMMENT ON TABLE thaw.forecasts IS 'At most one row: the newest forecast of a large fleet, for processes that have none yet.';
-- The content is already compressed.
ALTER TABLE thaw.forecasts ALTER COLUMN content SET STORAGE EXTERNAL;

-- The candidates of a tick: accounts through which prospects may resume, their remaining quota in
-- the tick, and when they and their workspaces were last served. Shape of plan.Candidate. This
-- function returns all candidates, for a forecast; the sweep uses the two functions below, which
-- return no more than it needs.
-- +goose StatementBegin
CREATE FUNCTION thaw.candidates(p_tick_at timestamptz DEFAULT thaw.tick())
RETURNS TABLE (
    account_id bigint, workspace_id bigint, backlog integer, quota integer,
    account_served_at timestamptz, workspace_served_at timestamptz)
LANGUAGE sql STABLE SET jit = off SET work_mem = '64MB'
BEGIN ATOMIC
    SELECT candidate.account_id, candidate.workspace_id, least(candidate.waiting, 2147483647)::integer,
        coalesce(charged.cap - charged.used, settings.account_cap), account_order.tick_at, workspace_order.tick_at
    FROM thaw.resumable_accounts AS candidate
    CROSS JOIN thaw.settings
    LEFT JOIN thaw.account_quotas AS charged
        ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
    LEFT JOIN thaw.account_served AS account_order ON account_order.account_id = candidate.account_id
    LEFT JOIN thaw.workspace_served AS workspace_order ON workspace_order.workspace_id = candidate.workspace_id;
END;
-- +goose StatementEnd

-- The first step of a plan: how much each workspace can use in the tick, in the order in which
-- workspaces are served. At most p_quota workspaces: if there are more workspaces than enrollments
-- in the quota, the first ones get one each. total_waiting counts all prospects that may resume
-- now. Workspaces whose accounts have used up their caps come last.
--
-- Only prospects of accounts after p_after and up to p_until are considered: a part of the fleet,
-- in case a complete plan would take too long.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_workspaces(
    p_tick_at timestamptz, p_quota integer, p_after bigint DEFAULT -1, p_until bigint DEFAULT 9223372036854775807)
RETURNS TABLE (workspace_id bigint, demand integer, served_at timestamptz, total_waiting bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT wanted.workspace_id, wanted.demand, turn.tick_at, wanted.total_waiting
    FROM (
        SELECT candidate.workspace_id,
            least(sum(least(candidate.waiting, coalesce(charged.cap - charged.used, settings.account_cap))), 2147483647)::integer AS demand,
            (sum(sum(candidate.waiting)) OVER ())::bigint AS total_waiting
        FROM (
            SELECT p.account_id, p.workspace_id, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until
            GROUP BY p.account_id, p.workspace_id
            HAVING sum(p.waiting) > 0) AS candidate
        CROSS JOIN thaw.settings
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        GROUP BY candidate.workspace_id) AS wanted
    LEFT JOIN thaw.workspace_served AS turn ON turn.workspace_id = wanted.workspace_id
    ORDER BY wanted.demand > 0 DESC, turn.tick_at NULLS FIRST, wanted.workspace_id
    LIMIT p_quota;
END;
$$;
-- +goose StatementEnd

-- The second step: the candidates of the workspaces that got a share in the first step, in the
-- order in which they are served. Each workspace has at most as many candidates as its share has
-- enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_accounts(
    p_tick_at timestamptz, p_workspace_ids bigint[], p_shares integer[], p_after bigint DEFAULT -1,
    p_until bigint DEFAULT 9223372036854775807)
RETURNS TABLE (account_id bigint, workspace_id bigint, backlog integer, quota integer, served_at timestamptz)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT placed.account_id, placed.workspace_id, least(placed.waiting, 2147483647)::integer, placed.quota, placed.tick_at
    FROM (
        SELECT candidate.*, share.amount, quota.quota, turn.tick_at,
            row_number() OVER (
                PARTITION BY candidate.workspace_id ORDER BY turn.tick_at NULLS FIRST, candidate.account_id) AS place
        FROM (
            SELECT p.account_id, p.workspace_id, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until AND p.workspace_id = ANY (p_workspace_ids)
            GROUP BY p.account_id, p.workspace_id
            HAVING sum(p.waiting) > 0) AS candidate
        JOIN unnest(p_workspace_ids, p_shares) AS share (workspace_id, amount) ON share.workspace_id = candidate.workspace_id
        CROSS JOIN thaw.settings
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        CROSS JOIN LATERAL (SELECT coalesce(charged.cap - charged.used, settings.account_cap) AS quota) AS quota
        LEFT JOIN thaw.account_served AS turn ON turn.account_id = candidate.account_id
        WHERE quota.quota > 0) AS placed
    WHERE placed.place <= placed.amount;
END;
$$;
-- +goose StatementEnd

-- A part of the accounts with waiting prospects, p_size of them, and another part in each tick, for
-- plans that would otherwise take too long.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_part(p_tick_at timestamptz, p_size integer, OUT after_id bigint, OUT until_id bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts bigint;
    part  bigint;
BEGIN
    SELECT greatest(ceil(greatest(c.reltuples, 1) / p_size), 1) INTO parts FROM pg_class AS c WHERE c.oid = 'thaw.waiting_totals'::regclass;
    SELECT floor(extract(epoch FROM p_tick_at) / extract(epoch FROM s.tick))::bigint % parts INTO part FROM thaw.settings AS s;
    SELECT coalesce(max(t.account_id), 0) * part / parts INTO after_id FROM thaw.waiting_totals AS t;
    SELECT max(next.account_id) INTO until_id FROM (
        SELECT t.account_id FROM thaw.waiting_totals AS t WHERE t.account_id > after_id ORDER BY t.account_id LIMIT p_size) AS next;
    until_id := coalesce(until_id, after_id);
END;
$$;
-- +goose StatementEnd

-- Connected accounts whose active prospects are blocked by a campaign that still waits for an
-- account: the campaign was paused before the account reconnected. A tick starts such campaigns
-- again even if no prospect waits. One account per campaign is enough.
--
-- After an incident most campaigns wait, and none has such an account. A tick therefore checks at
-- most p_size campaigns after p_after, and at most p_accounts accounts for them (but all accounts
-- of the first campaign). The next tick continues after looked_to; 0: all were checked, and the
-- next tick starts over.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocked_campaigns(
    p_after bigint DEFAULT 0, p_size integer DEFAULT 2000, p_accounts integer DEFAULT 20000,
    OUT account_ids bigint[], OUT workspace_ids bigint[], OUT looked_to bigint
) LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    WITH slice AS MATERIALIZED (
        SELECT c.id, c.workspace_id, c.paused_at FROM thaw.campaigns AS c
        WHERE c.waits_for_account AND c.id > p_after ORDER BY c.id LIMIT p_size + 1
    ), sized AS (
        SELECT slice.*,
            row_number() OVER (ORDER BY slice.id) AS place,
            sum(size.connected) OVER (ORDER BY slice.id) AS accounts
        FROM slice
        JOIN (
            SELECT w.workspace_id, count(a.id) AS connected
            FROM (SELECT DISTINCT s.workspace_id FROM slice AS s) AS w
            LEFT JOIN thaw.accounts AS a ON a.workspace_id = w.workspace_id AND a.status = 'connected'
            GROUP BY w.workspace_id) AS size ON size.workspace_id = slice.workspace_id
    ), looked AS MATERIALIZED (
        SELECT * FROM sized WHERE sized.place = 1 OR sized.place <= p_size AND sized.accounts <= p_accounts
    ), blocked AS (
        SELECT DISTINCT found.id, looked.workspace_id
        FROM looked
        CROSS JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.workspace_id = looked.workspace_id AND a.status = 'connected' AND a.connected_at >= looked.paused_at
                -- BETWEEN and ORDER BY match the index. With equality the planner expects to find
                -- one of many rows soon and scans the table or its primary key from the start.
                AND (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'active' AND e.account_id = a.id AND e.campaign_id BETWEEN looked.id AND looked.id
                    ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
                AND thaw.blocked_by(a) IS NULL
            ORDER BY a.id LIMIT 1) AS found
    )
    SELECT
        (SELECT coalesce(array_agg(b.id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT coalesce(array_agg(b.workspace_id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT CASE WHEN count(*) < (SELECT count(*) FROM slice) THEN max(l.id) ELSE 0 END FROM looked AS l)
    INTO account_ids, workspace_ids, looked_to;
END;
$$;
-- +goose StatementEnd

-- Closes earlier ticks that did not finish because a job was cancelled or no process was running.
-- Their time is over, and their remaining prospects are among the candidates of this tick. Runs in
-- its own transaction before planning, because it and the passes of earlier ticks wait for each
-- other. Returns the closed ticks.
-- +goose StatementBegin
CREATE FUNCTION thaw.close_ticks(p_tick_at timestamptz) RETURNS timestamptz[] LANGUAGE plpgsql AS $$
DECLARE
    over timestamptz[];
BEGIN
    WITH stale AS (
        SELECT s.tick_at FROM thaw.sweeps AS s WHERE s.finished_at IS NULL AND s.tick_at < p_tick_at
    ), closed AS (
        UPDATE thaw.allocations AS g SET finished_at = thaw.now(), verdict = 'stale_tick'
        FROM stale
        WHERE g.tick_at = stale.tick_at AND g.finished_at IS NULL
        RETURNING g.tick_at
    ), ended AS (
        UPDATE thaw.sweeps AS s SET
            finished_at = thaw.now(),
            accounts_processed = s.accounts_processed + (SELECT count(*) FROM closed WHERE closed.tick_at = s.tick_at)
        FROM stale
        WHERE s.tick_at = stale.tick_at AND s.finished_at IS NULL
        RETURNING s.tick_at
    )
    SELECT coalesce(array_agg(e.tick_at ORDER BY e.tick_at), '{}') INTO over FROM ended AS e;
    RETURN over;
END;
$$;
-- +goose StatementEnd

-- Requeues pause jobs that were cancelled, or that ran while safety mode suspended grace periods.
-- There may be many after an incident, so one statement inserts them, at most p_size per tick.
-- Returns how many are new.
-- +goose StatementBegin
CREATE FUNCTION thaw.requeue_pauses(p_tick_at timestamptz, p_size integer DEFAULT 20000) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN thaw.enqueue_many('pause_account', 'resume', 3::smallint, ARRAY(
        SELECT jsonb_build_object(
            'account_id', a.id, 'tick_at', to_char(p_tick_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
        FROM thaw.accounts AS a
        WHERE a.pause_after < thaw.now() - interval '1 minute'
        ORDER BY a.pause_after LIMIT p_size));
END;
$$;
-- +goose StatementEnd

-- Stores the plan of a tick and inserts its jobs, all or nothing. False: the tick is over or
-- already has a plan; the primary key of sweeps makes a tick swept once. The caps are those that
-- the plan was made with. A tick with nothing to do is finished at once. The first tick of an hour
-- enqueues the job prune.
-- +goose StatementBegin
CREATE FUNCTION thaw.record_plan(
    p_tick_at timestamptz, p_started_at timestamptz, p_account_cap integer, p_fleet_cap integer, p_account_ids bigint[],
    p_workspace_ids bigint[], p_planned integer[], p_backlog integer, p_is_partial boolean, p_looked_to bigint
) RETURNS boolean LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    tick text := to_char(p_tick_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
BEGIN
    INSERT INTO thaw.sweeps (
        tick_at, account_cap, fleet_cap, accounts_planned, planned, remaining, is_partial, looked_to, started_at, finished_at)
    SELECT p_tick_at, p_account_cap, p_fleet_cap, cardinality(p_account_ids),
        (SELECT coalesce(sum(line.planned), 0) FROM unnest(p_planned) AS line (planned)),
        p_backlog, p_is_partial, p_looked_to, p_started_at,
        CASE WHEN cardinality(p_account_ids) = 0 THEN thaw.now() END
    WHERE thaw.tick() = p_tick_at
    ON CONFLICT (tick_at) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
    SELECT p_tick_at, line.account_id, line.workspace_id, line.planned
    FROM unnest(p_account_ids, p_workspace_ids, p_planned) AS line (account_id, workspace_id, planned);
    INSERT INTO thaw.account_served AS t (account_id, tick_at)
    SELECT line.account_id, p_tick_at
    FROM unnest(p_account_ids, p_planned) AS line (account_id, planned) WHERE line.planned > 0
    ON CONFLICT (account_id) DO UPDATE SET tick_at = excluded.tick_at;
    INSERT INTO thaw.workspace_served AS t (workspace_id, tick_at)
    SELECT DISTINCT line.workspace_id, p_tick_at
    FROM unnest(p_workspace_ids, p_planned) AS line (workspace_id, planned) WHERE line.planned > 0
    ON CONFLICT (workspace_id) DO UPDATE SET tick_at = excluded.tick_at;
    PERFORM thaw.enqueue_many('resume_account', 'tick', 3::smallint, ARRAY(
        SELECT jsonb_build_object('account_id', line.account_id, 'tick_at', tick) FROM unnest(p_account_ids) AS line (account_id)));
    IF NOT EXISTS (
        SELECT FROM thaw.sweeps AS earlier
        WHERE earlier.tick_at >= date_bin('1 hour', p_tick_at, '2000-01-01 00:00:00+00') AND earlier.tick_at < p_tick_at)
    THEN
        PERFORM thaw.enqueue('prune', 'sweep', 4::smallint, jsonb_build_object('tick_at', tick), '0', B'11110101');
    END IF;
    RETURN true;
END;
$$;
-- +goose StatementEnd

CREATE VIEW thaw.backlog AS
SELECT
    workspace.key AS workspace,
    account.provider_account_id AS account,
    account.status,
    paused.total AS paused,
    coalesce(waiting.total, 0) AS resumable,
    paused.by_reason,
    account.id AS account_id,
    waiting.target_id
FROM (
    SELECT r.account_id, sum(r.rows)::bigint AS total, jsonb_object_agg(r.reason, r.rows) AS by_reason
    FROM (
        SELECT p.account_id, p.reason, sum(p.paused)::bigint AS rows
        FROM thaw.paused_parts AS p
        GROUP BY p.account_id, p.reason
        HAVING sum(p.paused) > 0) AS r
    GROUP BY r.account_id) AS paused
JOIN thaw.accounts AS account ON account.id = paused.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
LEFT JOIN (
    SELECT line.source_id, line.target_id, sum(line.waiting)::bigint AS total
    FROM thaw.resumable_lines() AS line
    GROUP BY line.source_id, line.target_id) AS waiting ON waiting.source_id = account.id;
COMMENT ON VIEW thaw.backlog IS
    'One row per account with paused enrollments: how many are paused, how many of those may resume now, and how many are paused for each reason.';

-- Since when the oldest resumable prospect has been resumable. Null: no prospect is. A prospect
-- becomes resumable when the last obstacle that the rows record disappears: the start of its own
-- pause, the connection and the hold of its target account, auto-resume of its workspace, and
-- safety mode.
--
-- Accounts are checked in the order in which they became free, until no later one can have an older
-- prospect; after an incident the first one decides. If pauses are younger than that for more than
-- 100 accounts, all lines are checked, one row each.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable_since() RETURNS timestamptz LANGUAGE plpgsql STABLE SET jit = off SET work_mem = '32MB' AS $$
DECLARE
    candidate record;
    since     timestamptz;
    looked_at integer := 0;
BEGIN
    FOR candidate IN
        SELECT target.id, coalesce(greatest(target.connected_at, target.hold_until, workspace.auto_resume_changed_at, safety.ended_at),
            '-infinity') AS free_since
        FROM thaw.resumable_accounts AS waiting
        JOIN thaw.accounts AS target ON target.id = waiting.account_id
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        CROSS JOIN thaw.safety
        ORDER BY free_since, target.id
    LOOP
        EXIT WHEN candidate.free_since >= since;
        looked_at := looked_at + 1;
        IF looked_at > 100 THEN
            RETURN least(since, (
                SELECT min(greatest(oldest.paused_at, target.connected_at, target.hold_until, workspace.auto_resume_changed_at,
                    safety.ended_at))
                FROM thaw.resumable_lines() AS line
                JOIN thaw.accounts AS target ON target.id = line.target_id
                JOIN thaw.workspaces AS workspace ON workspace.id = line.workspace_id
                CROSS JOIN thaw.safety
                CROSS JOIN LATERAL (
                    SELECT e.paused_at FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                    ORDER BY e.paused_at, e.id LIMIT 1) AS oldest));
        END IF;
        since := least(since, (
            SELECT greatest(min(oldest.paused_at), candidate.free_since)
            FROM thaw.resumable(thaw.sources_of(candidate.id)) AS line (workspace_id, target_id, source_id, campaign_id)
            CROSS JOIN LATERAL (
                SELECT e.paused_at FROM thaw.enrollments AS e
                WHERE e.status = 'paused' AND e.waits_for_account
                    AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                ORDER BY e.paused_at, e.id LIMIT 1) AS oldest
            HAVING count(*) > 0));
    END LOOP;
    RETURN since;
END;
$$;
-- +goose StatementEnd

-- Count what was paused before this migration.
INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
SELECT e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account, count(*)
FROM thaw.enrollments AS e WHERE e.status = 'paused'
GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account;
SELECT thaw.fold_counts(2147483647);

REVOKE ALL ON FUNCTION thaw.enrollments_count_row(), thaw.enrollments_count_update(), thaw.enrollments_count_insert(),
    thaw.enrollments_count_delete(), thaw.enrollments_count_truncate(), thaw.deltas_settled(xid8), thaw.fold_counts(integer),
    thaw.recount(integer, integer),
    thaw.candidates(timestamptz), thaw.plan_workspaces(timestamptz, integer, bigint, bigint),
    thaw.plan_accounts(timestamptz, bigint[], integer[], bigint, bigint), thaw.plan_part(timestamptz, integer),
    thaw.blocked_campaigns(bigint, integer, integer), thaw.close_ticks(timestamptz),
    thaw.requeue_pauses(timestamptz, integer),
    thaw.record_plan(timestamptz, timestamptz, integer, integer, bigint[], bigint[], integer[], integer, boolean, bigint),
    thaw.resumable_since() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.resumable_since();
DROP VIEW thaw.backlog;
DROP FUNCTION thaw.record_plan(timestamptz, timestamptz, integer, integer, bigint[], bigint[], integer[], integer, boolean, bigint);
DROP FUNCTION thaw.requeue_pauses(timestamptz, integer);
DROP FUNCTION thaw.close_ticks(timestamptz);
DROP FUNCTION thaw.blocked_campaigns(bigint, integer, integer);
DROP FUNCTION thaw.plan_part(timestamptz, integer);
DROP FUNCTION thaw.plan_accounts(timestamptz, bigint[], integer[], bigint, bigint);
DROP FUNCTION thaw.plan_workspaces(timestamptz, integer, bigint, bigint);
DROP FUNCTION thaw.candidates(timestamptz);
DROP TABLE thaw.forecasts;
DROP TABLE thaw.workspace_served;
DROP TABLE thaw.account_served;
DROP FUNCTION thaw.resumable_lines();
DROP VIEW thaw.resumable_accounts;
DROP VIEW thaw.resumable_parts;
DROP VIEW thaw.open_parts;
DROP FUNCTION thaw.recount(integer, integer);
DROP FUNCTION thaw.fold_counts(integer);
DROP FUNCTION thaw.deltas_settled(xid8);
DROP TRIGGER enrollments_count_truncate ON thaw.enrollments;
DROP TRIGGER enrollments_count_delete_set ON thaw.enrollments;
DROP TRIGGER enrollments_count_delete_row ON thaw.enrollments;
DROP TRIGGER enrollments_count_insert_set ON thaw.enrollments;
DROP TRIGGER enrollments_count_insert_row ON thaw.enrollments;
DROP TRIGGER enrollments_count_update_set ON thaw.enrollments;
DROP TRIGGER enrollments_count_update_row ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_count_truncate();
DROP FUNCTION thaw.enrollments_count_delete();
DROP FUNCTION thaw.enrollments_count_insert();
DROP FUNCTION thaw.enrollments_count_update();
DROP FUNCTION thaw.enrollments_count_row();
DROP VIEW thaw.waiting_parts;
DROP VIEW thaw.paused_lines;
DROP VIEW thaw.paused_parts;
DROP TABLE thaw.count_state;
DROP TABLE thaw.paused_deltas;
DROP TABLE thaw.waiting_totals;
DROP TABLE thaw.paused_counts;

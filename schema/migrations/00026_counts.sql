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
-- resumes nothing calls no trigger function. With the setting thaw.counts_by_statement = on, a
-- statement trigger appends one delta per account, campaign and reason. The setting only chooses
-- how deltas are written: the counts are exact either way, whichever role sets it. Functions set it
-- around their statement with set_config, because only a superuser may create a function with the
-- clause SET thaw.counts_by_statement.
--
-- The counts are by account. A paused enrollment without an account (account_id null) is not
-- counted: nothing resumes it before an account is assigned, and the assignment counts it.
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

-- The keys of the lines, each once and in the order of the primary key, without adding up anything:
-- a page of a list reads only the lines that it shows. A line may have no row any more.
CREATE VIEW thaw.paused_keys AS
SELECT c.account_id, c.campaign_id, c.reason, c.waits_for_account
FROM thaw.paused_counts AS c
UNION ALL
SELECT fresh.account_id, fresh.campaign_id, fresh.reason, fresh.waits_for_account
FROM (
    SELECT DISTINCT d.account_id, d.campaign_id, d.reason, d.waits_for_account
    FROM thaw.paused_deltas AS d
    WHERE d.id > (SELECT s.folded_to FROM thaw.count_state AS s)
        AND NOT EXISTS (
            SELECT FROM thaw.paused_counts AS c
            WHERE c.account_id = d.account_id AND c.campaign_id = d.campaign_id AND c.reason = d.reason)) AS fresh;

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
    IF TG_OP <> 'INSERT' AND OLD.paused_reason IS NOT NULL AND OLD.account_id IS NOT NULL THEN
        INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
        VALUES (OLD.account_id, OLD.campaign_id, OLD.paused_reason, OLD.waits_for_account, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.paused_reason IS NOT NULL AND NEW.account_id IS NOT NULL THEN
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
        WHERE o.paused_reason IS NOT NULL AND o.account_id IS NOT NULL
        UNION ALL
        SELECT n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account, 1 FROM new_rows AS n
        WHERE n.paused_reason IS NOT NULL AND n.account_id IS NOT NULL) AS line
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
    WHERE n.paused_reason IS NOT NULL AND n.account_id IS NOT NULL
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
    WHERE o.paused_reason IS NOT NULL AND o.account_id IS NOT NULL
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
                AND (OLD.account_id IS DISTINCT FROM NEW.account_id OR OLD.campaign_id <> NEW.campaign_id))
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

-- Count what was paused before this migration.
INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
SELECT e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account, count(*)
FROM thaw.enrollments AS e WHERE e.status = 'paused' AND e.account_id IS NOT NULL
GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account;
SELECT thaw.fold_counts(2147483647);

REVOKE ALL ON FUNCTION thaw.enrollments_count_row(), thaw.enrollments_count_update(), thaw.enrollments_count_insert(),
    thaw.enrollments_count_delete(), thaw.enrollments_count_truncate(), thaw.deltas_settled(xid8), thaw.fold_counts(integer),
    thaw.recount(integer, integer) FROM PUBLIC;

-- +goose Down
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
DROP VIEW thaw.paused_keys;
DROP VIEW thaw.paused_lines;
DROP VIEW thaw.paused_parts;
DROP TABLE thaw.count_state;
DROP TABLE thaw.paused_deltas;
DROP TABLE thaw.waiting_totals;
DROP TABLE thaw.paused_counts;

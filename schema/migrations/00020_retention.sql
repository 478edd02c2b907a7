-- Retention: rows older than settings.keep_history or keep_signals are removed in short
-- transactions, except those that are still needed. The job "prune" calls thaw.prune_batch until it
-- returns done.
--
-- A table is walked in primary key order from its oldest row, and the walk stops at the first row
-- that is too recent: the cost of a batch depends on the rows that it reads and not on the size of
-- the table. thaw.retention stores the position of each walk, so that batches do not reread rows
-- that are kept beyond their age. Every 30 days a walk starts over to remove those that are no
-- longer needed.
--
-- Locks: only on the removed rows; locked rows are left to the next walk. No account, campaign or
-- enrollment is locked: passes and batches never wait for each other.

-- +goose Up

CREATE TABLE thaw.retention (
    part       text PRIMARY KEY,
    turn       integer NOT NULL,
    kept_since timestamptz NOT NULL DEFAULT '-infinity',
    passed_id  bigint NOT NULL DEFAULT 0,
    -- Where the walk continues: after this id or, for tables by tick, from this tick.
    walk_id    bigint NOT NULL DEFAULT 0,
    walk_tick  timestamptz NOT NULL DEFAULT '-infinity',
    walk_began timestamptz NOT NULL DEFAULT thaw.now()
);
COMMENT ON TABLE thaw.retention IS 'The progress of retention: one row per table; turn is the processing order.';
COMMENT ON COLUMN thaw.retention.kept_since IS 'All rows younger than this are present. -infinity: nothing was removed yet.';
COMMENT ON COLUMN thaw.retention.passed_id IS
    'The greatest id that a walk has passed. Retention has not removed any row with a greater id.';

-- Allocations reference sweeps, so they are removed first.
INSERT INTO thaw.retention (part, turn)
VALUES ('account_signals', 1), ('allocations', 2), ('sweeps', 3), ('account_quotas', 4), ('fleet_quotas', 5), ('heals', 6),
    ('enrollment_events', 7), ('campaign_events', 8), ('account_events', 9),
    ('backlog_samples', 10);

CREATE VIEW thaw.kept AS
SELECT coalesce(max(r.kept_since) FILTER (WHERE r.part NOT IN ('account_signals', 'outbox')), '-infinity') AS history_since,
    coalesce(max(r.passed_id) FILTER (WHERE r.part = 'account_signals'), 0) AS signals_after
FROM thaw.retention AS r;
COMMENT ON VIEW thaw.kept IS
    'What is complete: history and records since history_since, and signals with an id after signals_after. Of anything earlier, only what is still needed was kept.';

-- How far a walk by id gets: the last of the next p_size rows before the first one that is too
-- young. Null: no row is old enough.
-- +goose StatementBegin
CREATE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamptz, p_size integer)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
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

-- Removes the rows between two ids of a walk, except those that are still needed, and returns how
-- many. Scalar subqueries check row by row, so that the planner does not join with all enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_ids(p_part text, p_after bigint, p_to bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    removed integer;
BEGIN
    CASE p_part
        -- Keeps the events of a pause that has not ended: they explain why the prospect is paused.
        WHEN 'enrollment_events' THEN
            DELETE FROM thaw.enrollment_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT e.paused_at = event.paused_at FROM thaw.enrollments AS e
                     WHERE e.id = event.enrollment_id AND e.status = 'paused') IS NOT TRUE;
        WHEN 'campaign_events' THEN
            DELETE FROM thaw.campaign_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT c.paused_at <= event.at FROM thaw.campaigns AS c
                     WHERE c.id = event.campaign_id AND c.status = 'paused') IS NOT TRUE;
        -- Keeps the newest event of an account: since when it has its status.
        WHEN 'account_events' THEN
            DELETE FROM thaw.account_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND EXISTS (
                    SELECT FROM thaw.account_events AS newer
                    WHERE newer.account_id = event.account_id AND newer.id > event.id);
        -- Keeps the newest applied signal of an account, and a signal whose job is not done.
        -- Signals of unknown accounts are not kept beyond their age: an account that appears later
        -- starts without them.
        WHEN 'account_signals' THEN
            DELETE FROM thaw.account_signals AS s
            WHERE s.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.account_signals AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND CASE old.outcome
                        WHEN 'applied' THEN
                            EXISTS (
                                SELECT FROM thaw.account_signals AS newer
                                WHERE newer.provider = old.provider
                                    AND newer.provider_account_id = old.provider_account_id
                                    AND newer.outcome = 'applied' AND newer.id > old.id)
                            AND (old.finished_at IS NOT NULL OR NOT thaw.is_enqueued(
                                CASE WHEN old.status = 'connected' OR old.kind = 'unlock' THEN 'resume_account' ELSE 'pause_account' END,
                                jsonb_build_object('account_id', old.account_id, 'signal_id', old.id)))
                        ELSE true
                    END
                FOR UPDATE OF old SKIP LOCKED));
        -- Keeps messages that are still open or not yet delivered.
        WHEN 'outbox' THEN
            DELETE FROM thaw.outbox AS message
            WHERE message.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.outbox AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND NOT old.is_open
                    AND NOT EXISTS (
                        SELECT FROM thaw.webhook_deliveries AS d
                        WHERE d.outbox_id = old.id AND d.state = 'waiting' AND thaw.is_enqueued(
                            'deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', old.message_id)))
                FOR UPDATE OF old SKIP LOCKED));
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END;
$$;
-- +goose StatementEnd

-- Removes allocations, sweeps and quotas, from the oldest tick on. Open ones are kept: the next
-- sweep closes them.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_ticks(
    p_part text, p_from timestamptz, p_before timestamptz, p_size integer, OUT reached timestamptz, OUT removed integer
) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('
        WITH gone AS (
            DELETE FROM thaw.%1$I AS line
            WHERE line.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.%1$I AS old
                WHERE old.tick_at >= $1 AND old.tick_at < $2 AND %2$s
                ORDER BY old.tick_at LIMIT $3
                FOR UPDATE OF old SKIP LOCKED))
            RETURNING line.tick_at
        )
        SELECT max(gone.tick_at), count(*) FROM gone',
        p_part,
        CASE p_part
            WHEN 'allocations' THEN
                '(SELECT s.finished_at IS NOT NULL FROM thaw.sweeps AS s WHERE s.tick_at = old.tick_at)'
            WHEN 'sweeps' THEN
                'old.finished_at IS NOT NULL
                AND (SELECT g.tick_at FROM thaw.allocations AS g WHERE g.tick_at = old.tick_at LIMIT 1) IS NULL'
            ELSE 'true'
        END)
    INTO reached, removed
    USING p_from, p_before, p_size;
END;
$$;
-- +goose StatementEnd

-- Removes finished heals, after their lists. done: the lists were empty. Running heals are kept.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_heals(
    p_after bigint, p_to bigint, p_before timestamptz, p_size integer, OUT done boolean, OUT removed integer
) LANGUAGE plpgsql AS $$
DECLARE
    old bigint[] := ARRAY(
        SELECT h.id FROM thaw.heals AS h WHERE h.id > p_after AND h.id <= p_to AND h.finished_at < p_before);
BEGIN
    DELETE FROM thaw.heal_enrollments AS listed
    WHERE listed.ctid = ANY (ARRAY(
        SELECT line.ctid FROM thaw.heal_enrollments AS line WHERE line.heal_id = ANY (old) LIMIT p_size));
    GET DIAGNOSTICS removed = ROW_COUNT;
    done := removed = 0;
    IF done THEN
        DELETE FROM thaw.heals AS h WHERE h.id = ANY (old);
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
END;
$$;
-- +goose StatementEnd

-- One short transaction of the job prune: processes at most p_size old rows of one table. Verdicts:
-- more (call again), busy (another process is pruning), done.
-- +goose StatementBegin
CREATE FUNCTION thaw.prune_batch(p_size integer, OUT verdict text, OUT removed integer)
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    settings thaw.settings;
    walk     thaw.retention;
    before   timestamptz;
    to_id    bigint;
    to_tick  timestamptz;
    done     boolean;
BEGIN
    removed := 0;
    -- A row lock and not an advisory lock: any role with CONNECT could hold an advisory lock and
    -- keep the tables growing.
    PERFORM FROM thaw.retention AS r
    WHERE r.turn = (SELECT min(first.turn) FROM thaw.retention AS first)
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        verdict := 'busy';
        RETURN;
    END IF;
    SELECT s.* INTO settings FROM thaw.settings AS s;

    verdict := 'more';
    FOR walk IN SELECT r.* FROM thaw.retention AS r ORDER BY r.turn LOOP
        before := thaw.now() - CASE
            WHEN walk.part IN ('account_signals', 'outbox') THEN settings.keep_signals ELSE settings.keep_history END;
        to_id := NULL;
        to_tick := NULL;
        IF walk.part IN ('allocations', 'sweeps', 'account_quotas', 'fleet_quotas', 'backlog_samples') THEN
            SELECT step.reached, step.removed INTO to_tick, removed
            FROM thaw.prune_ticks(walk.part, walk.walk_tick, before, p_size) AS step;
        ELSE
            to_id := thaw.advance_walk(walk, before, p_size);
            IF walk.part = 'heals' THEN
                SELECT step.done, step.removed INTO done, removed
                FROM thaw.prune_heals(walk.walk_id, to_id, before, p_size) AS step;
            ELSE
                done := true;
                removed := thaw.prune_ids(walk.part, walk.walk_id, to_id);
            END IF;
        END IF;

        IF to_id IS NOT NULL OR to_tick IS NOT NULL THEN
            UPDATE thaw.retention AS r SET
                kept_since = greatest(r.kept_since, before),
                passed_id = greatest(r.passed_id, to_id),
                walk_id = CASE WHEN done THEN coalesce(to_id, r.walk_id) ELSE r.walk_id END,
                walk_tick = coalesce(to_tick, r.walk_tick)
            WHERE r.part = walk.part;
            -- A batch that is lost in a server crash runs again.
            SET LOCAL synchronous_commit = off;
            RETURN;
        ELSIF walk.walk_began < thaw.now() - interval '30 days' THEN
            UPDATE thaw.retention AS r SET walk_id = 0, walk_tick = '-infinity', walk_began = thaw.now()
            WHERE r.part = walk.part;
        END IF;
    END LOOP;
    verdict := 'done';
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.prune_batch(integer) IS
    'Removes rows that are older than settings.keep_history or keep_signals and no longer needed, p_size at a time. Called by the job prune.';

REVOKE ALL ON FUNCTION thaw.advance_walk(thaw.retention, timestamptz, integer), thaw.prune_ids(text, bigint, bigint),
    thaw.prune_ticks(text, timestamptz, timestamptz, integer), thaw.prune_heals(bigint, bigint, timestamptz, integer),
    thaw.prune_batch(integer) FROM PUBLIC;

-- What keeps Postgres from removing dead rows of this database: sessions with an open snapshot or
-- transaction, prepared transactions, and replication slots. The queue inserts and deletes rows all
-- day: behind a snapshot that is minutes old, every fetch walks over all rows that died since. For
-- sessions of other roles, a role without pg_read_all_stats sees the snapshot and its age in
-- transactions, but not its start: since and age are null.
-- +goose StatementBegin
CREATE FUNCTION thaw.snapshots()
RETURNS TABLE (
    holder text, name text, role text, application text, state text, since timestamptz, age interval, transactions integer)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'session', s.pid::text, s.usename::text, s.application_name, s.state,
        s.xact_start, pg_catalog.now() - s.xact_start,
        greatest(pg_catalog.age(s.backend_xmin), pg_catalog.age(s.backend_xid))
    FROM pg_catalog.pg_stat_activity AS s
    WHERE (s.backend_xmin IS NOT NULL OR s.backend_xid IS NOT NULL)
        -- The snapshot of a standby holds for all databases. Vacuum ignores snapshots of vacuum.
        AND (s.datname = pg_catalog.current_database() OR s.backend_type = 'walsender')
        AND s.backend_type IS DISTINCT FROM 'autovacuum worker'
        AND s.pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT 'prepared transaction', p.gid, p.owner::text, '', 'prepared', p.prepared, pg_catalog.now() - p.prepared,
        pg_catalog.age(p.transaction)
    FROM pg_catalog.pg_prepared_xacts AS p
    WHERE p.database = pg_catalog.current_database()
    UNION ALL
    SELECT 'replication slot', r.slot_name::text, '', '', CASE WHEN r.active THEN 'active' ELSE 'inactive' END, NULL, NULL,
        pg_catalog.age(r.xmin)
    FROM pg_catalog.pg_replication_slots AS r
    WHERE r.xmin IS NOT NULL;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.snapshots() IS
    'What keeps Postgres from removing dead rows of this database: sessions, prepared transactions and replication slots with a snapshot.';
REVOKE ALL ON FUNCTION thaw.snapshots() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.snapshots();
DROP FUNCTION thaw.prune_batch(integer);
DROP FUNCTION thaw.prune_heals(bigint, bigint, timestamptz, integer);
DROP FUNCTION thaw.prune_ticks(text, timestamptz, timestamptz, integer);
DROP FUNCTION thaw.prune_ids(text, bigint, bigint);
DROP FUNCTION thaw.advance_walk(thaw.retention, timestamptz, integer);
DROP VIEW thaw.kept;
DROP TABLE thaw.retention;

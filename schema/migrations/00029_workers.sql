-- The running worker processes, so that the jobs of a dead process are requeued at once
-- (thaw.requeue_lost_jobs).
--
-- A worker process holds an advisory lock in the session in which it listens, and writes the key
-- here. Postgres releases the lock the moment the process dies. The key is random, and only a lock
-- of the recorded session counts, because pg_locks shows all keys to all roles, and any role may
-- take any advisory lock.

-- +goose Up
CREATE TABLE thaw.workers (
    client_id     text        NOT NULL PRIMARY KEY CHECK (client_id <> '' AND length(client_id) <= 100),
    lock_key      bigint      NOT NULL,
    pid           integer     NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    lost_at       timestamptz
);
COMMENT ON TABLE thaw.workers IS 'Worker processes that are running, or died less than two minutes ago.';
COMMENT ON COLUMN thaw.workers.client_id IS 'The client id of the process in River: the last entry of river_job.attempted_by while it runs a job.';
COMMENT ON COLUMN thaw.workers.lock_key IS 'The advisory lock that the process holds.';
COMMENT ON COLUMN thaw.workers.pid IS 'The Postgres server process of the session that holds the lock.';
COMMENT ON COLUMN thaw.workers.registered_at IS 'When the process took the lock.';
COMMENT ON COLUMN thaw.workers.lost_at IS 'When the lock was first found missing. Null: the process is running.';

-- The processes whose lock is gone. One scan of pg_locks for any number of processes.
-- +goose StatementBegin
CREATE FUNCTION thaw.lost_workers() RETURNS SETOF text LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT w.client_id FROM thaw.workers AS w
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.granted AND l.pid = w.pid AND l.objsubid = 1
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
            AND l.classid::bigint = ((w.lock_key >> 32) & 4294967295) AND l.objid::bigint = (w.lock_key & 4294967295));
END;
-- +goose StatementEnd

-- Registers the calling process for the duration of its session. The lock is taken first: a row
-- without a lock means a dead process.
-- +goose StatementBegin
CREATE FUNCTION thaw.register_worker(p_client_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key bigint := ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;
BEGIN
    PERFORM pg_advisory_lock(key);
    INSERT INTO thaw.workers AS w (client_id, lock_key, pid) VALUES (p_client_id, key, pg_backend_pid())
    ON CONFLICT (client_id) DO UPDATE
        SET lock_key = excluded.lock_key, pid = excluded.pid, registered_at = excluded.registered_at, lost_at = NULL;
END;
$$;
-- +goose StatementEnd

-- How many worker processes are alive. A process behind a pooler in transaction mode holds no lock;
-- if there are only such processes, the leader counts as one.
-- +goose StatementBegin
CREATE FUNCTION thaw.workers_alive() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN greatest(
        (SELECT count(*) FROM thaw.workers) - (SELECT count(*) FROM thaw.lost_workers()),
        thaw.has_leader()::integer);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.workers_alive() IS
    'How many worker processes are alive. 0: prospects are neither paused nor resumed. Processes with --poll-only are counted as one at most.';

REVOKE ALL ON FUNCTION thaw.lost_workers(), thaw.register_worker(text), thaw.workers_alive() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.workers_alive();
DROP FUNCTION thaw.register_worker(text);
DROP FUNCTION thaw.lost_workers();
DROP TABLE thaw.workers;

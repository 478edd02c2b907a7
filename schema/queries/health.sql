-- name: SweepAge :one
-- Whether the newest swept tick is at most two ticks old.
SELECT coalesce(max(s.tick_at) >= thaw.tick() - 2 * (SELECT settings.tick FROM thaw.settings), false)::boolean AS fresh,
    coalesce(max(s.tick_at), 'epoch')::timestamptz AS tick_at
FROM thaw.sweeps AS s;

-- name: WorkersAlive :one
SELECT thaw.workers_alive()::integer AS workers;

-- name: DatabaseState :one
-- Whether the server is read-only, and how many commits of this role have been waiting for a
-- synchronous standby for at least two seconds: their data is durable locally but not acknowledged.
SELECT (pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean)::boolean AS is_read_only,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
     WHERE a.datname = current_database() AND a.wait_event = 'SyncRep' AND a.state_change < now() - interval '2 seconds')::integer AS waiting_commits;

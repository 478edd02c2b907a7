-- name: PauseBatch :one
-- One short transaction of a pause_account job.
SELECT batch.verdict::text AS verdict, batch.paused::integer AS paused, batch.campaigns_paused::integer AS campaigns_paused
FROM thaw.pause_batch(
    sqlc.arg(account_id)::bigint, sqlc.arg(size)::integer, sqlc.narg(signal_id)::bigint, sqlc.narg(tick_at)::timestamptz,
    sqlc.arg(job_id)::bigint) AS batch;

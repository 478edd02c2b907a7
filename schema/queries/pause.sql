-- name: PauseBatch :one
-- One short transaction of a pause_account job, the end of the job included if this was the last one.
SELECT batch.verdict::text AS verdict, batch.paused::integer AS paused, batch.campaigns_paused::integer AS campaigns_paused,
    coalesce(CASE WHEN batch.verdict NOT IN ('more', 'busy') THEN thaw.complete_job(sqlc.arg(job_id)::bigint) END, false)::boolean
        AS completed
FROM thaw.pause_batch(
    sqlc.arg(account_id)::bigint, sqlc.arg(size)::integer, sqlc.narg(signal_id)::bigint, sqlc.narg(tick_at)::timestamptz,
    sqlc.arg(job_id)::bigint) AS batch;

-- name: PauseBatch :one
-- One short transaction of a job pause_account. The last one also completes the job.
SELECT batch.verdict::text AS verdict, batch.paused::integer AS paused, batch.campaigns_paused::integer AS campaigns_paused,
    coalesce(CASE WHEN batch.verdict NOT IN ('more', 'busy') THEN thaw.complete_job(sqlc.arg(job_id)::bigint) END, false)::boolean
        AS completed
FROM thaw.pause_batch(
    sqlc.arg(account_id)::bigint, sqlc.arg(size)::integer, sqlc.narg(signal_id)::bigint, sqlc.narg(tick_at)::timestamptz,
    sqlc.arg(job_id)::bigint) AS batch;

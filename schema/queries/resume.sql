-- Each of these statements is a whole transaction: it runs the pass and completes its job.

-- name: ResumeForSweep :one
-- The pass of one account in one tick, as planned by the sweep. If the tick is over, the job is not
-- completed: its worker cancels it.
SELECT pass.verdict::text AS verdict, pass.resumed::integer AS resumed, pass.moved::integer AS moved,
    pass.campaigns_resumed::integer AS campaigns_resumed, pass.tick_finished::boolean AS tick_finished,
    coalesce(CASE WHEN pass.verdict <> 'stale_tick' THEN thaw.complete_job(sqlc.arg(job_id)::bigint) END, false)::boolean
        AS completed
FROM thaw.resume_pass('sweep', sqlc.arg(account_id)::bigint, sqlc.arg(job_id)::bigint,
    p_tick_at => sqlc.arg(tick_at)::timestamptz) AS pass;

-- name: ResumeForSignal :one
-- The pass for a connect signal.
SELECT pass.verdict::text AS verdict, pass.resumed::integer AS resumed, pass.moved::integer AS moved,
    pass.campaigns_resumed::integer AS campaigns_resumed,
    thaw.complete_job(sqlc.arg(job_id)::bigint)::boolean AS completed
FROM thaw.resume_pass('signal', sqlc.arg(account_id)::bigint, sqlc.arg(job_id)::bigint,
    p_signal_id => sqlc.arg(signal_id)::bigint) AS pass;

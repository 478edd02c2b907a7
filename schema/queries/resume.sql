-- name: ResumeForSweep :one
-- The pass of one account in one tick, planned by that tick's sweep.
SELECT pass.verdict::text AS verdict, pass.resumed::integer AS resumed, pass.repointed::integer AS repointed,
    pass.campaigns_resumed::integer AS campaigns_resumed, pass.tick_finished::boolean AS tick_finished
FROM thaw.resume_pass('sweep', sqlc.arg(account_id)::bigint, sqlc.arg(job_id)::bigint,
    p_tick_at => sqlc.arg(tick_at)::timestamptz) AS pass;

-- name: ResumeForSignal :one
-- The pass that a connect signal asked for.
SELECT pass.verdict::text AS verdict, pass.resumed::integer AS resumed, pass.repointed::integer AS repointed,
    pass.campaigns_resumed::integer AS campaigns_resumed
FROM thaw.resume_pass('signal', sqlc.arg(account_id)::bigint, sqlc.arg(job_id)::bigint,
    p_signal_id => sqlc.arg(signal_id)::bigint) AS pass;

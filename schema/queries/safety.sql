-- name: AskSweepAndWatch :exec
-- Called by every process once a minute: enqueues the sweep of the current tick, and the jobs
-- watch and schedule of the current minute.
SELECT thaw.sweep(), thaw.request_watch(), thaw.request_schedule();

-- name: Watch :one
-- Runs the job watch and completes it.
SELECT thaw.watch()::text AS verdict, thaw.complete_job(sqlc.arg(job_id)::bigint)::boolean AS completed;

-- name: SampleBacklog :one
SELECT thaw.sample_backlog()::boolean AS sampled;

-- name: SafetyEnter :one
SELECT thaw.safety_enter(sqlc.arg(reason)::text, sqlc.arg(actor)::text, sqlc.arg(manual_exit)::boolean)::boolean AS entered;

-- name: SafetyExit :one
SELECT thaw.safety_exit(sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS cleared;

-- name: Safety :one
-- calm_at: when the calm period ends, if no further losses occur.
SELECT s.since, s.reason, s.entered_by, s.manual_exit, s.accounts_lost, s.accounts_connected,
    coalesce(greatest(s.since, s.breached_at) + settings.safety_calm, 'epoch')::timestamptz AS calm_at
FROM thaw.safety AS s
CROSS JOIN thaw.settings;

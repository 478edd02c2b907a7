-- name: FetchJobs
-- The columns of River's JobGetAvailable, in its order.
SELECT job.id, job.args, job.attempt, job.attempted_at, job.attempted_by, job.created_at, job.errors, job.finalized_at, job.kind,
    job.max_attempts, job.metadata, job.priority, job.queue, job.state, job.scheduled_at, job.tags, job.unique_key, job.unique_states
FROM thaw.fetch_jobs($1::text, $2::text[], $3::text, $4::integer, $5::integer, $6::interval) AS job

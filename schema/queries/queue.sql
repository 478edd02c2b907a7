-- name: NotifyQueues :exec
-- Notifies other processes of queues with new jobs. This statement is the whole transaction, and
-- its commit does not wait for the WAL flush: a NOTIFY holds a cluster-wide lock until its commit
-- is flushed.
WITH settings AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
SELECT pg_notify(sqlc.arg(channel)::text, json_build_object('queue', wanted.queue, 'from', sqlc.arg(sender)::text)::text)
FROM settings, unnest(sqlc.arg(queues)::text[]) AS wanted (queue);

-- name: WaitingQueues :many
SELECT q.queue::text AS queue, q.waited::interval AS waited FROM thaw.waiting_queues(sqlc.arg(queues)::text[]) AS q;

-- name: OldestJobs :many
SELECT q.queue::text AS queue, q.waited::interval AS waited FROM thaw.oldest_jobs(sqlc.arg(queues)::text[]) AS q;

-- name: RequestedControls :many
SELECT c.action::text AS action, c.queue::text AS queue, c.job_id::bigint AS job_id FROM thaw.requested_controls(sqlc.arg(client_id)::text, sqlc.arg(job_ids)::bigint[]) AS c;

-- name: RegisterWorker :exec
SELECT thaw.register_worker(sqlc.arg(client_id)::text);

-- name: RequeueLostJobs :many
SELECT q::text AS queue FROM thaw.requeue_lost_jobs() AS q;

-- name: RetryAdoption :one
-- Applies changes of the platform's rows that could not be applied before and are due. Returns how
-- many could not be applied again.
SELECT thaw.retry_adoption()::integer AS failed;

-- name: RingChanges :exec
-- Notifies listeners on thaw.changes if changes wait for the platform.
SELECT thaw.ring_changes();

-- name: AdoptSummary :one
-- The state of the copy of the platform's own tables.
SELECT s.is_adopted::boolean AS is_adopted, s.phase, s.checked_at, coalesce(s.drift_rows, 0)::bigint AS drift_rows,
    coalesce(s.rows_checked, 0)::bigint AS rows_checked, coalesce(s.drift_detail, '')::text AS drift_detail,
    coalesce(s.is_over_limit, false)::boolean AS is_over_limit, s.failed_statements::bigint AS failed_statements, s.parked::bigint AS parked,
    s.deferred::bigint AS deferred, s.changes::bigint AS changes,
    coalesce(extract(epoch FROM thaw.now() - s.oldest_change_at), 0)::double precision AS oldest_change_age,
    s.shadow_workspaces::bigint AS shadow_workspaces, s.problems::text[] AS problems, s.check_due_at, s.held_accounts::bigint AS held_accounts
FROM thaw.adopt_summary AS s;

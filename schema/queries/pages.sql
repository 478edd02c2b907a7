-- name: LastTicks :many
-- The ticks of the last hours, for a chart: how many prospects were resumable, how many were
-- resumed, and how many were paused in total (null: not counted in that tick). Both tables have the
-- time condition: with the LIMIT alone the planner reads all samples.
SELECT s.tick_at, s.remaining, s.resumed, sample.paused
FROM thaw.sweeps AS s
LEFT JOIN thaw.backlog_samples AS sample
    ON sample.tick_at = s.tick_at AND sample.tick_at > thaw.now() - sqlc.arg(since)::interval
WHERE s.tick_at > thaw.now() - sqlc.arg(since)::interval
ORDER BY s.tick_at DESC
LIMIT sqlc.arg(size)::integer;

-- name: AccountHistory :many
-- The history of an account, newest first: status changes and manual actions.
SELECT line.at, line.what, line.from_status, line.to_status, line.actor, line.reason, line.until, line.enrollments
FROM (
    (SELECT e.at, 'status'::text AS what, e.from_status::text AS from_status, e.to_status::text AS to_status,
        ''::text AS actor, coalesce(e.last_error, '')::text AS reason, NULL::timestamptz AS until, NULL::integer AS enrollments
     FROM thaw.account_events AS e WHERE e.account_id = sqlc.arg(account_id)::bigint
     ORDER BY e.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT d.at, d.what, ''::text, ''::text, d.actor, coalesce(d.reason, '')::text, d.until, d.enrollments
     FROM thaw.manual_actions AS d WHERE d.account_id = sqlc.arg(account_id)::bigint
     ORDER BY d.id DESC LIMIT sqlc.arg(size)::integer)) AS line
ORDER BY line.at DESC
LIMIT sqlc.arg(size)::integer;

-- name: WorkspaceActions :many
-- The manual actions on a workspace and everything in it, newest first.
SELECT d.id, d.at, d.what, d.actor, coalesce(d.reason, '')::text AS reason, coalesce(a.provider_account_id, '')::text AS account,
    coalesce(c.key, '')::text AS campaign, d.until, d.enrollments
FROM thaw.manual_actions AS d
LEFT JOIN thaw.accounts AS a ON a.id = d.account_id
LEFT JOIN thaw.campaigns AS c ON c.id = d.campaign_id
WHERE d.workspace_id = sqlc.arg(workspace_id)::bigint
ORDER BY d.at DESC, d.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: SafetyHistory :many
SELECT d.at, d.what, d.actor, coalesce(d.reason, '')::text AS reason, d.accounts_lost, d.accounts_connected
FROM thaw.manual_actions AS d
WHERE d.what IN ('safety_entered', 'safety_exited')
ORDER BY d.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: Fingerprint :one
-- Changes whenever a page may have something new to show. Each part reads the end of an index or a
-- single row.
SELECT concat_ws('/',
    (SELECT concat_ws(',', s.tick_at, s.accounts_processed, s.resumed, s.finished_at) FROM thaw.sweeps AS s
     ORDER BY s.tick_at DESC LIMIT 1),
    (SELECT string_agg(concat_ws(',', h.id, h.resumed, h.found), ';' ORDER BY h.id) FROM thaw.heals AS h WHERE h.status = 'running'),
    (SELECT max(h.id) FROM thaw.heals AS h),
    (SELECT max(e.id) FROM thaw.enrollment_events AS e),
    (SELECT max(e.id) FROM thaw.account_events AS e),
    (SELECT max(d.id) FROM thaw.manual_actions AS d),
    (SELECT max(s.tick_at) FROM thaw.backlog_samples AS s))::text AS fingerprint;

-- name: OldestSnapshots :many
-- The oldest snapshots that keep Postgres from removing dead rows, if they exceed a limit. seconds
-- 0: this role may not see the start, but sees the age in transactions.
SELECT s.holder::text AS holder, s.name::text AS name, coalesce(s.role, '')::text AS role,
    coalesce(s.application, '')::text AS application, coalesce(s.state, '')::text AS state,
    coalesce(extract(epoch FROM s.age), 0)::double precision AS seconds, coalesce(s.transactions, 0)::integer AS transactions
FROM thaw.snapshots() AS s
WHERE s.age > sqlc.arg(older_than)::interval OR s.age IS NULL AND s.transactions > sqlc.arg(more_than)::integer
ORDER BY seconds DESC, transactions DESC
LIMIT 3;

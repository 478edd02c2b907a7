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
    coalesce(c.key, '')::text AS campaign, coalesce(d.detail, '')::text AS detail, d.until, d.enrollments,
    thaw.is_undoable(d.id, d.what)::boolean AS can_undo
FROM thaw.manual_actions AS d
LEFT JOIN thaw.accounts AS a ON a.id = d.account_id
LEFT JOIN thaw.campaigns AS c ON c.id = d.campaign_id
WHERE d.workspace_id = sqlc.arg(workspace_id)::bigint
ORDER BY d.at DESC, d.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: SafetyHistory :many
SELECT d.id, d.at, d.what, d.actor, coalesce(d.reason, '')::text AS reason, d.accounts_lost, d.accounts_connected
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
    (SELECT max(a.id) FROM thaw.actions AS a),
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

-- name: CountAccountsByStatus :many
-- The accounts of the fleet by status, and how many of each need attention.
SELECT a.status::text AS status, count(*) AS accounts,
    count(*) FILTER (WHERE thaw.is_stuck(a)) AS stuck,
    count(*) FILTER (WHERE a.status = 'connected' AND a.resume_after > thaw.now()) AS flapping,
    count(*) FILTER (WHERE a.locked_at IS NOT NULL) AS locked,
    count(*) FILTER (WHERE a.hold_until > thaw.now()) AS on_hold
FROM thaw.accounts AS a
GROUP BY a.status;

-- name: ChartPoints :many
-- The ticks since a time, in steps of time, for a chart. A step has the numbers of its last tick
-- for what remains and is paused (-1: not counted), and the sums of what was resumed. At most 5,000
-- ticks are read: short ticks reach less far back.
SELECT date_bin(sqlc.arg(step)::interval, s.tick_at, '2000-01-01 00:00:00+00')::timestamptz AS at,
    ((array_agg(s.remaining ORDER BY s.tick_at DESC))[1])::integer AS remaining,
    coalesce((array_agg(sample.paused ORDER BY s.tick_at DESC) FILTER (WHERE sample.paused IS NOT NULL))[1], -1)::bigint AS paused,
    sum(s.resumed)::bigint AS resumed, coalesce(sum(signal.used), 0)::bigint AS resumed_by_signal
FROM (
    SELECT tick.tick_at, tick.remaining, tick.resumed FROM thaw.sweeps AS tick
    WHERE tick.tick_at > thaw.now() - sqlc.arg(since)::interval
    ORDER BY tick.tick_at DESC LIMIT 5000) AS s
LEFT JOIN thaw.backlog_samples AS sample
    ON sample.tick_at = s.tick_at AND sample.tick_at > thaw.now() - sqlc.arg(since)::interval
LEFT JOIN thaw.fleet_quotas AS signal
    ON signal.tick_at = s.tick_at AND signal.lane = 'signal' AND signal.tick_at > thaw.now() - sqlc.arg(since)::interval
GROUP BY 1
ORDER BY 1 DESC
LIMIT sqlc.arg(size)::integer;

-- name: ChartHeals :many
-- What heals resumed since a time, by the step in which they were started. There are few heals.
SELECT date_bin(sqlc.arg(step)::interval, h.requested_at, '2000-01-01 00:00:00+00')::timestamptz AS at, sum(h.resumed)::bigint AS resumed
FROM (SELECT newest.* FROM thaw.heals AS newest ORDER BY newest.id DESC LIMIT 500) AS h
WHERE h.requested_at > thaw.now() - sqlc.arg(since)::interval
GROUP BY 1;

-- name: StoppedHeals :one
SELECT count(*)::bigint AS stopped FROM thaw.heals AS h WHERE h.status = 'running' AND thaw.heal_state(h) = 'stopped';

-- What /metrics asks, all of it in one snapshot. Nothing here reads rows that are active or at their end: the cost follows who
-- is paused, what is in the queue, and what came since the last reading.

-- name: MetricsStand :one
-- The clock of the readings, and the numbers of which there is one. Before the first tick its age is infinite.
SELECT thaw.now()::timestamptz AS now, thaw.tick()::timestamptz AS tick_at,
    settings.tick AS tick, settings.fleet_cap, settings.signal_cap,
    (safety.since IS NOT NULL)::boolean AS safety_mode,
    coalesce((SELECT extract(epoch FROM thaw.now() - max(s.tick_at)) FROM thaw.sweeps AS s), 'Infinity')::double precision
        AS sweep_age,
    coalesce((
        SELECT extract(epoch FROM s.finished_at - s.started_at) FROM thaw.sweeps AS s
        WHERE s.finished_at IS NOT NULL
        ORDER BY s.tick_at DESC LIMIT 1), 0)::double precision AS sweep_took
FROM thaw.settings CROSS JOIN thaw.safety;

-- name: MetricsBacklog :many
-- Paused enrollments by reason, and for how many seconds the one has been resumable that was so first. One walk over the index
-- of those that are paused. Somebody is resumable from the moment on at which the last thing that held it was gone, as far as
-- the rows tell: its own pause, its account's connection and hold, the switch of its workspace, the end of safety mode. A prospect that was paused
-- for a month counts from the minute in which its account came back.
SELECT reason.name::text AS reason, coalesce(lines.resumable, 0)::bigint AS resumable,
    coalesce(lines.held, 0)::bigint AS held, coalesce(lines.oldest, 0)::double precision AS oldest
FROM unnest(enum_range(NULL::thaw.pause_reason)) AS reason (name)
LEFT JOIN (
    SELECT line.paused_reason,
        sum(line.waiting) FILTER (WHERE target.id IS NOT NULL) AS resumable,
        sum(line.waiting) FILTER (WHERE target.id IS NULL) AS held,
        max(extract(epoch FROM thaw.now() - greatest(line.since, target.connected_at, target.hold_until,
            workspace.auto_resume_changed_at, (SELECT safety.ended_at FROM thaw.safety AS safety)))) FILTER (WHERE target.id IS NOT NULL) AS oldest
    FROM (
        SELECT e.waits_for_account, e.account_id, e.campaign_id, e.paused_reason,
            count(*) AS waiting, min(e.paused_at) AS since
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused'
        GROUP BY e.waits_for_account, e.account_id, e.campaign_id, e.paused_reason) AS line
    LEFT JOIN thaw.resumable(ARRAY(SELECT w.account_id FROM thaw.waiting_accounts AS w)) AS way
        ON line.waits_for_account AND way.source_id = line.account_id AND way.campaign_id = line.campaign_id
    LEFT JOIN thaw.accounts AS target ON target.id = way.target_id
    LEFT JOIN thaw.workspaces AS workspace ON workspace.id = way.workspace_id
    GROUP BY line.paused_reason) AS lines ON lines.paused_reason = reason.name
-- These two are reasons of campaigns alone.
WHERE reason.name NOT IN ('linkedin_high_failure_rate', 'subscription_inactive');

-- name: MetricsJobs :many
SELECT counts.queue::text AS queue, counts.state::text AS state, counts.jobs::bigint AS jobs
FROM thaw.job_counts() AS counts;

-- name: MetricsBudgets :many
-- The fleet's budgets of the current tick, and of all that may have changed since the last reading: a pass draws from the tick
-- in which its transaction began, and none lasts for a minute.
SELECT b.tick_at, b.lane::text AS lane, b.cap, b.used
FROM thaw.fleet_budgets AS b
WHERE b.tick_at >= thaw.tick(sqlc.arg(since)::timestamptz - interval '1 minute');

-- name: MetricsHeals :many
-- Heals that may have woken somebody since the last reading. There are few heals, and no index by their end.
SELECT h.id, h.resumed
FROM thaw.heals AS h
WHERE h.status = 'running' OR h.finished_at >= sqlc.arg(since)::timestamptz - interval '1 minute';

-- name: MetricsNewestSignal :one
SELECT coalesce(max(s.id), 0)::bigint AS id FROM thaw.account_signals AS s;

-- name: MetricsSignals :many
-- Deliveries with an id above the given one, by outcome, and how many of them are above the settled one: below it nothing is
-- still to be committed, because ids are drawn in transactions, and none of ours lasts for a minute.
SELECT s.outcome::text AS outcome, count(*) AS signals, count(*) FILTER (WHERE s.id > settled.id) AS unsettled,
    settled.id::bigint AS settled_id
FROM (
    SELECT coalesce(max(s.id), sqlc.arg(after_id)::bigint) AS id FROM thaw.account_signals AS s
    WHERE s.id > sqlc.arg(after_id)::bigint AND s.received_at < thaw.now() - interval '1 minute') AS settled
CROSS JOIN thaw.account_signals AS s
WHERE s.id > sqlc.arg(after_id)::bigint
GROUP BY s.outcome, settled.id;

-- name: MetricsSnapshots :one
-- How old the oldest snapshot is, in seconds and in transactions, and of how many sessions only the latter can be seen.
SELECT coalesce(max(extract(epoch FROM s.age)), 0)::double precision AS seconds,
    coalesce(max(s.transactions), 0)::bigint AS transactions,
    (count(*) FILTER (WHERE s.holder = 'session' AND s.since IS NULL))::bigint AS hidden
FROM thaw.snapshots() AS s;

-- What /metrics asks, in groups with a snapshot each. Nothing here reads rows of enrollments that are active or at their end, or
-- counts those that are paused: the cost follows the lines of accounts and campaigns, what is in the queue, and what came since the
-- last reading.

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
        ORDER BY s.tick_at DESC LIMIT 1), 0)::double precision AS sweep_took,
    coalesce((SELECT s.is_partial FROM thaw.sweeps AS s ORDER BY s.tick_at DESC LIMIT 1), false)::boolean AS sweep_is_partial
FROM thaw.settings CROSS JOIN thaw.safety;

-- name: MetricsPaused :many
-- Paused enrollments by reason, by counts.
SELECT reason.name::text AS reason, coalesce(lines.paused, 0)::bigint AS paused
FROM unnest(enum_range(NULL::thaw.pause_reason)) AS reason (name)
LEFT JOIN (
    SELECT p.reason, sum(p.paused) AS paused FROM thaw.paused_parts AS p GROUP BY p.reason) AS lines ON lines.reason = reason.name
-- These two are reasons of campaigns alone.
WHERE reason.name NOT IN ('linkedin_high_failure_rate', 'subscription_inactive');

-- name: MetricsResumable :one
-- How many a sweep can resume now, by counts.
SELECT coalesce(sum(r.waiting), 0)::bigint AS resumable FROM thaw.resumable_accounts AS r;

-- name: MetricsOldest :one
-- For how many seconds the prospect has been resumable that has been so for longest.
SELECT coalesce(extract(epoch FROM thaw.now() - thaw.resumable_since()), 0)::double precision AS seconds;

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
-- Heals that may have resumed somebody since the last reading. There are few heals, and no index by their end.
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

-- name: ProviderSilences :many
-- For how long each provider has sent no signal, and from when on that is unusual.
SELECT s.provider, extract(epoch FROM s.silent_for)::double precision AS silent_for,
    coalesce(extract(epoch FROM s.silence_limit), 'Infinity')::double precision AS silence_limit, s.last_signal_at, s.is_silent::boolean AS is_silent
FROM thaw.provider_silence AS s
ORDER BY s.provider
LIMIT 100;

-- The queries of /metrics, in groups with one snapshot each. None reads active or finished
-- enrollments or counts paused ones: the cost depends on the number of account and campaign lines,
-- of jobs in the queue, and of new rows since the last scrape.

-- name: MetricsStand :one
-- The clock of the scrape and the single-value metrics. Before the first sweep, its age is
-- infinite.
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

-- name: FleetPausedByReason :many
-- Paused enrollments by reason. Uses counts, so it is exact at any time.
SELECT reason.name::text AS reason, coalesce(lines.paused, 0)::bigint AS paused, coalesce(lines.waiting, 0)::bigint AS waiting
FROM unnest(thaw.pause_reasons()) AS reason (name)
LEFT JOIN (
    SELECT p.reason, sum(p.paused) AS paused, sum(p.paused) FILTER (WHERE p.waits_for_account) AS waiting
    FROM thaw.paused_parts AS p GROUP BY p.reason) AS lines ON lines.reason = reason.name
WHERE NOT thaw.is_of_campaigns(reason.name);

-- name: WorkspacePausedByReason :many
-- The same for one workspace; reasons without prospects are left out.
SELECT p.reason::text AS reason, sum(p.paused)::bigint AS paused,
    coalesce(sum(p.paused) FILTER (WHERE p.waits_for_account), 0)::bigint AS waiting
FROM thaw.accounts AS a
JOIN thaw.paused_parts AS p ON p.account_id = a.id
WHERE a.workspace_id = sqlc.arg(workspace_id)::bigint
GROUP BY p.reason
HAVING sum(p.paused) > 0;

-- name: MetricsResumable :one
-- How many prospects a sweep could resume now. Uses counts.
SELECT coalesce(sum(r.waiting), 0)::bigint AS resumable FROM thaw.resumable_accounts AS r;

-- name: MetricsStarved :one
-- The accounts through which prospects have been able to resume for the last two complete ticks and
-- none has, although the plans of these ticks did not use the whole quota of the fleet, or gave the
-- account a share. While plans use the whole quota, accounts wait for their turn.
WITH span AS MATERIALIZED (
    SELECT thaw.tick() - 2 * settings.tick AS since, thaw.tick() AS until FROM thaw.settings
), plan AS MATERIALIZED (
    SELECT coalesce(bool_or(s.is_partial OR s.planned >= s.fleet_cap), false) AS is_full
    FROM span JOIN thaw.sweeps AS s ON s.tick_at >= span.since AND s.tick_at < span.until
)
SELECT count(*)::bigint AS accounts
FROM thaw.resumable_accounts AS waiting
JOIN thaw.accounts AS target ON target.id = waiting.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
CROSS JOIN thaw.safety
CROSS JOIN span
CROSS JOIN plan
WHERE coalesce(greatest(target.connected_at, target.hold_until, target.resume_after, workspace.auto_resume_changed_at, safety.ended_at),
        '-infinity') <= span.since
    AND NOT EXISTS (
        SELECT FROM thaw.account_quotas AS quota
        WHERE quota.tick_at >= span.since AND quota.account_id = target.id AND quota.used > 0)
    AND (NOT plan.is_full OR EXISTS (
        SELECT FROM thaw.allocations AS g
        WHERE g.tick_at >= span.since AND g.tick_at < span.until AND g.account_id = target.id AND g.planned > 0));

-- name: MetricsWebhooks :many
-- The deliveries of each endpoint that wait or have failed, up to 100,000 each, and the age of the
-- oldest message that waits, in seconds. Uses the index of endpoints and states.
SELECT e.id, (e.disabled_at IS NULL)::boolean AS is_enabled,
    (SELECT count(*) FROM (
        SELECT FROM thaw.webhook_deliveries AS d WHERE d.endpoint_id = e.id AND d.state = 'waiting' LIMIT 100000) AS counted)::bigint AS waiting,
    (SELECT count(*) FROM (
        SELECT FROM thaw.webhook_deliveries AS d WHERE d.endpoint_id = e.id AND d.state = 'failed' LIMIT 100000) AS counted)::bigint AS failed,
    coalesce((
        SELECT extract(epoch FROM thaw.now() - o.at) FROM thaw.outbox AS o
        WHERE o.id = (
            SELECT d.outbox_id FROM thaw.webhook_deliveries AS d
            WHERE d.endpoint_id = e.id AND d.state = 'waiting' ORDER BY d.outbox_id LIMIT 1)), 0)::double precision AS oldest
FROM thaw.webhook_endpoints AS e
ORDER BY e.id
LIMIT 100;

-- name: MetricsOpenHeals :many
-- The heals that are not done, by state. At most one per target is open.
SELECT state.name::text AS state, count(open.state)::bigint AS heals
FROM unnest(ARRAY['running', 'stopped']) AS state (name)
LEFT JOIN (
    SELECT thaw.heal_state(h) AS state FROM thaw.heals AS h WHERE h.status = 'running' LIMIT 10000) AS open ON open.state = state.name
GROUP BY state.name;

-- name: MetricsOldest :one
-- The age of the oldest resumable prospect, in seconds.
SELECT coalesce(extract(epoch FROM thaw.now() - thaw.resumable_since()), 0)::double precision AS seconds;

-- name: MetricsJobs :many
SELECT counts.queue::text AS queue, counts.state::text AS state, counts.jobs::bigint AS jobs
FROM thaw.job_counts() AS counts;

-- name: MetricsQuotas :many
-- The fleet quotas of the current tick and of all ticks that may have changed since the last
-- scrape: a pass draws from the tick in which its transaction started, and no pass takes a minute.
SELECT b.tick_at, b.lane::text AS lane, b.cap, b.used
FROM thaw.fleet_quotas AS b
WHERE b.tick_at >= thaw.tick(sqlc.arg(since)::timestamptz - interval '1 minute');

-- name: MetricsHeals :many
-- Heals that may have resumed prospects since the last scrape. There are few heals, so finished_at
-- has no index.
SELECT h.id, h.resumed
FROM thaw.heals AS h
WHERE h.status = 'running' OR coalesce(h.finished_at, h.stopped_at) >= sqlc.arg(since)::timestamptz - interval '1 minute';

-- name: MetricsNewestSignal :one
SELECT coalesce(max(s.id), 0)::bigint AS id FROM thaw.account_signals AS s;

-- name: MetricsSignals :many
-- Deliveries with ids above after_id, by outcome, and how many of them are above settled_id. Ids up
-- to settled_id are final: ids are drawn in transactions, and none of ours takes a minute.
SELECT s.outcome::text AS outcome, count(*) AS signals, count(*) FILTER (WHERE s.id > settled.id) AS unsettled,
    settled.id::bigint AS settled_id
FROM (
    SELECT coalesce(max(s.id), sqlc.arg(after_id)::bigint) AS id FROM thaw.account_signals AS s
    WHERE s.id > sqlc.arg(after_id)::bigint AND s.received_at < thaw.now() - interval '1 minute') AS settled
CROSS JOIN thaw.account_signals AS s
WHERE s.id > sqlc.arg(after_id)::bigint
GROUP BY s.outcome, settled.id;

-- name: MetricsSnapshots :one
-- The age of the oldest snapshot, in seconds and in transactions, and for how many sessions only
-- the latter is visible.
SELECT coalesce(max(extract(epoch FROM s.age)), 0)::double precision AS seconds,
    coalesce(max(s.transactions), 0)::bigint AS transactions,
    (count(*) FILTER (WHERE s.holder = 'session' AND s.since IS NULL))::bigint AS hidden
FROM thaw.snapshots() AS s;

-- name: ProviderSilences :many
-- How long each provider has sent no signal, and how long is unusual.
SELECT s.provider, extract(epoch FROM s.silent_for)::double precision AS silent_for,
    coalesce(extract(epoch FROM s.silence_limit), 'Infinity')::double precision AS silence_limit, s.last_signal_at, s.is_silent::boolean AS is_silent
FROM thaw.provider_silence AS s
ORDER BY s.provider
LIMIT 100;

-- name: MetricsActions :one
-- The actions that are under way or unknown, up to 100,000 each, the accounts that may send now,
-- and how long the first of them has waited, in seconds. schedule_age: null while due actions are
-- not sent to the platform.
SELECT open.reserved::bigint AS reserved, open.started::bigint AS started,
    (SELECT count(*) FROM (SELECT FROM thaw.actions AS a WHERE a.state = 'unknown' LIMIT 100000) AS counted)::bigint AS unknown,
    due.accounts::bigint AS due_accounts,
    coalesce(extract(epoch FROM thaw.now() - due.first_at), 0)::double precision AS oldest,
    thaw.is_pushing()::boolean AS is_pushing,
    coalesce(extract(epoch FROM thaw.now() - (SELECT s.finished_at FROM thaw.scheduler AS s)), 'Infinity')::double precision AS schedule_age
FROM (
    SELECT count(*) FILTER (WHERE a.state = 'reserved') AS reserved, count(*) FILTER (WHERE a.state = 'started') AS started
    FROM (SELECT x.state FROM thaw.actions AS x WHERE x.lease_until IS NOT NULL LIMIT 100000) AS a) AS open
CROSS JOIN (
    SELECT count(*) AS accounts, min(s.next_at) AS first_at
    FROM thaw.sending_accounts AS s
    JOIN thaw.workspaces AS w ON w.id = s.workspace_id
    WHERE s.next_at <= thaw.now() AND s.next_at < 'infinity' AND NOT w.shadow
        -- One that was at a closed gate may be at the next one now. It counts when a look has found
        -- it open (thaw.look_at, once a minute), or if there was none.
        AND (s.code IS NULL OR s.next_at < thaw.now() - interval '2 minutes')) AS due;

-- name: MetricsGates :many
-- The accounts by the gate that was closed at their last look.
SELECT s.code::text AS code, count(*)::bigint AS accounts
FROM thaw.sending_accounts AS s
WHERE s.code IS NOT NULL
GROUP BY s.code
ORDER BY s.code
LIMIT 100;

-- name: MetricsSettled :many
-- What was settled since a time, by minute, state and, if the provider rejected it, the provider's
-- code. Codes that do not look like one count as other.
SELECT date_trunc('minute', a.settled_at)::timestamptz AS minute, a.state::text AS state,
    (CASE WHEN a.state = 'refused' OR a.outcome IN ('limited', 'throttled', 'account_lost', 'restricted')
        THEN CASE WHEN a.error_code ~ '^[a-z][a-z0-9_]{0,63}$' THEN a.error_code ELSE 'other' END
        ELSE '' END)::text AS code,
    count(*)::bigint AS actions
FROM thaw.actions AS a
WHERE a.settled_at >= sqlc.arg(since)::timestamptz
GROUP BY 1, 2, 3
LIMIT 10000;

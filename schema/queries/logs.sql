-- Ticks, heals and prospect histories, newest first, from where the last page ended.

-- name: SweepPage :many
SELECT s.tick_at, s.account_cap, s.fleet_cap, s.accounts_planned, s.accounts_processed, s.planned, s.resumed, s.moved,
    s.campaigns_resumed, s.remaining, s.is_partial, s.started_at, s.finished_at
FROM thaw.sweeps AS s
WHERE s.tick_at < sqlc.arg(before_tick)::timestamptz
ORDER BY s.tick_at DESC
LIMIT sqlc.arg(size)::integer;

-- name: WorkspaceSweepPage :many
-- The share of one workspace in the ticks that allocated something to it. The index orders its
-- allocations by tick, so that no more are read than the page shows. The sweep of each tick is
-- looked up separately (the LIMIT); otherwise all sweeps would be read for 200 rows.
SELECT tick.tick_at, tick.accounts_planned, tick.accounts_processed, tick.planned, tick.resumed, s.is_partial, s.started_at, s.finished_at
FROM (
    SELECT g.tick_at, count(*) AS accounts_planned, count(g.finished_at) AS accounts_processed, sum(g.planned)::bigint AS planned,
        sum(g.resumed)::bigint AS resumed
    FROM thaw.allocations AS g
    WHERE g.workspace_id = sqlc.arg(workspace_id)::bigint AND g.planned > 0 AND g.tick_at < sqlc.arg(before_tick)::timestamptz
    GROUP BY g.tick_at
    ORDER BY g.tick_at DESC
    LIMIT sqlc.arg(size)::integer) AS tick
CROSS JOIN LATERAL (SELECT w.is_partial, w.started_at, w.finished_at FROM thaw.sweeps AS w WHERE w.tick_at = tick.tick_at LIMIT 1) AS s
ORDER BY tick.tick_at DESC;

-- name: HealPage :many
-- A heal of listed prospects or of the fleet belongs to no workspace and is visible only with
-- access to all workspaces.
SELECT h.id, coalesce(workspace.key, '')::text AS workspace, h.account_id, coalesce(account.provider_account_id, '')::text AS account,
    h.is_fleet, h.cap, h.rate, h.even_if_off, thaw.heal_state(h) AS status, h.resumed, h.moved, h.campaigns_resumed, h.found, h.remaining, h.skipped, h.round,
    coalesce(h.accounts, 0)::integer AS accounts, h.accounts_done, h.actor, coalesce(h.reason, '')::text AS reason,
    coalesce(h.stopped_reason, '')::text AS stopped_reason, h.job_id, h.requested_at, h.finished_at
FROM thaw.heals AS h
LEFT JOIN thaw.accounts AS account ON account.id = h.account_id
LEFT JOIN thaw.workspaces AS workspace ON workspace.id = coalesce(h.workspace_id, account.workspace_id)
WHERE h.id < sqlc.arg(before_id)::bigint
    AND (workspace.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        OR workspace.id IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint)
    AND (sqlc.narg(status)::text IS NULL OR thaw.heal_state(h) = sqlc.narg(status)::text)
ORDER BY h.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: CountHeals :one
-- How many heals that list has, counted up to at_most.
SELECT count(*)::bigint AS heals
FROM (
    SELECT FROM thaw.heals AS h
    LEFT JOIN thaw.accounts AS account ON account.id = h.account_id
    WHERE (coalesce(h.workspace_id, account.workspace_id) BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            OR coalesce(h.workspace_id, account.workspace_id) IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint)
        AND (sqlc.narg(status)::text IS NULL OR thaw.heal_state(h) = sqlc.narg(status)::text)
    LIMIT sqlc.arg(at_most)::integer) AS counted;

-- name: EventPage :many
-- The history of a prospect in all of its campaigns.
SELECT event.id, workspace.key AS workspace, campaign.key AS campaign, e.id AS enrollment_id, e.prospect_url, e.external_id, event.at,
    event.kind::text AS kind, event.from_status::text AS from_status, event.to_status::text AS to_status,
    coalesce(event.reason::text, '')::text AS reason, event.source::text AS source, event.tick_at, event.heal_id, event.signal_id,
    event.job_id, from_account.provider_account_id AS from_account, to_account.provider_account_id AS to_account, event.step,
    coalesce(event.detail, '')::text AS detail
FROM thaw.enrollments_named(sqlc.arg(names)::text[], sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint) AS named
JOIN thaw.enrollments AS e ON e.id = named.id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
CROSS JOIN LATERAL (
    SELECT h.*
    FROM thaw.enrollment_events AS h
    WHERE h.enrollment_id = e.id AND h.id < sqlc.arg(before_id)::bigint
    ORDER BY h.id DESC
    LIMIT sqlc.arg(size)::integer) AS event
LEFT JOIN thaw.accounts AS from_account ON from_account.id = event.from_account_id
LEFT JOIN thaw.accounts AS to_account ON to_account.id = event.to_account_id
ORDER BY event.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: FleetQuotas :many
-- The fleet quotas of a tick. No row: nothing was resumed in that lane yet.
SELECT b.lane::text AS lane, b.cap, b.used
FROM thaw.fleet_quotas AS b
WHERE b.tick_at = sqlc.arg(tick_at)::timestamptz;

-- name: Clock :one
SELECT thaw.now()::timestamptz AS now;

-- name: EnqueueSweep :one
-- Inserts the sweep of the current tick, unless it is enqueued or done already.
SELECT thaw.sweep()::timestamptz AS tick_at;

-- name: OpenSweep :one
-- The first step of a sweep, in a transaction of its own: closes earlier ticks, and returns whether
-- the tick is over, whether it already has a plan, and the caps for the plan.
SELECT (thaw.tick() <> sqlc.arg(tick_at)::timestamptz)::boolean AS is_over,
    EXISTS (SELECT FROM thaw.sweeps AS s WHERE s.tick_at = sqlc.arg(tick_at)::timestamptz)::boolean AS is_planned,
    CASE WHEN thaw.tick() = sqlc.arg(tick_at)::timestamptz
        THEN thaw.close_ticks(sqlc.arg(tick_at)::timestamptz) ELSE '{}' END::timestamptz[] AS closed,
    settings.account_cap, settings.fleet_cap, thaw.now()::timestamptz AS started_at,
    coalesce((
        SELECT earlier.looked_to FROM thaw.sweeps AS earlier
        WHERE earlier.tick_at < sqlc.arg(tick_at)::timestamptz ORDER BY earlier.tick_at DESC LIMIT 1), 0)::bigint AS looked_to
FROM thaw.settings;

-- name: DropTickJobs :one
SELECT thaw.drop_tick_jobs(sqlc.arg(tick_at)::timestamptz, sqlc.arg(size)::integer)::integer AS dropped;

-- name: RequeueOverduePauses :one
SELECT thaw.requeue_pauses(sqlc.arg(tick_at)::timestamptz, sqlc.arg(size)::integer, sqlc.arg(with_late)::boolean)::integer AS requeued;

-- name: PlanPart :one
SELECT part.after_id::bigint AS after_id, part.until_id::bigint AS until_id
FROM thaw.plan_part(sqlc.arg(tick_at)::timestamptz, sqlc.arg(size)::integer) AS part;

-- name: PlanWorkspaces :many
-- Never served: the epoch.
SELECT w.workspace_id::bigint AS workspace_id, w.demand::integer AS demand,
    coalesce(w.served_at, 'epoch')::timestamptz AS served_at, w.total_waiting::bigint AS total_waiting
FROM thaw.plan_workspaces(sqlc.arg(tick_at)::timestamptz, sqlc.arg(quota)::integer,
    sqlc.arg(after_id)::bigint, sqlc.arg(until_id)::bigint) AS w;

-- name: PlanAccounts :many
SELECT a.account_id::bigint AS account_id, a.workspace_id::bigint AS workspace_id, a.backlog::integer AS backlog, a.quota::integer AS quota,
    coalesce(a.served_at, 'epoch')::timestamptz AS served_at
FROM thaw.plan_accounts(sqlc.arg(tick_at)::timestamptz, sqlc.arg(workspace_ids)::bigint[], sqlc.arg(shares)::integer[],
    sqlc.arg(after_id)::bigint, sqlc.arg(until_id)::bigint) AS a;

-- name: Candidates :many
-- Never served: the epoch.
SELECT c.account_id::bigint AS account_id, c.workspace_id::bigint AS workspace_id, c.backlog::integer AS backlog,
    c.quota::integer AS quota, c.cap::integer AS cap,
    coalesce(c.account_served_at, 'epoch')::timestamptz AS account_served_at,
    coalesce(c.workspace_served_at, 'epoch')::timestamptz AS workspace_served_at
FROM thaw.candidates(sqlc.arg(tick_at)::timestamptz) AS c;

-- name: BlockedCampaigns :one
SELECT b.account_ids::bigint[] AS account_ids, b.workspace_ids::bigint[] AS workspace_ids, b.looked_to::bigint AS looked_to
FROM thaw.blocked_campaigns(sqlc.arg(after_id)::bigint) AS b;

-- name: MoveTargets :one
SELECT m.account_ids::bigint[] AS account_ids, m.workspace_ids::bigint[] AS workspace_ids FROM thaw.move_targets() AS m;

-- name: RecordPlan :one
SELECT thaw.record_plan(
    sqlc.arg(tick_at)::timestamptz, sqlc.arg(started_at)::timestamptz, sqlc.arg(account_cap)::integer,
    sqlc.arg(fleet_cap)::integer, sqlc.arg(account_ids)::bigint[], sqlc.arg(workspace_ids)::bigint[],
    sqlc.arg(planned)::integer[], sqlc.arg(backlog)::integer, sqlc.arg(is_partial)::boolean,
    sqlc.arg(looked_to)::bigint)::boolean AS recorded;

-- name: Sweep :one
SELECT s.tick_at, s.accounts_planned, s.accounts_processed, s.planned, s.resumed, s.moved, s.campaigns_resumed,
    s.remaining, s.is_partial, s.started_at, s.finished_at
FROM thaw.sweeps AS s
WHERE s.tick_at = sqlc.arg(tick_at)::timestamptz;

-- name: TickClock :one
-- What a process needs to compute ticks by the database clock.
SELECT settings.tick, thaw.tick()::timestamptz AS tick_at, thaw.now()::timestamptz AS now FROM thaw.settings;

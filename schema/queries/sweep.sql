-- name: EnqueueSweep :one
-- Inserts the sweep of the current tick unless it is there or done.
SELECT thaw.sweep()::timestamptz AS tick_at;

-- name: OpenSweep :one
-- The insert is what makes a tick swept once: opened is false where somebody else was first, or where the tick is over. The
-- caps are written down, so that a later change of the settings does not make this tick look wrong. The first tick of an hour
-- is the one that asks for what is done once an hour.
WITH opened AS (
    INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap)
    SELECT sqlc.arg(tick_at)::timestamptz, settings.account_cap, settings.fleet_cap
    FROM thaw.settings
    WHERE thaw.tick() = sqlc.arg(tick_at)::timestamptz
    ON CONFLICT (tick_at) DO NOTHING
    RETURNING fleet_cap
)
SELECT (thaw.tick() <> sqlc.arg(tick_at)::timestamptz)::boolean AS is_over,
    (opened.fleet_cap IS NOT NULL)::boolean AS opened,
    coalesce(opened.fleet_cap, 0)::integer AS fleet_cap,
    (NOT EXISTS (
        SELECT FROM thaw.sweeps AS earlier
        WHERE earlier.tick_at >= date_bin('1 hour', sqlc.arg(tick_at)::timestamptz, '2000-01-01 00:00:00+00')
            AND earlier.tick_at < sqlc.arg(tick_at)::timestamptz))::boolean AS is_first_of_hour
FROM (VALUES (true)) AS always (row)
LEFT JOIN opened ON true;

-- name: CloseStaleSweeps :many
-- Earlier ticks that did not come to their end, because a job of theirs was cancelled or nobody worked: their time is
-- over, and what they left is in the backlog of this tick.
WITH stale AS (
    SELECT s.tick_at FROM thaw.sweeps AS s
    WHERE s.finished_at IS NULL AND s.tick_at < sqlc.arg(tick_at)::timestamptz
), closed AS (
    UPDATE thaw.grants AS g SET finished_at = thaw.now(), verdict = 'stale_tick'
    FROM stale
    WHERE g.tick_at = stale.tick_at AND g.finished_at IS NULL
    RETURNING g.tick_at
)
UPDATE thaw.sweeps AS s SET
    finished_at = thaw.now(),
    accounts_processed = s.accounts_processed + (SELECT count(*) FROM closed WHERE closed.tick_at = s.tick_at)
FROM stale
WHERE s.tick_at = stale.tick_at
RETURNING s.tick_at;

-- name: Claimants :many
-- Never served is the start of time.
SELECT c.account_id::bigint AS account_id, c.workspace_id::bigint AS workspace_id, c.backlog::integer AS backlog,
    c.room::integer AS room,
    coalesce(c.account_served_at, 'epoch')::timestamptz AS account_served_at,
    coalesce(c.workspace_served_at, 'epoch')::timestamptz AS workspace_served_at
FROM thaw.claimants(sqlc.arg(tick_at)::timestamptz) AS c;

-- name: BlockedCampaigns :many
SELECT b.account_id::bigint AS account_id, b.workspace_id::bigint AS workspace_id
FROM thaw.blocked_campaigns() AS b;

-- name: RecordPlan :exec
-- The plan of the tick, one row an account, and its totals in the summary. A tick with nothing to do is over at once. The first
-- of an hour asks for the removal of what is old.
WITH planned AS (
    INSERT INTO thaw.grants (tick_at, account_id, workspace_id, planned)
    SELECT sqlc.arg(tick_at)::timestamptz, line.account_id, line.workspace_id, line.planned
    FROM (
        SELECT unnest(sqlc.arg(account_ids)::bigint[]) AS account_id,
            unnest(sqlc.arg(workspace_ids)::bigint[]) AS workspace_id,
            unnest(sqlc.arg(planned)::integer[]) AS planned) AS line
    RETURNING grants.planned
), total AS (
    SELECT count(*) AS accounts, coalesce(sum(planned.planned), 0) AS enrollments FROM planned
), recorded AS (
    UPDATE thaw.sweeps AS s SET
        accounts_planned = total.accounts,
        planned = total.enrollments,
        backlog_left = sqlc.arg(backlog)::integer,
        finished_at = CASE WHEN total.accounts = 0 THEN thaw.now() END
    FROM total
    WHERE s.tick_at = sqlc.arg(tick_at)::timestamptz
    RETURNING s.tick_at
)
SELECT thaw.enqueue('prune', 'sweep', 4::smallint, jsonb_build_object(
    'tick_at', to_char(recorded.tick_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '0', B'11110101')
FROM recorded
WHERE sqlc.arg(prune)::boolean;

-- name: RequeueOverduePauses :one
-- Pause jobs that somebody cancelled, or that ran while safety mode kept blips from running out.
SELECT count(thaw.enqueue('pause_account', 'resume', 3::smallint, jsonb_build_object(
    'account_id', a.id,
    'tick_at', to_char(sqlc.arg(tick_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))) AS requeued
FROM thaw.accounts AS a
WHERE a.pause_after < thaw.now() - interval '1 minute';

-- name: Sweep :one
SELECT s.tick_at, s.accounts_planned, s.accounts_processed, s.planned, s.resumed, s.repointed, s.campaigns_resumed,
    s.backlog_left, s.started_at, s.finished_at
FROM thaw.sweeps AS s
WHERE s.tick_at = sqlc.arg(tick_at)::timestamptz;

-- name: TickClock :one
-- What a process needs to know the ticks of the database's clock.
SELECT settings.tick, thaw.tick()::timestamptz AS tick_at, thaw.now()::timestamptz AS now FROM thaw.settings;

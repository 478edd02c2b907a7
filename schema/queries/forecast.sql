-- name: TickPlanned :one
-- The current tick, and whether it has a plan.
SELECT thaw.tick()::timestamptz AS tick_at,
    EXISTS (SELECT FROM thaw.sweeps AS s WHERE s.tick_at = thaw.tick())::boolean AS is_planned;

-- name: StoredForecast :one
-- The stored forecast, unless it is older than not_older_than, and its age in seconds.
SELECT f.content, extract(epoch FROM thaw.now() - f.made_at)::double precision AS seconds
FROM thaw.forecasts AS f
WHERE f.made_at > thaw.now() - sqlc.arg(not_older_than)::interval;

-- name: StoreForecast :exec
-- seconds: how long ago the forecast started to read the fleet.
INSERT INTO thaw.forecasts AS f (made_at, content)
VALUES (thaw.now() - make_interval(secs => sqlc.arg(seconds)::double precision), sqlc.arg(content)::bytea)
ON CONFLICT (only_row) DO UPDATE SET made_at = excluded.made_at, content = excluded.content;

-- name: DropForecast :exec
DELETE FROM thaw.forecasts;

-- name: HasWaitingAccounts :one
-- Whether at least at_least accounts have waiting prospects.
SELECT (count(*) >= sqlc.arg(at_least)::integer)::boolean AS is_reached
FROM (SELECT FROM thaw.waiting_totals AS t WHERE t.waiting > 0 LIMIT sqlc.arg(at_least)::integer) AS waiting;

-- name: OpenAllocations :many
-- The allocations of a tick that are still open.
SELECT g.account_id, g.planned
FROM thaw.allocations AS g
WHERE g.tick_at = sqlc.arg(tick_at)::timestamptz AND g.finished_at IS NULL;

-- name: OpenMoves :one
-- How many pending prospects can move now from accounts that are gone, counted up to at_most, and
-- from how many accounts.
SELECT count(*)::bigint AS prospects, count(DISTINCT counted.source_id)::bigint AS accounts
FROM (
    SELECT move.source_id
    FROM thaw.open_moves() AS move (source_id, target_id, workspace_id)
    -- ORDER BY matches the index, as in thaw.blocked_campaigns.
    CROSS JOIN LATERAL (
        SELECT FROM thaw.enrollments AS e
        WHERE e.status = 'pending' AND e.account_id = move.source_id
        ORDER BY e.campaign_id, e.id
        LIMIT sqlc.arg(at_most)::integer) AS pending
    LIMIT sqlc.arg(at_most)::integer) AS counted;

-- name: ProspectFacts :many
-- Every enrollment of the given prospects, with all facts that explain why it is paused. Empty text
-- stands for null.
SELECT
    e.id AS enrollment_id,
    workspace.key AS workspace,
    campaign.key AS campaign,
    campaign.name AS campaign_name,
    campaign.status::text AS campaign_status,
    coalesce(campaign.paused_reason::text, '')::text AS campaign_reason,
    coalesce(account.connected_at >= campaign.paused_at, false)::boolean AS campaign_is_due,
    -- 0 and empty: no account is assigned yet.
    coalesce(account.provider_account_id, '')::text AS account,
    coalesce(account.display_name, '')::text AS account_name,
    coalesce(account.status::text, '')::text AS account_status,
    words.account_noun::text AS account_noun,
    coalesce(words.says, '')::text AS account_says,
    coalesce(words.advice, '')::text AS account_advice,
    coalesce(account.id, 0)::bigint AS account_id,
    workspace.external_id AS workspace_external_id,
    campaign.external_id AS campaign_external_id,
    account.external_id AS account_external_id,
    e.external_id,
    e.own_reason,
    account.reconnected_at,
    coalesce(account.reconnected_at < thaw.now() - (SELECT settings.grace_period FROM thaw.settings), false)::boolean AS is_overdue,
    account.locked_at AS account_locked_at,
    account.locked_reason AS account_locked_reason,
    e.prospect_url,
    e.status::text AS status,
    coalesce(e.paused_reason::text, '')::text AS paused_reason,
    e.paused_at,
    coalesce(account.timezone, '')::text AS timezone,
    e.step,
    e.next_action_at,
    -- Accounts of the same person, in this and in other workspaces. The latter is evaluated last,
    -- because no index supports it.
    family.siblings::bigint AS siblings,
    (account.id IS NOT NULL AND target.id IS NULL AND account.member_id IS NOT NULL AND EXISTS (
        SELECT FROM thaw.accounts AS other
        WHERE other.provider = account.provider AND other.member_id = account.member_id AND other.status = 'connected'
            AND other.workspace_id <> account.workspace_id))::boolean AS connected_elsewhere,
    -- The account through which it would resume.
    target.id AS target_id,
    target.provider_account_id AS target,
    target.display_name AS target_name,
    -- Whether it is not paused and moves to that account, because its own account is gone.
    (target.id IS NOT NULL AND e.status IN ('pending', 'active') AND thaw.is_gone(account.status))::boolean AS is_moving,
    -- What blocks that account, or its own account if there is none. An enrollment that is not
    -- paused stays on its own account, unless that is gone. Without an account, only what is not
    -- about one can block it.
    (CASE WHEN used.id IS NOT NULL THEN thaw.blocks(used) ELSE array_remove(ARRAY[
        CASE WHEN thaw.is_safety_on() THEN 'safety_mode' END, CASE WHEN NOT workspace.auto_resume THEN 'auto_resume_off' END,
        CASE WHEN workspace.shadow THEN 'shadow_mode' END], NULL)
    END)::text[] AS blocks,
    used.locked_at,
    used.locked_reason,
    used.parked_reason,
    used.resume_after,
    used.hold_until,
    used.hold_reason,
    safety.reason AS safety_reason,
    safety.manual_exit AS safety_manual_exit,
    workspace.auto_resume_reason,
    -- Whether it is in the queue of its target account. The query Positions returns the queue
    -- position.
    (e.waits_for_account
        AND thaw.allows_resume(campaign.status, campaign.waits_for_account)
        AND target.id IS NOT NULL AND thaw.blocked_by(target) IS NULL)::boolean AS is_queued
FROM thaw.enrollments_named(sqlc.arg(names)::text[], sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint) AS named
JOIN thaw.enrollments AS e ON e.id = named.id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
LEFT JOIN thaw.accounts AS account ON account.id = e.account_id
CROSS JOIN LATERAL thaw.words_for(account.provider, account.status, account.last_error)
    AS words (provider_name, account_noun, says, advice, owner_advice)
CROSS JOIN thaw.safety AS safety
LEFT JOIN thaw.accounts AS target
    ON target.id = (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = account.id)
LEFT JOIN thaw.accounts AS used ON used.id = CASE WHEN e.status = 'paused' OR thaw.is_gone(account.status)
    THEN coalesce(target.id, account.id) ELSE account.id END
CROSS JOIN LATERAL (
    SELECT count(*) AS siblings
    FROM thaw.siblings AS sibling
    WHERE sibling.account_id = account.id) AS family
ORDER BY workspace.key, campaign.key, e.id;

-- name: Positions :many
-- The queue positions of enrollments, per target account; 1 is next. The requested enrollments
-- split a queue into stretches, each from one to the next. Every stretch is counted once, through
-- the index, up to at_most rows. A position above at_most means "more than that".
WITH asked AS MATERIALIZED (
    SELECT e.id, e.paused_at, target.target_id,
        lag(e.paused_at, 1, '-infinity') OVER per_target AS from_time, lag(e.id, 1, 0::bigint) OVER per_target AS from_id
    FROM thaw.enrollments AS e
    CROSS JOIN LATERAL (
        SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = e.account_id LIMIT 1) AS target
    WHERE e.id = ANY (sqlc.arg(enrollment_ids)::bigint[])
    WINDOW per_target AS (PARTITION BY target.target_id ORDER BY e.paused_at, e.id)
), line AS MATERIALIZED (
    SELECT target.id AS target_id, source.source_id, source.campaign_id
    FROM (SELECT DISTINCT asked.target_id AS id FROM asked) AS target
    CROSS JOIN LATERAL thaw.resumable(thaw.sources_of(target.id))
        AS source (workspace_id, target_id, source_id, campaign_id)
)
SELECT asked.id AS enrollment_id,
    (1 + sum(stretch.length) OVER (PARTITION BY asked.target_id ORDER BY asked.paused_at, asked.id))::bigint AS position
FROM asked
CROSS JOIN LATERAL (
    SELECT count(*) AS length
    FROM (
        SELECT
        FROM line
        CROSS JOIN LATERAL (
            SELECT
            FROM thaw.enrollments AS w
            WHERE w.status = 'paused' AND w.waits_for_account
                AND w.account_id = line.source_id AND w.campaign_id = line.campaign_id
                AND (w.paused_at, w.id) >= (asked.from_time, asked.from_id)
                AND (w.paused_at, w.id) < (asked.paused_at, asked.id)
            ORDER BY w.paused_at, w.id
            LIMIT sqlc.arg(at_most)::integer) AS rows
        WHERE line.target_id = asked.target_id
        LIMIT sqlc.arg(at_most)::integer) AS counted) AS stretch;

-- name: EnrollmentHistories :many
SELECT event.enrollment_id, event.at, event.kind::text AS kind, event.from_status::text AS from_status,
    event.to_status::text AS to_status, coalesce(event.reason::text, '')::text AS reason, event.source::text AS source, event.tick_at,
    event.heal_id, event.signal_id, event.job_id, from_account.provider_account_id AS from_account,
    to_account.provider_account_id AS to_account, from_account.display_name AS from_name, to_account.display_name AS to_name,
    event.step, coalesce(event.detail, '')::text AS detail, event.action_id,
    (action.id IS NOT NULL AND thaw.is_undoable(action.id, action.what))::boolean AS can_undo
FROM thaw.enrollment_events AS event
LEFT JOIN thaw.manual_actions AS action ON action.id = event.action_id
LEFT JOIN thaw.accounts AS from_account ON from_account.id = event.from_account_id
LEFT JOIN thaw.accounts AS to_account ON to_account.id = event.to_account_id
WHERE event.enrollment_id = ANY (sqlc.arg(enrollment_ids)::bigint[])
ORDER BY event.id;

-- name: LatestSweep :one
-- The newest tick with a plan, whether it is finished or not.
SELECT s.tick_at, s.accounts_planned, s.accounts_processed, s.resumed, s.moved, s.campaigns_resumed, s.remaining,
    coalesce(s.seconds, 0)::double precision AS seconds, s.finished_at,
    (SELECT w.is_partial FROM thaw.sweeps AS w WHERE w.tick_at = s.tick_at)::boolean AS is_partial
FROM thaw.sweep_log AS s
ORDER BY s.tick_at DESC
LIMIT 1;

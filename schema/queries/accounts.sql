-- Accounts as people see them. A list is read in two steps: which accounts (in the order of workspace and id, by a unique index,
-- from where the last page ended), and then what is to be said about just these. Whose accounts may be seen is a range of
-- workspaces in every query: one of them, or all.

-- name: AccountKeys :many
-- The accounts of a page. Has_backlog leaves those with somebody who waits for an account.
SELECT a.workspace_id, a.id
FROM thaw.accounts AS a
WHERE (a.workspace_id, a.id) > (sqlc.arg(after_workspace)::bigint, sqlc.arg(after_id)::bigint)
    AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(status)::text IS NULL OR a.status::text = sqlc.narg(status)::text)
    AND (NOT sqlc.arg(has_backlog)::boolean OR EXISTS (
        SELECT FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id))
ORDER BY a.workspace_id, a.id
LIMIT sqlc.arg(size)::integer;

-- name: AccountIDsNamed :many
-- The accounts that a provider calls so; several where two providers do.
SELECT a.id
FROM thaw.accounts AS a
WHERE lower(a.provider_account_id) COLLATE "C" = lower(sqlc.arg(account)::text) COLLATE "C"
    AND a.provider_account_id = sqlc.arg(account)::text
    AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
ORDER BY a.workspace_id, a.id;

-- name: SiblingKeys :many
-- The other accounts of the same person in the same workspace.
SELECT sibling.id
FROM thaw.accounts AS a
JOIN thaw.accounts AS sibling
    ON sibling.workspace_id = a.workspace_id AND sibling.provider = a.provider AND sibling.member_id = a.member_id
    AND sibling.id <> a.id
WHERE a.id = sqlc.arg(account_id)::bigint
ORDER BY sibling.id;

-- name: AccountsOf :many
-- What is to be said about the given accounts. Those who are paused are counted in the index, by reason; those who may be woken
-- are counted along the same lines as a sweep does.
WITH wanted AS (
    SELECT a.*
    FROM thaw.accounts AS a
    WHERE a.id = ANY (sqlc.arg(ids)::bigint[])
        AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
), waiting AS (
    SELECT line.source_id, sum(rows.waiting)::bigint AS resumable
    FROM thaw.resumable(ARRAY(SELECT wanted.id FROM wanted)) AS line (workspace_id, target_id, source_id, campaign_id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account
            AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id) AS rows
    GROUP BY line.source_id
)
SELECT a.id, a.workspace_id, workspace.key AS workspace, a.provider, a.provider_account_id AS account, a.display_name AS name,
    a.member_id, a.status::text AS status, a.status_at, a.connected_at, a.last_error, a.pause_after, a.hold_until, a.hold_reason,
    paused.total::bigint AS paused, paused.by_reason::jsonb AS by_reason,
    coalesce(waiting.resumable, 0)::bigint AS resumable,
    coalesce(target.id, 0)::bigint AS target_id,
    coalesce(thaw.blocked_by(target), '')::text AS blocked_by
FROM wanted AS a
JOIN thaw.workspaces AS workspace ON workspace.id = a.workspace_id
LEFT JOIN waiting ON waiting.source_id = a.id
LEFT JOIN thaw.accounts AS target
    ON target.id = (SELECT wake.target_id FROM thaw.wake_targets AS wake WHERE wake.source_id = a.id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.rows), 0) AS total, coalesce(jsonb_object_agg(r.paused_reason, r.rows), '{}') AS by_reason
    FROM (
        SELECT e.paused_reason, count(*) AS rows
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account = ANY ('{true,false}'::boolean[]) AND e.account_id = a.id
        GROUP BY e.paused_reason) AS r) AS paused
ORDER BY a.workspace_id, a.id;

-- name: AccountSignals :many
-- What the provider said about an account, newest first.
SELECT s.id, s.received_at, s.occurred_at, s.raw_status, coalesce(s.status::text, '')::text AS status, s.outcome::text AS outcome,
    s.duplicate_of, s.verdict, s.resumed
FROM thaw.accounts AS a
JOIN thaw.account_signals AS s ON s.provider = a.provider AND s.provider_account_id = a.provider_account_id
WHERE a.id = sqlc.arg(account_id)::bigint
    AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND s.id < sqlc.arg(before_id)::bigint
ORDER BY s.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: PausedEnrollments :many
-- The paused prospects of an account, as they lie in the index: those who wait for an account, then the others; by campaign, and
-- there the longest paused first. Each of the two parts begins after its own row of the arrays.
SELECT e.id, e.waits_for_account, e.campaign_id, campaign.key AS campaign, e.prospect_url, e.status::text AS status,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step, e.next_action_at
FROM (
    SELECT unnest(sqlc.arg(waits)::boolean[]) AS waits, unnest(sqlc.arg(after_campaigns)::bigint[]) AS after_campaign,
        unnest(sqlc.arg(after_times)::timestamptz[]) AS after_time, unnest(sqlc.arg(after_ids)::bigint[]) AS after_id) AS part
CROSS JOIN LATERAL (
    SELECT w.*
    FROM thaw.enrollments AS w
    WHERE w.status = 'paused' AND w.waits_for_account = part.waits AND w.account_id = sqlc.arg(account_id)::bigint
        AND (w.campaign_id, w.paused_at, w.id) > (part.after_campaign, part.after_time, part.after_id)
    ORDER BY w.campaign_id, w.paused_at, w.id
    LIMIT sqlc.arg(size)::integer) AS e
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
WHERE e.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
ORDER BY e.waits_for_account DESC, e.campaign_id, e.paused_at, e.id
LIMIT sqlc.arg(size)::integer;

-- name: ActiveEnrollments :many
-- The prospects of an account that are under way, by campaign.
SELECT e.id, e.campaign_id, campaign.key AS campaign, e.prospect_url, e.status::text AS status, e.step, e.next_action_at
FROM thaw.enrollments AS e
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
WHERE e.status = 'active' AND e.account_id = sqlc.arg(account_id)::bigint
    AND (e.campaign_id, e.id) > (sqlc.arg(after_campaign)::bigint, sqlc.arg(after_id)::bigint)
    AND e.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
ORDER BY e.campaign_id, e.id
LIMIT sqlc.arg(size)::integer;

-- name: AccountIsSeen :one
SELECT EXISTS (
    SELECT FROM thaw.accounts AS a
    WHERE a.id = sqlc.arg(account_id)::bigint
        AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint)::boolean AS seen;

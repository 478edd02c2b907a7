-- Accounts for pages, the API and the CLI. A list is read in two steps: first the accounts of the
-- page (ordered by workspace and id, through a unique index, from where the last page ended), then
-- their details. Every query is limited to a range of workspaces that the caller may see: one of
-- them, or all.

-- name: AccountKeys :many
-- The accounts of a page. has_backlog: only accounts with prospects that wait for an account.
SELECT a.workspace_id, a.id
FROM thaw.accounts AS a
WHERE (a.workspace_id, a.id) > (sqlc.arg(after_workspace)::bigint, sqlc.arg(after_id)::bigint)
    AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(status)::text IS NULL OR a.status::text = sqlc.narg(status)::text)
    AND (NOT sqlc.arg(has_backlog)::boolean OR EXISTS (
        SELECT FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id))
    AND (sqlc.narg(blocked)::text IS NULL OR CASE sqlc.narg(blocked)::text
        WHEN 'account_on_hold' THEN a.hold_until > thaw.now()
        WHEN 'account_locked' THEN a.locked_at IS NOT NULL
        WHEN 'account_flapping' THEN a.resume_after > thaw.now()
        WHEN 'account_stuck' THEN thaw.is_stuck(a)
        WHEN 'refusals' THEN a.id IN (SELECT h.account_id FROM thaw.action_holds AS h WHERE h.code = 'refusals' AND h.until > thaw.now()) END)
ORDER BY a.workspace_id, a.id
LIMIT sqlc.arg(size)::integer;

-- name: MostPausedAccounts :many
-- The accounts of a page, ordered by the number of paused prospects, most first.
SELECT a.id, p.paused
FROM (
    SELECT part.account_id, sum(part.paused)::bigint AS paused, coalesce(sum(part.paused) FILTER (WHERE part.waits_for_account), 0) AS waiting
    FROM thaw.paused_parts AS part
    GROUP BY part.account_id
    HAVING sum(part.paused) > 0) AS p
JOIN thaw.accounts AS a ON a.id = p.account_id
WHERE (p.paused, -a.id) < (sqlc.arg(before_paused)::bigint, -sqlc.arg(after_id)::bigint)
    AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(status)::text IS NULL OR a.status::text = sqlc.narg(status)::text)
    AND (NOT sqlc.arg(has_backlog)::boolean OR p.waiting > 0)
    AND (sqlc.narg(blocked)::text IS NULL OR CASE sqlc.narg(blocked)::text
        WHEN 'account_on_hold' THEN a.hold_until > thaw.now()
        WHEN 'account_locked' THEN a.locked_at IS NOT NULL
        WHEN 'account_flapping' THEN a.resume_after > thaw.now()
        WHEN 'account_stuck' THEN thaw.is_stuck(a)
        WHEN 'refusals' THEN a.id IN (SELECT h.account_id FROM thaw.action_holds AS h WHERE h.code = 'refusals' AND h.until > thaw.now()) END)
ORDER BY p.paused DESC, a.id
LIMIT sqlc.arg(size)::integer;

-- name: CountAccounts :one
-- How many accounts a list has, counted up to at_most.
SELECT count(*)
FROM (
    SELECT
    FROM thaw.accounts AS a
    WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        AND (sqlc.narg(status)::text IS NULL OR a.status::text = sqlc.narg(status)::text)
        AND (NOT sqlc.arg(has_backlog)::boolean OR EXISTS (
            SELECT FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id))
        AND (sqlc.narg(blocked)::text IS NULL OR CASE sqlc.narg(blocked)::text
            WHEN 'account_on_hold' THEN a.hold_until > thaw.now()
            WHEN 'account_locked' THEN a.locked_at IS NOT NULL
            WHEN 'account_flapping' THEN a.resume_after > thaw.now()
            WHEN 'account_stuck' THEN thaw.is_stuck(a)
            WHEN 'refusals' THEN a.id IN (SELECT h.account_id FROM thaw.action_holds AS h WHERE h.code = 'refusals' AND h.until > thaw.now()) END)
    LIMIT sqlc.arg(at_most)::integer) AS counted;

-- name: FindAccounts :many
-- The accounts with a provider account ID or an ID of the platform: several if two providers use
-- the same ID, or two workspaces.
SELECT a.id
FROM thaw.accounts_named(sqlc.arg(account)::text, sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint) AS named
JOIN thaw.accounts AS a ON a.id = named.id
ORDER BY a.workspace_id, a.id;

-- name: SiblingKeys :many
-- The other accounts of the same person in the same workspace.
SELECT family.sibling_id AS id
FROM thaw.siblings AS family
WHERE family.account_id = sqlc.arg(account_id)::bigint
ORDER BY family.sibling_id;

-- name: AccountMoves :many
-- The pending prospects that move away from an account if it is gone, or to it from accounts of the
-- same person that are gone: one row per account that they leave, each counted up to at_most.
SELECT source.id AS from_account_id, source.target_id::bigint AS to_account_id, pending.prospects
FROM (
    SELECT a.id, (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = a.id LIMIT 1) AS target_id
    FROM thaw.accounts AS a
    -- In a subquery of its own, so that it is evaluated once.
    WHERE a.id = ANY ((SELECT thaw.sources_of(sqlc.arg(account_id)::bigint) || sqlc.arg(account_id)::bigint)::bigint[])
        AND thaw.is_gone(a.status)
    OFFSET 0) AS source
CROSS JOIN LATERAL (
    SELECT count(*) AS prospects
    FROM (
        -- ORDER BY matches the index, as in thaw.blocked_campaigns.
        SELECT FROM thaw.enrollments AS e
        WHERE e.status = 'pending' AND e.account_id = source.id
        ORDER BY e.campaign_id, e.id
        LIMIT sqlc.arg(at_most)::integer) AS counted) AS pending
WHERE source.target_id IS NOT NULL AND pending.prospects > 0
ORDER BY source.id;

-- name: AccountsOf :many
-- The details of the given accounts, from the counts that the sweep uses: no enrollment rows are
-- counted.
WITH wanted AS (
    SELECT a.*
    FROM thaw.accounts AS a
    WHERE a.id = ANY (sqlc.arg(ids)::bigint[])
        AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
), lines AS MATERIALIZED (
    SELECT p.account_id, p.campaign_id, p.reason, p.waits_for_account, sum(p.paused) AS paused
    FROM thaw.paused_parts AS p
    WHERE p.account_id = ANY (sqlc.arg(ids)::bigint[])
    GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account
    HAVING sum(p.paused) > 0
), paused AS (
    SELECT r.account_id, sum(r.paused) AS total, jsonb_object_agg(r.reason, r.paused) AS by_reason
    FROM (SELECT l.account_id, l.reason, sum(l.paused) AS paused FROM lines AS l GROUP BY l.account_id, l.reason) AS r
    GROUP BY r.account_id
), waiting AS (
    SELECT l.account_id, sum(l.paused) AS total
    FROM lines AS l
    JOIN thaw.campaigns AS c ON c.id = l.campaign_id
    WHERE l.waits_for_account AND thaw.allows_resume(c.status, c.waits_for_account)
    GROUP BY l.account_id
)
SELECT a.id, a.workspace_id, workspace.key AS workspace, a.provider, words.provider_name::text AS provider_name,
    a.provider_account_id AS account, a.display_name AS name, coalesce(words.owner_advice, '')::text AS advice,
    a.member_id, a.status::text AS status, a.status_at, a.connected_at, a.last_error, a.pause_after, a.hold_until, a.hold_reason,
    a.locked_at, a.locked_reason, coalesce(a.external_id, '')::text AS external_id,
    coalesce(paused.total, 0)::bigint AS paused, coalesce(paused.by_reason, '{}')::jsonb AS by_reason,
    (CASE WHEN target.id IS NOT NULL AND thaw.blocked_by(target) IS NULL THEN coalesce(waiting.total, 0) ELSE 0 END)::bigint
        AS resumable,
    coalesce(target.id, 0)::bigint AS target_id,
    coalesce(thaw.blocked_by(target), '')::text AS blocked_by
FROM wanted AS a
JOIN thaw.workspaces AS workspace ON workspace.id = a.workspace_id
CROSS JOIN LATERAL thaw.words_for(a.provider, a.status, a.last_error)
    AS words (provider_name, account_noun, says, advice, owner_advice)
LEFT JOIN paused ON paused.account_id = a.id
LEFT JOIN waiting ON waiting.account_id = a.id
LEFT JOIN thaw.accounts AS target
    ON target.id = (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = a.id)
ORDER BY a.workspace_id, a.id;

-- name: ProductsOf :many
-- The products of the given accounts with a separate status: at most 16 per account.
SELECT p.account_id, p.product, p.status::text AS status, p.raw_status, p.status_at, p.down_since
FROM thaw.account_products AS p
WHERE p.account_id = ANY (sqlc.arg(account_ids)::bigint[])
ORDER BY p.account_id, p.product;

-- name: PausedAccounts :many
-- The accounts with the most paused prospects, in descending order, and how many accounts have any.
SELECT p.account_id, count(*) OVER () AS accounts
FROM (
    SELECT part.account_id, sum(part.paused) AS paused
    FROM thaw.paused_parts AS part
    GROUP BY part.account_id
    HAVING sum(part.paused) > 0) AS p
ORDER BY p.paused DESC, p.account_id
LIMIT sqlc.narg(size)::integer;

-- name: AccountSignals :many
-- The signals of an account, newest first.
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
-- The paused prospects of an account, in index order: first those that wait for an account, then
-- the others, each by campaign and pause time. Each of the two parts starts after its own entry of
-- the arrays.
SELECT e.id, e.waits_for_account, e.campaign_id, campaign.key AS campaign, e.prospect_url, e.status::text AS status,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step, e.next_action_at,
    coalesce(e.external_id, '')::text AS external_id, (CASE WHEN e.paused_reason = 'paused_by_user' THEN coalesce(e.own_reason, '') ELSE '' END)::text AS own_reason
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
-- The active prospects of an account, by campaign.
SELECT e.id, e.campaign_id, campaign.key AS campaign, e.prospect_url, e.status::text AS status, e.step, e.next_action_at,
    coalesce(e.external_id, '')::text AS external_id
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

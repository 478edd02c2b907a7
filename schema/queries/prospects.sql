-- The list of paused prospects, of any part of the fleet. The lines (account and campaign) come from
-- the counts that the sweep uses, and the rows of a line from the index of paused rows, so a page
-- reads about as many rows as it shows. No index has the reason as a key: within a line, rows of
-- other reasons are skipped in the index. A null
-- argument does not filter.

-- name: PausedByReason :many
-- How many prospects are paused, by reason: exact, without reading enrollments.
SELECT p.reason::text AS reason, sum(p.paused)::bigint AS paused
FROM thaw.paused_parts AS p
JOIN thaw.accounts AS a ON a.id = p.account_id
WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(account_ids)::bigint[] IS NULL OR p.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
    AND (sqlc.narg(campaign_id)::bigint IS NULL OR p.campaign_id = sqlc.narg(campaign_id)::bigint)
GROUP BY p.reason
HAVING sum(p.paused) > 0
ORDER BY sum(p.paused) DESC, p.reason;

-- name: PausedProspects :many
-- A page in the order of accounts and campaigns. Within a campaign, the longest paused come first.
-- The subqueries are ordered so that the rows of later lines are not read.
SELECT e.id, e.account_id, e.campaign_id, e.waits_for_account, workspace.key AS workspace, account.provider_account_id AS account,
    account.display_name AS account_name, campaign.key AS campaign, campaign.name AS campaign_name, e.prospect_url,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step
FROM (
    SELECT w.*
    FROM (
        SELECT p.account_id, p.campaign_id, p.waits_for_account AS waits
        FROM thaw.paused_parts AS p
        JOIN thaw.accounts AS a ON a.id = p.account_id
        WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            AND (sqlc.narg(account_ids)::bigint[] IS NULL OR p.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
            AND (sqlc.narg(campaign_id)::bigint IS NULL OR p.campaign_id = sqlc.narg(campaign_id)::bigint)
            AND (sqlc.narg(reason)::text IS NULL OR p.reason = sqlc.narg(reason)::text::thaw.pause_reason)
            AND (p.account_id, p.campaign_id, p.waits_for_account)
                >= (sqlc.arg(after_account)::bigint, sqlc.arg(after_campaign)::bigint, sqlc.arg(after_waits)::boolean)
        GROUP BY p.account_id, p.campaign_id, p.waits_for_account
        HAVING sum(p.paused) > 0
        ORDER BY p.account_id, p.campaign_id, p.waits_for_account) AS line
    CROSS JOIN LATERAL (
        SELECT n.*
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = line.waits AND n.account_id = line.account_id
            AND n.campaign_id = line.campaign_id
            AND (sqlc.narg(reason)::text IS NULL OR n.paused_reason = sqlc.narg(reason)::text::thaw.pause_reason)
            AND n.paused_at <= coalesce(thaw.now() - sqlc.narg(older_than)::interval, 'infinity')
            -- The line of the last row of the previous page continues after that row.
            AND (n.paused_at, n.id) > (
                CASE WHEN (line.account_id, line.campaign_id, line.waits)
                        = (sqlc.arg(after_account)::bigint, sqlc.arg(after_campaign)::bigint, sqlc.arg(after_waits)::boolean)
                    THEN sqlc.arg(after_time)::timestamptz ELSE '-infinity' END,
                sqlc.arg(after_id)::bigint)
        ORDER BY n.paused_at, n.id
        LIMIT sqlc.arg(size)::integer) AS w
    ORDER BY line.account_id, line.campaign_id, line.waits, w.paused_at, w.id
    LIMIT sqlc.arg(size)::integer) AS e
JOIN thaw.accounts AS account ON account.id = e.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
ORDER BY e.account_id, e.campaign_id, e.waits_for_account, e.paused_at, e.id;

-- name: LongestPaused :many
-- A page with the longest paused first. The next row of each line is looked up first: the page is in
-- the lines whose next rows are the oldest, and there are no more of those than rows on the page.
SELECT e.id, e.account_id, e.campaign_id, e.waits_for_account, workspace.key AS workspace, account.provider_account_id AS account,
    account.display_name AS account_name, campaign.key AS campaign, campaign.name AS campaign_name, e.prospect_url,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step
FROM (
    SELECT w.*
    FROM (
        SELECT line.account_id, line.campaign_id, line.waits
        FROM (
            SELECT p.account_id, p.campaign_id, p.waits_for_account AS waits
            FROM thaw.paused_parts AS p
            JOIN thaw.accounts AS a ON a.id = p.account_id
            WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
                AND (sqlc.narg(account_ids)::bigint[] IS NULL OR p.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
                AND (sqlc.narg(campaign_id)::bigint IS NULL OR p.campaign_id = sqlc.narg(campaign_id)::bigint)
                AND (sqlc.narg(reason)::text IS NULL OR p.reason = sqlc.narg(reason)::text::thaw.pause_reason)
            GROUP BY p.account_id, p.campaign_id, p.waits_for_account
            HAVING sum(p.paused) > 0) AS line
        CROSS JOIN LATERAL (
            SELECT n.paused_at, n.id
            FROM thaw.enrollments AS n
            WHERE n.status = 'paused' AND n.waits_for_account = line.waits AND n.account_id = line.account_id
                AND n.campaign_id = line.campaign_id
                AND (sqlc.narg(reason)::text IS NULL OR n.paused_reason = sqlc.narg(reason)::text::thaw.pause_reason)
                AND n.paused_at <= coalesce(thaw.now() - sqlc.narg(older_than)::interval, 'infinity')
                AND (n.paused_at, n.id) > (sqlc.arg(after_time)::timestamptz, sqlc.arg(after_id)::bigint)
            ORDER BY n.paused_at, n.id
            LIMIT 1) AS head
        ORDER BY head.paused_at, head.id
        LIMIT sqlc.arg(size)::integer) AS line
    CROSS JOIN LATERAL (
        SELECT n.*
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = line.waits AND n.account_id = line.account_id
            AND n.campaign_id = line.campaign_id
            AND (sqlc.narg(reason)::text IS NULL OR n.paused_reason = sqlc.narg(reason)::text::thaw.pause_reason)
            AND n.paused_at <= coalesce(thaw.now() - sqlc.narg(older_than)::interval, 'infinity')
            AND (n.paused_at, n.id) > (sqlc.arg(after_time)::timestamptz, sqlc.arg(after_id)::bigint)
        ORDER BY n.paused_at, n.id
        LIMIT sqlc.arg(size)::integer) AS w
    ORDER BY w.paused_at, w.id
    LIMIT sqlc.arg(size)::integer) AS e
JOIN thaw.accounts AS account ON account.id = e.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
ORDER BY e.paused_at, e.id;

-- name: CountPausedSince :one
-- How many prospects of the list are paused for longer than older_than, counted up to at_most.
SELECT count(*)
FROM (
    SELECT
    FROM (
        SELECT p.account_id, p.campaign_id, p.waits_for_account AS waits
        FROM thaw.paused_parts AS p
        JOIN thaw.accounts AS a ON a.id = p.account_id
        WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            AND (sqlc.narg(account_ids)::bigint[] IS NULL OR p.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
            AND (sqlc.narg(campaign_id)::bigint IS NULL OR p.campaign_id = sqlc.narg(campaign_id)::bigint)
            AND (sqlc.narg(reason)::text IS NULL OR p.reason = sqlc.narg(reason)::text::thaw.pause_reason)
        GROUP BY p.account_id, p.campaign_id, p.waits_for_account
        HAVING sum(p.paused) > 0) AS line
    CROSS JOIN LATERAL (
        SELECT
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = line.waits AND n.account_id = line.account_id
            AND n.campaign_id = line.campaign_id
            AND (sqlc.narg(reason)::text IS NULL OR n.paused_reason = sqlc.narg(reason)::text::thaw.pause_reason)
            AND n.paused_at <= thaw.now() - sqlc.arg(older_than)::interval
        LIMIT sqlc.arg(at_most)::integer) AS w
    LIMIT sqlc.arg(at_most)::integer) AS counted;

-- The list of paused prospects, of any part of the fleet. The lines (account, campaign and reason)
-- come from the counts that the sweep uses, and the rows of a line from the index of paused rows,
-- so a page reads about as many rows as it shows. That index does not have the reason as a key:
-- within an account and a campaign, rows of other reasons are skipped. A null argument does not
-- filter. The caller sets account_ids to the accounts of the workspace if the scope is one
-- workspace.

-- name: PausedByReason :many
-- How many prospects are paused, by reason: exact, without reading enrollments.
SELECT l.reason::text AS reason, sum(l.paused)::bigint AS paused
FROM thaw.paused_parts AS l
WHERE (sqlc.narg(account_ids)::bigint[] IS NULL OR l.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
    AND (sqlc.narg(campaign_id)::bigint IS NULL OR l.campaign_id = sqlc.narg(campaign_id)::bigint)
GROUP BY l.reason
HAVING sum(l.paused) > 0
ORDER BY sum(l.paused) DESC, l.reason;

-- name: AccountsOfScope :many
SELECT a.id FROM thaw.accounts AS a
WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(account_ids)::bigint[] IS NULL OR a.id = ANY (sqlc.narg(account_ids)::bigint[]))
ORDER BY a.id;

-- name: PausedProspects :many
-- A page in the order of accounts, campaigns and reasons. Within a line, the longest paused come
-- first. The lines are read in order, and the rows of later lines are not read.
SELECT e.id, e.account_id::bigint AS account_id, e.campaign_id, workspace.key AS workspace, account.provider_account_id AS account,
    account.display_name AS account_name, campaign.key AS campaign, campaign.name AS campaign_name, e.prospect_url,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step,
    coalesce(e.external_id, '')::text AS external_id,
    (CASE WHEN e.paused_reason = 'paused_by_user' THEN coalesce(e.own_reason, '') ELSE '' END)::text AS own_reason
FROM (
    SELECT w.*
    FROM (
        SELECT l.*
        FROM thaw.paused_keys AS l
        WHERE (sqlc.narg(account_ids)::bigint[] IS NULL OR l.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
            AND (sqlc.narg(campaign_id)::bigint IS NULL OR l.campaign_id = sqlc.narg(campaign_id)::bigint)
            AND (sqlc.narg(reason)::text IS NULL OR l.reason = sqlc.narg(reason)::text::thaw.pause_reason)
            AND (l.account_id, l.campaign_id, l.reason) >= (sqlc.arg(after_account)::bigint, sqlc.arg(after_campaign)::bigint,
                coalesce(nullif(sqlc.arg(after_reason)::text, '')::thaw.pause_reason, enum_first(NULL::thaw.pause_reason)))
        ORDER BY l.account_id, l.campaign_id, l.reason) AS line
    CROSS JOIN LATERAL (
        SELECT n.*
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = line.waits_for_account AND n.account_id = line.account_id
            AND n.campaign_id = line.campaign_id AND n.paused_reason = line.reason
            AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            AND n.paused_at <= coalesce(thaw.now() - sqlc.narg(older_than)::interval, 'infinity')
            -- The line of the last row of the previous page continues after that row.
            AND (n.paused_at, n.id) > (
                CASE WHEN line.account_id = sqlc.arg(after_account)::bigint AND line.campaign_id = sqlc.arg(after_campaign)::bigint
                        AND line.reason::text = sqlc.arg(after_reason)::text
                    THEN sqlc.arg(after_time)::timestamptz ELSE '-infinity' END,
                sqlc.arg(after_id)::bigint)
        ORDER BY n.paused_at, n.id
        LIMIT sqlc.arg(size)::integer) AS w
    ORDER BY line.account_id, line.campaign_id, line.reason, w.paused_at, w.id
    LIMIT sqlc.arg(size)::integer) AS e
JOIN thaw.accounts AS account ON account.id = e.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
ORDER BY e.account_id, e.campaign_id, e.paused_reason, e.paused_at, e.id;

-- name: LongestPaused :many
-- A page of the prospects of some accounts, with the longest paused first. The next row of each
-- line is looked up first: the page is in the lines whose next rows are the oldest, and there are
-- no more of those than rows on the page.
SELECT e.id, e.account_id::bigint AS account_id, e.campaign_id, workspace.key AS workspace, account.provider_account_id AS account,
    account.display_name AS account_name, campaign.key AS campaign, campaign.name AS campaign_name, e.prospect_url,
    e.paused_reason::text AS paused_reason, e.paused_at::timestamptz AS paused_at, e.step,
    coalesce(e.external_id, '')::text AS external_id,
    (CASE WHEN e.paused_reason = 'paused_by_user' THEN coalesce(e.own_reason, '') ELSE '' END)::text AS own_reason
FROM (
    SELECT w.*
    FROM (
        SELECT l.*
        FROM thaw.paused_keys AS l
        CROSS JOIN LATERAL (
            SELECT n.paused_at, n.id
            FROM thaw.enrollments AS n
            WHERE n.status = 'paused' AND n.waits_for_account = l.waits_for_account AND n.account_id = l.account_id
                AND n.campaign_id = l.campaign_id AND n.paused_reason = l.reason
                AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
                AND n.paused_at <= coalesce(thaw.now() - sqlc.narg(older_than)::interval, 'infinity')
                AND (n.paused_at, n.id) > (sqlc.arg(after_time)::timestamptz, sqlc.arg(after_id)::bigint)
            ORDER BY n.paused_at, n.id
            LIMIT 1) AS head
        WHERE (sqlc.narg(account_ids)::bigint[] IS NULL OR l.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
            AND (sqlc.narg(campaign_id)::bigint IS NULL OR l.campaign_id = sqlc.narg(campaign_id)::bigint)
            AND (sqlc.narg(reason)::text IS NULL OR l.reason = sqlc.narg(reason)::text::thaw.pause_reason)
        ORDER BY head.paused_at, head.id
        LIMIT sqlc.arg(size)::integer) AS line
    CROSS JOIN LATERAL (
        SELECT n.*
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = line.waits_for_account AND n.account_id = line.account_id
            AND n.campaign_id = line.campaign_id AND n.paused_reason = line.reason
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
    FROM thaw.paused_keys AS l
    CROSS JOIN LATERAL (
        SELECT
        FROM thaw.enrollments AS n
        WHERE n.status = 'paused' AND n.waits_for_account = l.waits_for_account AND n.account_id = l.account_id
            AND n.campaign_id = l.campaign_id AND n.paused_reason = l.reason
            AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            AND n.paused_at <= thaw.now() - sqlc.arg(older_than)::interval
        LIMIT sqlc.arg(at_most)::integer) AS w
    WHERE (sqlc.narg(account_ids)::bigint[] IS NULL OR l.account_id = ANY (sqlc.narg(account_ids)::bigint[]))
        AND (sqlc.narg(campaign_id)::bigint IS NULL OR l.campaign_id = sqlc.narg(campaign_id)::bigint)
        AND (sqlc.narg(reason)::text IS NULL OR l.reason = sqlc.narg(reason)::text::thaw.pause_reason)
    LIMIT sqlc.arg(at_most)::integer) AS counted;

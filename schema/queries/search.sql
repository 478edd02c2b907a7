-- The search box. A text is a case-insensitive prefix of a name: the search is a range, from the
-- text to the greatest text that starts with it. Each name has its own index and is searched
-- separately.

-- name: SearchWorkspaces :many
SELECT w.id, w.key AS workspace, w.name
FROM thaw.workspaces AS w
WHERE w.id = ANY (ARRAY(
        SELECT k.id FROM thaw.workspaces AS k
        WHERE lower(k.key) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(k.key) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND k.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(k.key) COLLATE "C" LIMIT sqlc.arg(size)::integer)
    || ARRAY(
        SELECT n.id FROM thaw.workspaces AS n
        WHERE lower(n.name) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(n.name) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND n.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(n.name) COLLATE "C" LIMIT sqlc.arg(size)::integer))
ORDER BY w.key
LIMIT sqlc.arg(size)::integer;

-- name: SearchAccounts :many
SELECT a.id, workspace.key AS workspace, a.provider_account_id AS account, a.display_name AS name, a.status::text AS status
FROM thaw.accounts AS a
JOIN thaw.workspaces AS workspace ON workspace.id = a.workspace_id
WHERE a.id = ANY (ARRAY(
        SELECT k.id FROM thaw.accounts AS k
        WHERE lower(k.provider_account_id) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(k.provider_account_id) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND k.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(k.provider_account_id) COLLATE "C" LIMIT sqlc.arg(size)::integer)
    || ARRAY(
        SELECT n.id FROM thaw.accounts AS n
        WHERE lower(n.display_name) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(n.display_name) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(n.display_name) COLLATE "C" LIMIT sqlc.arg(size)::integer))
ORDER BY workspace.key, a.provider_account_id
LIMIT sqlc.arg(size)::integer;

-- name: SearchCampaigns :many
SELECT c.id, workspace.key AS workspace, c.key AS campaign, c.name, c.status::text AS status
FROM thaw.campaigns AS c
JOIN thaw.workspaces AS workspace ON workspace.id = c.workspace_id
WHERE c.id = ANY (ARRAY(
        SELECT k.id FROM thaw.campaigns AS k
        WHERE lower(k.key) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(k.key) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND k.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(k.key) COLLATE "C" LIMIT sqlc.arg(size)::integer)
    || ARRAY(
        SELECT n.id FROM thaw.campaigns AS n
        WHERE lower(n.name) COLLATE "C" >= lower(sqlc.arg(beginning)::text) COLLATE "C"
            AND lower(n.name) COLLATE "C" < thaw.end_of_range(sqlc.arg(beginning)::text) COLLATE "C"
            AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        ORDER BY lower(n.name) COLLATE "C" LIMIT sqlc.arg(size)::integer))
ORDER BY workspace.key, c.key
LIMIT sqlc.arg(size)::integer;

-- name: SearchProspects :many
-- Prospects are found by the whole URL, in any of its spellings.
SELECT e.id, workspace.key AS workspace, campaign.key AS campaign, e.account_id, account.provider_account_id AS account,
    e.prospect_url, e.status::text AS status
FROM thaw.enrollments AS e
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
JOIN thaw.accounts AS account ON account.id = e.account_id
WHERE e.prospect_url = ANY (sqlc.arg(prospect_urls)::text[])
    AND e.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
ORDER BY e.prospect_url, workspace.key, campaign.key
LIMIT sqlc.arg(size)::integer;

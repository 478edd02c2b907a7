-- The search box, and every place that takes a pasted text. match says how a row was found: 1 by
-- its ID or key, or by the platform's own ID, 2 by its whole name, 3 by the start of its ID or key,
-- 4 by words of its name. The first that finds a row counts, and comes first.
--
-- The start of an ID or key is a range, from the text to the greatest text that starts with it. The
-- words of keys and names are in a GIN index (thaw.search_words); each word of the text is the
-- start of one of them, in any order, whatever its case, accents and apostrophes. Bounds: a range
-- reads as many rows as the page and those before it have, the words word_matches rows.

-- name: SearchWorkspaces :many
SELECT w.id, w.key AS workspace, w.name, found.match
FROM (
    SELECT f.id, min(f.match)::integer AS match FROM (
        (SELECT k.id, CASE WHEN k.key = sqlc.arg(wanted)::text THEN 1 ELSE 3 END AS match FROM thaw.workspaces AS k
         WHERE lower(k.key) COLLATE "C" >= lower(sqlc.arg(wanted)::text) COLLATE "C"
             AND lower(k.key) COLLATE "C" < thaw.end_of_range(lower(sqlc.arg(wanted)::text)) COLLATE "C"
             AND k.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY lower(k.key) COLLATE "C", k.id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        SELECT x.id, 1 FROM thaw.workspaces AS x
        WHERE x.external_id = sqlc.arg(wanted)::text
            AND x.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        UNION ALL
        (SELECT n.id, CASE WHEN thaw.search_key(n.name) = thaw.search_key(sqlc.arg(wanted)::text) THEN 2 ELSE 4 END FROM thaw.workspaces AS n
         WHERE thaw.search_words(n.key, n.name) @@ thaw.search_query(sqlc.arg(wanted)::text)
             AND n.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         LIMIT sqlc.arg(word_matches)::integer)) AS f
    GROUP BY f.id) AS found
JOIN thaw.workspaces AS w ON w.id = found.id
ORDER BY found.match, lower(w.key) COLLATE "C", w.id
LIMIT sqlc.arg(size)::integer OFFSET sqlc.arg(skip)::integer;

-- name: SearchAccounts :many
SELECT a.id, workspace.key AS workspace, a.provider, a.provider_account_id AS account, a.display_name AS name, a.status::text AS status, found.match
FROM (
    SELECT f.id, min(f.match)::integer AS match FROM (
        (SELECT k.id, CASE WHEN k.provider_account_id = sqlc.arg(wanted)::text THEN 1 ELSE 3 END AS match FROM thaw.accounts AS k
         WHERE lower(k.provider_account_id) COLLATE "C" >= lower(sqlc.arg(wanted)::text) COLLATE "C"
             AND lower(k.provider_account_id) COLLATE "C" < thaw.end_of_range(lower(sqlc.arg(wanted)::text)) COLLATE "C"
             AND k.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY lower(k.provider_account_id) COLLATE "C", k.id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT x.id, 1 FROM thaw.accounts AS x
         WHERE x.external_id = sqlc.arg(wanted)::text
             AND x.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY x.workspace_id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT n.id, CASE WHEN thaw.search_key(n.display_name) = thaw.search_key(sqlc.arg(wanted)::text) THEN 2 ELSE 4 END FROM thaw.accounts AS n
         WHERE thaw.search_words(n.provider_account_id, n.display_name) @@ thaw.search_query(sqlc.arg(wanted)::text)
             AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         LIMIT sqlc.arg(word_matches)::integer)) AS f
    GROUP BY f.id) AS found
JOIN thaw.accounts AS a ON a.id = found.id
JOIN thaw.workspaces AS workspace ON workspace.id = a.workspace_id
ORDER BY found.match, lower(a.provider_account_id) COLLATE "C", a.id
LIMIT sqlc.arg(size)::integer OFFSET sqlc.arg(skip)::integer;

-- name: SearchCampaigns :many
SELECT c.id, workspace.key AS workspace, c.key AS campaign, c.name, c.status::text AS status, found.match
FROM (
    SELECT f.id, min(f.match)::integer AS match FROM (
        (SELECT k.id, CASE WHEN k.key = sqlc.arg(wanted)::text THEN 1 ELSE 3 END AS match FROM thaw.campaigns AS k
         WHERE lower(k.key) COLLATE "C" >= lower(sqlc.arg(wanted)::text) COLLATE "C"
             AND lower(k.key) COLLATE "C" < thaw.end_of_range(lower(sqlc.arg(wanted)::text)) COLLATE "C"
             AND k.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY lower(k.key) COLLATE "C", k.id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT x.id, 1 FROM thaw.campaigns AS x
         WHERE x.external_id = sqlc.arg(wanted)::text
             AND x.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY x.workspace_id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT n.id, CASE WHEN thaw.search_key(n.name) = thaw.search_key(sqlc.arg(wanted)::text) THEN 2 ELSE 4 END FROM thaw.campaigns AS n
         WHERE thaw.search_words(n.key, n.name) @@ thaw.search_query(sqlc.arg(wanted)::text)
             AND n.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         LIMIT sqlc.arg(word_matches)::integer)) AS f
    GROUP BY f.id) AS found
JOIN thaw.campaigns AS c ON c.id = found.id
JOIN thaw.workspaces AS workspace ON workspace.id = c.workspace_id
ORDER BY found.match, lower(c.key) COLLATE "C", c.id
LIMIT sqlc.arg(size)::integer OFFSET sqlc.arg(skip)::integer;

-- name: SearchProspects :many
-- Prospects are found by their URL: match 1 by one of its spellings, or by the platform's own ID, 2
-- by the beginning of a URL that identifies the person, 4 by the beginning of a profile that a
-- person of this name may have. The beginnings are ranges of the index on prospect_url, which is in
-- the order of bytes. A range reads at most scanned rows, also for a workspace to which few of them
-- belong.
SELECT e.id, workspace.key AS workspace, campaign.key AS campaign, coalesce(e.account_id, 0)::bigint AS account_id,
    coalesce(account.provider_account_id, '')::text AS account, coalesce(account.display_name, '')::text AS account_name, e.prospect_url, coalesce(e.external_id, '')::text AS external_id,
    e.status::text AS status, found.match
FROM (
    SELECT f.id, min(f.match)::integer AS match FROM (
        (SELECT x.id, 1 AS match FROM thaw.enrollments AS x
         WHERE x.prospect_url = ANY (sqlc.arg(prospect_urls)::text[])
             AND x.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY x.prospect_url, x.campaign_id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT x.id, 1 FROM thaw.enrollments AS x
         WHERE x.external_id = ANY (sqlc.arg(external_ids)::text[])
             AND x.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
         ORDER BY x.external_id, x.workspace_id LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer)
        UNION ALL
        (SELECT near.id, begins.match FROM (
            SELECT b.beginning, 2 AS match FROM unnest(sqlc.arg(beginnings)::text[]) AS b (beginning)
            UNION ALL
            SELECT s.beginning, 4 FROM unnest(sqlc.arg(similar_to)::text[]) AS s (beginning)) AS begins
         CROSS JOIN LATERAL (
            SELECT within.id FROM (
                SELECT x.id, x.workspace_id FROM thaw.enrollments AS x
                WHERE x.prospect_url >= begins.beginning AND x.prospect_url < thaw.end_of_range(begins.beginning)
                ORDER BY x.prospect_url, x.campaign_id LIMIT sqlc.arg(scanned)::integer) AS within
            WHERE within.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
            LIMIT sqlc.arg(skip)::integer + sqlc.arg(size)::integer) AS near)) AS f
    GROUP BY f.id) AS found
JOIN thaw.enrollments AS e ON e.id = found.id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
LEFT JOIN thaw.accounts AS account ON account.id = e.account_id
ORDER BY found.match, e.prospect_url, workspace.key, campaign.key
LIMIT sqlc.arg(size)::integer OFFSET sqlc.arg(skip)::integer;

-- Problems across rows: at most $1, in the order of the file, each with the total number of
-- problems.

WITH account_conflicts AS (
    SELECT described.line, field.name, field.value, described.first_line, field.first_value
    FROM (
        SELECT a.*, first_value(a.line) OVER first AS first_line, first_value(a.workspace) OVER first AS first_workspace,
            first_value(a.member) OVER first AS first_member, first_value(a.status) OVER first AS first_status
        FROM import_accounts AS a
        WINDOW first AS (PARTITION BY a.account ORDER BY a.line)) AS described
    CROSS JOIN LATERAL (VALUES
        ('workspace', described.workspace, described.first_workspace),
        ('member', described.member, described.first_member),
        ('account_status', described.status::text, described.first_status::text)) AS field (name, value, first_value)
    WHERE field.value IS DISTINCT FROM field.first_value
), campaign_conflicts AS (
    SELECT described.line, field.name, field.value, described.first_line, field.first_value
    FROM (
        SELECT c.*, first_value(c.line) OVER first AS first_line, first_value(c.status) OVER first AS first_status,
            first_value(c.paused_reason) OVER first AS first_paused_reason
        FROM import_campaigns AS c
        WINDOW first AS (PARTITION BY c.workspace, c.campaign ORDER BY c.line)) AS described
    CROSS JOIN LATERAL (VALUES
        ('campaign_status', described.status::text, described.first_status::text),
        ('campaign_paused_reason', described.paused_reason::text, described.first_paused_reason::text)
    ) AS field (name, value, first_value)
    WHERE field.value IS DISTINCT FROM field.first_value
), hashed AS NOT MATERIALIZED (
    SELECT r.line, r.workspace, r.campaign, r.prospect_url, coalesce(r.normal_url, r.prospect_url) AS normal_url,
        hashtextextended(coalesce(r.normal_url, r.prospect_url), hashtextextended(r.campaign, hashtextextended(r.workspace, 0))) AS hash
    FROM import_rows AS r
), repeated AS (
    -- A million hashes fit in memory, a million URLs do not. Rows with equal hashes are then
    -- compared by their values.
    SELECT h.line, h.campaign, h.prospect_url, first_value(h.line) OVER first AS first_line,
        first_value(h.prospect_url) OVER first AS first_url
    FROM hashed AS h
    WHERE h.hash IN (SELECT twice.hash FROM hashed AS twice GROUP BY twice.hash HAVING count(*) > 1)
    WINDOW first AS (PARTITION BY h.workspace, h.campaign, h.normal_url ORDER BY h.line)
), problems AS (
    SELECT conflict.line, conflict.name, conflict.value, format(
        'differs from line %s, where the same account has %s: all rows of an account must agree',
        conflict.first_line, coalesce('"' || conflict.first_value || '"', 'nothing')) AS message
    FROM account_conflicts AS conflict
    UNION ALL
    SELECT conflict.line, conflict.name, conflict.value, format(
        'differs from line %s, where the same campaign has %s: all rows of a campaign must agree',
        conflict.first_line, coalesce('"' || conflict.first_value || '"', 'nothing'))
    FROM campaign_conflicts AS conflict
    UNION ALL
    SELECT repeated.line, 'prospect_url', repeated.prospect_url, format(
        'is already in campaign "%s" on line %s%s: a campaign can have a prospect only once', repeated.campaign, repeated.first_line,
        CASE WHEN repeated.prospect_url <> repeated.first_url THEN ', spelled ' || repeated.first_url ELSE '' END)
    FROM repeated
    WHERE repeated.line <> repeated.first_line
    UNION ALL
    SELECT m.line, 'prospect_url', m.prospect_url, format(
        'is in campaign "%s" in the database several times: a file cannot tell these rows apart. Change them in the platform',
        m.campaign)
    FROM import_matches AS m
    WHERE m.enrollments > 1
    UNION ALL
    -- An equal spelling is not a problem: that row is updated.
    SELECT n.line, 'prospect_url', n.prospect_url, format(
        'is already in campaign "%s" in the database, spelled %s: a campaign can have a prospect only once', n.campaign,
        min(s.prospect_url))
    FROM import_matches AS n
    JOIN import_spelled AS s ON s.campaign_id = n.campaign_id AND s.normal_url = n.normal_url
    GROUP BY n.line, n.prospect_url, n.campaign
    UNION ALL
    SELECT a.line, 'account', a.account, format(
        'belongs to workspace "%s" in the database, not to "%s": an account cannot move to another workspace',
        workspace.key, a.workspace)
    FROM import_accounts AS a
    JOIN thaw.accounts AS known ON known.provider = 'linkedin' AND known.provider_account_id = a.account
    JOIN thaw.workspaces AS workspace ON workspace.id = known.workspace_id
    WHERE workspace.key <> a.workspace
)
SELECT problem.line, problem.name, coalesce(problem.value, ''), problem.message, count(*) OVER ()
FROM problems AS problem
ORDER BY problem.line, problem.name
LIMIT $1;

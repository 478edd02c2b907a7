-- Problems across rows: at most $1, in the order of the file, each with the total number of
-- problems.

WITH account_conflicts AS (
    SELECT described.line, field.name, field.value, described.first_line, field.first_value
    FROM (
        SELECT a.*, first_value(a.line) OVER first AS first_line, first_value(a.workspace) OVER first AS first_workspace,
            first_value(a.member) OVER first AS first_member, first_value(a.status) OVER first AS first_status,
            first_value(a.name) OVER first AS first_name, first_value(a.timezone) OVER first AS first_timezone,
            first_value(a.tier) OVER first AS first_tier, first_value(a.ramp_started_on) OVER first AS first_ramp_started_on,
            first_value(a.external_id) OVER first AS first_external_id
        FROM import_accounts AS a
        WINDOW first AS (PARTITION BY a.provider, a.account ORDER BY a.line)) AS described
    CROSS JOIN LATERAL (VALUES
        ('workspace', described.workspace, described.first_workspace),
        ('member', described.member, described.first_member),
        ('account_status', described.status::text, described.first_status::text),
        ('account_name', described.name, described.first_name),
        ('timezone', described.timezone, described.first_timezone),
        ('tier', described.tier, described.first_tier),
        ('ramp_started_on', described.ramp_started_on, described.first_ramp_started_on),
        ('account_external_id', described.external_id, described.first_external_id)) AS field (name, value, first_value)
    WHERE field.value IS DISTINCT FROM field.first_value
), workspace_conflicts AS (
    SELECT described.line, field.name, field.value, described.first_line, field.first_value
    FROM (
        SELECT a.*, first_value(a.line) OVER first AS first_line, first_value(a.workspace_name) OVER first AS first_name,
            first_value(a.workspace_external_id) OVER first AS first_external_id
        FROM import_accounts AS a
        WINDOW first AS (PARTITION BY a.workspace ORDER BY a.line)) AS described
    CROSS JOIN LATERAL (VALUES
        ('workspace_name', described.workspace_name, described.first_name),
        ('workspace_external_id', described.workspace_external_id, described.first_external_id)) AS field (name, value, first_value)
    WHERE field.value IS DISTINCT FROM field.first_value
), campaign_conflicts AS (
    SELECT described.line, field.name, field.value, described.first_line, field.first_value
    FROM (
        SELECT c.*, first_value(c.line) OVER first AS first_line, first_value(c.status) OVER first AS first_status,
            first_value(c.paused_reason) OVER first AS first_paused_reason,
            first_value(c.name) OVER first AS first_name, first_value(c.external_id) OVER first AS first_external_id
        FROM import_campaigns AS c
        WINDOW first AS (PARTITION BY c.workspace, c.campaign ORDER BY c.line)) AS described
    CROSS JOIN LATERAL (VALUES
        ('campaign_status', described.status::text, described.first_status::text),
        ('campaign_paused_reason', described.paused_reason::text, described.first_paused_reason::text),
        ('campaign_name', described.name, described.first_name),
        ('campaign_external_id', described.external_id, described.first_external_id)
    ) AS field (name, value, first_value)
    WHERE field.value IS DISTINCT FROM field.first_value
), hashed AS NOT MATERIALIZED (
    SELECT r.line, r.workspace, r.campaign, r.prospect_url, r.external_id, coalesce(r.normal_url, r.prospect_url) AS normal_url,
        hashtextextended(coalesce(r.normal_url, r.prospect_url), hashtextextended(r.campaign, hashtextextended(r.workspace, 0))) AS hash
    FROM import_rows AS r
), repeated AS (
    -- A million hashes fit in memory, a million URLs do not. Rows with equal hashes are then
    -- compared by their values.
    SELECT h.line, h.campaign, h.prospect_url, first_value(h.line) OVER first AS first_line,
        first_value(h.prospect_url) OVER first AS first_url,
        -- With IDs of their own, lines with one URL are different prospects.
        bool_and(h.external_id IS NOT NULL) OVER (PARTITION BY h.workspace, h.campaign, h.normal_url) AS have_ids
    FROM hashed AS h
    WHERE h.hash IN (SELECT twice.hash FROM hashed AS twice GROUP BY twice.hash HAVING count(*) > 1)
    WINDOW first AS (PARTITION BY h.workspace, h.campaign, h.normal_url ORDER BY h.line)
), identities AS (
    -- The platform's own IDs in the file, each with the row that has it in the database, and the ID
    -- that its row has there.
    SELECT 'workspace_external_id' AS name, 'workspace' AS kind, min(a.line) AS line, ''::text AS workspace, a.workspace AS key,
        a.workspace_external_id AS external_id,
        (SELECT w.key FROM thaw.workspaces AS w
         WHERE w.external_id = a.workspace_external_id AND w.key <> a.workspace) AS owner,
        (SELECT w.external_id FROM thaw.workspaces AS w WHERE w.key = a.workspace) AS has
    FROM import_accounts AS a
    WHERE a.workspace_external_id IS NOT NULL
    GROUP BY a.workspace, a.workspace_external_id
    UNION ALL
    SELECT 'account_external_id', 'account', a.line, a.workspace, a.account, a.external_id,
        (SELECT known.provider_account_id FROM thaw.accounts AS known
         WHERE known.external_id = a.external_id AND known.workspace_id = workspace.id
            AND (known.provider, known.provider_account_id) <> (a.provider, a.account)),
        (SELECT known.external_id FROM thaw.accounts AS known
         WHERE known.provider = a.provider AND known.provider_account_id = a.account)
    FROM import_accounts AS a
    LEFT JOIN thaw.workspaces AS workspace ON workspace.key = a.workspace
    WHERE a.external_id IS NOT NULL
    UNION ALL
    SELECT 'campaign_external_id', 'campaign', c.line, c.workspace, c.campaign, c.external_id,
        (SELECT known.key FROM thaw.campaigns AS known
         WHERE known.external_id = c.external_id AND known.workspace_id = workspace.id AND known.key <> c.campaign),
        (SELECT known.external_id FROM thaw.campaigns AS known
         WHERE known.workspace_id = workspace.id AND known.key = c.campaign)
    FROM import_campaigns AS c
    LEFT JOIN thaw.workspaces AS workspace ON workspace.key = c.workspace
    WHERE c.external_id IS NOT NULL
), problems AS (
    SELECT conflict.line, conflict.name, conflict.value, format(
        'differs from line %s, where the same account has %s: all rows of an account must agree',
        conflict.first_line, coalesce('"' || conflict.first_value || '"', 'nothing')) AS message
    FROM account_conflicts AS conflict
    UNION ALL
    SELECT conflict.line, conflict.name, conflict.value, format(
        'differs from line %s, where the same workspace has %s: all rows of a workspace must agree',
        conflict.first_line, coalesce('"' || conflict.first_value || '"', 'nothing'))
    FROM workspace_conflicts AS conflict
    UNION ALL
    SELECT i.line, i.name, i.external_id, format('is the ID of %s "%s" in the database: two rows cannot have one ID', i.kind, i.owner)
    FROM identities AS i
    WHERE i.owner IS NOT NULL
    UNION ALL
    SELECT i.line, i.name, i.external_id, format(
        'differs from the database, where %s "%s" has the ID "%s": a file cannot change an ID', i.kind, i.key, i.has)
    FROM identities AS i
    WHERE i.has <> i.external_id
    UNION ALL
    SELECT twice.line, twice.name, twice.external_id, format(
        'is also the ID of %s "%s" on line %s: two rows cannot have one ID', twice.kind, twice.first_key, twice.first_line)
    FROM (
        SELECT i.*, first_value(i.key) OVER first AS first_key, first_value(i.line) OVER first AS first_line
        FROM identities AS i
        WINDOW first AS (PARTITION BY i.kind, i.workspace, i.external_id ORDER BY i.line)) AS twice
    WHERE twice.key <> twice.first_key
    UNION ALL
    SELECT twice.line, 'external_id', twice.external_id, format(
        'is also the ID of the prospect on line %s: two rows cannot have one ID', twice.first_line)
    FROM (
        SELECT r.line, r.external_id, first_value(r.line) OVER (PARTITION BY r.workspace, r.external_id ORDER BY r.line) AS first_line
        FROM import_rows AS r WHERE r.external_id IS NOT NULL) AS twice
    WHERE twice.line <> twice.first_line
    UNION ALL
    SELECT r.line, 'external_id', r.external_id, format(
        'is the ID of a prospect in campaign "%s" in the database, not in "%s": a prospect cannot move to another campaign',
        campaign.key, r.campaign)
    FROM import_rows AS r
    JOIN thaw.workspaces AS workspace ON workspace.key = r.workspace
    JOIN thaw.enrollments AS e ON e.external_id = r.external_id AND e.workspace_id = workspace.id
    JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
    WHERE campaign.key <> r.campaign
    UNION ALL
    SELECT a.line, 'timezone', a.timezone, 'is not a time zone: use a name such as Europe/Berlin'
    FROM (SELECT one.timezone, min(one.line) AS line FROM import_accounts AS one WHERE one.timezone IS NOT NULL GROUP BY one.timezone) AS a
    WHERE NOT EXISTS (SELECT FROM pg_timezone_names AS zone WHERE zone.name = a.timezone)
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
    WHERE repeated.line <> repeated.first_line AND NOT repeated.have_ids
    UNION ALL
    SELECT m.line, 'prospect_url', m.prospect_url, format(
        'is in campaign "%s" in the database several times: give the prospects IDs of their own (external_id) to tell them apart',
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
    JOIN thaw.accounts AS known ON known.provider = a.provider AND known.provider_account_id = a.account
    JOIN thaw.workspaces AS workspace ON workspace.id = known.workspace_id
    WHERE workspace.key <> a.workspace
)
SELECT problem.line, problem.name, coalesce(problem.value, ''), problem.message, count(*) OVER ()
FROM problems AS problem
ORDER BY problem.line, problem.name
LIMIT $1;

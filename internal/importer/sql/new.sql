-- Prospects of the file that the database does not have in a campaign that it has. Only these can be a second spelling of one.
CREATE TEMP TABLE import_new ON COMMIT DROP AS
SELECT r.line, r.campaign, r.prospect_url, known.id AS campaign_id, coalesce(r.normal_url, r.prospect_url) AS normal_url
FROM import_rows AS r
JOIN thaw.workspaces AS workspace ON workspace.key = r.workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id AND known.key = r.campaign
WHERE NOT EXISTS (
    SELECT FROM thaw.enrollments AS e WHERE e.prospect_url = r.prospect_url AND e.campaign_id = known.id);

-- What the database has of these prospects, each with its normal spelling. The rule is Go (explain.NormalURL), so Go fills it.
CREATE TEMP TABLE import_spelled (campaign_id bigint NOT NULL, prospect_url text NOT NULL, normal_url text NOT NULL) ON COMMIT DROP;

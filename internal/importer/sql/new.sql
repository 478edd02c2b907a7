-- New prospects in existing campaigns. Only these can be another spelling of an existing prospect.
CREATE TEMP TABLE import_new ON COMMIT DROP AS
SELECT r.line, r.campaign, r.prospect_url, known.id AS campaign_id, coalesce(r.normal_url, r.prospect_url) AS normal_url
FROM import_rows AS r
JOIN thaw.workspaces AS workspace ON workspace.key = r.workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id AND known.key = r.campaign
WHERE NOT EXISTS (
    SELECT FROM thaw.enrollments AS e WHERE e.prospect_url = r.prospect_url AND e.campaign_id = known.id);

-- Existing enrollments of these prospects with their normalized URL. Filled by Go, because the rule
-- is in Go (explain.NormalURL).
CREATE TEMP TABLE import_spelled (campaign_id bigint NOT NULL, prospect_url text NOT NULL, normal_url text NOT NULL) ON COMMIT DROP;

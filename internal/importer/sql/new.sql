-- Prospects in existing campaigns with no enrollment under exactly this URL, or with several. Only
-- the new ones can be another spelling of an existing prospect. Which of several rows a line means
-- cannot be told, so that is a problem. A prospect with an ID of its own may be in a campaign under
-- one URL several times.
CREATE TEMP TABLE import_matches ON COMMIT DROP AS
SELECT r.line, r.campaign, r.prospect_url, known.id AS campaign_id, coalesce(r.normal_url, r.prospect_url) AS normal_url,
    existing.enrollments
FROM import_rows AS r
JOIN thaw.workspaces AS workspace ON workspace.key = r.workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id AND known.key = r.campaign
CROSS JOIN LATERAL (
    SELECT count(*) AS enrollments FROM (
        SELECT FROM thaw.enrollments AS e
        WHERE e.prospect_url = r.prospect_url AND e.campaign_id = known.id AND (r.external_id IS NULL OR e.external_id IS NULL)
        LIMIT 2) AS e) AS existing
WHERE existing.enrollments <> 1
    AND (r.external_id IS NULL
        OR existing.enrollments > 1 AND NOT EXISTS (
            SELECT FROM thaw.enrollments AS e WHERE e.external_id = r.external_id AND e.workspace_id = workspace.id));

-- Existing enrollments of these prospects with their normalized URL. Filled by Go, because the rule
-- is in Go (explain.NormalURL).
CREATE TEMP TABLE import_spelled (campaign_id bigint NOT NULL, prospect_url text NOT NULL, normal_url text NOT NULL) ON COMMIT DROP;

-- The accounts and campaigns of the file, with the first line of each. If lines contradict each
-- other, an account or campaign has several rows here, which the checks report. After the checks
-- each has one row.

CREATE TEMP TABLE import_accounts ON COMMIT DROP AS
SELECT r.provider, r.account, r.workspace, r.member, r.account_status AS status, r.account_name AS name, r.timezone, r.tier, r.ramp_started_on,
    r.account_external_id AS external_id, r.workspace_name, r.workspace_external_id, min(r.line) AS line
FROM import_rows AS r
GROUP BY r.provider, r.account, r.workspace, r.member, r.account_status, r.account_name, r.timezone, r.tier, r.ramp_started_on,
    r.account_external_id, r.workspace_name, r.workspace_external_id;

CREATE TEMP TABLE import_campaigns ON COMMIT DROP AS
SELECT r.workspace, r.campaign, r.campaign_status AS status, r.campaign_paused_reason AS paused_reason,
    r.campaign_name AS name, r.campaign_external_id AS external_id, min(r.line) AS line
FROM import_rows AS r
WHERE r.campaign IS NOT NULL
GROUP BY r.workspace, r.campaign, r.campaign_status, r.campaign_paused_reason, r.campaign_name, r.campaign_external_id;

-- Accounts without prospects need no further row.
DELETE FROM import_rows AS r WHERE r.prospect_url IS NULL;

-- Autovacuum does not analyze temporary tables. Without statistics the plans would be too slow for
-- a million rows.
ANALYZE import_rows (workspace, account, campaign, prospect_url), import_accounts, import_campaigns;

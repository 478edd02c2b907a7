-- The accounts and campaigns of the file, with the first line of each. If lines contradict each
-- other, an account or campaign has several rows here, which the checks report. After the checks
-- each has one row.

CREATE TEMP TABLE import_accounts ON COMMIT DROP AS
SELECT r.account, r.workspace, r.member, r.account_status AS status, min(r.line) AS line
FROM import_rows AS r
GROUP BY r.account, r.workspace, r.member, r.account_status;

CREATE TEMP TABLE import_campaigns ON COMMIT DROP AS
SELECT r.workspace, r.campaign, r.campaign_status AS status, r.campaign_paused_reason AS paused_reason, min(r.line) AS line
FROM import_rows AS r
GROUP BY r.workspace, r.campaign, r.campaign_status, r.campaign_paused_reason;

-- Autovacuum does not analyze temporary tables. Without statistics the plans would be too slow for
-- a million rows.
ANALYZE import_rows (workspace, account, campaign, prospect_url), import_accounts, import_campaigns;

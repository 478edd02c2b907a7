-- The accounts and campaigns of the file, with the first line that names each. One that its rows describe differently has
-- several rows here, which is how it is found; after the checks there is one row each.

CREATE TEMP TABLE import_accounts ON COMMIT DROP AS
SELECT r.account, r.workspace, r.member, r.account_status AS status, min(r.line) AS line
FROM import_rows AS r
GROUP BY r.account, r.workspace, r.member, r.account_status;

CREATE TEMP TABLE import_campaigns ON COMMIT DROP AS
SELECT r.workspace, r.campaign, r.campaign_status AS status, r.campaign_paused_reason AS paused_reason, min(r.line) AS line
FROM import_rows AS r
GROUP BY r.workspace, r.campaign, r.campaign_status, r.campaign_paused_reason;

-- Autovacuum does not analyze temporary tables, and a plan for ten rows is ruin for a million.
ANALYZE import_rows (workspace, account, campaign, prospect_url), import_accounts, import_campaigns;

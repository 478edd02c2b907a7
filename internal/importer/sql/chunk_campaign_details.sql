CREATE TEMP TABLE import_campaign_details (
    workspace   text NOT NULL,
    campaign    text NOT NULL,
    name        text,
    external_id text,
    PRIMARY KEY (workspace, campaign)
) ON COMMIT DROP;

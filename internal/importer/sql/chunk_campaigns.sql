CREATE TEMP TABLE import_campaigns (
    workspace     text NOT NULL,
    campaign      text NOT NULL,
    status        thaw.campaign_status NOT NULL,
    paused_reason thaw.pause_reason,
    PRIMARY KEY (workspace, campaign)
) ON COMMIT DROP;

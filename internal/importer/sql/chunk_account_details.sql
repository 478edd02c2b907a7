CREATE TEMP TABLE import_account_details (
    provider              text NOT NULL,
    account               text NOT NULL,
    workspace             text NOT NULL,
    name                  text,
    timezone              text,
    tier                  text,
    ramp_started_on       text,
    external_id           text,
    workspace_name        text,
    workspace_external_id text,
    PRIMARY KEY (provider, account)
) ON COMMIT DROP;

CREATE TEMP TABLE import_accounts (
    provider  text NOT NULL,
    account   text NOT NULL,
    workspace text NOT NULL,
    member    text,
    status    thaw.account_status NOT NULL,
    PRIMARY KEY (provider, account)
) ON COMMIT DROP;

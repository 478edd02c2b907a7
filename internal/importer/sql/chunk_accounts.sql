CREATE TEMP TABLE import_accounts (
    account   text PRIMARY KEY,
    workspace text NOT NULL,
    member    text,
    status    thaw.account_status NOT NULL
) ON COMMIT DROP;

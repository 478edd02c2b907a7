-- The staging table. It is temporary, so it is written without WAL and dropped with the
-- transaction. This transaction only stages and checks. It locks no rows of the fleet, and stays
-- open until the last slice is loaded.

-- Disable the timeouts of the role, which are meant for applications. The COPY lasts as long as the
-- file, and the transaction is idle while slices are loaded on another connection.
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
-- Enough memory to group and join a million rows with little disk access. JIT does not pay off for
-- these few statements.
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;

-- The columns of the prospect are null in the line of an account without prospects.
CREATE TEMP TABLE import_rows (
    line                   bigint NOT NULL,
    workspace              text NOT NULL,
    account                text NOT NULL,
    member                 text,
    account_status         thaw.account_status NOT NULL,
    campaign               text,
    campaign_status        thaw.campaign_status,
    campaign_paused_reason thaw.pause_reason,
    prospect_url           text,
    status                 thaw.enrollment_status,
    paused_reason          thaw.pause_reason,
    paused_at              timestamptz,
    step                   integer,
    next_action_at         timestamptz,
    provider               text NOT NULL,
    account_name           text,
    timezone               text,
    tier                   text,
    ramp_started_on        text,
    account_external_id    text,
    workspace_name         text,
    workspace_external_id  text,
    campaign_name          text,
    campaign_external_id   text,
    external_id            text,
    next_kind              text,
    -- The normalized URL; null if it is equal to prospect_url.
    normal_url             text
) ON COMMIT DROP;

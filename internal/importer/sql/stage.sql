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

CREATE TEMP TABLE import_rows (
    line                   bigint NOT NULL,
    workspace              text NOT NULL,
    account                text NOT NULL,
    member                 text,
    account_status         thaw.account_status NOT NULL,
    campaign               text NOT NULL,
    campaign_status        thaw.campaign_status NOT NULL,
    campaign_paused_reason thaw.pause_reason,
    prospect_url           text NOT NULL,
    status                 thaw.enrollment_status NOT NULL,
    paused_reason          thaw.pause_reason,
    paused_at              timestamptz,
    step                   integer NOT NULL,
    next_action_at         timestamptz,
    -- The normalized URL; null if it is equal to prospect_url.
    normal_url             text
) ON COMMIT DROP;

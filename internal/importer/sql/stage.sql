-- Where the rows of the file go first. The table belongs to this session, is written without WAL, and is gone with the transaction,
-- which only stages and checks: it locks nothing of the fleet, and stays open until the last slice is loaded.

-- A role's limits are meant for the statements of an application. Here one statement lasts as long as the file, and the transaction
-- is idle while slices are loaded on another connection.
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
-- Enough to group and join a million rows with little use of the disk. Compiling these few statements does not pay.
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
    -- The one spelling that stands for all of the URL; null: it is the URL.
    normal_url             text
) ON COMMIT DROP;

-- Pausing the prospects of an account that is no longer connected. One call is one short
-- transaction of the job pause_account.

-- +goose Up

-- Pauses at most p_size active enrollments of an account that is due to pause, and the campaigns
-- that lose their last usable account with it. Verdicts: more (call again), busy (the rest is
-- locked by others: call again later), done, account_connected (the account reconnected first),
-- not_due (a transient error within its grace period), safety_mode (grace periods are suspended),
-- shadow_mode (the platform pauses its prospects itself; the pause stays due), not_found.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_batch(
    p_account_id bigint, p_size integer, p_signal_id bigint, p_tick_at timestamptz, p_job_id bigint,
    OUT verdict text, OUT paused integer, OUT campaigns_paused integer
) LANGUAGE plpgsql
-- As in thaw.resume_pass: few rows of large tables, by index and by row address.
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    account thaw.accounts;
    new_reason     thaw.pause_reason;
    source  thaw.event_source := CASE WHEN p_tick_at IS NULL THEN 'signal' ELSE 'sweep' END;
    campaigns bigint[];
    -- The addresses of the rows and their previous statuses.
    places    tid[];
    befores   thaw.enrollment_status[];
BEGIN
    paused := 0;
    campaigns_paused := 0;

    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    verdict := CASE
        WHEN account.id IS NULL THEN 'not_found'
        WHEN account.status = 'connected' THEN 'account_connected'
        WHEN account.pause_after IS NULL OR account.pause_after > thaw.now() THEN 'not_due'
        WHEN thaw.is_transient(account.status) AND (SELECT s.since IS NOT NULL FROM thaw.safety AS s)
            THEN 'safety_mode'
        WHEN (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = account.workspace_id) THEN 'shadow_mode'
    END;
    IF verdict IS NOT NULL THEN
        PERFORM thaw.close_pause(p_account_id);
        RETURN;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    new_reason := thaw.pause_reason_of(account.status);

    -- Campaigns come first: that is the lock order, and a campaign that cannot send must not look
    -- as if it were running. A campaign with active prospects on another account keeps running if
    -- that account is connected, or in a transient error that may resolve within its grace period.
    --
    -- The locks are taken by a statement of their own: a pass that held a lock may have resumed
    -- prospects of another account, and only a later statement sees them. Campaigns that wait for
    -- an account are locked too: a pass may start one before the update below, which would then
    -- lock it out of order.
    campaigns := ARRAY(SELECT active.campaign_id FROM thaw.active_campaigns(account.id) AS active);
    PERFORM campaign.id FROM thaw.campaigns AS campaign
    WHERE campaign.id = ANY (campaigns) AND (campaign.status = 'running' OR campaign.waits_for_account)
    ORDER BY campaign.id FOR NO KEY UPDATE;
    WITH stopped AS (
        UPDATE thaw.campaigns AS campaign SET status = 'paused', paused_reason = new_reason, paused_at = thaw.now()
        WHERE campaign.id = ANY (campaigns)
            AND campaign.status = 'running'
            AND NOT EXISTS (
                SELECT
                FROM thaw.accounts AS other
                JOIN thaw.enrollments AS e
                    ON e.account_id = other.id AND e.campaign_id = campaign.id AND e.status = 'active'
                WHERE other.workspace_id = account.workspace_id
                    AND other.id <> account.id
                    AND (other.status = 'connected' OR other.pause_after > thaw.now()))
        RETURNING campaign.id
    )
    INSERT INTO thaw.campaign_events (
        campaign_id, at, account_id, tick_at, signal_id, job_id, kind, source, from_status, to_status, reason)
    SELECT stopped.id, thaw.now(), account.id, p_tick_at, p_signal_id, p_job_id, 'paused', source, 'running', 'paused', new_reason
    FROM stopped;
    GET DIAGNOSTICS campaigns_paused = ROW_COUNT;

    SELECT array_agg(claim.ctid), array_agg(claim.status) INTO places, befores FROM (
        SELECT active.ctid, active.status
        FROM thaw.enrollments AS active
        WHERE active.account_id = account.id AND active.status = 'active'
        ORDER BY active.campaign_id, active.id
        LIMIT p_size
        FOR NO KEY UPDATE SKIP LOCKED) AS claim;
    -- After a restriction only a person may resume prospects, including those that were paused
    -- before it.
    IF account.status = 'restricted' AND coalesce(cardinality(places), 0) < p_size THEN
        SELECT places || array_agg(claim.ctid), befores || array_agg(claim.status) INTO places, befores FROM (
            SELECT waiting.ctid, waiting.status
            FROM thaw.enrollments AS waiting
            WHERE waiting.status = 'paused' AND waiting.waits_for_account AND waiting.account_id = account.id
            ORDER BY waiting.campaign_id, waiting.paused_at, waiting.id
            LIMIT p_size - coalesce(cardinality(places), 0)
            FOR NO KEY UPDATE SKIP LOCKED) AS claim;
    END IF;

    WITH changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'paused', paused_reason = new_reason, paused_at = coalesce(e.paused_at, thaw.now())
        FROM unnest(places, befores) AS claim (ctid, status)
        WHERE e.ctid = claim.ctid
        RETURNING e.id, e.step, e.paused_at, claim.status AS from_status
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, tick_at, signal_id, job_id, from_account_id, to_account_id, step, kind, source, from_status,
        to_status, reason, paused_at)
    SELECT changed.id, thaw.now(), p_tick_at, p_signal_id, p_job_id, account.id, account.id, changed.step, 'paused', source,
        changed.from_status, 'paused', new_reason, changed.paused_at
    FROM changed;
    GET DIAGNOSTICS paused = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    IF paused > 0 THEN
        -- The status that this pause is for. The account is locked, so no newer one can appear.
        UPDATE thaw.account_events AS status SET enrollments = coalesce(status.enrollments, 0) + pause_batch.paused
        WHERE status.id = (
            SELECT newest.id FROM thaw.account_events AS newest
            WHERE newest.account_id = account.id ORDER BY newest.account_id, newest.id DESC LIMIT 1);
    END IF;
    PERFORM thaw.publish_paused(account, new_reason, p_tick_at, p_signal_id, paused, campaigns_paused);

    -- After a full batch the next one looks for the rest; after a short one, the rest may be locked
    -- by others. ORDER BY matches the index: without it, the planner expects to find one of the
    -- account's many rows soon and scans the table from its start, past all rows that earlier
    -- batches paused.
    IF paused = p_size OR (SELECT e.id FROM thaw.enrollments AS e
        WHERE e.account_id = account.id AND e.status = 'active'
        ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
        OR (account.status = 'restricted' AND (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = account.id
            ORDER BY e.campaign_id, e.paused_at, e.id LIMIT 1) IS NOT NULL)
    THEN
        verdict := CASE WHEN paused > 0 THEN 'more' ELSE 'busy' END;
        -- A batch that is lost in a server crash runs again. Only the last commit waits for the WAL
        -- flush, which includes all earlier ones.
        SET LOCAL synchronous_commit = off;
    ELSE
        UPDATE thaw.accounts AS a SET pause_after = NULL WHERE a.id = account.id;
        PERFORM thaw.close_pause(account.id);
        PERFORM thaw.publish_needs_reconnect(account);
        verdict := 'done';
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.pause_batch(bigint, integer, bigint, timestamptz, bigint);

-- Sending over HTTP and on the command line: tokens that may only send, and the list of actions.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.api_tokens IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.api_tokens IN ACCESS EXCLUSIVE MODE;

ALTER TABLE thaw.api_tokens ADD COLUMN can_only_send boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN thaw.api_tokens.can_only_send IS
    'Whether the token is for a sender: it may reserve, start, settle and list actions, of its workspace or of all, and nothing else.';

-- The newest actions before p_before_id, of an enrollment, of an account or in a range of
-- workspaces, as candidates for a page: at most p_scan. Each case has an index. The index of an
-- account is ordered by campaign, so its newest actions are the newest of each campaign.
-- +goose StatementBegin
CREATE FUNCTION thaw.newest_actions(
    p_enrollment_id bigint, p_account_id bigint, p_state thaw.action_state, p_first_workspace bigint, p_last_workspace bigint, p_before_id bigint,
    p_scan integer
) RETURNS TABLE (id bigint) LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF p_enrollment_id IS NOT NULL THEN
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a
        WHERE a.enrollment_id = p_enrollment_id AND a.id < p_before_id
        ORDER BY a.id DESC LIMIT p_scan;
    ELSIF p_state = 'unknown' THEN
        -- There are few. Those of an account may be older than all of its newest actions.
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a
        WHERE a.state = 'unknown' AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace AND a.id < p_before_id
            AND (p_account_id IS NULL OR a.account_id = p_account_id)
        ORDER BY a.id DESC LIMIT p_scan;
    ELSIF p_account_id IS NOT NULL THEN
        RETURN QUERY
        WITH RECURSIVE campaign AS (
            (SELECT a.campaign_id FROM thaw.actions AS a WHERE a.account_id = p_account_id ORDER BY a.campaign_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT a.campaign_id FROM thaw.actions AS a
                WHERE a.account_id = p_account_id AND a.campaign_id > campaign.campaign_id ORDER BY a.campaign_id LIMIT 1)
            FROM campaign WHERE campaign.campaign_id IS NOT NULL
        )
        SELECT newest.id FROM campaign
        CROSS JOIN LATERAL (
            SELECT a.id FROM thaw.actions AS a
            WHERE a.account_id = p_account_id AND a.campaign_id = campaign.campaign_id AND a.id < p_before_id
            ORDER BY a.id DESC LIMIT p_scan) AS newest
        WHERE campaign.campaign_id IS NOT NULL
        ORDER BY newest.id DESC LIMIT p_scan;
    ELSIF p_state IN ('reserved', 'started') THEN
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a WHERE a.lease_until IS NOT NULL AND a.id < p_before_id ORDER BY a.id DESC LIMIT p_scan;
    ELSE
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a WHERE a.id < p_before_id ORDER BY a.id DESC LIMIT p_scan;
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.newest_actions(bigint, bigint, thaw.action_state, bigint, bigint, bigint, integer) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.newest_actions(bigint, bigint, thaw.action_state, bigint, bigint, bigint, integer);
ALTER TABLE thaw.api_tokens DROP COLUMN can_only_send;

-- Enrollments that the database does not know. No ON CONFLICT, which would cost a tenth more: who writes the very same
-- prospect at this moment makes the import fail as a whole, and it can be started again.
INSERT INTO thaw.enrollments (
    workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at, step, next_action_at)
SELECT c.workspace_id, c.campaign_id, a.account_id, r.prospect_url, r.status, r.paused_reason, r.paused_at, r.step,
    r.next_action_at
FROM import_rows AS r
JOIN import_accounts AS a ON a.account = r.account
JOIN import_campaigns AS c ON c.workspace = r.workspace AND c.campaign = r.campaign
WHERE NOT EXISTS (
    SELECT FROM thaw.enrollments AS e WHERE e.prospect_url = r.prospect_url AND e.campaign_id = c.campaign_id);

-- New enrollments. Imports take turns (turn.sql), so no other import inserts the same prospect.
INSERT INTO thaw.enrollments (
    workspace_id, campaign_id, account_id, prospect_url, external_id, status, paused_reason, paused_at, step,
    next_action_at, next_kind)
SELECT r.workspace_id, r.campaign_id, r.account_id, r.prospect_url, r.external_id, r.status, r.paused_reason, r.paused_at, r.step,
    r.next_action_at, r.next_kind
FROM import_rows AS r
WHERE r.enrollment_id IS NULL;

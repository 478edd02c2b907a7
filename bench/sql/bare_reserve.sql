-- The baseline of thaw.reserve: the row of the ledger, with every column that a reservation has,
-- and what its sender gets. No gate is looked at.
WITH sender AS (
    UPDATE thaw.senders AS s SET
        next_allowed_at = thaw.now(), day = thaw.now()::date, day_began_at = date_trunc('day', thaw.now()), day_timezone = 'UTC'
    FROM thaw.enrollments AS e
    JOIN thaw.sending_accounts AS sending ON sending.account_id = e.account_id
    WHERE e.id = $1 AND s.id = sending.sender_id
    RETURNING s.id
)
INSERT INTO thaw.actions (
    workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, actor, reserved_at,
    lease_until, used_at, local_day, timezone, gap, next_of_kind_at)
SELECT e.workspace_id, e.account_id, sender.id, e.campaign_id, e.id, a.provider, a.member_id, e.prospect_url, e.step, 'message', 'bench', thaw.now(),
    thaw.now() + interval '10 minutes', thaw.now(), thaw.now()::date, 'UTC', '0', thaw.now()
FROM sender, thaw.enrollments AS e
JOIN thaw.accounts AS a ON a.id = e.account_id
WHERE e.id = $1
RETURNING id

-- The baseline of racing reservations: the queue on the row of the sender ($2), and the row of the
-- ledger for those that get one ($3).
WITH sender AS (
    SELECT s.id FROM thaw.senders AS s WHERE s.id = $2 FOR NO KEY UPDATE
)
INSERT INTO thaw.actions (
    workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, actor, reserved_at,
    lease_until, used_at, local_day, timezone, gap, next_of_kind_at)
SELECT e.workspace_id, e.account_id, sender.id, e.campaign_id, e.id, a.provider, a.member_id, e.prospect_url, e.step, 'message', 'bench', thaw.now(),
    thaw.now() + interval '10 minutes', thaw.now(), thaw.now()::date, 'UTC', '0', thaw.now()
FROM sender, thaw.enrollments AS e
JOIN thaw.accounts AS a ON a.id = e.account_id
WHERE e.id = $1 AND $3
RETURNING id

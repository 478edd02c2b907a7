-- What a fleet in use has: an action of each prospect from last week, and delivered messages. With
-- empty tables, statements that are planned before the tick would read them row by row.
INSERT INTO thaw.actions (
    workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, state, outcome, actor,
    reserved_at, started_at, settled_at, used_at, local_day, timezone, gap, next_of_kind_at, provider_ref)
SELECT e.workspace_id, a.id, sending.sender_id, e.campaign_id, e.id, a.provider, a.member_id, e.prospect_url, e.step - 1, 'view', 'sent', 'sent',
    'bench', past.at, past.at, past.at, past.at, past.at::date, 'UTC', '0', past.at, 'ref-' || e.id
FROM (SELECT thaw.now() - interval '8 days' AS at) AS past, thaw.accounts AS a
JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
JOIN thaw.enrollments AS e ON e.account_id = a.id
WHERE a.tier <> 'premium'
ORDER BY e.id;
WITH message AS (
    INSERT INTO thaw.outbox (at, type, account_id, data)
    SELECT thaw.now() - interval '8 days', 'account.limited', a.id, '{}' FROM thaw.accounts AS a ORDER BY a.id LIMIT 10000
    RETURNING id, at
)
INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id, state, attempts, next_attempt_at, delivered_at)
SELECT message.id, e.id, 'delivered', 1, NULL, message.at FROM message, thaw.webhook_endpoints AS e;

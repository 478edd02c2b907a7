-- Premium accounts have used up the cap of their day: one action per prospect was sent today.
INSERT INTO thaw.actions (
    workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, state, outcome, actor,
    started_at, settled_at, local_day, timezone, gap, next_of_kind_at, provider_ref)
SELECT e.workspace_id, a.id, sending.sender_id, e.campaign_id, e.id, a.provider, a.member_id, e.prospect_url, e.step - 1, 'message', 'sent', 'sent',
    'bench', thaw.now(), thaw.now(), thaw.now()::date, 'UTC', '0', thaw.now(), 'ref-' || e.id
FROM thaw.accounts AS a
JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
JOIN thaw.enrollments AS e ON e.account_id = a.id
WHERE a.tier = 'premium'
ORDER BY e.id;
UPDATE thaw.senders AS s SET
    day = thaw.now()::date, day_began_at = date_trunc('day', thaw.now()), day_timezone = 'UTC', next_allowed_at = thaw.now(),
    last_started_at = thaw.now(), ramp_started_at = thaw.now(), last_sent_at = thaw.now()
FROM thaw.accounts AS a
JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
WHERE s.id = sending.sender_id AND a.tier = 'premium';
-- As a settlement does, so that the scheduler looks at them.
INSERT INTO thaw.nudges (account_id, at) SELECT a.id, thaw.now() FROM thaw.accounts AS a WHERE a.tier = 'premium';

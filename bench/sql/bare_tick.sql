-- The baseline of a tick: one statement that reserves the same actions, with every column that a
-- reservation, its sender and its account get. No gate is looked at. A statement that uses the
-- actions follows, or bare_messages.sql.
WITH pick AS MATERIALIZED (
    SELECT sending.account_id, sending.sender_id, a.provider, a.member_id, e.id, e.workspace_id, e.campaign_id, e.prospect_url, e.step
    FROM thaw.sending_accounts AS sending
    JOIN thaw.accounts AS a ON a.id = sending.account_id
    CROSS JOIN LATERAL (
        SELECT e.* FROM thaw.enrollments AS e
        WHERE e.account_id = sending.account_id AND e.due_at <= thaw.now()
        ORDER BY e.due_at, e.id LIMIT 1) AS e
    WHERE sending.next_at <= thaw.now()
), sender AS (
    UPDATE thaw.senders AS s SET
        next_allowed_at = thaw.now() + interval '1 day', day = thaw.now()::date, day_began_at = date_trunc('day', thaw.now()),
        day_timezone = 'UTC'
    FROM pick WHERE s.id = pick.sender_id
), account AS (
    UPDATE thaw.sending_accounts AS s SET next_at = thaw.now() + interval '1 day', code = NULL, served_at = thaw.now()
    FROM pick WHERE s.account_id = pick.account_id
), action AS (
    INSERT INTO thaw.actions (
        workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, actor, reserved_at,
        lease_until, used_at, local_day, timezone, gap, next_of_kind_at)
    SELECT pick.workspace_id, pick.account_id, pick.sender_id, pick.campaign_id, pick.id, pick.provider, pick.member_id, pick.prospect_url, pick.step,
        'message', 'bench', thaw.now(), thaw.now() + interval '10 minutes', thaw.now(), thaw.now()::date, 'UTC', '1 day', thaw.now()
    FROM pick
    RETURNING id, workspace_id, account_id, campaign_id, enrollment_id, kind, step, lease_until, prospect_url
)

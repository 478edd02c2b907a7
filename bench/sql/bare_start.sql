-- The baseline of thaw.start: the same columns of the action and of its sender.
WITH action AS (
    UPDATE thaw.actions SET
        state = 'started', started_at = thaw.now(), used_at = thaw.now(), lease_until = thaw.now() + interval '10 minutes',
        local_day = thaw.now()::date, timezone = 'UTC', next_of_kind_at = greatest(next_of_kind_at, thaw.now())
    WHERE id = $1
    RETURNING id, sender_id
), sender AS (
    UPDATE thaw.senders AS s SET
        last_started_at = thaw.now(), next_allowed_at = greatest(s.next_allowed_at, thaw.now()), day = thaw.now()::date,
        day_began_at = date_trunc('day', thaw.now()), day_timezone = 'UTC', ramp_started_at = s.ramp_started_at,
        restriction_seen_at = s.restriction_seen_at
    FROM action WHERE s.id = action.sender_id
)
SELECT id FROM action

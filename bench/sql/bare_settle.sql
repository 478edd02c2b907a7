-- The baseline of thaw.settle: the same columns of the action, its sender and the enrollment. What
-- Thaw notes for its scheduler (thaw.nudges) is part of its cost, not of the baseline.
WITH action AS (
    UPDATE thaw.actions SET
        state = 'sent', outcome = 'sent', lease_until = NULL, settled_at = thaw.now(), used_at = thaw.now(), provider_ref = 'ref'
    WHERE id = $1
    RETURNING sender_id, enrollment_id
), sender AS (
    UPDATE thaw.senders AS s SET ramp_started_at = coalesce(s.ramp_started_at, thaw.now()), last_sent_at = thaw.now()
    FROM action WHERE s.id = action.sender_id
), enrollment AS (
    UPDATE thaw.enrollments AS e SET step = e.step + 1, next_kind = NULL, next_action_at = NULL
    FROM action WHERE e.id = action.enrollment_id
)
SELECT 'sent' FROM action

-- A prospect was moved to another account only while being resumed, and each move has its event, at
-- the same step. A pending prospect, which has not started, is moved without a resume.
-- Events older than the complete history are skipped.
SELECT format('enrollment %s: by %s at %s from account %s to account %s at step %s: %s resumed, %s moved',
    event.enrollment_id, event.source, event.at, event.from_account_id, event.to_account_id, event.step,
    count(*) FILTER (WHERE event.kind = 'resumed'), count(*) FILTER (WHERE event.kind = 'moved'))
FROM thaw.enrollment_events AS event
WHERE event.kind IN ('resumed', 'moved') AND event.source IN ('signal', 'sweep', 'heal')
    AND event.from_account_id <> event.to_account_id AND event.from_status <> 'pending'
    AND event.at >= (SELECT kept.history_since FROM thaw.kept AS kept)
GROUP BY event.enrollment_id, event.source, event.at, event.from_account_id, event.to_account_id, event.step
HAVING count(*) FILTER (WHERE event.kind = 'resumed') <> count(*) FILTER (WHERE event.kind = 'moved')

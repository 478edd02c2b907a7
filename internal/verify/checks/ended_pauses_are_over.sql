-- No prospect is still in a pause that ended according to its history.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: still paused since %s, but event %s ended that pause', e.id, e.paused_at, event.id)
FROM thaw.enrollments AS e
JOIN thaw.enrollment_events AS event
    ON event.enrollment_id = e.id AND event.kind = 'resumed' AND event.paused_at = e.paused_at
WHERE e.status = 'paused' AND event.id BETWEEN 0 AND 9223372036854775807

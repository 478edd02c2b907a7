-- An enrollment has the status and the pause of its last event. Without events it is unchanged.
SELECT format('enrollment %s: is %s since %s, its history left it %s since %s',
    e.id, e.status, e.paused_at, coalesce(last.to_status, start.status), last.paused_at)
FROM thaw_test.start AS start
JOIN thaw.enrollments AS e ON e.id = start.enrollment_id
LEFT JOIN (
    SELECT DISTINCT ON (event.enrollment_id) event.enrollment_id, event.to_status, event.paused_at
    FROM thaw.enrollment_events AS event
    WHERE event.kind IN ('paused', 'resumed')
    ORDER BY event.enrollment_id, event.id DESC) AS last ON last.enrollment_id = e.id
WHERE e.status <> coalesce(last.to_status, start.status)
    OR (e.status = 'paused' AND e.paused_at <> last.paused_at)

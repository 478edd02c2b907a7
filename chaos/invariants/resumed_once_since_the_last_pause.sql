-- An active enrollment that was paused has exactly one resume after its last pause. A paused one
-- has none. One that has ended has at most one: it may have ended while it was paused.
SELECT format('enrollment %s: %s, with %s resumes after its last pause', e.id, e.status, since.resumed)
FROM thaw.enrollments AS e
JOIN (
    SELECT event.enrollment_id,
        count(*) FILTER (WHERE event.kind = 'resumed' AND event.id > last.id) AS resumed
    FROM thaw.enrollment_events AS event
    JOIN (
        SELECT pause.enrollment_id, max(pause.id) AS id FROM thaw.enrollment_events AS pause
        WHERE pause.kind = 'paused' GROUP BY pause.enrollment_id) AS last ON last.enrollment_id = event.enrollment_id
    GROUP BY event.enrollment_id) AS since ON since.enrollment_id = e.id
WHERE since.resumed <> CASE e.status WHEN 'active' THEN 1 WHEN 'paused' THEN 0 ELSE least(since.resumed, 1) END

-- Every enrollment is still there, at the step at which it began.
SELECT format('enrollment %s: began at step %s, is at %s', start.enrollment_id, start.step, coalesce(e.step::text, 'none: it is gone'))
FROM thaw_test.start AS start
LEFT JOIN thaw.enrollments AS e ON e.id = start.enrollment_id
WHERE e.step IS DISTINCT FROM start.step

-- Every enrollment still exists, at its initial step.
SELECT format('enrollment %s: initial step %s, now %s', start.enrollment_id, start.step, coalesce(e.step::text, 'missing'))
FROM thaw_test.start AS start
LEFT JOIN thaw.enrollments AS e ON e.id = start.enrollment_id
WHERE e.step IS DISTINCT FROM start.step

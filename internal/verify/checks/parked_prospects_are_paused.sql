-- A prospect is not active while a change of the platform's row could not be applied to it, unless
-- the change is only deferred (thaw.adopt_errors).
-- ranges: thaw.enrollments id
SELECT format('enrollment %s (%s): active, although a change of the platform could not be applied (%s)', e.id, e.external_id, x.code)
FROM thaw.enrollments AS e
JOIN thaw.adopt_errors AS x ON x.kind = 'enrollment' AND x.external_id = e.external_id AND NOT x.is_deferred
WHERE e.id BETWEEN 0 AND 9223372036854775807 AND e.status = 'active'

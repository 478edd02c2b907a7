-- No step is done twice: at most one action of an enrollment and step may have reached the provider
-- or was not needed. The kind does not matter: the kind of a step may change after it was done.
SELECT format('enrollment %s: step %s has actions %s',
    action.enrollment_id, action.step, string_agg(format('%s (%s)', action.id, action.kind), ' and ' ORDER BY action.id))
FROM thaw.actions AS action
WHERE action.state IN ('reserved', 'started', 'sent', 'unknown', 'already')
GROUP BY action.enrollment_id, action.step
HAVING count(*) > 1

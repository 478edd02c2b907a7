-- No step is done twice: at most one action of an enrollment, step and kind may have reached the
-- provider or was not needed.
SELECT format('enrollment %s: step %s (%s) has actions %s',
    action.enrollment_id, action.step, action.kind, string_agg(action.id::text, ' and ' ORDER BY action.id))
FROM thaw.actions AS action
WHERE action.state IN ('reserved', 'started', 'sent', 'unknown', 'already')
GROUP BY action.enrollment_id, action.step, action.kind
HAVING count(*) > 1

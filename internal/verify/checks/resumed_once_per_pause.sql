-- No pause was ended twice: no two resume events belong to the same pause.
SELECT format('enrollment %s: the pause of %s was ended by events %s',
    event.enrollment_id, event.paused_at, string_agg(event.id::text, ' and ' ORDER BY event.id))
FROM thaw.enrollment_events AS event
WHERE event.kind = 'resumed'
GROUP BY event.enrollment_id, event.paused_at
HAVING count(*) > 1

-- No prospect was resumed twice from one pause.
SELECT format('enrollment %s: resumed %s times from its pause of %s, by %s', event.enrollment_id, count(*), event.paused_at,
    string_agg(event.source || ' event ' || event.id, ' and ' ORDER BY event.id))
FROM thaw.enrollment_events AS event
WHERE event.kind = 'resumed'
GROUP BY event.enrollment_id, event.paused_at
HAVING count(*) > 1

-- Each pass of a signal or of an allocation ran once: everything that it resumed was resumed in one
-- transaction.
SELECT format('signal %s: resumed prospects between %s and %s, in jobs %s to %s, through accounts %s to %s',
    event.signal_id, min(event.at), max(event.at), min(event.job_id), max(event.job_id),
    min(event.to_account_id), max(event.to_account_id))
FROM thaw.enrollment_events AS event
WHERE event.kind = 'resumed' AND event.source = 'signal'
GROUP BY event.signal_id
HAVING min(event.at) <> max(event.at) OR min(event.job_id) <> max(event.job_id)
    OR min(event.to_account_id) <> max(event.to_account_id) OR min(event.tick_at) <> max(event.tick_at)
UNION ALL
SELECT format('allocation of account %s at tick %s: resumed prospects between %s and %s, in jobs %s to %s',
    event.to_account_id, event.tick_at, min(event.at), max(event.at), min(event.job_id), max(event.job_id))
FROM thaw.enrollment_events AS event
WHERE event.kind = 'resumed' AND event.source = 'sweep'
GROUP BY event.to_account_id, event.tick_at
HAVING min(event.at) <> max(event.at) OR min(event.job_id) <> max(event.job_id)

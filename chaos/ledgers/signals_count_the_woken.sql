-- A signal counts who was woken in its name. One that said connected had its pass, unless somebody cancelled its job.
WITH woken AS (
    SELECT event.signal_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'signal'
    GROUP BY event.signal_id
)
SELECT format('signal %s: counts %s, woken were %s', coalesce(s.id, woken.signal_id), s.resumed, woken.n)
FROM thaw.account_signals AS s
FULL JOIN woken ON woken.signal_id = s.id
WHERE coalesce(s.resumed, 0) <> coalesce(woken.n, 0)
UNION ALL
SELECT format('signal %s: account %s was connected by it, and no pass followed', s.id, s.account_id)
FROM thaw.account_signals AS s
WHERE s.outcome = 'applied' AND s.status = 'connected' AND s.finished_at IS NULL
    AND NOT EXISTS (
        SELECT FROM thaw.river_job AS j
        WHERE j.kind = 'resume_account' AND j.args ->> 'signal_id' = s.id::text AND j.state <> 'completed')

-- A signal counts the prospects that its pass resumed. A connect signal had its pass, unless its
-- job was cancelled.
WITH resumed AS (
    SELECT event.signal_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'signal'
    GROUP BY event.signal_id
)
SELECT format('signal %s: counts %s, resumed were %s', coalesce(s.id, resumed.signal_id), s.resumed, resumed.n)
FROM thaw.account_signals AS s
FULL JOIN resumed ON resumed.signal_id = s.id
WHERE coalesce(s.resumed, 0) <> coalesce(resumed.n, 0)
UNION ALL
SELECT format('signal %s: account %s was connected by it, and no pass followed', s.id, s.account_id)
FROM thaw.account_signals AS s
WHERE s.outcome = 'applied' AND s.status = 'connected' AND s.finished_at IS NULL
    AND NOT EXISTS (
        SELECT FROM thaw.river_job AS j
        WHERE j.kind = 'resume_account' AND j.args ->> 'signal_id' = s.id::text AND j.state <> 'completed')

-- Each signal counts exactly the prospects that the history says it woke.
SELECT format('signal %s: it counts %s, the history %s',
    coalesce(s.id, history.signal_id), coalesce(s.resumed, 0), coalesce(history.woken, 0))
FROM thaw.account_signals AS s
FULL JOIN (
    SELECT event.signal_id, count(*) AS woken
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'signal'
    GROUP BY event.signal_id) AS history ON history.signal_id = s.id
WHERE coalesce(s.resumed, 0) <> coalesce(history.woken, 0)

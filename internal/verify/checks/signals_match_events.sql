-- Each signal counts exactly the prospects that it resumed according to the history.
-- Signals that were removed by retention, or whose history was, are skipped.
SELECT format('signal %s: %s recorded, %s in the history',
    coalesce(s.id, history.signal_id), coalesce(s.resumed, 0), coalesce(history.resumed, 0))
FROM thaw.account_signals AS s
FULL JOIN (
    SELECT event.signal_id, count(*) AS resumed, min(event.at) AS at
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'signal'
    GROUP BY event.signal_id) AS history ON history.signal_id = s.id
WHERE coalesce(s.resumed, 0) <> coalesce(history.resumed, 0)
    AND coalesce(s.finished_at, history.at) >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND (s.id IS NOT NULL
        OR history.signal_id > (SELECT kept.signals_after FROM thaw.kept AS kept))

-- Each allocation counts exactly the prospects that its tick's sweep resumed through its account.
-- Ticks whose history was partly removed by retention are skipped.
SELECT format('allocation of account %s at tick %s: %s in the allocation, %s in the history',
    account_id, tick_at, coalesce(g.resumed, 0), coalesce(history.resumed, 0))
FROM thaw.allocations AS g
FULL JOIN (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'sweep'
    GROUP BY event.tick_at, event.to_account_id) AS history USING (tick_at, account_id)
WHERE coalesce(g.resumed, 0) <> coalesce(history.resumed, 0)
    AND tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)

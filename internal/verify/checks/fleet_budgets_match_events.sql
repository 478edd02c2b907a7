-- The fleet's budget row of a tick and lane counts exactly the prospects that the history says were woken there.
SELECT format('tick %s, lane %s: the budget row counts %s, the history %s',
    tick_at, lane, coalesce(budget.used, 0), coalesce(history.woken, 0))
FROM thaw.fleet_budgets AS budget
FULL JOIN (
    SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*) AS woken
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal')
    GROUP BY event.tick_at, event.source) AS history USING (tick_at, lane)
WHERE coalesce(budget.used, 0) <> coalesce(history.woken, 0)

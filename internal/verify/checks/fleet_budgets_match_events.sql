-- The fleet's budget row of a tick and lane counts exactly the prospects that the history says were resumed there.
-- Ticks of which the history is not all there any more, because of its age, are left out.
SELECT format('tick %s, lane %s: the budget row counts %s, the history %s',
    tick_at, lane, coalesce(budget.used - budget.carried, 0), coalesce(history.resumed, 0))
FROM thaw.fleet_budgets AS budget
FULL JOIN (
    SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal')
    GROUP BY event.tick_at, event.source) AS history USING (tick_at, lane)
WHERE coalesce(budget.used - budget.carried, 0) <> coalesce(history.resumed, 0)
    AND tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)

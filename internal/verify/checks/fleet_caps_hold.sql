-- No tick exceeds the cap of its budget row in any lane.
SELECT format('tick %s, lane %s: %s resumed, cap %s', budget.tick_at, budget.lane, history.resumed, budget.cap)
FROM thaw.fleet_budgets AS budget
JOIN (
    SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal')
    GROUP BY event.tick_at, event.source) AS history USING (tick_at, lane)
WHERE history.resumed > budget.cap

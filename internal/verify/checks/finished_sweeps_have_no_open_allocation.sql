-- A sweep is finished if and only if all of its allocations are closed.
SELECT format('sweep of tick %s: %s, with %s open allocations',
    s.tick_at, CASE WHEN s.finished_at IS NULL THEN 'not finished' ELSE 'finished' END, coalesce(plan.open, 0))
FROM thaw.sweeps AS s
LEFT JOIN (
    SELECT g.tick_at, count(*) FILTER (WHERE g.finished_at IS NULL) AS open
    FROM thaw.allocations AS g
    GROUP BY g.tick_at) AS plan ON plan.tick_at = s.tick_at
WHERE (s.finished_at IS NOT NULL) <> (coalesce(plan.open, 0) = 0)

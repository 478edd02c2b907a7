-- An allocation counts the prospects that its sweep resumed through its account, within the plan. A
-- summary counts its allocations.
WITH resumed AS (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'sweep'
    GROUP BY event.tick_at, event.to_account_id
)
SELECT format('tick %s, account %s: the allocation counts %s of %s, resumed were %s', coalesce(g.tick_at, resumed.tick_at),
    coalesce(g.account_id, resumed.account_id), g.resumed, g.planned, resumed.n)
FROM thaw.allocations AS g
FULL JOIN resumed ON resumed.tick_at = g.tick_at AND resumed.account_id = g.account_id
WHERE coalesce(g.resumed, -1) <> coalesce(resumed.n, 0) OR g.resumed > g.planned
UNION ALL
SELECT format('tick %s: the summary counts %s resumed and %s processed, its allocations %s and %s', s.tick_at, s.resumed,
    s.accounts_processed, coalesce(plan.resumed, 0), coalesce(plan.closed, 0))
FROM thaw.sweeps AS s
LEFT JOIN (
    SELECT g.tick_at, sum(g.resumed) AS resumed, count(g.finished_at) AS closed
    FROM thaw.allocations AS g GROUP BY g.tick_at) AS plan ON plan.tick_at = s.tick_at
WHERE s.resumed <> coalesce(plan.resumed, 0) OR s.accounts_processed <> coalesce(plan.closed, 0)

-- What a lane used of its budget in a tick is who it woke in it, and no more than its cap.
WITH woken AS (
    SELECT event.tick_at, event.source::text AS lane, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source <> 'heal'
    GROUP BY event.tick_at, event.source
)
SELECT format('tick %s, lane %s: used %s of %s, woke %s', coalesce(b.tick_at, woken.tick_at), coalesce(b.lane::text, woken.lane),
    b.used, b.cap, woken.n)
FROM thaw.fleet_budgets AS b
FULL JOIN woken ON woken.tick_at = b.tick_at AND woken.lane = b.lane::text
WHERE coalesce(b.used - b.carried, -1) <> coalesce(woken.n, 0) OR b.used > b.cap

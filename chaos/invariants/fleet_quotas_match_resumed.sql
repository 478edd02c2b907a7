-- A fleet quota's usage in a tick equals the number of prospects that its lane resumed, and is
-- within its cap.
WITH resumed AS (
    SELECT event.tick_at, event.source::text AS lane, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source <> 'heal'
    GROUP BY event.tick_at, event.source
)
SELECT format('tick %s, lane %s: used %s of %s, resumed %s', coalesce(b.tick_at, resumed.tick_at), coalesce(b.lane::text, resumed.lane),
    b.used, b.cap, resumed.n)
FROM thaw.fleet_quotas AS b
FULL JOIN resumed ON resumed.tick_at = b.tick_at AND resumed.lane = b.lane::text
WHERE coalesce(b.used - b.carried, -1) <> coalesce(resumed.n, 0) OR b.used > b.cap

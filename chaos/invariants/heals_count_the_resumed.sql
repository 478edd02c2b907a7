-- A heal counts the prospects that it resumed, within its cap.
WITH resumed AS (
    SELECT event.heal_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'heal'
    GROUP BY event.heal_id
)
SELECT format('heal %s: counts %s of %s, resumed were %s', coalesce(h.id, resumed.heal_id), h.resumed, h.cap, resumed.n)
FROM thaw.heals AS h
FULL JOIN resumed ON resumed.heal_id = h.id
WHERE coalesce(h.resumed, -1) <> coalesce(resumed.n, 0) OR h.resumed > h.cap

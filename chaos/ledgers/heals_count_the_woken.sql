-- A heal counts who it woke, within its cap.
WITH woken AS (
    SELECT event.heal_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'heal'
    GROUP BY event.heal_id
)
SELECT format('heal %s: counts %s of %s, woken were %s', coalesce(h.id, woken.heal_id), h.resumed, h.cap, woken.n)
FROM thaw.heals AS h
FULL JOIN woken ON woken.heal_id = h.id
WHERE coalesce(h.resumed, -1) <> coalesce(woken.n, 0) OR h.resumed > h.cap

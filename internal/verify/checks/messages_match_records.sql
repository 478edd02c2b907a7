-- Each pass was reported to the platform once, with the recorded numbers.
-- Messages of a heal may report less, if no endpoint was enabled when it started. Records removed
-- by retention are skipped.
WITH told AS (
    SELECT o.account_id, (o.data ->> 'signal_id')::bigint AS signal_id, (o.data ->> 'tick_at')::timestamptz AS tick_at,
        (o.data ->> 'heal_id')::bigint AS heal_id, (o.data ->> 'resumed')::integer AS resumed
    FROM thaw.outbox AS o
    WHERE o.type = 'enrollments.resumed'
)
SELECT format('signal %s: %s messages with %s resumed, %s recorded', s.id, count(*), sum(told.resumed), s.resumed)
FROM told
JOIN thaw.account_signals AS s ON s.id = told.signal_id
GROUP BY s.id
HAVING count(*) > 1 OR sum(told.resumed) IS DISTINCT FROM s.resumed
UNION ALL
SELECT format('account %s at tick %s: %s messages with %s resumed, %s in the allocation',
    g.account_id, g.tick_at, count(*), sum(told.resumed), g.resumed)
FROM told
JOIN thaw.allocations AS g ON g.tick_at = told.tick_at AND g.account_id = told.account_id
GROUP BY g.tick_at, g.account_id
HAVING count(*) > 1 OR sum(told.resumed) IS DISTINCT FROM g.resumed
UNION ALL
SELECT format('heal %s: messages with %s resumed, %s recorded', h.id, sum(told.resumed), h.resumed)
FROM told
JOIN thaw.heals AS h ON h.id = told.heal_id
GROUP BY h.id
HAVING sum(told.resumed) > h.resumed

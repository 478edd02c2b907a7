-- A pass that says something stood against it resumed nobody.
SELECT format('allocation of account %s at tick %s: %s, and yet it resumed %s', g.account_id, g.tick_at, g.verdict, g.resumed)
FROM thaw.allocations AS g
WHERE g.verdict <> 'resumed' AND g.resumed > 0
UNION ALL
SELECT format('signal %s: %s, and yet it resumed %s', s.id, s.verdict, s.resumed)
FROM thaw.account_signals AS s
WHERE s.verdict <> 'resumed' AND s.resumed > 0

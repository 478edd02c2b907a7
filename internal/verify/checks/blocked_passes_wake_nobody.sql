-- A pass that says something stood against it woke nobody.
SELECT format('grant of account %s at tick %s: %s, and yet it woke %s', g.account_id, g.tick_at, g.verdict, g.resumed)
FROM thaw.grants AS g
WHERE g.verdict <> 'resumed' AND g.resumed > 0
UNION ALL
SELECT format('signal %s: %s, and yet it woke %s', s.id, s.verdict, s.resumed)
FROM thaw.account_signals AS s
WHERE s.verdict <> 'resumed' AND s.resumed > 0

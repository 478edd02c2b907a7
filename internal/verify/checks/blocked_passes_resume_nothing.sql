-- A pass with a blocking verdict resumed no prospects.
SELECT format('allocation of account %s at tick %s: verdict %s, but %s resumed', g.account_id, g.tick_at, g.verdict, g.resumed)
FROM thaw.allocations AS g
WHERE g.verdict <> 'resumed' AND g.resumed > 0
UNION ALL
SELECT format('signal %s: verdict %s, but %s resumed', s.id, s.verdict, s.resumed)
FROM thaw.account_signals AS s
WHERE s.verdict <> 'resumed' AND s.resumed > 0

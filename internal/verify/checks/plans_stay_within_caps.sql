-- No plan exceeds the caps of its tick for an account or for the fleet, and no allocation resumed
-- more than planned.
SELECT format('allocation of account %s at tick %s: planned %s, resumed %s, account cap %s',
    g.account_id, g.tick_at, g.planned, g.resumed, s.account_cap)
FROM thaw.allocations AS g
JOIN thaw.sweeps AS s ON s.tick_at = g.tick_at
WHERE g.planned > s.account_cap OR g.resumed > g.planned
UNION ALL
SELECT format('sweep of tick %s: planned %s, fleet cap %s', s.tick_at, sum(g.planned), s.fleet_cap)
FROM thaw.sweeps AS s
JOIN thaw.allocations AS g ON g.tick_at = s.tick_at
GROUP BY s.tick_at
HAVING sum(g.planned) > s.fleet_cap

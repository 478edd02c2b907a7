-- The summary of each tick matches its allocations: accounts and prospects planned and done.
-- Ticks whose allocations were partly removed by retention are skipped.
SELECT format('sweep of tick %s: %s of %s accounts and %s of %s prospects; in its allocations %s of %s and %s of %s',
    s.tick_at, s.accounts_processed, s.accounts_planned, s.resumed, s.planned,
    coalesce(plan.closed, 0), coalesce(plan.accounts, 0), coalesce(plan.resumed, 0), coalesce(plan.planned, 0))
FROM thaw.sweeps AS s
LEFT JOIN (
    SELECT g.tick_at, count(*) AS accounts, count(g.finished_at) AS closed, sum(g.planned) AS planned,
        sum(g.resumed) AS resumed
    FROM thaw.allocations AS g
    GROUP BY g.tick_at) AS plan ON plan.tick_at = s.tick_at
WHERE s.tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND (s.accounts_planned <> coalesce(plan.accounts, 0)
        OR s.accounts_processed <> coalesce(plan.closed, 0)
        OR s.planned <> coalesce(plan.planned, 0)
        OR s.resumed <> coalesce(plan.resumed, 0))

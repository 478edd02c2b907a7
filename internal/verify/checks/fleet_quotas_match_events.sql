-- The fleet quota row of each tick and lane equals the number of prospects resumed according to
-- the history.
-- Ticks whose history was partly removed by retention are skipped.
SELECT format('tick %s, lane %s: %s in the quota row, %s in the history',
    tick_at, lane, coalesce(quota.used - quota.carried, 0), coalesce(history.resumed, 0))
FROM thaw.fleet_quotas AS quota
FULL JOIN (
    SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal')
    GROUP BY event.tick_at, event.source) AS history USING (tick_at, lane)
WHERE coalesce(quota.used - quota.carried, 0) <> coalesce(history.resumed, 0)
    AND tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)

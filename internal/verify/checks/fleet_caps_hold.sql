-- No tick exceeds the cap of its quota row in any lane.
SELECT format('tick %s, lane %s: %s resumed, cap %s', quota.tick_at, quota.lane, history.resumed, quota.cap)
FROM thaw.fleet_quotas AS quota
JOIN (
    SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal')
    GROUP BY event.tick_at, event.source) AS history USING (tick_at, lane)
WHERE history.resumed > quota.cap

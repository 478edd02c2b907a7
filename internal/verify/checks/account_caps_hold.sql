-- No account exceeds the cap of its quota row in a tick, counting the sweep, signals and heals of
-- tenants together.
SELECT format('account %s at tick %s: %s resumed, cap %s',
    quota.account_id, quota.tick_at, history.resumed, quota.cap)
FROM thaw.account_quotas AS quota
JOIN (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal', 'heal') AND event.tick_at IS NOT NULL
    GROUP BY event.tick_at, event.to_account_id) AS history USING (tick_at, account_id)
WHERE history.resumed > quota.cap

-- The quota row of each account and tick equals the number of prospects resumed through the
-- account by the sweep, by signals and by heals of tenants.
-- Ticks whose history was partly removed by retention are skipped.
SELECT format('account %s at tick %s: %s in the quota row, %s in the history',
    account_id, tick_at, coalesce(quota.used - quota.carried, 0), coalesce(history.resumed, 0))
FROM thaw.account_quotas AS quota
FULL JOIN (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal', 'heal') AND event.tick_at IS NOT NULL
    GROUP BY event.tick_at, event.to_account_id) AS history USING (tick_at, account_id)
WHERE coalesce(quota.used - quota.carried, 0) <> coalesce(history.resumed, 0)
    AND tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)

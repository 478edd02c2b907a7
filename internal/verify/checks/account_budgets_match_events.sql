-- The budget row of an account in a tick counts exactly the prospects that were resumed through it, by sweep, signal and the heals of tenants.
-- Ticks of which the history is not all there any more, because of its age, are left out.
SELECT format('account %s at tick %s: the budget row counts %s, the history %s',
    account_id, tick_at, coalesce(budget.used - budget.carried, 0), coalesce(history.resumed, 0))
FROM thaw.account_budgets AS budget
FULL JOIN (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS resumed
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source IN ('sweep', 'signal', 'heal') AND event.tick_at IS NOT NULL
    GROUP BY event.tick_at, event.to_account_id) AS history USING (tick_at, account_id)
WHERE coalesce(budget.used - budget.carried, 0) <> coalesce(history.resumed, 0)
    AND tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)

-- What an account used of its budget in a tick is who woke through it, and no more than its cap.
WITH woken AS (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source <> 'heal'
    GROUP BY event.tick_at, event.to_account_id
)
SELECT format('tick %s, account %s: used %s of %s, woke %s', coalesce(b.tick_at, woken.tick_at),
    coalesce(b.account_id, woken.account_id), b.used, b.cap, woken.n)
FROM thaw.account_budgets AS b
FULL JOIN woken ON woken.tick_at = b.tick_at AND woken.account_id = b.account_id
WHERE coalesce(b.used - b.carried, -1) <> coalesce(woken.n, 0) OR b.used > b.cap

-- An account quota's usage in a tick equals the number of prospects resumed through the account,
-- and is within its cap.
WITH resumed AS (
    SELECT event.tick_at, event.to_account_id AS account_id, count(*) AS n
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'resumed' AND event.source <> 'heal'
    GROUP BY event.tick_at, event.to_account_id
)
SELECT format('tick %s, account %s: used %s of %s, resumed %s', coalesce(b.tick_at, resumed.tick_at),
    coalesce(b.account_id, resumed.account_id), b.used, b.cap, resumed.n)
FROM thaw.account_quotas AS b
FULL JOIN resumed ON resumed.tick_at = b.tick_at AND resumed.account_id = b.account_id
WHERE coalesce(b.used - b.carried, -1) <> coalesce(resumed.n, 0) OR b.used > b.cap

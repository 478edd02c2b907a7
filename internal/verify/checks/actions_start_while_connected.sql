-- No action starts while its account is not connected. A status counts if it lasts for a minute
-- before and after the start: a signal that arrives meanwhile has the time at which its transaction
-- began.
SELECT format('action %s: started at %s through account %s, which is %s from %s to %s',
    action.id, action.started_at, action.account_id, gone.status,
    CASE WHEN isfinite(gone.from_at) THEN gone.from_at::text ELSE 'its start' END,
    CASE WHEN isfinite(gone.to_at) THEN gone.to_at::text ELSE 'now' END)
FROM thaw.actions AS action
JOIN (
    SELECT event.account_id, event.to_status AS status, event.at AS from_at,
        coalesce(lead(event.at) OVER (PARTITION BY event.account_id ORDER BY event.id), 'infinity') AS to_at
    FROM thaw.account_events AS event
    UNION ALL
    -- Before the first event.
    SELECT a.id, coalesce(first.from_status, a.status), '-infinity', coalesce(first.at, 'infinity')
    FROM thaw.accounts AS a
    LEFT JOIN (
        SELECT DISTINCT ON (event.account_id) event.account_id, event.from_status, event.at
        FROM thaw.account_events AS event
        ORDER BY event.account_id, event.id) AS first ON first.account_id = a.id
) AS gone ON gone.account_id = action.account_id
WHERE gone.status <> 'connected'
    AND action.started_at > gone.from_at + interval '1 minute' AND action.started_at < gone.to_at - interval '1 minute'
    AND action.started_at > (SELECT kept.history_since FROM thaw.kept)

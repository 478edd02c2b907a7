-- An event matches its kind: a pause ends in paused, a resume goes from paused to active, and a
-- move changes only the account.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: event %s is %s, from %s on account %s to %s on account %s', event.enrollment_id, event.id,
    event.kind, event.from_status, event.from_account_id, event.to_status, event.to_account_id)
FROM thaw.enrollment_events AS event
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND CASE event.kind
    WHEN 'paused' THEN event.to_status <> 'paused'
    WHEN 'resumed' THEN (event.from_status, event.to_status) <> ('paused', 'active')
    WHEN 'moved' THEN event.from_status <> event.to_status OR event.from_account_id = event.to_account_id
    ELSE false
END
UNION ALL
SELECT format('campaign %s: event %s is %s, from %s to %s',
    event.campaign_id, event.id, event.kind, event.from_status, event.to_status)
FROM thaw.campaign_events AS event
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND CASE event.kind
    WHEN 'paused' THEN event.to_status <> 'paused'
    WHEN 'resumed' THEN (event.from_status, event.to_status) <> ('paused', 'running')
    ELSE false
END

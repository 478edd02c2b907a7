-- Each event of an enrollment starts from the state after the previous one, and a resume refers to
-- the previous pause. So every change has an event.
SELECT format('enrollment %s: event %s is %s from %s of the pause of %s, but the one before left it %s since %s',
    chain.enrollment_id, chain.id, chain.kind, chain.from_status, chain.paused_at, chain.status_before, chain.paused_before)
FROM (
    SELECT event.*, lag(event.to_status) OVER line AS status_before, lag(event.paused_at) OVER line AS paused_before
    FROM thaw.enrollment_events AS event
    WHERE event.kind IN ('paused', 'resumed')
    WINDOW line AS (PARTITION BY event.enrollment_id ORDER BY event.id)) AS chain
WHERE chain.status_before <> chain.from_status
    OR (chain.kind = 'resumed' AND chain.paused_before <> chain.paused_at)

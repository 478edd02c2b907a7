-- A reservation that was released, or expired, was never started, and one that was started is only
-- released by an outcome that proves that nothing was delivered. Its times are in order.
-- ranges: thaw.actions id
SELECT format('action %s: %s%s, reserved at %s, started at %s, settled at %s',
    action.id, action.state, coalesce(' (' || action.outcome || ')', ''), action.reserved_at,
    coalesce(action.started_at::text, 'none'), coalesce(action.settled_at::text, 'none'))
FROM thaw.actions AS action
WHERE action.id BETWEEN 0 AND 9223372036854775807
    AND (action.state = 'expired' AND action.started_at IS NOT NULL
        OR action.state = 'released' AND (action.started_at IS NULL) <> (action.outcome IS NULL OR action.outcome = 'released')
        OR action.started_at < action.reserved_at
        OR action.settled_at < coalesce(action.started_at, action.reserved_at))

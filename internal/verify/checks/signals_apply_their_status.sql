-- A signal changed only prospects of its own account, only if it was applied, and only according to
-- its status: connected resumes, any other status pauses.
-- Signals removed by retention are assumed to match.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: %s through account %s by signal %s, which is %s for account %s with status %s',
    event.enrollment_id, event.kind, event.to_account_id, event.signal_id, coalesce(s.outcome::text, 'missing'),
    coalesce(s.account_id::text, 'none'), coalesce(s.status::text, 'none'))
FROM thaw.enrollment_events AS event
LEFT JOIN thaw.account_signals AS s ON s.id = event.signal_id
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND event.source = 'signal' AND event.kind IN ('paused', 'resumed') AND event.signal_id IS NOT NULL
    AND (s.id IS NOT NULL
        OR event.signal_id > (SELECT kept.signals_after FROM thaw.kept AS kept))
    AND (s.outcome = 'applied' AND s.account_id = event.to_account_id
        AND (event.kind = 'resumed') = (s.status = 'connected' OR s.kind = 'unlock')) IS NOT TRUE

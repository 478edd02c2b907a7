-- Only prospects and campaigns that were paused for an account reason were resumed automatically.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: paused for %s, resumed by %s in event %s',
    event.enrollment_id, coalesce(event.reason::text, 'no reason'), event.source, event.id)
FROM thaw.enrollment_events AS event
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND event.kind = 'resumed' AND event.source IN ('signal', 'sweep', 'heal')
    AND NOT thaw.waits_for_account(event.reason)
UNION ALL
SELECT format('campaign %s: paused for %s, resumed by %s in event %s',
    event.campaign_id, coalesce(event.reason::text, 'no reason'), event.source, event.id)
FROM thaw.campaign_events AS event
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND event.kind = 'resumed' AND event.source IN ('signal', 'sweep', 'heal')
    AND NOT thaw.waits_for_account(event.reason)

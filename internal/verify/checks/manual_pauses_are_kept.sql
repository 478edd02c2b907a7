-- No prospect that a person or a restriction paused was resumed without a manual resume in between.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: paused by event %s (%s), resumed by event %s, without a manual resume in between',
    resume.enrollment_id, last.id, last.reason, resume.id)
FROM thaw.enrollment_events AS resume
CROSS JOIN LATERAL (
    SELECT event.id, event.kind, event.reason
    FROM thaw.enrollment_events AS event
    WHERE event.enrollment_id = resume.enrollment_id AND event.id < resume.id AND event.paused_at = resume.paused_at
        AND event.kind IN ('paused', 'released')
    ORDER BY event.id DESC
    LIMIT 1) AS last
WHERE resume.id BETWEEN 0 AND 9223372036854775807 AND resume.kind = 'resumed' AND resume.source IN ('signal', 'sweep', 'heal')
    AND last.kind = 'paused' AND thaw.waits_for_person(last.reason)

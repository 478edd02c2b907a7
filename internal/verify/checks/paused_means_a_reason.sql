-- Enrollments and campaigns have a pause reason and a pause time if and only if they are paused.
-- The reason is not a deprecated one: no pass resumes such a row.
-- ranges: thaw.enrollments id
SELECT format('enrollment %s: status %s, reason %s, paused at %s',
    e.id, e.status, coalesce(e.paused_reason::text, 'none'), coalesce(e.paused_at::text, 'none'))
FROM thaw.enrollments AS e
WHERE e.id BETWEEN 0 AND 9223372036854775807
    AND ((e.status = 'paused') <> (e.paused_reason IS NOT NULL) OR (e.status = 'paused') <> (e.paused_at IS NOT NULL)
        OR e.paused_reason <> thaw.current_reason(e.paused_reason))
UNION ALL
SELECT format('campaign %s: status %s, reason %s, paused at %s',
    c.id, c.status, coalesce(c.paused_reason::text, 'none'), coalesce(c.paused_at::text, 'none'))
FROM thaw.campaigns AS c
WHERE c.id BETWEEN 0 AND 9223372036854775807
    AND ((c.status = 'paused') <> (c.paused_reason IS NOT NULL) OR (c.status = 'paused') <> (c.paused_at IS NOT NULL)
        OR c.paused_reason <> thaw.current_reason(c.paused_reason))

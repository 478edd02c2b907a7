-- A heal resumed only prospects in its scope: of its workspace, of its account or resumed through
-- it, of its list, or of the whole fleet.
-- Lists that were partly removed by retention are skipped.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: resumed by heal %s of %s, from account %s through account %s',
    event.enrollment_id, h.id, h.target, event.from_account_id, event.to_account_id)
FROM thaw.enrollment_events AS event
JOIN thaw.heals AS h ON h.id = event.heal_id
LEFT JOIN thaw.accounts AS a ON a.id = event.to_account_id
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND event.kind = 'resumed' AND event.source = 'heal'
    AND CASE
        WHEN h.is_fleet THEN false
        WHEN h.workspace_id IS NOT NULL THEN a.workspace_id <> h.workspace_id
        WHEN h.account_id IS NOT NULL THEN h.account_id NOT IN (event.from_account_id, event.to_account_id)
        ELSE event.enrollment_id <> ALL (coalesce((
                SELECT listed.enrollment_ids FROM thaw.heal_enrollments AS listed
                WHERE listed.heal_id = h.id AND listed.last_id >= event.enrollment_id
                ORDER BY listed.last_id LIMIT 1), '{}'))
            AND (h.finished_at >= (SELECT kept.history_since FROM thaw.kept AS kept)) IS NOT FALSE
    END

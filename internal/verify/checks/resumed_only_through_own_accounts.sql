-- No prospect was resumed through an account of another workspace, or moved to an account of
-- another person or provider.
-- ranges: thaw.enrollment_events id
SELECT format('enrollment %s: %s from account %s to account %s in event %s',
    event.enrollment_id, event.kind, event.from_account_id, event.to_account_id, event.id)
FROM thaw.enrollment_events AS event
JOIN thaw.accounts AS target ON target.id = event.to_account_id
LEFT JOIN thaw.accounts AS origin ON origin.id = event.from_account_id
LEFT JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
WHERE event.id BETWEEN 0 AND 9223372036854775807 AND event.kind IN ('resumed', 'moved') AND event.source IN ('signal', 'sweep', 'heal')
    AND (e.workspace_id <> target.workspace_id
        OR (origin.id <> target.id
            AND NOT EXISTS (
                SELECT FROM thaw.siblings AS family WHERE family.account_id = origin.id AND family.sibling_id = target.id)))

-- Applies the changes of enrollments_changes.sql.
--
-- New enrollments get no event: their state is in the row. An enrollment that stays paused gets an
-- event if its pause or its step changed, because a later resume is checked against that event. The
-- reason of an event is that of the pause that starts or ends.
INSERT INTO thaw.enrollment_events (
    enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason,
    paused_at)
SELECT change.id, thaw.now(), change.from_account_id, change.account_id, change.from_step,
    CASE
        WHEN change.status = 'paused' AND change.from_status <> 'paused' THEN 'paused'
        WHEN change.from_status = 'paused' AND change.status = 'active' THEN 'resumed'
        ELSE 'imported'
    END::thaw.event_kind,
    'import', change.from_status, change.status, coalesce(change.paused_reason, change.from_reason),
    coalesce(change.paused_at, change.from_paused_at)
FROM import_changes AS change
WHERE change.status <> change.from_status
    OR (change.status = 'paused' AND (change.step, change.paused_reason, change.paused_at)
        IS DISTINCT FROM (change.from_step, change.from_reason, change.from_paused_at))
ORDER BY change.id;

-- The platform's own IDs, also of enrollments that are kept.
UPDATE thaw.enrollments AS known SET external_id = r.external_id
FROM import_rows AS r
WHERE known.id = r.enrollment_id AND known.external_id IS NULL AND r.external_id IS NOT NULL;

UPDATE thaw.enrollments AS known SET
    prospect_url = change.prospect_url,
    account_id = change.account_id,
    step = change.step,
    status = change.status,
    paused_reason = change.paused_reason,
    paused_at = change.paused_at,
    next_action_at = change.next_action_at,
    next_kind = change.next_kind
FROM import_changes AS change
WHERE known.id = change.id;

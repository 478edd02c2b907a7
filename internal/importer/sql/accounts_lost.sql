-- Accounts that were lost while their rows were loaded. Their pause may have ended before the last
-- rows were inserted, so the next sweep pauses them again (thaw.requeue_pauses).
SELECT known.id
FROM import_accounts AS a
JOIN thaw.accounts AS known ON known.provider = a.provider AND known.provider_account_id = a.account
WHERE known.status <> 'connected' AND NOT thaw.is_transient(known.status) AND known.pause_after IS NULL
    AND known.status_at > current_setting('thaw.import_began')::timestamptz
    AND EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = known.id AND e.status = 'active')
ORDER BY known.id
FOR NO KEY UPDATE OF known;
UPDATE thaw.accounts AS known SET pause_after = thaw.now()
FROM import_accounts AS a
WHERE known.provider = a.provider AND known.provider_account_id = a.account
    AND known.status <> 'connected' AND NOT thaw.is_transient(known.status) AND known.pause_after IS NULL
    AND known.status_at > current_setting('thaw.import_began')::timestamptz
    AND EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = known.id AND e.status = 'active');

-- Accounts that differ from the file. A status that stops prospects is applied before the rows.
-- Changes that start prospects are applied after the rows: a lifted restriction, a connection, and
-- a member ID, which creates siblings.
--
-- A signal that is later than the file is newer and is kept. So is an account that was inserted
-- after the import began, except for the status that accounts_new.sql postponed.
CREATE TEMP TABLE import_account_changes ON COMMIT DROP AS
SELECT known.id, a.status, coalesce(a.member, known.member_id) AS member,
    -- Only the provider lifts a restriction. A file with another status does not.
    known.status = 'restricted' AND a.status NOT IN ('restricted', 'removed')
        AND current_setting('thaw.import_overwrites') <> 'on' AS is_kept,
    known.status <> a.status AND known.status_at IS NOT NULL
        AND known.status_at > current_setting('thaw.import_as_of')::timestamptz AS is_newer
FROM import_accounts AS a
JOIN thaw.accounts AS known ON known.provider = a.provider AND known.provider_account_id = a.account
-- An empty member means unknown, so the database keeps its value.
WHERE (known.status <> a.status OR known.member_id IS DISTINCT FROM coalesce(a.member, known.member_id))
    AND (current_setting('thaw.import_half') = 'start' OR (known.status <> 'restricted' AND a.status <> 'connected'))
    AND (known.created_at < current_setting('thaw.import_began')::timestamptz
        OR (known.status = 'connecting' AND known.status_at IS NULL AND a.status = 'connected'))
ORDER BY known.id
FOR NO KEY UPDATE OF known;

UPDATE thaw.accounts AS known SET member_id = change.member
FROM import_account_changes AS change
WHERE known.id = change.id AND known.member_id IS DISTINCT FROM change.member
    AND current_setting('thaw.import_half') = 'start';

UPDATE thaw.accounts AS known SET
    status = change.status,
    status_at = CASE WHEN known.created_at < current_setting('thaw.import_began')::timestamptz
        THEN current_setting('thaw.import_as_of')::timestamptz END,
    pause_after = NULL,
    last_error = NULL,
    first_connected_at = CASE
        WHEN change.status = 'connected' THEN coalesce(known.first_connected_at, current_setting('thaw.import_as_of')::timestamptz)
        ELSE known.first_connected_at END,
    connected_at = CASE
        WHEN change.status = 'connected' THEN current_setting('thaw.import_began')::timestamptz ELSE known.connected_at END
FROM import_account_changes AS change
WHERE known.id = change.id AND NOT change.is_kept AND NOT change.is_newer AND known.status <> change.status;

-- Enrollments that differ from the file. A separate statement locks them, so that the following
-- statements see concurrent changes and the history has the true previous state.
CREATE TEMP TABLE import_changes ON COMMIT DROP AS
SELECT
    known.id, known.account_id AS from_account_id, known.step AS from_step, known.status AS from_status,
    known.paused_reason AS from_reason, known.paused_at AS from_paused_at,
    r.account_id, r.step, r.status, r.paused_reason, r.paused_at, r.next_action_at, r.prospect_url,
    coalesce(r.next_kind, known.next_kind) AS next_kind, NULL::text AS kept
FROM import_rows AS r
JOIN thaw.enrollments AS known ON known.id = r.enrollment_id
WHERE (known.account_id, known.step, known.status, known.paused_reason, known.paused_at, known.next_action_at, known.prospect_url,
        known.next_kind)
    IS DISTINCT FROM (r.account_id, r.step, r.status, r.paused_reason, r.paused_at, r.next_action_at, r.prospect_url,
        coalesce(r.next_kind, known.next_kind))
ORDER BY known.id
FOR NO KEY UPDATE OF known;
ALTER TABLE import_changes ADD PRIMARY KEY (id);

-- Only a person resumes an enrollment that a person or a restriction paused. A file may end such an
-- enrollment, or change its reason to paused_by_user.
UPDATE import_changes AS change SET kept = 'stopped'
WHERE thaw.waits_for_person(change.from_reason)
    AND change.status IN ('pending', 'active', 'paused')
    AND change.paused_reason IS DISTINCT FROM 'paused_by_user' AND change.paused_reason IS DISTINCT FROM change.from_reason
    AND current_setting('thaw.import_overwrites') <> 'on';

-- A pause in the file that has since ended is not repeated. Any other pause starts no earlier than
-- the last resume.
UPDATE import_changes AS change SET
    paused_at = begins.at,
    kept = CASE
        WHEN change.from_status <> 'paused' AND current_setting('thaw.import_overwrites') <> 'on'
            AND thaw.waits_for_account(change.paused_reason) THEN 'resumed' END
FROM import_changes AS c
CROSS JOIN LATERAL (SELECT thaw.pause_begins(c.id, c.paused_at) AS at) AS begins
WHERE c.id = change.id AND change.kept IS NULL AND change.status = 'paused' AND begins.at > change.paused_at;

-- An older file does not rewind a prospect: the database is newer if the prospect has taken more
-- steps, has ended, has started, was moved away from the account in the file, or has an event after
-- the time of the file. The end of a prospect is followed anyway, because it is final. It and a
-- pause for a person keep the step of the database: they only stop something.
UPDATE import_changes AS change SET step = greatest(change.step, change.from_step)
WHERE current_setting('thaw.import_overwrites') <> 'on'
    AND (change.status NOT IN ('pending', 'active', 'paused') OR thaw.waits_for_person(change.paused_reason));
UPDATE import_changes AS change SET kept = 'newer'
WHERE change.kept IS NULL AND current_setting('thaw.import_overwrites') <> 'on'
    AND change.status IN ('pending', 'active', 'paused')
    AND (change.step < change.from_step
        OR change.from_status NOT IN ('pending', 'active', 'paused')
        OR change.from_status IN ('active', 'paused') AND change.status = 'pending'
        OR change.from_account_id <> change.account_id AND EXISTS (
            SELECT FROM thaw.enrollment_events AS event
            WHERE event.enrollment_id = change.id AND event.kind = 'moved'
                AND event.from_account_id = change.account_id AND event.to_account_id = change.from_account_id)
        OR EXISTS (
            SELECT FROM thaw.enrollment_events AS event
            WHERE event.enrollment_id = change.id AND event.at > current_setting('thaw.import_as_of')::timestamptz));

CREATE TEMP TABLE import_kept ON COMMIT DROP AS
SELECT change.kept, count(*) AS enrollments FROM import_changes AS change WHERE change.kept IS NOT NULL GROUP BY change.kept;

-- Remove changes that are kept back or no longer differ.
DELETE FROM import_changes AS change
USING thaw.enrollments AS known
WHERE known.id = change.id AND (change.kept IS NOT NULL
    OR (known.account_id, known.step, known.status, known.paused_reason, known.paused_at, known.next_action_at,
            known.prospect_url, known.next_kind)
        IS NOT DISTINCT FROM (change.account_id, change.step, change.status, change.paused_reason, change.paused_at,
            change.next_action_at, change.prospect_url, change.next_kind));

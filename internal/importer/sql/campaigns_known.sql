-- Campaigns that differ from the file, locked in the order of their IDs. Changes that stop a
-- campaign are applied before the rows. Changes after which the campaign runs, or Thaw may resume
-- it, are applied after the rows: by then its prospects match the file.
CREATE TEMP TABLE import_campaign_changes ON COMMIT DROP AS
SELECT known.id, known.status AS from_status, known.paused_reason AS from_reason, c.status, c.paused_reason,
    -- Only a person resumes a campaign that a person or a restriction paused. A file may complete
    -- such a campaign, or change its reason to paused_by_user.
    thaw.waits_for_person(known.paused_reason)
        AND c.status <> 'completed' AND c.paused_reason IS DISTINCT FROM 'paused_by_user'
        AND c.paused_reason IS DISTINCT FROM known.paused_reason
        AND current_setting('thaw.import_overwrites') <> 'on' AS is_kept,
    current_setting('thaw.import_overwrites') <> 'on' AND EXISTS (
        SELECT FROM thaw.campaign_events AS event
        WHERE event.campaign_id = known.id AND event.at > current_setting('thaw.import_as_of')::timestamptz) AS is_newer
FROM import_campaigns AS c
JOIN thaw.workspaces AS workspace ON workspace.key = c.workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id AND known.key = c.campaign
WHERE (known.status, known.paused_reason) IS DISTINCT FROM (c.status, c.paused_reason)
    AND (current_setting('thaw.import_half') = 'start' OR c.status IN ('draft', 'completed')
        OR c.paused_reason IS NOT NULL AND NOT thaw.waits_for_account(c.paused_reason))
ORDER BY known.id
FOR NO KEY UPDATE OF known;

-- A pause whose reason changes keeps its start time.
WITH changed AS (
    UPDATE thaw.campaigns AS known SET
        status = change.status,
        paused_reason = change.paused_reason,
        paused_at = CASE WHEN change.status = 'paused' THEN coalesce(known.paused_at, thaw.now()) END
    FROM import_campaign_changes AS change
    WHERE known.id = change.id AND NOT change.is_kept AND NOT change.is_newer
)
INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status, reason)
SELECT change.id, thaw.now(),
    CASE
        WHEN change.status = 'paused' THEN 'paused'
        WHEN change.from_status = 'paused' AND change.status = 'running' THEN 'resumed'
        ELSE 'imported'
    END::thaw.event_kind,
    'import', change.from_status, change.status, coalesce(change.paused_reason, change.from_reason)
FROM import_campaign_changes AS change
WHERE change.status <> change.from_status AND NOT change.is_kept AND NOT change.is_newer
ORDER BY change.id;

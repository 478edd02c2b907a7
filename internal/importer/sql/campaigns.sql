INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
SELECT workspace.id, c.campaign, c.status, c.paused_reason, CASE WHEN c.status = 'paused' THEN thaw.now() END
FROM import_campaigns AS c
JOIN thaw.workspaces AS workspace ON workspace.key = c.workspace
WHERE NOT EXISTS (
    SELECT FROM thaw.campaigns AS known WHERE known.workspace_id = workspace.id AND known.key = c.campaign)
ORDER BY workspace.id, c.campaign
ON CONFLICT (workspace_id, key) DO NOTHING;

UPDATE import_campaigns AS c SET workspace_id = known.workspace_id, campaign_id = known.id
FROM thaw.workspaces AS workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id
WHERE workspace.key = c.workspace AND known.key = c.campaign;
ALTER TABLE import_campaigns ADD PRIMARY KEY (workspace, campaign);
ANALYZE import_campaigns;

-- What a person paused, and what a restriction stopped, only a person starts again. A file may end such a campaign, or say that a
-- person stopped it too. Locked before it is looked at: a person may be pausing it at this moment.
SELECT known.id
FROM import_campaigns AS c
JOIN thaw.campaigns AS known ON known.id = c.campaign_id
WHERE (known.status, known.paused_reason) IS DISTINCT FROM (c.status, c.paused_reason)
ORDER BY known.id
FOR NO KEY UPDATE OF known;
UPDATE import_campaigns AS c SET is_kept = true
FROM thaw.campaigns AS known
WHERE known.id = c.campaign_id AND known.paused_reason IN ('paused_by_user', 'account_restricted')
    AND c.status <> 'completed' AND c.paused_reason IS DISTINCT FROM 'paused_by_user'
    AND c.paused_reason IS DISTINCT FROM known.paused_reason
    AND current_setting('thaw.import_overwrites') <> 'on';

-- Known campaigns that are otherwise, locked in the order of their ids. A pause that goes on for another reason keeps the
-- time at which it began.
WITH changes AS (
    SELECT known.id, known.status AS from_status, known.paused_reason AS from_reason, c.status, c.paused_reason
    FROM import_campaigns AS c
    JOIN thaw.campaigns AS known ON known.id = c.campaign_id
    WHERE (known.status, known.paused_reason) IS DISTINCT FROM (c.status, c.paused_reason) AND NOT c.is_kept
    ORDER BY known.id
    FOR NO KEY UPDATE OF known
), changed AS (
    UPDATE thaw.campaigns AS known SET
        status = change.status,
        paused_reason = change.paused_reason,
        paused_at = CASE WHEN change.status = 'paused' THEN coalesce(known.paused_at, thaw.now()) END
    FROM changes AS change
    WHERE known.id = change.id
)
INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status, reason)
SELECT change.id, thaw.now(),
    CASE
        WHEN change.status = 'paused' THEN 'paused'
        WHEN change.from_status = 'paused' AND change.status = 'running' THEN 'resumed'
        ELSE 'imported'
    END::thaw.event_kind,
    'import', change.from_status, change.status, coalesce(change.paused_reason, change.from_reason)
FROM changes AS change
WHERE change.status <> change.from_status
ORDER BY change.id;

-- Thaw's copy of campaigns, by the platform's ids, as the rows that the triggers send.
SELECT c.external_id AS id,
    jsonb_build_object('workspace', w.external_id, 'key', c.key, 'name', c.name, 'status', c.status, 'reason', c.paused_reason) AS row,
    w.shadow AS is_shadow,
    EXISTS (SELECT FROM thaw.changes_queue AS q WHERE q.kind = 'campaign' AND q.row_id = c.id) AS is_waiting
FROM thaw.campaigns AS c
JOIN thaw.workspaces AS w ON w.id = c.workspace_id
WHERE c.external_id = ANY ($1::text[]);

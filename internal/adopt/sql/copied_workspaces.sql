-- Thaw's copy of workspaces, by the platform's ids, as the rows that the triggers send.
SELECT w.external_id AS id, jsonb_build_object('key', w.key, 'name', w.name) AS row, w.shadow AS is_shadow, false AS is_waiting
FROM thaw.workspaces AS w
WHERE w.external_id = ANY ($1::text[]);

-- Sets the names and IDs of campaigns, as account_details.sql.
CREATE TEMP TABLE import_details ON COMMIT DROP AS
SELECT known.id, d.name, d.external_id
FROM import_campaign_details AS d
JOIN thaw.workspaces AS workspace ON workspace.key = d.workspace
JOIN thaw.campaigns AS known ON known.workspace_id = workspace.id AND known.key = d.campaign
WHERE (known.name, known.external_id) IS DISTINCT FROM
    (coalesce(d.name, known.name), coalesce(d.external_id, known.external_id))
ORDER BY known.id
FOR NO KEY UPDATE OF known;
UPDATE thaw.campaigns AS known SET
    name = coalesce(d.name, known.name), external_id = coalesce(d.external_id, known.external_id)
FROM import_details AS d
WHERE known.id = d.id;

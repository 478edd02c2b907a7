-- Sets the names and IDs of workspaces and accounts, and the time zones, tiers and ramps of
-- accounts. An empty value means unknown, so the database keeps its own.
CREATE TEMP TABLE import_workspaces ON COMMIT DROP AS
SELECT known.id, d.workspace_name AS name, d.workspace_external_id AS external_id
FROM (SELECT DISTINCT a.workspace, a.workspace_name, a.workspace_external_id FROM import_account_details AS a) AS d
JOIN thaw.workspaces AS known ON known.key = d.workspace
WHERE (known.name, known.external_id) IS DISTINCT FROM
    (coalesce(d.workspace_name, known.name), coalesce(d.workspace_external_id, known.external_id))
ORDER BY known.id
FOR NO KEY UPDATE OF known;
UPDATE thaw.workspaces AS known SET
    name = coalesce(d.name, known.name), external_id = coalesce(d.external_id, known.external_id)
FROM import_workspaces AS d
WHERE known.id = d.id;

CREATE TEMP TABLE import_details ON COMMIT DROP AS
SELECT known.id, d.name, d.timezone, d.external_id, d.tier::thaw.account_tier AS tier
FROM import_account_details AS d
JOIN thaw.accounts AS known ON known.provider = d.provider AND known.provider_account_id = d.account
WHERE (known.display_name, known.timezone, known.external_id, known.tier) IS DISTINCT FROM
    (coalesce(d.name, known.display_name), coalesce(d.timezone, known.timezone), coalesce(d.external_id, known.external_id),
        coalesce(d.tier::thaw.account_tier, known.tier))
ORDER BY known.id
FOR NO KEY UPDATE OF known;
UPDATE thaw.accounts AS known SET
    display_name = coalesce(d.name, known.display_name),
    timezone = coalesce(d.timezone, known.timezone),
    external_id = coalesce(d.external_id, known.external_id),
    tier = coalesce(d.tier, known.tier)
FROM import_details AS d
WHERE known.id = d.id;

CREATE TEMP TABLE import_ramps ON COMMIT DROP AS
SELECT known.id, d.ramp_started_on::date AS day
FROM import_account_details AS d
JOIN thaw.accounts AS known ON known.provider = d.provider AND known.provider_account_id = d.account
WHERE d.ramp_started_on IS NOT NULL
ORDER BY known.id
FOR NO KEY UPDATE OF known;
SELECT thaw.give_ramps(array_agg(r.id ORDER BY r.id), array_agg(r.day ORDER BY r.id)) FROM import_ramps AS r HAVING count(*) > 0;

-- name: CountMentions :many
-- The tables that mention one of the texts, and in how many rows. Reads all tables.
SELECT m.table_name::text AS table_name, m.mentions::bigint AS mentions
FROM thaw.count_mentions(sqlc.arg(texts)::text[]) AS m
WHERE m.mentions > 0
ORDER BY m.table_name;

-- name: ErasePerson :many
-- Erases a person, and counts per table what was erased. Reads all tables.
SELECT done.table_name::text AS table_name, done.erased::bigint AS erased
FROM thaw.erase_person(sqlc.arg(urls)::text[], sqlc.arg(also)::text[], sqlc.arg(reason)::text, sqlc.arg(actor)::text) AS done
WHERE done.erased > 0
ORDER BY done.table_name;

-- name: WorkspaceSize :one
-- What a removal of the workspace removes. Reads all enrollments.
SELECT w.key, (SELECT count(*) FROM thaw.accounts AS a WHERE a.workspace_id = w.id) AS accounts,
    (SELECT count(*) FROM thaw.campaigns AS c WHERE c.workspace_id = w.id) AS campaigns,
    (SELECT count(*) FROM thaw.enrollments AS e WHERE e.workspace_id = w.id) AS enrollments
FROM thaw.workspaces AS w
WHERE w.id = thaw.find_workspace(sqlc.arg(workspace)::text);

-- name: RemoveWorkspacePart :one
-- One batch of a removal.
SELECT part.phase::text AS phase, part.removed::bigint AS removed, part.remaining::bigint AS remaining, part.done::boolean AS done
FROM thaw.remove_workspace(sqlc.arg(workspace)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text) AS part;

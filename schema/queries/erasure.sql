-- name: CountMentions :many
-- The tables that mention one of the texts, and in how many rows. Reads all tables.
SELECT m.table_name::text AS table_name, m.mentions::bigint AS mentions
FROM thaw.count_mentions(sqlc.arg(texts)::text[]) AS m
WHERE m.mentions > 0
ORDER BY m.table_name;

-- name: ErasePerson :many
-- Erases a person, and counts per table what was erased and what is left. Reads all tables twice.
SELECT done.table_name::text AS table_name, done.erased::bigint AS erased, done.remaining::bigint AS remaining
FROM thaw.erase_person(sqlc.arg(urls)::text[], sqlc.arg(also)::text[], sqlc.arg(reason)::text, sqlc.arg(actor)::text) AS done
WHERE done.erased + done.remaining > 0
ORDER BY done.table_name;

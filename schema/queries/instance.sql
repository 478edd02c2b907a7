-- name: CheckInstance :one
-- Every process calls it at its start. Empty: there is nothing that a person must know.
SELECT coalesce(thaw.check_instance(nullif(sqlc.arg(name)::text, '')), '')::text AS problem;

-- name: Instance :one
-- No row: no process has started yet. why_copy is empty if this is no copy.
SELECT i.id, i.name, i.database_name, i.database_oid, i.system_identifier, i.timeline, i.recorded_at, i.seen_at,
    coalesce(thaw.why_copy(), '')::text AS why_copy
FROM thaw.instance AS i;

-- name: AdoptInstance :one
SELECT thaw.adopt_instance(sqlc.arg(name)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS was_copy;

-- name: PruneBatch :one
-- One short transaction of a job prune.
SELECT batch.verdict::text AS verdict, batch.removed::integer AS removed
FROM thaw.prune_batch(sqlc.arg(size)::integer) AS batch;

-- name: FoldCounts :one
SELECT thaw.fold_counts(sqlc.arg(size)::integer)::integer AS folded;

-- name: Recount :one
SELECT slice.accounts::integer AS accounts, slice.corrected::integer AS corrected
FROM thaw.recount(sqlc.arg(accounts)::integer) AS slice;

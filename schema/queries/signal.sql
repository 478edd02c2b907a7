-- name: ReceiveSignal :one
-- Records a delivery, applies it if it is newer, and enqueues its job.
SELECT thaw.receive_signal(
    sqlc.arg(provider), sqlc.arg(provider_account_id), sqlc.arg(raw_status), sqlc.narg(status)::text,
    sqlc.narg(occurred_at)::timestamptz, sqlc.narg(member_id)::text, sqlc.narg(delivery_key)::text,
    sqlc.arg(just_created)::boolean, sqlc.narg(body)::jsonb, sqlc.narg(product)::text, sqlc.narg(v1_account_id)::text)::text AS outcome;

-- name: PickUpSignals :one
-- Applies signals that were kept for an account whose row now exists.
SELECT thaw.pick_up_signals(sqlc.arg(within)::interval)::integer AS settled;

-- name: AccountStatuses :many
-- The accounts of a list that have a row, by their place in the list, from 1.
SELECT listed.place::integer AS place, a.status::text AS status, a.status_at
FROM ROWS FROM (unnest(sqlc.arg(providers)::text[]), unnest(sqlc.arg(accounts)::text[]))
    WITH ORDINALITY AS listed (provider, account, place)
JOIN thaw.accounts AS a ON a.provider = listed.provider AND a.provider_account_id = listed.account
ORDER BY listed.place;

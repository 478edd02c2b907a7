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
-- The accounts of a list, by their place in the list, from 1, and what the listed status means. An
-- empty text stands for an unknown account or word.
SELECT listed.place::integer AS place, coalesce(thaw.meaning_of(listed.provider, listed.word), '')::text AS means,
    coalesce(a.status::text, '')::text AS status, a.status_at
FROM ROWS FROM (unnest(sqlc.arg(providers)::text[]), unnest(sqlc.arg(accounts)::text[]), unnest(sqlc.arg(words)::text[]))
    WITH ORDINALITY AS listed (provider, account, word, place)
LEFT JOIN thaw.accounts AS a ON a.provider = listed.provider AND a.provider_account_id = listed.account
ORDER BY listed.place;

-- name: AccountProviders :many
-- The providers that use a provider account ID.
SELECT DISTINCT a.provider
FROM thaw.accounts AS a
WHERE lower(a.provider_account_id) COLLATE "C" = lower(sqlc.arg(account)::text) COLLATE "C"
    AND a.provider_account_id = sqlc.arg(account)::text
ORDER BY a.provider;

-- name: SignalPage :many
-- Deliveries of all providers, newest first. The filters have no index, because every delivery
-- would have to update it; so a page looks at a limited number of deliveries (scan).
SELECT s.id, s.received_at, s.occurred_at, s.provider, s.provider_account_id AS account, s.raw_status,
    coalesce(s.status::text, '')::text AS status, s.kind::text AS kind, coalesce(s.product, '')::text AS product,
    s.outcome::text AS outcome, s.duplicate_of, s.verdict, s.resumed, (s.body IS NOT NULL)::boolean AS has_body,
    a.id AS account_id, coalesce(a.display_name, '')::text AS account_name, coalesce(w.key, '')::text AS workspace
FROM (
    SELECT d.* FROM thaw.account_signals AS d
    WHERE d.id < sqlc.arg(before_id)::bigint
    ORDER BY d.id DESC LIMIT sqlc.arg(scan)::integer) AS s
LEFT JOIN thaw.accounts AS a ON a.provider = s.provider AND a.provider_account_id = s.provider_account_id
LEFT JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE (sqlc.arg(outcome)::text = '' OR s.outcome::text = sqlc.arg(outcome)::text)
    AND (sqlc.arg(provider)::text = '' OR s.provider = sqlc.arg(provider)::text)
    -- Signals of no account are visible only with access to all workspaces.
    AND (w.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        OR w.id IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint)
ORDER BY s.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: SignalScanEnd :one
-- Where the same scan ends: its oldest delivery. No row: it reached the first delivery.
SELECT d.id, d.received_at FROM thaw.account_signals AS d
WHERE d.id < sqlc.arg(before_id)::bigint
ORDER BY d.id DESC OFFSET sqlc.arg(scan)::integer - 1 LIMIT 1;

-- name: SignalsOfProviderAccount :many
-- Deliveries about one provider account ID, newest first, whether or not the account exists.
SELECT s.id, s.received_at, s.occurred_at, s.provider, s.provider_account_id AS account, s.raw_status,
    coalesce(s.status::text, '')::text AS status, s.kind::text AS kind, coalesce(s.product, '')::text AS product,
    s.outcome::text AS outcome, s.duplicate_of, s.verdict, s.resumed, (s.body IS NOT NULL)::boolean AS has_body,
    a.id AS account_id, coalesce(a.display_name, '')::text AS account_name, coalesce(w.key, '')::text AS workspace
FROM thaw.account_signals AS s
LEFT JOIN thaw.accounts AS a ON a.provider = s.provider AND a.provider_account_id = s.provider_account_id
LEFT JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE s.provider = sqlc.arg(provider)::text AND s.provider_account_id = sqlc.arg(account)::text AND s.id < sqlc.arg(before_id)::bigint
    AND (sqlc.arg(outcome)::text = '' OR s.outcome::text = sqlc.arg(outcome)::text)
    -- Signals of no account are visible only with access to all workspaces.
    AND (w.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        OR w.id IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint)
ORDER BY s.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: SignalDetail :one
SELECT s.id, s.received_at, s.occurred_at, s.provider, s.provider_account_id AS account, s.raw_status,
    coalesce(s.status::text, '')::text AS status, s.kind::text AS kind, coalesce(s.product, '')::text AS product,
    s.outcome::text AS outcome, s.duplicate_of, s.verdict, s.resumed, (s.body IS NOT NULL)::boolean AS has_body,
    a.id AS account_id, coalesce(a.display_name, '')::text AS account_name, coalesce(w.key, '')::text AS workspace,
    coalesce(s.delivery_key, '')::text AS delivery_key, coalesce(s.member_id, '')::text AS member_id, s.finished_at,
    coalesce(jsonb_pretty(s.body), '')::text AS body
FROM thaw.account_signals AS s
LEFT JOIN thaw.accounts AS a ON a.provider = s.provider AND a.provider_account_id = s.provider_account_id
LEFT JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE s.id = sqlc.arg(id)::bigint
    -- Signals of no account are visible only with access to all workspaces.
    AND (w.id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        OR w.id IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint);

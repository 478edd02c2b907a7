-- name: Hold :one
SELECT thaw.hold(sqlc.arg(account)::text, sqlc.arg(until)::timestamptz, sqlc.arg(why)::text, sqlc.arg(decided_by)::text,
    sqlc.arg(provider)::text)::timestamptz AS until;

-- name: LinkAccounts :exec
SELECT thaw.link_accounts(sqlc.arg(old)::text, sqlc.arg(new)::text, sqlc.arg(why)::text, sqlc.arg(decided_by)::text,
    sqlc.arg(provider)::text);

-- name: CorrectHold :one
-- Gives a hold another end, or ends it now (until null).
SELECT (thaw.correct_hold(sqlc.arg(account)::text, sqlc.narg(until)::timestamptz, sqlc.arg(why)::text, sqlc.arg(decided_by)::text,
    sqlc.arg(provider)::text) IS NOT NULL)::boolean AS is_held;

-- name: Decide :one
-- Writes down the pause or the resume of an account, for the batches that follow.
SELECT thaw.decide(sqlc.arg(what)::text, sqlc.arg(account)::text, sqlc.arg(provider)::text, sqlc.arg(why)::text,
    sqlc.arg(decided_by)::text)::bigint AS decision_id;

-- name: DecideBatch :one
SELECT thaw.decide_batch(sqlc.arg(decision_id)::bigint, sqlc.arg(size)::integer, sqlc.arg(even_by_user)::boolean)::integer
    AS changed;

-- name: DecideProspect :one
SELECT thaw.decide_prospect(sqlc.arg(what)::text, sqlc.arg(prospect_url)::text, sqlc.narg(workspace_key)::text,
    sqlc.narg(campaign)::text, sqlc.arg(why)::text, sqlc.arg(decided_by)::text)::integer AS changed;

-- name: DecideCampaign :one
SELECT thaw.decide_campaign(sqlc.arg(what)::text, sqlc.arg(workspace_key)::text, sqlc.arg(campaign)::text,
    sqlc.arg(why)::text, sqlc.arg(decided_by)::text)::boolean AS changed;

-- name: Orphans :many
-- Accounts that have been connecting for more than an hour: whoever began that did not end it.
SELECT w.key AS workspace, a.provider, a.provider_account_id AS account,
    coalesce(a.status_at, a.created_at)::timestamptz AS since
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE a.status = 'connecting' AND coalesce(a.status_at, a.created_at) < thaw.now() - interval '1 hour'
ORDER BY coalesce(a.status_at, a.created_at), a.id;

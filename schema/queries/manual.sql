-- name: Hold :one
SELECT thaw.hold(sqlc.arg(account)::text, sqlc.arg(until)::timestamptz, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    sqlc.arg(provider)::text)::timestamptz AS until;

-- name: LinkAccounts :exec
SELECT thaw.link_accounts(sqlc.arg(old)::text, sqlc.arg(new)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    sqlc.arg(provider)::text);

-- name: CorrectHold :one
-- Sets another end of a hold, or ends it now (until null).
SELECT (thaw.correct_hold(sqlc.arg(account)::text, sqlc.narg(until)::timestamptz, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    sqlc.arg(provider)::text) IS NOT NULL)::boolean AS is_held;

-- name: StartAction :one
-- Records the pause or the resume of an account, for the batches that follow.
SELECT thaw.start_action(sqlc.arg(what)::text, sqlc.arg(account)::text, sqlc.arg(provider)::text, sqlc.arg(reason)::text,
    sqlc.arg(actor)::text)::bigint AS action_id;

-- name: ApplyActionBatch :one
SELECT thaw.apply_action_batch(sqlc.arg(action_id)::bigint, sqlc.arg(size)::integer, sqlc.arg(even_by_user)::boolean)::integer
    AS changed;

-- name: ActOnProspect :one
SELECT thaw.act_on_prospect(sqlc.arg(what)::text, sqlc.arg(prospect_url)::text, sqlc.narg(workspace_key)::text,
    sqlc.narg(campaign)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::integer AS changed;

-- name: ActOnCampaign :one
SELECT thaw.act_on_campaign(sqlc.arg(what)::text, sqlc.arg(workspace_key)::text, sqlc.arg(campaign)::text,
    sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS changed;

-- name: StuckAccounts :many
-- Accounts that have been connecting for more than an hour: the login was not completed.
SELECT w.key AS workspace, a.provider, a.provider_account_id AS account,
    coalesce(a.status_at, a.created_at)::timestamptz AS since
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE a.status = 'connecting' AND coalesce(a.status_at, a.created_at) < thaw.now() - interval '1 hour'
ORDER BY coalesce(a.status_at, a.created_at), a.id;

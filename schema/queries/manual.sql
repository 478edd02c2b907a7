-- name: Hold :one
SELECT thaw.hold(sqlc.arg(account)::text, sqlc.arg(until)::timestamptz, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    sqlc.arg(provider)::text)::timestamptz AS until;

-- name: ActionsToLog :many
-- Marks recorded actions as logged and returns them, oldest first. Every worker process asks each
-- second, and the row lock gives an action to one of them. An action on an account works in batches
-- that add to its count, so it is logged a minute later; an import when it ends, or after an hour.
WITH due AS (
    SELECT d.id FROM thaw.manual_actions AS d
    WHERE d.logged_at IS NULL AND CASE
        WHEN d.what = 'imported' THEN d.enrollments IS NOT NULL OR d.at < thaw.now() - interval '1 hour'
        ELSE d.enrollments IS NULL OR d.account_id IS NULL OR d.at < thaw.now() - interval '1 minute' END
    ORDER BY d.id
    LIMIT 100
    FOR NO KEY UPDATE SKIP LOCKED
), logged AS (
    UPDATE thaw.manual_actions AS d SET logged_at = thaw.now() FROM due WHERE d.id = due.id
    RETURNING d.id, d.at, d.what, d.actor, d.reason, d.detail, d.workspace_id, d.account_id, d.campaign_id, d.prospect_url,
        d.heal_id, d.undoes, d.until, d.enrollments, d.accounts_lost, d.accounts_connected
)
SELECT logged.id, logged.at, logged.what, logged.actor, coalesce(logged.reason, '')::text AS reason,
    coalesce(logged.detail, '')::text AS detail, logged.heal_id, logged.undoes,
    coalesce(workspace.key, '')::text AS workspace, coalesce(account.provider_account_id, '')::text AS account,
    coalesce(campaign.key, '')::text AS campaign, coalesce(logged.prospect_url, '')::text AS prospect_url, logged.until,
    logged.enrollments, logged.accounts_lost, logged.accounts_connected
FROM logged
LEFT JOIN thaw.workspaces AS workspace ON workspace.id = logged.workspace_id
LEFT JOIN thaw.accounts AS account ON account.id = logged.account_id
LEFT JOIN thaw.campaigns AS campaign ON campaign.id = logged.campaign_id
ORDER BY logged.id;

-- name: RecordAction :one
-- Records an action that no function of the schema records: it has only a detail.
INSERT INTO thaw.manual_actions (what, actor, reason, detail)
VALUES (sqlc.arg(what)::text, sqlc.arg(actor)::text, sqlc.narg(reason)::text, sqlc.arg(detail)::text)
RETURNING id;

-- name: RecordProspects :one
-- Adds how many prospects an action has changed.
UPDATE thaw.manual_actions AS d SET enrollments = sqlc.arg(prospects)::integer WHERE d.id = sqlc.arg(id)::bigint
RETURNING d.id;

-- name: LinkAccounts :exec
SELECT thaw.link_accounts(sqlc.arg(old)::text, sqlc.arg(new)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    nullif(sqlc.arg(provider)::text, ''));

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
SELECT done.action_id::bigint AS action_id, done.changed::integer AS changed
FROM thaw.act_on_prospect(sqlc.arg(what)::text, sqlc.arg(prospect_url)::text, sqlc.narg(workspace_key)::text,
    sqlc.narg(campaign)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text) AS done;

-- name: ActOnCampaign :one
-- 0: it was already in this state.
SELECT coalesce(thaw.act_on_campaign(sqlc.arg(what)::text, sqlc.arg(workspace_key)::text, sqlc.arg(campaign)::text,
    sqlc.arg(reason)::text, sqlc.arg(actor)::text), 0)::bigint AS action_id;

-- name: PreviewUndo :one
SELECT coalesce(u.refusal, '')::text AS refusal, coalesce(u.hint, '')::text AS hint, coalesce(u.enrollments, 0)::bigint AS enrollments
FROM thaw.preview_undo(sqlc.arg(action_id)::bigint) AS u;

-- name: StartUndo :one
-- Records an undo, for the batches that follow, and restores everything but prospects.
SELECT thaw.start_undo(sqlc.arg(action_id)::bigint, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::bigint AS undo_id;

-- name: UndoBatch :one
-- last_event_id 0: none remain.
SELECT u.restored::integer AS restored, coalesce(u.last_event_id, 0)::bigint AS last_event_id
FROM thaw.undo_batch(sqlc.arg(undo_id)::bigint, sqlc.arg(after_event_id)::bigint, sqlc.arg(size)::integer) AS u;

-- name: Action :one
SELECT d.id, d.at, d.what, d.actor, d.session_role, coalesce(d.reason, '')::text AS reason, coalesce(d.detail, '')::text AS detail,
    coalesce(w.key, '')::text AS workspace,
    d.account_id, coalesce(a.provider_account_id, '')::text AS account, coalesce(a.display_name, '')::text AS account_name,
    coalesce(c.key, '')::text AS campaign,
    coalesce(d.prospect_url, '')::text AS prospect_url, d.heal_id, d.until, d.enrollments, d.undoes,
    coalesce((SELECT u.id FROM thaw.manual_actions AS u WHERE u.undoes = d.id ORDER BY u.id DESC LIMIT 1), 0)::bigint AS undone_by
FROM thaw.manual_actions AS d
LEFT JOIN thaw.workspaces AS w ON w.id = d.workspace_id
LEFT JOIN thaw.accounts AS a ON a.id = d.account_id
LEFT JOIN thaw.campaigns AS c ON c.id = d.campaign_id
WHERE d.id = sqlc.arg(action_id)::bigint
    -- An action on no workspace is visible only with access to all workspaces.
    AND (d.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
        OR d.workspace_id IS NULL AND sqlc.arg(first_workspace)::bigint < sqlc.arg(last_workspace)::bigint);

-- name: StuckAccounts :many
-- The accounts that are stuck, the longest first.
SELECT a.id, w.key AS workspace, a.provider, a.provider_account_id AS account,
    coalesce(a.status_at, a.created_at)::timestamptz AS since
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
WHERE thaw.is_stuck(a)
ORDER BY coalesce(a.status_at, a.created_at), a.id
LIMIT sqlc.narg(size)::integer;

-- name: HealBatch :one
-- One short transaction of a heal. The last one also completes the job.
SELECT batch.verdict::text AS verdict, batch.resumed::integer AS resumed,
    coalesce(extract(epoch FROM batch.retry_in), 0)::float8 AS retry_seconds,
    coalesce(CASE WHEN batch.verdict NOT IN ('more', 'busy', 'paced') THEN thaw.complete_job(sqlc.arg(job_id)::bigint) END, false)::boolean AS completed
FROM thaw.heal_batch(sqlc.arg(heal_id)::bigint, sqlc.arg(size)::integer, sqlc.arg(job_id)::bigint) AS batch;

-- name: StartHeal :one
-- tenant_id: the workspace whose API token starts the heal. cap 0: the default.
SELECT thaw.start_heal(
    sqlc.narg(workspace_id)::bigint, sqlc.narg(account_id)::bigint, sqlc.narg(enrollment_ids)::bigint[],
    nullif(sqlc.arg(cap)::integer, 0), sqlc.arg(even_if_off)::boolean, sqlc.arg(actor)::text,
    sqlc.narg(tenant_id)::bigint, sqlc.narg(rate)::integer, sqlc.narg(reason)::text, sqlc.arg(is_fleet)::boolean)::bigint AS heal_id;

-- name: StopHeal :one
SELECT thaw.stop_heal(sqlc.arg(heal_id)::bigint, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS changed;

-- name: ResumeHeal :one
SELECT thaw.resume_heal(sqlc.arg(heal_id)::bigint, sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS changed;

-- name: SetHealCap :exec
SELECT thaw.set_heal_cap(sqlc.arg(workspace_key)::text, sqlc.narg(heal_cap)::integer, sqlc.arg(reason)::text, sqlc.arg(actor)::text);

-- name: HealCaps :many
-- The heal caps that operators have set for workspaces. total: of all, without the limit.
SELECT w.key, w.heal_cap, count(*) OVER () AS total
FROM thaw.workspaces AS w
WHERE w.heal_cap IS NOT NULL
ORDER BY w.key
LIMIT sqlc.arg(size)::integer;

-- name: PreviewHeal :one
SELECT preview.resumable::bigint AS resumable, preview.accounts::bigint AS accounts, preview.cap::integer AS cap,
    coalesce(preview.rate, 0)::integer AS rate, preview.waiting::bigint AS waiting, preview.ticks::bigint AS ticks,
    preview.tick_seconds::integer AS tick_seconds, preview.movable::bigint AS movable
FROM thaw.preview_heal(sqlc.arg(heal_id)::bigint) AS preview;

-- name: Heal :one
-- stopped: the job was cancelled or discarded. Another heal of the same target can be started.
SELECT h.id, h.target, h.cap, thaw.heal_state(h) AS status, h.resumed, h.moved, h.campaigns_resumed, h.found, h.remaining,
    h.skipped, h.rate, h.actor, coalesce(h.reason, '')::text AS reason, coalesce(h.stopped_reason, '')::text AS stopped_reason, h.requested_at, h.finished_at
FROM thaw.heals AS h
WHERE h.id = sqlc.arg(heal_id)::bigint;

-- name: WorkspaceID :one
SELECT named.id::bigint AS id FROM thaw.workspaces_named(sqlc.arg(key)::text) AS named;

-- name: EnrollmentIDs :many
-- Every enrollment of the given prospects: URLs, or IDs of the platform.
SELECT e.id, e.prospect_url, coalesce(e.external_id, '')::text AS external_id
FROM thaw.enrollments_named(sqlc.arg(names)::text[]) AS named
JOIN thaw.enrollments AS e ON e.id = named.id;

-- name: NamedAccounts :many
-- The accounts with a provider account ID or an ID of the platform: several if two providers use
-- the same ID, or two workspaces.
SELECT a.id, a.provider, a.provider_account_id AS account, w.key AS workspace
FROM thaw.accounts_named(sqlc.arg(account)::text, sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint) AS named
JOIN thaw.accounts AS a ON a.id = named.id
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
ORDER BY a.provider, a.id;

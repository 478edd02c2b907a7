-- name: ActionPage :many
-- A page of the ledger, newest first: of the candidates (thaw.newest_actions), those that match.
SELECT a.id, a.state::text AS state, coalesce(a.outcome::text, '')::text AS outcome, a.kind, a.step, w.key AS workspace, a.account_id,
    coalesce(account.provider_account_id, '')::text AS account, coalesce(account.display_name, '')::text AS account_name, a.provider, coalesce(campaign.key, '')::text AS campaign, a.enrollment_id,
    coalesce(e.external_id, '')::text AS enrollment_external_id, a.prospect_url, a.actor, a.reserved_at, a.lease_until, a.started_at, a.settled_at,
    coalesce(a.provider_ref, '')::text AS provider_ref, coalesce(a.error_code, '')::text AS error_code, a.closed_at,
    coalesce(a.closed_as, '')::text AS closed_as
FROM thaw.newest_actions(sqlc.narg(enrollment_id)::bigint, sqlc.narg(account_id)::bigint, sqlc.narg(state)::text::thaw.action_state,
    sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint, sqlc.arg(before_id)::bigint, sqlc.arg(scan)::integer) AS newest
JOIN thaw.actions AS a ON a.id = newest.id
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
LEFT JOIN thaw.accounts AS account ON account.id = a.account_id
LEFT JOIN thaw.campaigns AS campaign ON campaign.id = a.campaign_id
LEFT JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
WHERE a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (sqlc.narg(state)::text IS NULL OR a.state = sqlc.narg(state)::text::thaw.action_state)
    AND (sqlc.narg(kind)::text IS NULL OR a.kind = sqlc.narg(kind)::text)
ORDER BY a.id DESC
LIMIT sqlc.arg(size)::integer;

-- name: ActionScanEnd :one
-- The last candidate, if there may be more after it.
SELECT coalesce(min(newest.id), 0)::bigint AS id, (count(*) >= sqlc.arg(scan)::integer)::boolean AS is_full
FROM thaw.newest_actions(sqlc.narg(enrollment_id)::bigint, sqlc.narg(account_id)::bigint, sqlc.narg(state)::text::thaw.action_state,
    sqlc.arg(first_workspace)::bigint, sqlc.arg(last_workspace)::bigint, sqlc.arg(before_id)::bigint, sqlc.arg(scan)::integer) AS newest;

-- name: ActionKindNames :many
SELECT k.kind FROM thaw.action_kinds AS k ORDER BY k.kind LIMIT 100;

-- name: UnknownActions :one
-- How many actions are unknown; at most the limit.
SELECT count(*)::bigint AS actions FROM (
    SELECT FROM thaw.actions AS a
    WHERE a.state = 'unknown' AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    LIMIT sqlc.arg(size)::integer) AS counted;

-- name: RefusedAccounts :one
-- How many accounts have a kind on hold after refusals; at most the limit.
SELECT count(*)::bigint AS accounts FROM (
    SELECT DISTINCT h.account_id FROM thaw.action_holds AS h WHERE h.code = 'refusals' AND h.until > thaw.now() LIMIT sqlc.arg(size)::integer) AS counted;

-- name: ActionHours :many
-- What was settled since a time, in steps of time, for a chart.
SELECT date_bin(sqlc.arg(step)::interval, h.hour, '2000-01-01 00:00:00+00')::timestamptz AS at, sum(h.sent)::bigint AS sent,
    sum(h.unknown)::bigint AS unknown, sum(h.undelivered)::bigint AS undelivered
FROM thaw.action_hours AS h
WHERE h.hour > thaw.now() - sqlc.arg(since)::interval
GROUP BY 1
ORDER BY 1 DESC
LIMIT sqlc.arg(size)::integer;

-- name: ActionHoursCountedAt :one
-- 'epoch': never.
SELECT coalesce(s.hours_counted_at, 'epoch')::timestamptz AS at FROM thaw.scheduler AS s;

-- name: CountActionHours :one
SELECT thaw.count_action_hours()::boolean AS is_counted;

-- name: ActionWorkspace :one
-- The workspace of an action, if it is in the scope.
SELECT a.workspace_id FROM thaw.actions AS a
WHERE a.id = sqlc.arg(id)::bigint AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint;

-- name: EnrollmentToReserve :one
-- The enrollment with an ID, or with an ID of the platform, if it is in the scope.
SELECT e.id FROM thaw.enrollments AS e
WHERE e.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
    AND (e.id = sqlc.narg(id)::bigint OR e.external_id = sqlc.narg(external_id)::text)
LIMIT 1;

-- name: WorkspaceKey :one
SELECT w.key FROM thaw.workspaces AS w WHERE w.id = sqlc.arg(id)::bigint;

-- name: SendingAccount :one
SELECT a.id, w.key AS workspace, a.workspace_id, a.provider, a.provider_account_id AS account, a.display_name, a.tier::text AS tier,
    coalesce(a.timezone, '')::text AS timezone, thaw.now()::timestamptz AS now, words.account_noun::text AS noun,
    (SELECT count(*) FROM (
        SELECT FROM thaw.actions AS x WHERE x.workspace_id = a.workspace_id AND x.state = 'unknown' AND x.account_id = a.id LIMIT 100) AS counted)::integer AS unknown,
    (EXISTS (SELECT FROM thaw.sending_accounts AS sending WHERE sending.account_id = a.id)
        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = a.id AND e.due_at IS NOT NULL))::boolean AS is_in_use
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
CROSS JOIN LATERAL thaw.words_for(a.provider, a.status, NULL) AS words
WHERE a.id = sqlc.arg(account_id)::bigint AND a.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint;

-- name: KindGates :many
-- What limits each kind of action of an account. Times that are not known are 'epoch', and numbers
-- -1. used_elsewhere: of used_today, by accounts of the same person in other workspaces. Shadow
-- mode has the place that it has in thaw.action_gates.
SELECT g.kind::text AS kind, coalesce(g.account_code, CASE WHEN w.shadow THEN 'shadow_mode' END, g.code, g.pending_code, '')::text AS code,
    coalesce(CASE WHEN g.account_code IS NOT NULL THEN g.account_opens_at WHEN w.shadow THEN NULL WHEN g.code IS NOT NULL THEN g.opens_at END, 'epoch')::timestamptz AS opens_at,
    coalesce(g.timezone, '')::text AS timezone, coalesce(g.day::text, '')::text AS day, coalesce(g.day_ends_at, 'epoch')::timestamptz AS day_ends_at,
    g.used_today::integer AS used_today, coalesce(g.per_day, -1)::integer AS per_day, g.used_in_week::integer AS used_in_week,
    coalesce(g.per_week, -1)::integer AS per_week, coalesce(g.pending_invites, -1)::integer AS pending_invites,
    CASE WHEN g.pending_invites IS NULL THEN -1 ELSE s.pending_invites END::integer AS max_pending_invites,
    coalesce((
        SELECT count(*) FROM thaw.actions AS x
        WHERE x.sender_id = g.sender_id AND x.kind = g.kind AND x.is_used AND x.used_at > thaw.now() - interval '168 hours'
            AND thaw.counts_into(g.day, g.day_began_at, x.local_day, x.used_at, x.state) AND x.workspace_id <> sqlc.arg(workspace_id)::bigint), 0)::integer AS used_elsewhere,
    g.ramp_week::integer AS ramp_week, coalesce(g.ramp_started_at, 'epoch')::timestamptz AS ramp_started_at,
    coalesce(g.gap_from, '0')::interval AS gap_from, coalesce(g.gap_to, '0')::interval AS gap_to,
    coalesce(g.window_opens_at, 'epoch')::timestamptz AS window_opens_at, coalesce(g.window_closes_at, 'epoch')::timestamptz AS window_closes_at,
    coalesce(g.held_until, 'epoch')::timestamptz AS held_until, coalesce(g.held_code, '')::text AS held_code,
    coalesce((
        SELECT h.reason FROM thaw.action_holds AS h JOIN thaw.accounts AS holder ON holder.id = h.account_id
        WHERE (h.account_id = g.account_id OR h.sender_id = g.sender_id) AND h.kind = g.kind AND h.until = g.held_until
            AND holder.workspace_id = sqlc.arg(workspace_id)::bigint
        LIMIT 1), '')::text AS held_reason,
    coalesce(g.next_allowed_at, 'epoch')::timestamptz AS next_allowed_at
FROM thaw.kind_gates(ARRAY[sqlc.arg(account_id)::bigint]) AS g
JOIN thaw.workspaces AS w ON w.id = sqlc.arg(workspace_id)::bigint
CROSS JOIN thaw.settings AS s
ORDER BY g.kind;

-- name: NextActions :many
-- The next action of enrollments: its kind, its due time, the first closed gate, and when it is
-- expected. action_id 0: the step was not given out before.
SELECT n.enrollment_id::bigint AS enrollment_id, coalesce(n.kind, '')::text AS kind, coalesce(n.due_at, 'epoch')::timestamptz AS due_at,
    coalesce(n.code, '')::text AS code, coalesce(n.opens_at, 'epoch')::timestamptz AS opens_at, coalesce(n.used, 0)::integer AS used,
    coalesce(n.cap, 0)::integer AS cap, coalesce(n.expected_at, 'epoch')::timestamptz AS expected_at, n.ahead::integer AS ahead,
    coalesce(n.action_id, 0)::bigint AS action_id, n.is_held_elsewhere::boolean AS is_held_elsewhere
FROM thaw.next_actions(sqlc.arg(enrollment_ids)::bigint[]) AS n;

-- name: SendingWindows :many
-- The windows of a workspace, of its accounts, or of the fleet (workspace empty).
SELECT w.id, coalesce(workspace.key, '')::text AS workspace, coalesce(account.provider_account_id, '')::text AS account, w.account_id,
    w.weekdays::integer[] AS weekdays, to_char(w.opens, 'HH24:MI') AS opens,
    (CASE WHEN w.closes = '24:00' THEN '24:00' ELSE to_char(w.closes, 'HH24:MI') END)::text AS closes, coalesce(w.timezone, '')::text AS timezone
FROM thaw.sending_windows AS w
LEFT JOIN thaw.workspaces AS workspace ON workspace.id = w.workspace_id
LEFT JOIN thaw.accounts AS account ON account.id = w.account_id
WHERE w.id > sqlc.arg(after_id)::bigint
    AND (coalesce(w.workspace_id, 0) BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint)
    AND (sqlc.narg(account_id)::bigint IS NULL OR w.account_id = sqlc.narg(account_id)::bigint)
ORDER BY w.id
LIMIT sqlc.arg(size)::integer;

-- name: ActionLimits :many
SELECT l.tier::text AS tier, l.ramp_week::integer AS ramp_week, l.kind, l.per_day, l.per_week, l.gap_from, l.gap_to
FROM thaw.action_limits AS l
ORDER BY l.kind, l.tier, l.ramp_week;

-- name: ActionCeilings :many
SELECT c.kind, c.per_day, c.per_week, c.gap_from FROM thaw.action_ceilings AS c ORDER BY c.kind;

-- name: ActionOverrides :many
SELECT o.id, w.key AS workspace, o.account_id, coalesce(account.provider_account_id, '')::text AS account, coalesce(campaign.key, '')::text AS campaign,
    o.kind, o.per_day, o.per_week, o.gap_from, o.gap_to, o.reason, o.actor, o.changed_at
FROM thaw.action_overrides AS o
JOIN thaw.workspaces AS w ON w.id = o.workspace_id
LEFT JOIN thaw.accounts AS account ON account.id = o.account_id
LEFT JOIN thaw.campaigns AS campaign ON campaign.id = o.campaign_id
WHERE o.id > sqlc.arg(after_id)::bigint AND o.workspace_id BETWEEN sqlc.arg(first_workspace)::bigint AND sqlc.arg(last_workspace)::bigint
ORDER BY o.id
LIMIT sqlc.arg(size)::integer;

-- name: SetActionLimit :one
SELECT thaw.set_action_limit(sqlc.arg(workspace)::text, sqlc.arg(kind)::text, sqlc.narg(per_day)::integer, sqlc.narg(per_week)::integer,
    sqlc.narg(gap_from)::interval, sqlc.narg(gap_to)::interval, sqlc.narg(account)::text, sqlc.narg(campaign)::text, sqlc.arg(reason)::text,
    sqlc.arg(actor)::text, sqlc.narg(provider)::text)::boolean AS is_changed;

-- name: SetActionCeiling :one
SELECT thaw.set_action_ceiling(sqlc.arg(kind)::text, sqlc.narg(per_day)::integer, sqlc.narg(per_week)::integer, sqlc.narg(gap_from)::interval,
    sqlc.arg(reason)::text, sqlc.arg(actor)::text)::boolean AS is_changed;

-- name: SetSendingWindows :one
SELECT thaw.set_sending_windows(sqlc.narg(workspace)::text, sqlc.arg(windows)::jsonb, sqlc.narg(account)::text, sqlc.arg(reason)::text,
    sqlc.arg(actor)::text, sqlc.narg(provider)::text)::integer AS windows;

-- name: HoldActionKind :one
SELECT thaw.hold_action_kind(sqlc.arg(account)::text, sqlc.arg(kind)::text, sqlc.arg(until)::timestamptz, sqlc.arg(reason)::text,
    sqlc.arg(actor)::text, sqlc.arg(provider)::text)::timestamptz AS until;

-- name: CorrectActionHold :one
SELECT (thaw.correct_action_hold(sqlc.arg(account)::text, sqlc.arg(kind)::text, sqlc.narg(until)::timestamptz, sqlc.arg(reason)::text,
    sqlc.arg(actor)::text, sqlc.arg(provider)::text) IS NOT NULL)::boolean AS is_held;

-- name: SetRamp :one
SELECT thaw.set_ramp(sqlc.arg(account)::text, sqlc.narg(started_on)::text::date, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    sqlc.arg(provider)::text)::integer AS ramp_week;

-- name: VerifyAction :one
SELECT thaw.verify_action(sqlc.arg(id)::bigint, sqlc.arg(outcome)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
    nullif(sqlc.arg(provider_ref)::text, ''), nullif(sqlc.arg(next_kind)::text, ''), sqlc.narg(next_at)::timestamptz)::text AS state;

-- name: ForecastAccounts :many
-- The accounts of the senders of given accounts whose actions Thaw may give out, for a forecast of
-- the next ones (package sendforecast). The queries below read the rest of it. served_at: 'epoch'
-- for never.
SELECT sending.account_id, sending.sender_id, coalesce(sending.served_at, 'epoch')::timestamptz AS served_at,
    coalesce(sending.served_campaign_id, 0)::bigint AS served_campaign_id
FROM thaw.sending_accounts AS sending
JOIN thaw.accounts AS a ON a.id = sending.account_id
JOIN thaw.workspaces AS w ON w.id = sending.workspace_id AND NOT w.shadow
WHERE sending.sender_id IN (SELECT own.sender_id FROM thaw.sending_accounts AS own WHERE own.account_id = ANY (sqlc.arg(account_ids)::bigint[]))
    AND thaw.account_gate(a, thaw.is_safety_on()) IS NULL
ORDER BY sending.account_id;

-- name: ForecastKinds :many
-- The limits of each kind of accounts, by ramp week, and until when a gap or a hold lasts. Kinds
-- without limits are missing. remaining: how many more may be open. Limits that do not exist are
-- -1, an unknown start of the ramp is 'epoch'.
SELECT g.account_id::bigint AS account_id, g.sender_id::bigint AS sender_id, g.kind::text AS kind, g.timezone::text AS timezone, g.day::text AS day,
    g.day_began_at::timestamptz AS day_began_at, g.day_ends_at::timestamptz AS day_ends_at, coalesce(g.ramp_started_at, 'epoch')::timestamptz AS ramp_started_at,
    g.gap_from::interval AS gap_from, g.gap_to::interval AS gap_to,
    greatest(g.next_allowed_at, g.held_until, 'epoch')::timestamptz AS next_at,
    limits.per_day::integer[] AS per_day, limits.per_week::integer[] AS per_week,
    coalesce((SELECT s.pending_invites FROM thaw.settings AS s) - g.pending_invites, -1)::integer AS remaining
FROM thaw.kind_gates(sqlc.arg(account_ids)::bigint[]) AS g
JOIN thaw.accounts AS a ON a.id = g.account_id
LEFT JOIN thaw.action_ceilings AS ceiling ON ceiling.kind = g.kind
LEFT JOIN thaw.action_overrides AS own ON own.account_id = a.id AND own.kind = g.kind
LEFT JOIN thaw.action_overrides AS common
    ON common.workspace_id = a.workspace_id AND common.account_id IS NULL AND common.campaign_id IS NULL AND common.kind = g.kind
CROSS JOIN LATERAL (
    SELECT array_agg(thaw.cap_in_week(l.ramp_week, l.per_day, coalesce(own.per_day, common.per_day), ceiling.per_day) ORDER BY l.ramp_week) AS per_day,
        array_agg(coalesce(thaw.cap_in_week(l.ramp_week, l.per_week, coalesce(own.per_week, common.per_week), ceiling.per_week), -1) ORDER BY l.ramp_week) AS per_week,
        count(*) AS weeks
    FROM thaw.action_limits AS l WHERE l.tier = a.tier AND l.kind = g.kind) AS limits
WHERE g.account_code IS NULL AND g.per_day IS NOT NULL AND g.day IS NOT NULL AND limits.weeks = 6
ORDER BY g.account_id, g.kind;

-- name: ForecastDays :many
-- When the local days after a day end.
SELECT n::integer AS n, (sqlc.arg(day)::text::date + n::integer)::text AS day, thaw.day_start(sqlc.arg(timezone)::text, sqlc.arg(day)::text::date + n::integer + 1)::timestamptz AS ends_at
FROM generate_series(1, sqlc.arg(days)::integer) AS n
ORDER BY n;

-- name: ForecastWindows :many
-- When accounts may send in the coming days.
WITH RECURSIVE applicable AS MATERIALIZED (
    SELECT a.id AS account_id, w.weekdays, w.opens, w.closes, w.timezone
    FROM thaw.accounts AS a
    CROSS JOIN LATERAL thaw.applicable_windows(a.workspace_id, a.id, thaw.zone_named(a.timezone)) AS w (weekdays, opens, closes, timezone)
    WHERE a.id = ANY (sqlc.arg(account_ids)::bigint[])
), openings AS (
    SELECT hours.*, thaw.now() AS looked_at, state.is_open, state.closes_at, state.opens_at AS next_at
    FROM (SELECT DISTINCT p.weekdays, p.opens, p.closes, p.timezone FROM applicable AS p WHERE p.timezone IS NOT NULL) AS hours
    CROSS JOIN LATERAL thaw.window_at(hours.timezone, hours.weekdays, hours.opens, hours.closes, thaw.now()) AS state (is_open, opens_at, closes_at)
    UNION ALL
    SELECT o.weekdays, o.opens, o.closes, o.timezone, o.next_at, state.is_open, state.closes_at, state.opens_at
    FROM openings AS o
    CROSS JOIN LATERAL thaw.window_at(o.timezone, o.weekdays, o.opens, o.closes, o.next_at) AS state (is_open, opens_at, closes_at)
    WHERE o.next_at < thaw.now() + make_interval(days => sqlc.arg(days)::integer)
)
SELECT p.account_id::bigint AS account_id, o.looked_at::timestamptz AS opens_at, o.closes_at::timestamptz AS closes_at
FROM applicable AS p
JOIN openings AS o ON o.weekdays = p.weekdays AND o.opens = p.opens AND o.closes = p.closes AND o.timezone = p.timezone
WHERE o.is_open
ORDER BY p.account_id, o.looked_at, o.closes_at;

-- name: ForecastUsed :many
-- What counts toward the caps of senders. is_today: into their current local day.
SELECT x.sender_id, x.kind, x.used_at, thaw.counts_into(current.day, current.began_at, x.local_day, x.used_at, x.state)::boolean AS is_today
FROM (
    SELECT unnest(sqlc.arg(sender_ids)::bigint[]) AS sender_id, unnest(sqlc.arg(days)::text[])::date AS day,
        unnest(sqlc.arg(began)::timestamptz[]) AS began_at) AS current
JOIN thaw.actions AS x ON x.sender_id = current.sender_id AND x.kind = ANY (sqlc.arg(kinds)::text[]) AND x.used_at > thaw.now() - interval '168 hours' AND x.is_used;

-- name: ForecastProspects :many
-- The active prospects of accounts, with the state of an action that is under way (empty: none). At
-- most size per account, the first due ones. An action of the same step counts whatever its kind is
-- (index actions_step_key). is_capped: the campaign has a cap of its own.
SELECT e.account_id::bigint AS account_id, e.id, e.campaign_id, e.step, e.next_kind::text AS kind, e.due_at::timestamptz AS due_at,
    coalesce((
        SELECT x.state::text FROM thaw.actions AS x
        WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already') LIMIT 1), '')::text AS state,
    EXISTS (SELECT FROM thaw.action_overrides AS own WHERE own.campaign_id = e.campaign_id)::boolean AS is_capped
FROM unnest(sqlc.arg(account_ids)::bigint[]) AS account (id)
CROSS JOIN LATERAL (
    SELECT own.* FROM thaw.enrollments AS own
    JOIN thaw.campaigns AS c ON c.id = own.campaign_id AND c.status = 'running'
    WHERE own.account_id = account.id AND own.due_at IS NOT NULL
    ORDER BY own.due_at, own.id LIMIT sqlc.arg(size)::integer) AS e
ORDER BY e.account_id, e.due_at, e.id;

-- name: ForecastSteps :many
-- The steps of linear campaigns.
SELECT s.campaign_id, s.position, s.kind, s.delay FROM thaw.campaign_steps AS s
WHERE s.campaign_id = ANY (sqlc.arg(campaign_ids)::bigint[]) ORDER BY s.campaign_id, s.position;

-- name: ForecastPace :one
-- The gaps between any two actions.
SELECT s.action_gap_from, s.action_gap_to, thaw.now()::timestamptz AS now FROM thaw.settings AS s;

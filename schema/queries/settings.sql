-- name: Settings :one
SELECT s.tick, s.account_cap, s.fleet_cap, s.signal_cap, s.jitter, s.grace_period, s.keep_history,
    s.keep_signals, s.safety_accounts, s.safety_percent, s.safety_window, s.safety_calm,
    s.safety_slow_percent, s.safety_slow_window, s.flap_limit, s.flap_wait, s.silence_factor,
    s.action_gap_from, s.action_gap_to, s.action_lease, s.pending_invites, s.push_actions
FROM thaw.settings AS s;

-- name: Configure :execrows
-- Sets the given values, only if any of them differs. The row count says whether anything changed.
UPDATE thaw.settings AS s SET
    tick = coalesce(sqlc.narg(tick)::interval, s.tick),
    account_cap = coalesce(sqlc.narg(account_cap)::integer, s.account_cap),
    fleet_cap = coalesce(sqlc.narg(fleet_cap)::integer, s.fleet_cap),
    signal_cap = coalesce(sqlc.narg(signal_cap)::integer, s.signal_cap),
    jitter = coalesce(sqlc.narg(jitter)::interval, s.jitter),
    grace_period = coalesce(sqlc.narg(grace_period)::interval, s.grace_period),
    keep_history = coalesce(sqlc.narg(keep_history)::interval, s.keep_history),
    keep_signals = coalesce(sqlc.narg(keep_signals)::interval, s.keep_signals),
    safety_accounts = coalesce(sqlc.narg(safety_accounts)::integer, s.safety_accounts),
    safety_percent = coalesce(sqlc.narg(safety_percent)::integer, s.safety_percent),
    safety_window = coalesce(sqlc.narg(safety_window)::interval, s.safety_window),
    safety_calm = coalesce(sqlc.narg(safety_calm)::interval, s.safety_calm),
    safety_slow_percent = coalesce(sqlc.narg(safety_slow_percent)::integer, s.safety_slow_percent),
    safety_slow_window = coalesce(sqlc.narg(safety_slow_window)::interval, s.safety_slow_window),
    flap_limit = coalesce(sqlc.narg(flap_limit)::integer, s.flap_limit),
    flap_wait = coalesce(sqlc.narg(flap_wait)::interval, s.flap_wait),
    silence_factor = coalesce(sqlc.narg(silence_factor)::integer, s.silence_factor),
    action_gap_from = coalesce(sqlc.narg(action_gap_from)::interval, s.action_gap_from),
    action_gap_to = coalesce(sqlc.narg(action_gap_to)::interval, s.action_gap_to),
    action_lease = coalesce(sqlc.narg(action_lease)::interval, s.action_lease),
    pending_invites = coalesce(sqlc.narg(pending_invites)::integer, s.pending_invites),
    push_actions = coalesce(sqlc.narg(push_actions)::boolean, s.push_actions),
    changed_at = thaw.now(),
    changed_by = sqlc.arg(changed_by)::text
WHERE sqlc.narg(tick)::interval <> s.tick
    OR sqlc.narg(account_cap)::integer <> s.account_cap
    OR sqlc.narg(fleet_cap)::integer <> s.fleet_cap
    OR sqlc.narg(signal_cap)::integer <> s.signal_cap
    OR sqlc.narg(jitter)::interval <> s.jitter
    OR sqlc.narg(grace_period)::interval <> s.grace_period
    OR sqlc.narg(keep_history)::interval <> s.keep_history
    OR sqlc.narg(keep_signals)::interval <> s.keep_signals
    OR sqlc.narg(safety_accounts)::integer <> s.safety_accounts
    OR sqlc.narg(safety_percent)::integer <> s.safety_percent
    OR sqlc.narg(safety_window)::interval <> s.safety_window
    OR sqlc.narg(safety_calm)::interval <> s.safety_calm
    OR sqlc.narg(safety_slow_percent)::integer <> s.safety_slow_percent
    OR sqlc.narg(safety_slow_window)::interval <> s.safety_slow_window
    OR sqlc.narg(flap_limit)::integer <> s.flap_limit
    OR sqlc.narg(flap_wait)::interval <> s.flap_wait
    OR sqlc.narg(silence_factor)::integer <> s.silence_factor
    OR sqlc.narg(action_gap_from)::interval <> s.action_gap_from
    OR sqlc.narg(action_gap_to)::interval <> s.action_gap_to
    OR sqlc.narg(action_lease)::interval <> s.action_lease
    OR sqlc.narg(pending_invites)::integer <> s.pending_invites
    OR sqlc.narg(push_actions)::boolean <> s.push_actions;

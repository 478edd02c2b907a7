-- The page of an account: what happened to it, and what limits it now.

-- name: AccountTimeline :many
-- Everything that happened to an account, newest first: status changes, signals, manual actions,
-- and the sweeps and heals that resumed prospects through it. Each part is read from the end of its
-- own index and ordered by its own key; the caller merges the parts by time. parts selects them.
SELECT part.part::text AS part, part.id::bigint AS id, part.at::timestamptz AS at, part.what::text AS what,
    part.from_status::text AS from_status, part.to_status::text AS to_status, part.actor::text AS actor, part.reason::text AS reason,
    part.product::text AS product, part.outcome::text AS outcome, part.verdict::text AS verdict, part.until, part.prospects,
    part.is_shared::boolean AS is_shared, part.detail::text AS detail,
    (part.part = 'action' AND thaw.is_undoable(part.id, part.what))::boolean AS can_undo
FROM (
    (SELECT 'status' AS part, e.id, e.at, 'status' AS what, e.from_status::text AS from_status, e.to_status::text AS to_status,
        '' AS actor, coalesce(e.last_error, '') AS reason, '' AS product, '' AS outcome, '' AS verdict, NULL::timestamptz AS until,
        e.enrollments AS prospects, false AS is_shared, '' AS detail
     FROM thaw.account_events AS e
     WHERE 'status' = ANY (sqlc.arg(parts)::text[]) AND e.account_id = sqlc.arg(account_id)::bigint
        AND e.id < sqlc.arg(before_status)::bigint
     ORDER BY e.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT 'action', d.id, d.at, d.what, '', '', d.actor, coalesce(d.reason, ''), '', '', '', d.until, d.enrollments, false, coalesce(d.detail, '')
     FROM thaw.manual_actions AS d
     WHERE 'action' = ANY (sqlc.arg(parts)::text[]) AND d.account_id = sqlc.arg(account_id)::bigint
        AND d.id < sqlc.arg(before_action)::bigint
     ORDER BY d.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT 'signal', s.id, s.received_at, s.kind::text, '', coalesce(s.status::text, ''), '', s.raw_status, coalesce(s.product, ''),
        s.outcome::text, coalesce(s.verdict, ''), NULL, s.resumed, false, ''
     FROM thaw.accounts AS a
     JOIN thaw.account_signals AS s ON s.provider = a.provider AND s.provider_account_id = a.provider_account_id
     WHERE 'signal' = ANY (sqlc.arg(parts)::text[]) AND a.id = sqlc.arg(account_id)::bigint
        AND s.id < sqlc.arg(before_signal)::bigint
     ORDER BY s.id DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT 'sweep', extract(epoch FROM g.tick_at)::bigint, g.tick_at, 'sweep', '', '', '', '', '', '', coalesce(g.verdict, ''), NULL,
        g.resumed, false, ''
     FROM thaw.allocations AS g
     WHERE 'sweep' = ANY (sqlc.arg(parts)::text[]) AND g.account_id = sqlc.arg(account_id)::bigint
        AND g.planned > 0 AND g.resumed > 0 AND g.tick_at < to_timestamp(sqlc.arg(before_tick)::bigint)
     ORDER BY g.tick_at DESC LIMIT sqlc.arg(size)::integer)
    UNION ALL
    (SELECT 'heal', h.id, h.requested_at, 'heal', '', '', h.actor, '', '', thaw.heal_state(h), '', NULL, h.resumed, h.account_id IS NULL, ''
     FROM thaw.heals AS h
     WHERE 'heal' = ANY (sqlc.arg(parts)::text[]) AND h.id = ANY (ARRAY(
            SELECT own.id FROM thaw.heals AS own
            WHERE own.account_id = sqlc.arg(account_id)::bigint AND own.id < sqlc.arg(before_heal)::bigint
            ORDER BY own.id DESC LIMIT sqlc.arg(size)::integer)
        || ARRAY(
            SELECT shared.id FROM thaw.heals AS shared
            WHERE shared.workspace_id = (SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.id = sqlc.arg(account_id)::bigint)
                AND shared.id < sqlc.arg(before_heal)::bigint
            ORDER BY shared.id DESC LIMIT sqlc.arg(size)::integer))
     ORDER BY h.id DESC LIMIT sqlc.arg(size)::integer)) AS part
ORDER BY part.part, part.id DESC;

-- name: AccountLimits :one
-- What limits the resumes through an account in the current tick, everything that blocks them, and
-- how many active prospects a pause would stop, counted up to at_most.
SELECT thaw.now()::timestamptz AS now, thaw.tick()::timestamptz AS tick_at, s.tick AS tick_length, coalesce(q.cap, thaw.account_cap(a.id))::integer AS account_cap, s.fleet_cap, s.signal_cap, s.jitter,
    coalesce(q.used, 0)::integer AS account_used, coalesce(sweep.used, 0)::integer AS sweep_used,
    coalesce(signal.used, 0)::integer AS signal_used,
    coalesce(a.timezone, '')::text AS timezone, a.disconnected_at, a.reconnected_at, coalesce(a.resume_after > thaw.now(), false)::boolean AS is_flapping, a.resume_after,
    w.shadow, coalesce(a.parked_reason, '')::text AS parked_reason,
    w.auto_resume, coalesce(w.auto_resume_reason, '')::text AS auto_resume_reason,
    safety.since AS safety_since, coalesce(safety.reason, '')::text AS safety_reason, safety.manual_exit AS safety_manual_exit,
    (SELECT count(*) FROM (
        SELECT FROM thaw.enrollments AS e WHERE e.status = 'active' AND e.account_id = a.id LIMIT sqlc.arg(at_most)::integer) AS counted) AS active
FROM thaw.accounts AS a
JOIN thaw.workspaces AS w ON w.id = a.workspace_id
CROSS JOIN thaw.settings AS s
CROSS JOIN thaw.safety AS safety
LEFT JOIN thaw.account_quotas AS q ON q.tick_at = thaw.tick() AND q.account_id = a.id
LEFT JOIN thaw.fleet_quotas AS sweep ON sweep.tick_at = thaw.tick() AND sweep.lane = 'sweep'
LEFT JOIN thaw.fleet_quotas AS signal ON signal.tick_at = thaw.tick() AND signal.lane = 'signal'
WHERE a.id = sqlc.arg(account_id)::bigint;

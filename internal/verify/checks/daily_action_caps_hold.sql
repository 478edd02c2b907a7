-- No sender starts more actions of a kind in a local day than its cap allows. The cap is the
-- highest that the sender could have had: that of the ceiling, if its account or workspace ever had
-- a limit of its own, and otherwise the highest default of all tiers. Examines what was started
-- since the defaults and the ceiling of the kind were last changed.
WITH started AS (
    SELECT a.kind, a.local_day, a.started_at,
        -- An account that was found to be another sender counted by itself until then.
        coalesce(former.id, a.sender_id) AS sender_id, former.id IS NOT NULL AS is_moved,
        (a.account_id, a.kind) IN (
            SELECT o.account_id, o.kind FROM thaw.action_overrides AS o WHERE o.account_id IS NOT NULL
            UNION ALL
            SELECT m.account_id, split_part(m.detail, ':', 1) FROM thaw.manual_actions AS m WHERE m.what = 'limit_set' AND m.account_id IS NOT NULL)
        OR (a.workspace_id, a.kind) IN (
            SELECT o.workspace_id, o.kind FROM thaw.action_overrides AS o WHERE o.account_id IS NULL AND o.campaign_id IS NULL
            UNION ALL
            SELECT m.workspace_id, split_part(m.detail, ':', 1) FROM thaw.manual_actions AS m
            WHERE m.what = 'limit_set' AND m.account_id IS NULL AND m.campaign_id IS NULL) AS is_limited
    FROM thaw.actions AS a
    LEFT JOIN thaw.senders AS former
        ON former.provider = a.provider AND former.key = 'account:' || a.account_id AND former.id <> a.sender_id
            AND a.started_at <= former.last_started_at
    LEFT JOIN (
        SELECT l.kind, max(l.changed_at) AS at FROM thaw.action_limits AS l GROUP BY l.kind) AS of_defaults ON of_defaults.kind = a.kind
    LEFT JOIN (
        SELECT split_part(m.detail, ':', 1) AS kind, max(m.at) AS at FROM thaw.manual_actions AS m
        WHERE m.what = 'ceiling_set' GROUP BY 1) AS of_ceiling ON of_ceiling.kind = a.kind
    WHERE a.state IN ('started', 'sent', 'unknown') AND a.started_at > coalesce(greatest(of_defaults.at, of_ceiling.at), '-infinity')
), cap AS (
    SELECT ceiling.kind, ceiling.per_day AS ceiling, least(ceiling.per_day, max(l.per_day)) AS highest
    FROM thaw.action_ceilings AS ceiling
    JOIN thaw.action_limits AS l ON l.kind = ceiling.kind
    GROUP BY ceiling.kind
)
SELECT format('sender %s: %s of kind %s started on %s, cap %s', day.sender_id, day.n, day.kind, day.local_day, limits.cap)
FROM (
    SELECT started.sender_id, started.kind, started.local_day, count(*) AS n, bool_or(started.is_limited) AS is_limited
    FROM started
    -- What was moved may count into another day than it was sent in.
    WHERE NOT started.is_moved
    GROUP BY started.sender_id, started.kind, started.local_day) AS day
JOIN cap ON cap.kind = day.kind
CROSS JOIN LATERAL (SELECT CASE WHEN day.is_limited THEN cap.ceiling ELSE cap.highest END AS cap) AS limits
WHERE day.n > limits.cap

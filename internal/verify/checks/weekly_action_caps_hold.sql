-- No sender starts more actions of a kind in 168 hours than its weekly cap allows, which is chosen
-- as in daily_action_caps_hold.
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
    SELECT ceiling.kind, ceiling.per_week AS ceiling, least(ceiling.per_week, CASE WHEN bool_and(l.per_week IS NOT NULL) THEN max(l.per_week) END) AS highest
    FROM thaw.action_ceilings AS ceiling
    JOIN thaw.action_limits AS l ON l.kind = ceiling.kind
    GROUP BY ceiling.kind
), week AS (
    SELECT started.sender_id, started.kind, started.started_at, count(*) OVER last_week AS n, bool_or(started.is_limited) OVER last_week AS is_limited
    FROM started
    -- An action that was used exactly 168 hours ago does not count.
    WINDOW last_week AS (
        PARTITION BY started.sender_id, started.kind ORDER BY started.started_at
        RANGE BETWEEN interval '167:59:59.999999' PRECEDING AND CURRENT ROW)
)
SELECT format('sender %s: %s of kind %s started in the 168 hours until %s, cap %s', week.sender_id, max(week.n), week.kind,
    min(week.started_at), max(limits.cap))
FROM week
JOIN cap ON cap.kind = week.kind
CROSS JOIN LATERAL (SELECT CASE WHEN week.is_limited THEN cap.ceiling ELSE cap.highest END AS cap) AS limits
WHERE week.n > limits.cap
GROUP BY week.sender_id, week.kind

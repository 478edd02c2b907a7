-- No action starts above the caps of its sender (of the local day and of 168 hours) and of its
-- campaign. Each start is compared with the limits that were in effect then. What they were is
-- known if nothing has changed since: the tier, the limits of the account, the workspace and the
-- campaign, and the start of the ramp. Otherwise the highest cap that is possible applies. Starts
-- before the last change of the defaults or of the ceiling of a kind are counted, and not compared.
WITH changed (kind, workspace_id, account_id, campaign_id, at) AS MATERIALIZED (
    -- Transactions have the time of their start, and may have begun before the change.
    SELECT c.kind, c.workspace_id, c.account_id, c.campaign_id, max(c.at) + interval '5 minutes'
    FROM (
        SELECT split_part(m.detail, ':', 1) AS kind, m.workspace_id, m.account_id, m.campaign_id, m.at FROM thaw.manual_actions AS m WHERE m.what = 'limit_set'
        UNION ALL
        SELECT o.kind, o.workspace_id, o.account_id, o.campaign_id, o.changed_at FROM thaw.action_overrides AS o) AS c
    GROUP BY c.kind, c.workspace_id, c.account_id, c.campaign_id
), common AS MATERIALIZED (
    -- With the lowest cap there is: most starts are below it, and need no other look.
    SELECT c.kind, max(c.at) + interval '5 minutes' AS at, min(c.per_day) AS per_day, min(c.per_week) AS per_week
    FROM (
        SELECT l.kind, l.changed_at AS at, l.per_day, l.per_week FROM thaw.action_limits AS l
        UNION ALL
        SELECT split_part(m.detail, ':', 1), m.at, NULL, NULL FROM thaw.manual_actions AS m WHERE m.what = 'ceiling_set'
        UNION ALL
        SELECT ceiling.kind, NULL, ceiling.per_day, ceiling.per_week FROM thaw.action_ceilings AS ceiling
        UNION ALL
        SELECT o.kind, NULL, o.per_day, o.per_week FROM thaw.action_overrides AS o) AS c
    GROUP BY c.kind
), started AS MATERIALIZED (
    SELECT a.id, a.kind, a.state, a.local_day, a.reserved_at, a.started_at, a.settled_at, a.workspace_id, a.account_id, a.campaign_id,
        -- An account that was found to be another sender counted by itself until then.
        coalesce(former.id, a.sender_id) AS sender_id, former.id IS NOT NULL AS is_moved
    FROM thaw.actions AS a
    LEFT JOIN thaw.senders AS former
        ON former.provider = a.provider AND former.key = 'account:' || a.account_id AND former.id <> a.sender_id
            AND a.started_at <= former.last_started_at
    WHERE a.state IN ('started', 'sent', 'unknown')
), counted AS (
    SELECT started.*, s.ramp_started_at, s.restriction_seen_at,
        -- What was moved may count into another day than it was sent in.
        count(*) FILTER (WHERE NOT started.is_moved) OVER day AS in_day,
        count(*) FILTER (WHERE NOT started.is_moved) OVER campaign_day AS in_campaign,
        count(*) OVER week AS in_week,
        -- The start of the ramp moves after an idle month only. So since the first delivery after
        -- its start it has not moved.
        min(started.settled_at) FILTER (WHERE started.state = 'sent' AND started.settled_at >= s.ramp_started_at) OVER sender AS ramp_known_at
    FROM started
    JOIN thaw.senders AS s ON s.id = started.sender_id
    WINDOW sender AS (PARTITION BY started.sender_id),
        day AS (PARTITION BY started.sender_id, started.kind, started.local_day ORDER BY started.started_at, started.id),
        campaign_day AS (PARTITION BY started.campaign_id, started.kind, started.local_day ORDER BY started.started_at, started.id),
        -- An action that was used exactly 168 hours ago does not count.
        week AS (PARTITION BY started.sender_id, started.kind ORDER BY started.started_at RANGE BETWEEN interval '167:59:59.999999' PRECEDING AND CURRENT ROW)
), facts AS (
    SELECT c.*,
        CASE WHEN c.started_at > coalesce(account.tier_changed_at + interval '5 minutes', '-infinity') THEN account.tier END AS tier,
        CASE WHEN c.reserved_at > coalesce(c.restriction_seen_at, '-infinity') AND (c.ramp_started_at IS NULL OR c.reserved_at >= c.ramp_known_at)
            THEN coalesce(least(greatest(floor(extract(epoch FROM c.started_at - c.ramp_started_at) / 604800) + 1, 1), 6), 1) END AS week,
        account.id IS NOT NULL
            AND c.started_at > coalesce(greatest(of_account.at, of_workspace.at), '-infinity') AS is_known,
        coalesce(own.per_day, shared.per_day) AS own_per_day, coalesce(own.per_week, shared.per_week) AS own_per_week,
        coalesce(of_account.at, of_workspace.at) IS NOT NULL OR account.id IS NULL AS is_limited,
        CASE WHEN c.started_at > of_campaign.at THEN campaign.per_day END AS per_campaign
    FROM counted AS c
    LEFT JOIN thaw.accounts AS account ON account.id = c.account_id
    LEFT JOIN changed AS of_account ON of_account.kind = c.kind AND of_account.account_id = c.account_id
    LEFT JOIN changed AS of_workspace
        ON of_workspace.kind = c.kind AND of_workspace.workspace_id = c.workspace_id AND of_workspace.account_id IS NULL AND of_workspace.campaign_id IS NULL
    LEFT JOIN changed AS of_campaign ON of_campaign.kind = c.kind AND of_campaign.campaign_id = c.campaign_id
    LEFT JOIN thaw.action_overrides AS own ON own.account_id = c.account_id AND own.kind = c.kind
    LEFT JOIN thaw.action_overrides AS shared
        ON shared.workspace_id = c.workspace_id AND shared.account_id IS NULL AND shared.campaign_id IS NULL AND shared.kind = c.kind
    LEFT JOIN thaw.action_overrides AS campaign ON campaign.campaign_id = c.campaign_id AND campaign.kind = c.kind
    JOIN common ON common.kind = c.kind
    WHERE NOT c.is_moved AND c.started_at > coalesce(common.at, '-infinity')
        AND (c.in_day > common.per_day OR c.in_week > common.per_week OR c.in_campaign > campaign.per_day)
), class AS MATERIALIZED (
    -- Many actions have the same limits.
    SELECT f.*, format('%s %s %s %s %s %s %s', f.kind, f.tier, f.week, f.is_known, f.is_limited, f.own_per_day, f.own_per_week) AS class
    FROM facts AS f
), cap AS (
    SELECT c.class, max(possible.per_day) AS per_day, CASE WHEN bool_and(possible.per_week IS NOT NULL) THEN max(possible.per_week) END AS per_week
    FROM (SELECT DISTINCT x.class, x.kind, x.tier, x.week, x.is_known, x.is_limited, x.own_per_day, x.own_per_week FROM class AS x) AS c
    JOIN thaw.action_ceilings AS ceiling ON ceiling.kind = c.kind
    JOIN thaw.action_limits AS l ON l.kind = c.kind AND l.tier = coalesce(c.tier, l.tier) AND l.ramp_week = coalesce(c.week, l.ramp_week)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN l.ramp_week < 6 THEN least(l.per_day, CASE WHEN c.is_known THEN c.own_per_day END, ceiling.per_day)
                WHEN c.is_known THEN least(coalesce(c.own_per_day, l.per_day), ceiling.per_day)
                WHEN c.is_limited THEN ceiling.per_day
                ELSE least(l.per_day, ceiling.per_day) END AS per_day,
            CASE WHEN l.ramp_week < 6 THEN least(l.per_week, CASE WHEN c.is_known THEN c.own_per_week END, ceiling.per_week)
                WHEN c.is_known THEN least(coalesce(c.own_per_week, l.per_week), ceiling.per_week)
                WHEN c.is_limited THEN ceiling.per_week
                ELSE least(l.per_week, ceiling.per_week) END AS per_week) AS possible
    GROUP BY c.class
)
SELECT format('sender %s: %s of kind %s started on %s, cap %s', a.sender_id, max(a.in_day), a.kind, a.local_day, min(cap.per_day))
FROM class AS a JOIN cap USING (class)
WHERE a.in_day > cap.per_day
GROUP BY a.sender_id, a.kind, a.local_day
UNION ALL
SELECT format('sender %s: %s of kind %s started in the 168 hours until %s, cap %s', a.sender_id, max(a.in_week), a.kind, min(a.started_at), min(cap.per_week))
FROM class AS a JOIN cap USING (class)
WHERE a.in_week > cap.per_week
GROUP BY a.sender_id, a.kind
UNION ALL
SELECT format('campaign %s: %s of kind %s started on %s, cap %s', a.campaign_id, max(a.in_campaign), a.kind, a.local_day, min(a.per_campaign))
FROM class AS a
WHERE a.in_campaign > a.per_campaign
GROUP BY a.campaign_id, a.kind, a.local_day

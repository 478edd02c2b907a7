-- Every action starts in a sending window of its account. Examines what was started since the
-- windows of its account, its workspace or the fleet were last set.
-- ranges: thaw.actions id
WITH recent AS MATERIALIZED (
    SELECT a.id, a.account_id, a.started_at, thaw.zone_named(a.timezone) AS timezone
    FROM thaw.actions AS a
    LEFT JOIN (
        SELECT m.account_id, max(m.at) AS at FROM thaw.manual_actions AS m
        WHERE m.what = 'windows_set' GROUP BY m.account_id) AS of_account ON of_account.account_id = a.account_id
    LEFT JOIN (
        SELECT m.workspace_id, max(m.at) AS at FROM thaw.manual_actions AS m
        WHERE m.what = 'windows_set' AND m.account_id IS NULL GROUP BY m.workspace_id) AS of_workspace ON of_workspace.workspace_id = a.workspace_id
    CROSS JOIN (
        SELECT max(m.at) AS at FROM thaw.manual_actions AS m
        WHERE m.what = 'windows_set' AND m.account_id IS NULL AND m.workspace_id IS NULL) AS of_fleet
    WHERE a.id BETWEEN 0 AND 9223372036854775807
        AND a.started_at > coalesce(greatest(of_account.at, of_workspace.at, of_fleet.at), '-infinity')
), applicable AS MATERIALIZED (
    SELECT account.id AS account_id, w.weekdays, w.opens, w.closes, thaw.zone_named(w.timezone) AS timezone,
        -- The server knew the zone then.
        w.timezone IS NOT NULL AND thaw.zone_named(w.timezone) IS NULL AS is_unknown
    FROM thaw.accounts AS account
    CROSS JOIN LATERAL (
        SELECT own.*, dense_rank() OVER (ORDER BY own.account_id IS NULL, own.workspace_id IS NULL) AS precedence
        FROM (
            SELECT * FROM thaw.sending_windows AS x WHERE x.workspace_id = account.workspace_id AND x.account_id = account.id
            UNION ALL
            SELECT * FROM thaw.sending_windows AS x WHERE x.workspace_id = account.workspace_id AND x.account_id IS NULL
            UNION ALL
            SELECT * FROM thaw.sending_windows AS x WHERE x.workspace_id IS NULL) AS own) AS w
    WHERE w.precedence = 1 AND account.id IN (SELECT recent.account_id FROM recent)
), candidate AS MATERIALIZED (
    SELECT recent.id, recent.started_at, zone.timezone, a.weekdays, a.opens, a.closes, (recent.started_at AT TIME ZONE zone.timezone)::date AS day
    FROM recent
    JOIN applicable AS a ON a.account_id = recent.account_id
    CROSS JOIN LATERAL (SELECT coalesce(a.timezone, recent.timezone) AS timezone) AS zone
), hours AS MATERIALIZED (
    -- Each window of each day once: it is open from the day before, or opens on this day, or both.
    SELECT day.*, morning.closes_at AS open_until, morning.opens_at, later.closes_at
    FROM (SELECT DISTINCT c.timezone, c.weekdays, c.opens, c.closes, c.day FROM candidate AS c WHERE c.timezone IS NOT NULL) AS day
    CROSS JOIN LATERAL thaw.window_at(day.timezone, day.weekdays, day.opens, day.closes, thaw.day_start(day.timezone, day.day)) AS morning
    CROSS JOIN LATERAL thaw.window_at(day.timezone, day.weekdays, day.opens, day.closes, morning.opens_at) AS later
), inside AS (
    SELECT c.id
    FROM candidate AS c
    JOIN hours AS h ON h.timezone = c.timezone AND h.day = c.day AND h.weekdays = c.weekdays AND h.opens = c.opens AND h.closes = c.closes
    WHERE c.started_at < h.open_until OR c.started_at >= h.opens_at AND c.started_at < h.closes_at
)
SELECT format('action %s: started at %s outside of the windows of account %s, %s', recent.id, recent.started_at, recent.account_id,
    coalesce('which is in ' || recent.timezone, 'which had no time zone'))
FROM recent
JOIN thaw.accounts AS account ON account.id = recent.account_id
WHERE NOT EXISTS (SELECT FROM inside WHERE inside.id = recent.id)
    AND NOT EXISTS (SELECT FROM applicable AS a WHERE a.account_id = recent.account_id AND a.is_unknown)

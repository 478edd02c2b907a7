-- The chart of actions per hour equals the rows of thaw.actions, for the hours that are complete.
-- Those that are noted as changed, and those since the hour before the last count, are counted
-- within minutes.
WITH counted AS (
    SELECT thaw.hour_of(s.hours_counted_at - interval '31 days') AS oldest, thaw.hour_of(s.hours_counted_at) - interval '1 hour' AS newest
    FROM thaw.scheduler AS s
), settled AS (
    SELECT date_trunc('hour', a.settled_at, 'UTC') AS hour, count(*) FILTER (WHERE a.state = 'sent') AS sent,
        count(*) FILTER (WHERE a.state = 'unknown') AS unknown,
        count(*) FILTER (WHERE a.state IN ('already', 'refused', 'released')) AS undelivered
    FROM thaw.actions AS a
    WHERE a.settled_at >= (SELECT counted.oldest FROM counted) AND a.settled_at < (SELECT counted.newest FROM counted) AND a.started_at IS NOT NULL
    GROUP BY 1
)
SELECT format('hour %s: the chart has %s sent, %s unknown and %s not delivered; its actions are %s, %s and %s', hour,
    coalesce(h.sent, 0), coalesce(h.unknown, 0), coalesce(h.undelivered, 0),
    coalesce(settled.sent, 0), coalesce(settled.unknown, 0), coalesce(settled.undelivered, 0))
FROM (SELECT shown.* FROM thaw.action_hours AS shown CROSS JOIN counted WHERE shown.hour >= counted.oldest AND shown.hour < counted.newest) AS h
FULL JOIN settled USING (hour)
WHERE (h.sent, h.unknown, h.undelivered) IS DISTINCT FROM (settled.sent, settled.unknown, settled.undelivered)
    AND hour NOT IN (SELECT c.hour FROM thaw.action_hour_changes AS c)

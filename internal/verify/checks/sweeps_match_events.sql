-- The summary of a tick counts exactly the moves to another account and the campaign starts that its history shows.
-- Ticks of which the history is not all there any more, because of its age, are left out.
SELECT format('sweep of tick %s: it counts %s re-pointed and %s campaigns, the history %s and %s',
    tick_at, coalesce(s.moved, 0), coalesce(s.campaigns_resumed, 0),
    coalesce(moved.total, 0), coalesce(started.total, 0))
FROM thaw.sweeps AS s
FULL JOIN (
    SELECT event.tick_at, count(*) AS total
    FROM thaw.enrollment_events AS event
    WHERE event.kind = 'moved' AND event.source = 'sweep'
    GROUP BY event.tick_at) AS moved USING (tick_at)
FULL JOIN (
    SELECT event.tick_at, count(*) AS total
    FROM thaw.campaign_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'sweep'
    GROUP BY event.tick_at) AS started USING (tick_at)
WHERE tick_at >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND (coalesce(s.moved, 0) <> coalesce(moved.total, 0)
        OR coalesce(s.campaigns_resumed, 0) <> coalesce(started.total, 0))

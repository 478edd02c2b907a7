-- The summary of each tick counts exactly the moves and the campaign starts in the history.
-- Ticks whose history was partly removed by retention are skipped.
SELECT format('sweep of tick %s: %s moved and %s campaigns started; in the history %s and %s',
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

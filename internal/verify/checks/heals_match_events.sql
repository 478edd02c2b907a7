-- Each heal counts exactly the prospects resumed, the moves and the campaign starts in the history.
-- Heals whose history was partly removed by retention are skipped.
SELECT format('heal %s: %s resumed, %s moved and %s campaigns started; in the history %s, %s and %s',
    coalesce(h.id, transitions.heal_id, started.heal_id),
    coalesce(h.resumed, 0), coalesce(h.moved, 0), coalesce(h.campaigns_resumed, 0),
    coalesce(transitions.resumed, 0), coalesce(transitions.moved, 0), coalesce(started.total, 0))
FROM thaw.heals AS h
FULL JOIN (
    SELECT event.heal_id,
        count(*) FILTER (WHERE event.kind = 'resumed') AS resumed,
        count(*) FILTER (WHERE event.kind = 'moved') AS moved,
        min(event.at) AS began_at
    FROM thaw.enrollment_events AS event
    WHERE event.source = 'heal'
    GROUP BY event.heal_id) AS transitions ON transitions.heal_id = h.id
FULL JOIN (
    SELECT event.heal_id, count(*) AS total, min(event.at) AS began_at
    FROM thaw.campaign_events AS event
    WHERE event.kind = 'resumed' AND event.source = 'heal'
    GROUP BY event.heal_id) AS started ON started.heal_id = coalesce(h.id, transitions.heal_id)
WHERE coalesce(h.requested_at, least(transitions.began_at, started.began_at)) >= (SELECT kept.history_since FROM thaw.kept AS kept)
    AND (coalesce(h.resumed, 0) <> coalesce(transitions.resumed, 0)
        OR coalesce(h.moved, 0) <> coalesce(transitions.moved, 0)
        OR coalesce(h.campaigns_resumed, 0) <> coalesce(started.total, 0))

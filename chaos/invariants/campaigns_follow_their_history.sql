-- A campaign is in the status that its last event left it in.
SELECT format('campaign %s: is %s, its history left it %s', c.id, c.status, last.to_status)
FROM thaw.campaigns AS c
JOIN (
    SELECT DISTINCT ON (event.campaign_id) event.campaign_id, event.to_status
    FROM thaw.campaign_events AS event
    ORDER BY event.campaign_id, event.id DESC) AS last ON last.campaign_id = c.id
WHERE c.status <> last.to_status

-- A campaign has the status of its last event.
SELECT format('campaign %s: status is %s, but its last event says %s', c.id, c.status, last.to_status)
FROM thaw.campaigns AS c
JOIN (
    SELECT DISTINCT ON (event.campaign_id) event.campaign_id, event.to_status
    FROM thaw.campaign_events AS event
    ORDER BY event.campaign_id, event.id DESC) AS last ON last.campaign_id = c.id
WHERE c.status <> last.to_status

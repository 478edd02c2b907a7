-- The planner of each tick: leads of the accounts whose window is open, as far as they are counted.
SELECT count(bucket.plan(lead.id))
FROM bucket.accounts AS a
CROSS JOIN LATERAL (
    SELECT l.id FROM bucket.leads AS l WHERE l.account_id = a.id AND l.status = 'waiting' ORDER BY l.id LIMIT a.per_day) AS lead
WHERE (thaw.now() AT TIME ZONE a.zone)::time >= a.opens AND (thaw.now() AT TIME ZONE a.zone)::time < a.closes

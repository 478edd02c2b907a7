-- No reserved or started action is older than its lease; the worker processes end leases within a
-- minute.
SELECT format('action %s: %s, but its lease ended at %s', action.id, action.state, action.lease_until)
FROM thaw.actions AS action
WHERE action.lease_until < thaw.now() - interval '1 minute'

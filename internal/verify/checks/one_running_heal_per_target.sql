-- At most one heal is running per target.
SELECT format('%s: heals %s are running', h.target, string_agg(h.id::text, ', ' ORDER BY h.id))
FROM thaw.heals AS h
WHERE h.status = 'running'
GROUP BY h.target
HAVING count(*) > 1

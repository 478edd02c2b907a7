-- No heal exceeds its cap.
SELECT format('heal %s: %s resumed, cap %s', h.id, h.resumed, h.cap)
FROM thaw.heals AS h
WHERE h.resumed > h.cap

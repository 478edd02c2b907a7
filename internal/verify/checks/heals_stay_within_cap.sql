-- No heal resumed more prospects than its cap.
SELECT format('heal %s: %s resumed, its cap is %s', h.id, h.resumed, h.cap)
FROM thaw.heals AS h
WHERE h.resumed > h.cap

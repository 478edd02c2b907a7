-- A connected account has no pause that is due.
SELECT format('account %s: connected, but a pause is due at %s', a.id, a.pause_after)
FROM thaw.accounts AS a
WHERE a.status = 'connected' AND a.pause_after IS NOT NULL

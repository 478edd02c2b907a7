-- A connected account is not about to have its prospects paused.
SELECT format('account %s: connected, its prospects are due to be paused at %s', a.id, a.pause_after)
FROM thaw.accounts AS a
WHERE a.status = 'connected' AND a.pause_after IS NOT NULL

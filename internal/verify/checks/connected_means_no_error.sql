-- A connected account has no error.
SELECT format('account %s: connected, last error %s', a.id, a.last_error)
FROM thaw.accounts AS a
WHERE a.status = 'connected' AND a.last_error IS NOT NULL

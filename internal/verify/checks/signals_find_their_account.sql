-- No signal is kept for an account that has a row; kept signals are applied within a minute after
-- the insert.
SELECT format('signal %s: %s was kept for account %s, which exists', s.id, s.raw_status, a.id)
FROM thaw.account_signals AS s
JOIN thaw.accounts AS a ON a.provider = s.provider AND a.provider_account_id = s.provider_account_id
WHERE s.outcome = 'unknown_account' AND s.received_at < thaw.now() - interval '5 minutes'

-- The accounts of the members in Berlin are removed at the provider, and connected again as new
-- ones.
INSERT INTO bucket.accounts (id, name, zone, opens, closes, per_day, per_week, tokens, token_each)
SELECT a.id + 1000, a.name || '-again', a.zone, a.opens, a.closes, a.per_day, a.per_week, a.tokens, a.token_each
FROM bucket.accounts AS a WHERE a.zone = 'Europe/Berlin';
INSERT INTO bucket.rate_limits (key, tokens, refilled_at) SELECT 'account:' || a.id, a.tokens, thaw.now() FROM bucket.accounts AS a WHERE a.id > 1000;
UPDATE bucket.leads AS l SET account_id = l.account_id + 1000 FROM bucket.accounts AS a WHERE a.id = l.account_id AND a.zone = 'Europe/Berlin';

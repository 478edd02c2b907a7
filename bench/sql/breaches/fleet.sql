-- 12 members in four zones, each with one account: 5 messages per day and 25 per week, from 09:00
-- to 17:00 on every day. The clock is a row, which the benchmark moves.
CREATE TABLE bench.clock (at timestamptz NOT NULL);
INSERT INTO bench.clock VALUES (thaw.now());
UPDATE thaw.accounts SET timezone = (ARRAY['America/Los_Angeles', 'America/New_York', 'Europe/Berlin', 'Asia/Tokyo'])[1 + id % 4];
UPDATE thaw.action_ceilings SET per_week = 25 WHERE kind = 'message';
UPDATE thaw.action_limits SET per_day = 5, per_week = 25 WHERE kind = 'message';
DELETE FROM thaw.sending_windows;
INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '09:00', '17:00');
UPDATE thaw.settings SET action_gap_from = DEFAULT, action_gap_to = DEFAULT;
UPDATE thaw.enrollments SET next_kind = 'message', next_action_at = thaw.now();
CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE RETURN (SELECT clock.at FROM bench.clock);
-- The same for the token bucket: a token per minute, none of them saved.
UPDATE bucket.accounts SET
    zone = a.timezone, opens = '09:00', closes = '17:00', per_day = 5, per_week = 25, tokens = 1, token_each = '1 minute'
FROM thaw.accounts AS a WHERE a.id = accounts.id;
UPDATE bucket.rate_limits SET tokens = 1, refilled_at = thaw.now();

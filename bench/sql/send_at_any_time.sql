-- Every action may be done: no gaps, no windows, and caps that a benchmark does not reach. All
-- accounts are in UTC, and the next step of every prospect is a message.
UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0';
UPDATE thaw.action_ceilings SET gap_from = '0', per_day = 1000, per_week = NULL;
UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0', per_day = 1000, per_week = NULL;
UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '00:00:01';
INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '00:00:01', '00:00');
-- The triggers would leave a nudge for each row.
SET session_replication_role = replica;
UPDATE thaw.accounts SET timezone = 'UTC';
UPDATE thaw.enrollments SET next_kind = 'message';
RESET session_replication_role;
SELECT thaw.ensure_senders(ARRAY(SELECT a.id FROM thaw.accounts AS a));

-- What the whole fleet has in common: the clock, the settings, the ticks, and safety mode.

-- +goose Up

-- Thaw's only clock: the start of the transaction by the database clock, which all processes share.
-- Tests replace this function.
-- +goose StatementBegin
CREATE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now();
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.now() IS 'The current time of Thaw: the start of the transaction, by the database clock.';

-- Fleet-wide settings are one row and not process configuration: while a new value is rolled out,
-- no two processes can use different caps or tick lengths.
CREATE TABLE thaw.settings (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tick         interval NOT NULL DEFAULT '15 minutes',
    account_cap  integer NOT NULL DEFAULT 200 CHECK (account_cap BETWEEN 1 AND 1000000),
    fleet_cap    integer NOT NULL DEFAULT 2000 CHECK (fleet_cap BETWEEN 1 AND 10000000),
    signal_cap   integer NOT NULL DEFAULT 2000 CHECK (signal_cap BETWEEN 1 AND 10000000),
    jitter       interval NOT NULL DEFAULT '15 minutes' CHECK (jitter BETWEEN '0' AND '1 day'),
    grace_period interval NOT NULL DEFAULT '2 hours' CHECK (grace_period BETWEEN '0' AND '7 days'),
    -- At least two days: nothing is removed that a current tick, pass or heal may still need.
    keep_history interval NOT NULL DEFAULT '400 days' CHECK (keep_history BETWEEN '2 days' AND '36500 days'),
    keep_signals interval NOT NULL DEFAULT '30 days' CHECK (keep_signals BETWEEN '2 days' AND '36500 days'),
    -- Safety mode starts when at least this many accounts, and at least this percentage of the
    -- connected accounts, are lost within the window.
    safety_accounts integer NOT NULL DEFAULT 10 CHECK (safety_accounts BETWEEN 1 AND 1000000),
    safety_percent  integer NOT NULL DEFAULT 20 CHECK (safety_percent BETWEEN 1 AND 100),
    safety_window   interval NOT NULL DEFAULT '10 minutes' CHECK (safety_window BETWEEN '1 minute' AND '1 day'),
    safety_calm     interval NOT NULL DEFAULT '30 minutes' CHECK (safety_calm BETWEEN '1 minute' AND '7 days'),
    -- The percentage for slow losses: accounts that were lost within the slow window and are not
    -- connected again.
    safety_slow_percent integer NOT NULL DEFAULT 30 CHECK (safety_slow_percent BETWEEN 1 AND 100),
    safety_slow_window  interval NOT NULL DEFAULT '6 hours' CHECK (safety_slow_window BETWEEN '1 hour' AND '7 days'),
    -- An account that is lost this often within an hour is flapping. 0 disables the check.
    flap_limit      integer NOT NULL DEFAULT 3 CHECK (flap_limit BETWEEN 0 AND 20),
    -- How long a flapping account must stay connected before prospects resume through it.
    flap_wait       interval NOT NULL DEFAULT '10 minutes' CHECK (flap_wait BETWEEN '0' AND '1 day'),
    -- A provider counts as silent after this multiple of its usual gap between signals. 0 disables
    -- the check.
    silence_factor  integer NOT NULL DEFAULT 2 CHECK (silence_factor BETWEEN 0 AND 100),
    changed_at   timestamptz NOT NULL DEFAULT thaw.now(),
    changed_by   text,
    -- Job arguments contain the tick as a key, in whole seconds.
    CONSTRAINT settings_tick_check CHECK (
        tick BETWEEN '1 second' AND '1 day' AND extract(epoch FROM tick) = floor(extract(epoch FROM tick)))
);
COMMENT ON TABLE thaw.settings IS 'One row: the settings of the whole fleet.';
INSERT INTO thaw.settings DEFAULT VALUES;

-- +goose StatementBegin
CREATE FUNCTION thaw.tick(at timestamptz DEFAULT thaw.now()) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT date_bin(s.tick, tick.at, '2000-01-01 00:00:00+00') FROM thaw.settings AS s);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.tick(timestamptz) IS
    'The tick that contains the given time: a quarter hour (00, 15, 30, 45 UTC) by default; the length is settings.tick.';

-- The text of a time in job arguments, to the second: the format of package jobs. It sorts in time
-- order.
-- +goose StatementBegin
CREATE FUNCTION thaw.job_time(at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN to_char(job_time.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
-- +goose StatementEnd

-- Safety mode: while the provider has an incident, nothing is resumed, and no transient error
-- reaches the end of its grace period. 00021_safety.sql has the functions that enter and exit it.
CREATE TABLE thaw.safety (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since              timestamptz,
    reason             text,
    entered_by         text,
    -- If true, safety mode lasts until an operator exits it.
    manual_exit        boolean NOT NULL DEFAULT false,
    -- The counts with which the monitor entered safety mode.
    accounts_lost      integer,
    accounts_connected integer,
    -- When the thresholds were last exceeded. The calm period is counted from here.
    breached_at        timestamptz,
    -- When safety mode last ended. Earlier losses no longer count.
    ended_at           timestamptz,
    CONSTRAINT safety_mode_has_a_reason CHECK (
        (since IS NULL) = (reason IS NULL) AND (since IS NULL) = (entered_by IS NULL) AND reason <> '' AND entered_by <> ''),
    CONSTRAINT safety_off_is_empty CHECK (
        since IS NOT NULL OR (NOT manual_exit AND accounts_lost IS NULL AND accounts_connected IS NULL AND breached_at IS NULL))
);
COMMENT ON TABLE thaw.safety IS 'One row. Safety mode is on while since is not null.';
INSERT INTO thaw.safety DEFAULT VALUES;

-- +goose Down
DROP TABLE thaw.safety;
DROP FUNCTION thaw.job_time(timestamptz);
DROP FUNCTION thaw.tick(timestamptz);
DROP TABLE thaw.settings;
DROP FUNCTION thaw.now();

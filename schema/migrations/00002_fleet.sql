-- The fleet: the tables that the platform writes and in which Thaw pauses and resumes rows.
-- docs/design.md defines the terms.

-- +goose Up

CREATE TYPE thaw.account_status AS ENUM (
    'connecting', 'connected', 'needs_verification', 'disconnected', 'restricted', 'error', 'removed');

CREATE TYPE thaw.campaign_status AS ENUM ('draft', 'running', 'paused', 'completed');

CREATE TYPE thaw.enrollment_status AS ENUM (
    'pending', 'active', 'paused', 'completed', 'replied', 'failed', 'removed');

-- The last three are deprecated: platforms still write them, but no row has them
-- (thaw.current_reason).
CREATE TYPE thaw.pause_reason AS ENUM (
    'account_disconnected', 'account_issue', 'account_restricted',
    'high_failure_rate', 'subscription_inactive', 'paused_by_user',
    'linkedin_account_disconnected', 'linkedin_account_issue', 'linkedin_high_failure_rate');

-- What each status and reason means is decided here and nowhere else. These functions are inlined.

-- The reason that replaces a deprecated one; any other reason is returned unchanged. Triggers apply
-- it to every row that is written, so only current reasons are stored.
-- +goose StatementBegin
CREATE FUNCTION thaw.current_reason(p_reason thaw.pause_reason) RETURNS thaw.pause_reason LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_reason
    WHEN 'linkedin_account_disconnected' THEN 'account_disconnected'::thaw.pause_reason
    WHEN 'linkedin_account_issue' THEN 'account_issue'::thaw.pause_reason
    WHEN 'linkedin_high_failure_rate' THEN 'high_failure_rate'::thaw.pause_reason
    ELSE p_reason
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.current_reason(thaw.pause_reason) IS
    'The reason that replaces a deprecated pause reason; any other reason is returned unchanged.';

-- The current reasons, in their order.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_reasons() RETURNS thaw.pause_reason[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    SELECT word.reason FROM unnest(enum_range(NULL::thaw.pause_reason)) AS word (reason)
    WHERE word.reason = thaw.current_reason(word.reason) ORDER BY word.reason);
-- +goose StatementEnd

-- Whether a pause for this reason ends when an account connects: only rows with such a reason are
-- resumed automatically. Null: not paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.waits_for_account(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('account_disconnected', 'account_issue');
-- +goose StatementEnd

-- Whether only a person ends a pause for this reason: no file, signal or sweep does.
-- +goose StatementBegin
CREATE FUNCTION thaw.waits_for_person(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('account_restricted', 'paused_by_user');
-- +goose StatementEnd

-- Whether only campaigns are paused for this reason, and not enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_of_campaigns(p_reason thaw.pause_reason) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IS NOT NULL AND p_reason IN ('high_failure_rate', 'subscription_inactive');
-- +goose StatementEnd

-- Whether an account with this status may connect again without a person: its pause is due only
-- after the grace period. In every other status except connected, it is due at once.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_transient(p_status thaw.account_status) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_status IN ('connecting', 'error');
-- +goose StatementEnd

-- Whether an account with this status is gone: it connects again only after a person acts. Its
-- prospects move to a connected account of the same person, if there is one (thaw.sibling_targets).
-- An account with a transient error keeps those that are not paused, because it may come back on
-- its own. A restricted account keeps all, because a person has to decide about them.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_gone(p_status thaw.account_status) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_status NOT IN ('connected', 'restricted') AND NOT thaw.is_transient(p_status);
-- +goose StatementEnd

-- The reason for which prospects of an account with this status are paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_reason_of(p_status thaw.account_status) RETURNS thaw.pause_reason LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_status = 'restricted' THEN 'account_restricted'::thaw.pause_reason
    WHEN p_status IN ('disconnected', 'removed') THEN 'account_disconnected'::thaw.pause_reason
    ELSE 'account_issue'::thaw.pause_reason
END;
-- +goose StatementEnd

-- Thaw's only clock: the start of the transaction by the database clock, which all processes share.
-- Tests replace this function.
-- +goose StatementBegin
CREATE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now();
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.now() IS 'The current time of Thaw: the start of the transaction, by the database clock.';

-- Whether a name is free of invisible characters: it has no control characters, line separators or
-- format characters, and no space of any kind at either end. A trailing no-break space from a
-- spreadsheet would turn "acc_1" into another account, and the signals of the real one would never
-- find it. The two joiners that some scripts and emoji need are allowed inside a name.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_visible(text text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_visible.text !~ $re$[\u0001-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|^[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]|[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]$$re$;
-- +goose StatementEnd

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
-- reaches the end of its grace period. 00014_safety.sql has the functions that enter and exit it.
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

CREATE TABLE thaw.workspaces (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key                    text NOT NULL UNIQUE CHECK (key <> ''),
    name                   text NOT NULL DEFAULT '',
    auto_resume            boolean NOT NULL DEFAULT true,
    auto_resume_reason     text,
    auto_resume_changed_at timestamptz,
    auto_resume_changed_by text,
    heal_cap               integer CHECK (heal_cap BETWEEN 1 AND 10000000),
    created_at             timestamptz NOT NULL DEFAULT thaw.now(),
    external_id            text,
    shadow                 boolean NOT NULL DEFAULT false,
    CONSTRAINT workspaces_key_is_visible CHECK (thaw.is_visible(key)),
    CONSTRAINT workspaces_external_id_is_visible CHECK (thaw.is_visible(external_id) AND length(external_id) BETWEEN 1 AND 200)
);
COMMENT ON TABLE thaw.workspaces IS 'A tenant of the platform.';
COMMENT ON COLUMN thaw.workspaces.external_id IS
    'The ID of this row in the platform''s own table, as text. Unique. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.workspaces.shadow IS
    'Whether the workspace is in shadow mode: Thaw follows the platform and shows what it would do, and changes nothing. Set by thaw.go_live and thaw.go_shadow.';
COMMENT ON COLUMN thaw.workspaces.heal_cap IS
    'How many prospects per tick the heals started by the tenant may resume, regardless of the cap per account. Null: these heals keep the caps of the tick. Set by thaw.set_heal_cap.';

CREATE TABLE thaw.accounts (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id        bigint NOT NULL REFERENCES thaw.workspaces (id),
    provider            text NOT NULL DEFAULT 'linkedin' CHECK (provider <> ''),
    provider_account_id text NOT NULL CHECK (provider_account_id <> ''),
    member_id           text CHECK (member_id <> ''),
    display_name        text NOT NULL DEFAULT '',
    status              thaw.account_status NOT NULL DEFAULT 'connecting',
    last_error          text CHECK (length(last_error) <= 1000),
    status_at           timestamptz,
    first_connected_at  timestamptz,
    connected_at        timestamptz,
    disconnected_at     timestamptz,
    reconnected_at      timestamptz,
    locked_at           timestamptz,
    locked_reason       text,
    lock_status_at      timestamptz,
    link_id             bigint,
    lost_at             timestamptz,
    flaps               timestamptz[] NOT NULL DEFAULT '{}',
    resume_after        timestamptz,
    needs_reconnect_at  timestamptz,
    pause_after         timestamptz,
    hold_until          timestamptz,
    hold_reason         text,
    timezone            text NOT NULL DEFAULT 'UTC',
    created_at          timestamptz NOT NULL DEFAULT thaw.now(),
    external_id         text,
    parked_reason       text,
    UNIQUE (provider, provider_account_id),
    -- The target of composite foreign keys, which make cross-tenant rows impossible.
    UNIQUE (workspace_id, id),
    CONSTRAINT accounts_provider_account_id_is_visible CHECK (thaw.is_visible(provider_account_id)),
    CONSTRAINT accounts_member_id_is_visible CHECK (thaw.is_visible(member_id)),
    CONSTRAINT accounts_external_id_is_visible CHECK (thaw.is_visible(external_id) AND length(external_id) BETWEEN 1 AND 200),
    -- Linked accounts are in the same workspace.
    CONSTRAINT accounts_link_stays_in_its_workspace FOREIGN KEY (workspace_id, link_id) REFERENCES thaw.accounts (workspace_id, id),
    CONSTRAINT accounts_parked_has_a_reason CHECK (length(parked_reason) BETWEEN 1 AND 1000),
    CONSTRAINT accounts_link_is_to_another CHECK (link_id <> id),
    CONSTRAINT accounts_lock_has_a_reason CHECK (
        (locked_at IS NULL) = (locked_reason IS NULL) AND locked_reason <> '' AND length(locked_reason) <= 1000),
    CONSTRAINT accounts_connected_is_confirmed CHECK (status <> 'connected' OR reconnected_at IS NULL),
    CONSTRAINT accounts_connected_has_no_error CHECK (status <> 'connected' OR last_error IS NULL),
    CONSTRAINT accounts_connected_is_not_due_to_pause CHECK (status <> 'connected' OR pause_after IS NULL),
    CONSTRAINT accounts_hold_has_a_reason CHECK ((hold_until IS NULL) = (hold_reason IS NULL) AND hold_reason <> '')
-- Free space for HOT updates: a repeated connected signal changes no index. A signal that has
-- something to pause does, because pause_after is indexed.
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.accounts IS 'One login ("seat") at the provider.';
COMMENT ON COLUMN thaw.accounts.member_id IS
    'The person behind the account. It stays the same when that person connects again as a new account.';
COMMENT ON COLUMN thaw.accounts.external_id IS
    'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.accounts.parked_reason IS
    'Why Thaw cannot tell what the platform knows about this account (thaw adopt). Nothing is resumed or sent through it. Null: it is not parked.';
COMMENT ON COLUMN thaw.accounts.status_at IS
    'The time of the status in the newest applied signal. Null: no signal was applied yet.';
COMMENT ON COLUMN thaw.accounts.disconnected_at IS
    'When the account last lost its connection. Null: never. A reconnect does not clear it.';
COMMENT ON COLUMN thaw.accounts.reconnected_at IS
    'When the login succeeded, while the provider has not yet confirmed that the account works. Null: no confirmation is pending.';
COMMENT ON COLUMN thaw.accounts.locked_at IS
    'Since when the provider has locked the account. Null: it is not locked. The lock is independent of the status: nothing is resumed through a locked account, even if it is connected.';
COMMENT ON COLUMN thaw.accounts.lock_status_at IS
    'The time of the last applied lock or unlock signal.';
COMMENT ON COLUMN thaw.accounts.link_id IS
    'The first account of a group that is linked as one person, in addition to accounts with the same member_id. Null: the account is itself the first, or it has no link.';
COMMENT ON COLUMN thaw.accounts.lost_at IS
    'The last connection loss that counts for safety mode. Losses of a flapping account do not count.';
COMMENT ON COLUMN thaw.accounts.flaps IS
    'The times of the latest connection losses, newest first: as many as settings.flap_limit, at least one.';
COMMENT ON COLUMN thaw.accounts.resume_after IS
    'If the account is flapping: the time until which it must stay connected before prospects resume through it. Null: it is not flapping.';
COMMENT ON COLUMN thaw.accounts.needs_reconnect_at IS
    'When the message account.needs_reconnect was written for the current outage. Null: it was not.';
COMMENT ON COLUMN thaw.accounts.pause_after IS
    'When the active enrollments of this account are due to be paused. Null: no pause is due.';

-- How many prospects an account of this workspace may resume per tick. The rule takes the rows that
-- it depends on as arguments, so that the planner can inline it (as thaw.block_reason).
-- +goose StatementBegin
CREATE FUNCTION thaw.account_cap(p_workspace thaw.workspaces, p_settings thaw.settings) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN p_settings.account_cap;
-- +goose StatementEnd

-- The same rule for one account.
-- +goose StatementBegin
CREATE FUNCTION thaw.account_cap(p_account_id bigint) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT thaw.account_cap(workspace, settings)
        FROM thaw.accounts AS account
        JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
        CROSS JOIN thaw.settings AS settings
        WHERE account.id = p_account_id);
END;
$$;
-- +goose StatementEnd

-- Statuses that the provider reports for a single product of an account ("sales_navigator"). They
-- do not change the status of the account; thaw explain shows them.
CREATE TABLE thaw.account_products (
    account_id bigint NOT NULL REFERENCES thaw.accounts (id) ON DELETE CASCADE,
    product    text NOT NULL CHECK (product ~ '^[a-z0-9_]{1,64}$'),
    status     thaw.account_status NOT NULL,
    raw_status text NOT NULL,
    status_at  timestamptz NOT NULL,
    down_since timestamptz,
    PRIMARY KEY (account_id, product),
    CONSTRAINT account_products_is_down CHECK ((down_since IS NULL) = (status = 'connected'))
);
COMMENT ON TABLE thaw.account_products IS
    'The newest status of each product for which the provider reports a separate status.';
COMMENT ON COLUMN thaw.account_products.down_since IS
    'When the product stopped working: the time of the first such signal since it was last connected. Later signals do not change it.';

-- Whether an account is flapping: it was lost flap_limit times within the last hour. Reads only the
-- row, no history.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_flapping(p_flaps timestamptz[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT s.flap_limit > 0 AND coalesce(p_flaps[s.flap_limit] > thaw.now() - interval '1 hour', false)
            FROM thaw.settings AS s);
END;
$$;
-- +goose StatementEnd

-- Runs for every writer, because the platform may set a status by a plain UPDATE. connected_at
-- decides which sibling account prospects resume through and which campaigns a sweep checks.
-- Connecting also clears what belonged to the old status: an error that the writer did not set
-- anew, a due pause, and a login that waits for confirmation.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_note_connection() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.last_error IS NOT DISTINCT FROM OLD.last_error THEN
            NEW.last_error := NULL;
        END IF;
        NEW.resume_after := CASE WHEN thaw.is_flapping(OLD.flaps)
            THEN thaw.now() + (SELECT s.flap_wait FROM thaw.settings AS s) END;
        -- The outage of a flapping account ends when the account has stayed connected for long
        -- enough: see thaw.publish_recovered.
        IF NEW.resume_after IS NULL THEN
            NEW.needs_reconnect_at := NULL;
        END IF;
    END IF;
    NEW.reconnected_at := NULL;
    IF TG_OP = 'INSERT' THEN
        NEW.connected_at := coalesce(NEW.connected_at, thaw.now());
    ELSIF NEW.connected_at IS NOT DISTINCT FROM OLD.connected_at THEN
        NEW.connected_at := thaw.now();
    END IF;
    NEW.first_connected_at := coalesce(NEW.first_connected_at, NEW.connected_at);
    NEW.pause_after := NULL;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_note_connection_insert BEFORE INSERT ON thaw.accounts
    FOR EACH ROW WHEN (NEW.status = 'connected') EXECUTE FUNCTION thaw.accounts_note_connection();
CREATE TRIGGER accounts_note_connection_update BEFORE UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (NEW.status = 'connected' AND OLD.status <> 'connected')
    EXECUTE FUNCTION thaw.accounts_note_connection();

-- Every loss that counts draws a number. The difference between two numbers is an upper bound for
-- the losses in between, without counting rows. A loss that is rolled back leaves a gap.
CREATE SEQUENCE thaw.losses_seq;
SELECT setval('thaw.losses_seq', 1);

-- Records every loss, by signal or by UPDATE: the monitor of safety mode counts recently lost
-- accounts. For a flapping account only the first losses count, so that a few such accounts do not
-- keep the whole fleet in safety mode.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_note_disconnection() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.disconnected_at := thaw.now();
    NEW.flaps := (thaw.now() || OLD.flaps)[1:greatest((SELECT s.flap_limit FROM thaw.settings AS s), 1)];
    IF NOT thaw.is_flapping(NEW.flaps) THEN
        NEW.lost_at := thaw.now();
        PERFORM nextval('thaw.losses_seq');
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_note_disconnection BEFORE UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (OLD.status = 'connected' AND NEW.status <> 'connected')
    EXECUTE FUNCTION thaw.accounts_note_disconnection();

-- Every writer can extend a hold; only thaw.correct_hold can shorten one.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_keep_hold() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- thaw.correct_hold or thaw.undo has recorded the change in this transaction.
    IF EXISTS (
        SELECT FROM thaw.manual_actions AS d
        WHERE d.account_id = NEW.id AND d.at = thaw.now() AND d.until IS NOT DISTINCT FROM NEW.hold_until
            AND (d.what = 'hold_corrected' OR d.what = 'undone' AND EXISTS (
                SELECT FROM thaw.manual_actions AS hold WHERE hold.id = d.undoes AND hold.what IN ('held', 'hold_corrected'))))
        -- thaw.erase_prospect removes the name of a person from the reason.
        OR NEW.hold_until = OLD.hold_until AND EXISTS (
            SELECT FROM thaw.manual_actions AS d WHERE d.what = 'prospect_erased' AND d.at = thaw.now())
    THEN
        RETURN NEW;
    END IF;
    IF NEW.hold_until IS NULL OR NEW.hold_until < OLD.hold_until
        OR (NEW.hold_until = OLD.hold_until AND NEW.hold_reason IS DISTINCT FROM OLD.hold_reason)
    THEN
        RAISE EXCEPTION 'account "%" is on hold until %', OLD.provider_account_id,
            thaw.job_time(OLD.hold_until)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_hold_is_never_shortened', TABLE = 'accounts', SCHEMA = 'thaw',
                HINT = 'Set a later end. An operator can correct a mistaken hold with thaw hold --correct or thaw.correct_hold.';
    END IF;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_keep_hold BEFORE UPDATE OF hold_until, hold_reason ON thaw.accounts
    FOR EACH ROW WHEN (OLD.hold_until > thaw.now()) EXECUTE FUNCTION thaw.accounts_keep_hold();

-- Search finds workspaces, accounts and campaigns by the start of their keys, and by words of their
-- names. The indexes on keys compare bytes, so that a prefix is a range on every server. All these
-- columns hardly ever change, so a signal still updates no index.
--
-- The end of such a range: the prefix followed by the greatest character. chr() and not an escaped
-- literal, whose meaning depends on server settings.
-- +goose StatementBegin
CREATE FUNCTION thaw.end_of_range(beginning text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN end_of_range.beginning || chr(1114111);
-- +goose StatementEnd

-- A name as people type it: lower case, without accents and apostrophes, one space between words.
-- "Zoë  O’Brien" is "zoe obrien". The first 400 characters count, so that every name fits into an
-- index.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_key(text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN btrim(regexp_replace(regexp_replace(
    replace(replace(replace(translate(lower(normalize(left(search_key.text, 400), NFKD)),
        chr(322) || chr(321) || chr(248) || chr(216) || chr(273) || chr(272) || chr(305), 'lloodd' || 'i'),
        chr(223), 'ss'), chr(230), 'ae'), chr(339), 'oe'),
    $re$['`\u00b4\u0300-\u036f\u02b9-\u02bc\u2018-\u201b\u2032\u200b-\u200f\u00ad\ufeff]+$re$, '', 'g'),
    $re$[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+$re$, ' ', 'g'));
-- +goose StatementEnd

-- The words of a key and a name, for an index.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_words(key text, name text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_tsvector(string_to_array(
    btrim(thaw.search_key(search_words.key) || ' ' || thaw.search_key(search_words.name)), ' '));
-- +goose StatementEnd

-- Each word of a text as the start of a word. Null if the text has no word: then nothing is found.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_query(text text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg(quote_literal(w.word) || ':*', ' & ')::tsquery
    FROM unnest(string_to_array(thaw.search_key(search_query.text), ' ')) AS w (word) WHERE w.word <> '');
-- +goose StatementEnd
-- The platform's own IDs. Lookups without a workspace start with the ID, so it is the first column.
CREATE UNIQUE INDEX workspaces_external_id_key ON thaw.workspaces (external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX accounts_external_id_key ON thaw.accounts (external_id, workspace_id) WHERE external_id IS NOT NULL;
CREATE INDEX workspaces_key_search_idx ON thaw.workspaces (lower(key) COLLATE "C");
CREATE INDEX workspaces_words_idx ON thaw.workspaces USING gin (thaw.search_words(key, name));
CREATE INDEX accounts_id_search_idx ON thaw.accounts (lower(provider_account_id) COLLATE "C");
CREATE INDEX accounts_words_idx ON thaw.accounts USING gin (thaw.search_words(provider_account_id, display_name));

-- Finds siblings by member, also in other workspaces: explanations name those.
CREATE INDEX accounts_member_idx ON thaw.accounts (member_id, provider, workspace_id) WHERE member_id IS NOT NULL;
-- The sweep requeues pause jobs that were cancelled.
CREATE INDEX accounts_pause_due_idx ON thaw.accounts (pause_after) WHERE pause_after IS NOT NULL;
-- Finds linked accounts.
CREATE INDEX accounts_link_idx ON thaw.accounts (link_id, workspace_id) WHERE link_id IS NOT NULL;
-- The monitor of safety mode counts recently lost accounts.
CREATE INDEX accounts_lost_idx ON thaw.accounts (lost_at) WHERE lost_at IS NOT NULL;
-- Accounts whose recovery is still to be reported, by the end of their flapping period.
CREATE INDEX accounts_recovering_idx ON thaw.accounts (resume_after)
    WHERE needs_reconnect_at IS NOT NULL AND status = 'connected';
-- Accounts stuck connecting: see thaw.is_stuck.
CREATE INDEX accounts_connecting_idx ON thaw.accounts (coalesce(status_at, created_at)) WHERE status = 'connecting';

-- Whether an account is stuck: connecting it began over an hour ago and did not finish.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_stuck(account thaw.accounts) RETURNS boolean LANGUAGE sql STABLE
RETURN account.status = 'connecting' AND coalesce(account.status_at, account.created_at) < thaw.now() - interval '1 hour';
-- +goose StatementEnd

CREATE TABLE thaw.campaigns (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id      bigint NOT NULL REFERENCES thaw.workspaces (id),
    key               text NOT NULL CHECK (key <> ''),
    name              text NOT NULL DEFAULT '',
    status            thaw.campaign_status NOT NULL DEFAULT 'draft',
    paused_reason     thaw.pause_reason,
    paused_at         timestamptz,
    waits_for_account boolean NOT NULL GENERATED ALWAYS AS (thaw.waits_for_account(paused_reason)) STORED,
    created_at        timestamptz NOT NULL DEFAULT thaw.now(),
    external_id       text,
    UNIQUE (workspace_id, key),
    UNIQUE (workspace_id, id),
    CONSTRAINT campaigns_key_is_visible CHECK (thaw.is_visible(key)),
    CONSTRAINT campaigns_external_id_is_visible CHECK (thaw.is_visible(external_id) AND length(external_id) BETWEEN 1 AND 200),
    CONSTRAINT campaigns_paused_has_a_reason CHECK (
        (status = 'paused') = (paused_reason IS NOT NULL) AND (status = 'paused') = (paused_at IS NOT NULL))
);
COMMENT ON TABLE thaw.campaigns IS 'A sequence of steps, as its author wrote it.';
COMMENT ON COLUMN thaw.campaigns.external_id IS
    'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.campaigns.waits_for_account IS
    'Whether the campaign is paused for an account reason (thaw.waits_for_account). Thaw resumes rows automatically only after such a reason.';

-- The platform may write deprecated reasons. The condition is checked only for inserts, and for
-- updates that set the reason: the step of a prospect moves on without it.
-- +goose StatementBegin
CREATE FUNCTION thaw.store_current_reason() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.paused_reason := thaw.current_reason(NEW.paused_reason);
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER campaigns_store_current_reason BEFORE INSERT OR UPDATE OF paused_reason ON thaw.campaigns
    FOR EACH ROW WHEN (NEW.paused_reason <> thaw.current_reason(NEW.paused_reason))
    EXECUTE FUNCTION thaw.store_current_reason();

CREATE UNIQUE INDEX campaigns_external_id_key ON thaw.campaigns (external_id, workspace_id) WHERE external_id IS NOT NULL;
CREATE INDEX campaigns_key_search_idx ON thaw.campaigns (lower(key) COLLATE "C");
CREATE INDEX campaigns_words_idx ON thaw.campaigns USING gin (thaw.search_words(key, name));
CREATE INDEX campaigns_waiting_idx ON thaw.campaigns (id) WHERE waits_for_account;

CREATE TABLE thaw.enrollments (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id      bigint NOT NULL,
    campaign_id       bigint NOT NULL,
    account_id        bigint,
    step              integer NOT NULL DEFAULT 0 CHECK (step >= 0),
    status            thaw.enrollment_status NOT NULL DEFAULT 'pending',
    paused_reason     thaw.pause_reason,
    paused_at         timestamptz,
    next_action_at    timestamptz,
    waits_for_account boolean NOT NULL GENERATED ALWAYS AS (thaw.waits_for_account(paused_reason)) STORED,
    -- In the order of bytes on every server, so that the beginnings of a URL are a range of its
    -- index.
    prospect_url      text COLLATE "C" NOT NULL CHECK (prospect_url <> ''),
    created_at        timestamptz NOT NULL DEFAULT thaw.now(),
    external_id       text,
    own_reason        text CHECK (length(own_reason) <= 1000),
    FOREIGN KEY (workspace_id, campaign_id) REFERENCES thaw.campaigns (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts (workspace_id, id),
    CONSTRAINT enrollments_external_id_is_visible CHECK (thaw.is_visible(external_id) AND length(external_id) BETWEEN 1 AND 200),
    CONSTRAINT enrollments_prospect_url_is_visible CHECK (thaw.is_visible(prospect_url)),
    CONSTRAINT enrollments_paused_has_a_reason CHECK (
        (status = 'paused') = (paused_reason IS NOT NULL) AND (status = 'paused') = (paused_at IS NOT NULL)),
    CONSTRAINT enrollments_reason_is_of_enrollment CHECK (NOT thaw.is_of_campaigns(paused_reason))
-- A pause and a resume change indexed columns and so write to all indexes. The most frequent
-- update, moving on to the next step, changes none: with some free space in the page it is a HOT
-- update. Vacuum starts after 2% of the table has changed and not after the default 20%: a pass
-- looks for its next rows where the last ones were, among dead entries.
) WITH (fillfactor = 95, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE thaw.enrollments IS 'One prospect in one campaign on one account, at a step.';
COMMENT ON COLUMN thaw.enrollments.account_id IS
    'Null: no account is assigned yet. No account pauses or resumes such a row, and the counts of paused prospects do not include it.';
COMMENT ON COLUMN thaw.enrollments.external_id IS
    'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.enrollments.own_reason IS
    'Why the platform paused the prospect, in its own words. Shown while paused_reason is paused_by_user; cleared when the pause ends.';
COMMENT ON COLUMN thaw.enrollments.waits_for_account IS
    'Whether the enrollment is paused for an account reason (thaw.waits_for_account). Thaw resumes rows automatically only after such a reason.';

-- Not unique: a platform may have a prospect twice in a campaign (imported twice from a CRM), and
-- its insert must not fail. The prospect is the first column, so that this index also finds a
-- prospect in all of its campaigns.
CREATE INDEX enrollments_prospect_idx ON thaw.enrollments (prospect_url, campaign_id);
CREATE UNIQUE INDEX enrollments_external_id_key ON thaw.enrollments (external_id, workspace_id) WHERE external_id IS NOT NULL;
-- For an account this index gives the campaigns with waiting prospects (a loose scan over
-- campaign_id) and the next prospects of each (paused_at, id). Prospects in a campaign that does
-- not run are in a range of their own, which no scan reads.
CREATE INDEX enrollments_paused_idx ON thaw.enrollments (waits_for_account, account_id, campaign_id, paused_at, id)
    INCLUDE (paused_reason) WHERE status = 'paused';
CREATE TRIGGER enrollments_store_current_reason BEFORE INSERT OR UPDATE OF paused_reason ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.paused_reason <> thaw.current_reason(NEW.paused_reason))
    EXECUTE FUNCTION thaw.store_current_reason();

-- Finds the rows that a disconnect pauses.
CREATE INDEX enrollments_active_idx ON thaw.enrollments (account_id, campaign_id, id) WHERE status = 'active';
-- Finds the prospects that have not started and move away from an account that is gone.
CREATE INDEX enrollments_pending_idx ON thaw.enrollments (account_id, campaign_id, id) WHERE status = 'pending';

-- The rows that a name identifies: a key, a provider account ID or a URL or, if none has it, the
-- platform's own ID. Commands, the API, pages and SQL functions all call these functions, so a name
-- means the same everywhere. The caller limits the workspaces, and refuses a name that several rows
-- have. They have no SET clause, so that the planner can inline them.
-- +goose StatementBegin
CREATE FUNCTION thaw.workspaces_named(
    p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT w.id FROM thaw.workspaces AS w WHERE w.key = p_name AND w.id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT w.id FROM thaw.workspaces AS w
    WHERE w.external_id = p_name AND w.id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT EXISTS (
            SELECT FROM thaw.workspaces AS k WHERE k.key = p_name AND k.id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_named(
    p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    -- By the index of the search.
    SELECT a.id FROM thaw.accounts AS a
    WHERE lower(a.provider_account_id) COLLATE "C" = lower(p_name) COLLATE "C" AND a.provider_account_id = p_name
        AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT a.id FROM thaw.accounts AS a
    WHERE a.external_id = p_name AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT EXISTS (
            SELECT FROM thaw.accounts AS k
            WHERE lower(k.provider_account_id) COLLATE "C" = lower(p_name) COLLATE "C" AND k.provider_account_id = p_name
                AND k.workspace_id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.campaigns_named(p_name text, p_workspace_id bigint) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = p_workspace_id AND c.key = p_name
    UNION ALL
    SELECT c.id FROM thaw.campaigns AS c
    WHERE c.workspace_id = p_workspace_id AND c.external_id = p_name
        AND NOT EXISTS (SELECT FROM thaw.campaigns AS k WHERE k.workspace_id = p_workspace_id AND k.key = p_name);
END;
-- +goose StatementEnd

-- The enrollments of several prospects, each given as the URLs or the ID under which it may be
-- known.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_named(
    p_names text[], p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    SELECT e.id FROM thaw.enrollments AS e
    WHERE e.prospect_url = ANY (p_names) AND e.workspace_id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT e.id FROM thaw.enrollments AS e
    WHERE e.external_id = ANY (p_names) AND e.workspace_id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT e.prospect_url = ANY (p_names)
        AND NOT EXISTS (
            SELECT FROM thaw.enrollments AS k
            WHERE k.prospect_url = e.external_id AND k.workspace_id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- own_reason is about the current pause. A writer that changes the pause and does not set another
-- own_reason has not given one, so the old text must not be shown for the new pause.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_end_own_reason() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.own_reason := NULL;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_end_own_reason BEFORE UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.own_reason = OLD.own_reason AND NEW.paused_reason IS DISTINCT FROM OLD.paused_reason)
    EXECUTE FUNCTION thaw.enrollments_end_own_reason();

-- +goose Down
DROP FUNCTION thaw.is_stuck(thaw.accounts);
DROP FUNCTION thaw.account_cap(bigint);
DROP FUNCTION thaw.account_cap(thaw.workspaces, thaw.settings);
DROP FUNCTION thaw.enrollments_named(text[], bigint, bigint);
DROP FUNCTION thaw.campaigns_named(text, bigint);
DROP FUNCTION thaw.accounts_named(text, bigint, bigint);
DROP FUNCTION thaw.workspaces_named(text, bigint, bigint);
DROP TABLE thaw.enrollments, thaw.campaigns, thaw.account_products, thaw.accounts, thaw.workspaces, thaw.safety;
DROP FUNCTION thaw.store_current_reason();
DROP FUNCTION thaw.enrollments_end_own_reason();
DROP FUNCTION thaw.search_query(text);
DROP FUNCTION thaw.search_words(text, text);
DROP FUNCTION thaw.search_key(text);
DROP FUNCTION thaw.end_of_range(text);
DROP FUNCTION thaw.accounts_keep_hold();
DROP FUNCTION thaw.accounts_note_disconnection();
DROP FUNCTION thaw.accounts_note_connection();
DROP FUNCTION thaw.is_flapping(timestamptz[]);
DROP SEQUENCE thaw.losses_seq;
DROP FUNCTION thaw.job_time(timestamptz);
DROP FUNCTION thaw.tick(timestamptz);
DROP TABLE thaw.settings;
DROP FUNCTION thaw.is_visible(text);
DROP FUNCTION thaw.now();
DROP FUNCTION thaw.pause_reason_of(thaw.account_status);
DROP FUNCTION thaw.is_gone(thaw.account_status);
DROP FUNCTION thaw.is_transient(thaw.account_status);
DROP FUNCTION thaw.is_of_campaigns(thaw.pause_reason);
DROP FUNCTION thaw.waits_for_person(thaw.pause_reason);
DROP FUNCTION thaw.waits_for_account(thaw.pause_reason);
DROP FUNCTION thaw.pause_reasons();
DROP FUNCTION thaw.current_reason(thaw.pause_reason);
DROP TYPE thaw.pause_reason, thaw.enrollment_status, thaw.campaign_status, thaw.account_status;

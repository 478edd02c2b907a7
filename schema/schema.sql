CREATE SCHEMA thaw;
CREATE TYPE thaw.account_status AS ENUM (
    'connecting',
    'connected',
    'needs_verification',
    'disconnected',
    'restricted',
    'error',
    'removed'
);
CREATE TYPE thaw.account_tier AS ENUM (
    'free',
    'premium',
    'sales_navigator',
    'recruiter'
);
CREATE TYPE thaw.action_outcome AS ENUM (
    'sent',
    'already',
    'refused',
    'limited',
    'throttled',
    'account_lost',
    'restricted',
    'unknown',
    'released',
    'verified_sent',
    'verified_absent'
);
CREATE TYPE thaw.action_state AS ENUM (
    'reserved',
    'started',
    'sent',
    'already',
    'refused',
    'released',
    'expired',
    'unknown'
);
CREATE TYPE thaw.campaign_status AS ENUM (
    'draft',
    'running',
    'paused',
    'completed'
);
CREATE TYPE thaw.event_source AS ENUM (
    'signal',
    'sweep',
    'heal',
    'operator',
    'scheduler',
    'import',
    'platform'
);
CREATE TYPE thaw.cause AS (
	source thaw.event_source,
	tick_at timestamp with time zone,
	signal_id bigint,
	heal_id bigint,
	job_id bigint
);
CREATE TYPE thaw.delivery_state AS ENUM (
    'waiting',
    'delivered',
    'failed'
);
CREATE TYPE thaw.enrollment_status AS ENUM (
    'pending',
    'active',
    'paused',
    'completed',
    'replied',
    'failed',
    'removed'
);
CREATE TYPE thaw.event_kind AS ENUM (
    'paused',
    'resumed',
    'moved',
    'imported',
    'released',
    'changed',
    'settled'
);
CREATE TYPE thaw.heal_status AS ENUM (
    'running',
    'done',
    'stopped'
);
CREATE TYPE thaw.kept_change AS (
	external_id text,
	ids bigint[],
	change jsonb,
	was_parked boolean,
	attempts integer,
	first_at timestamp with time zone,
	place bigint,
	is_claimed boolean
);
CREATE TYPE thaw.lane AS ENUM (
    'sweep',
    'signal',
    'heal'
);
CREATE TYPE thaw.pause_reason AS ENUM (
    'account_disconnected',
    'account_issue',
    'account_restricted',
    'high_failure_rate',
    'subscription_inactive',
    'paused_by_user',
    'linkedin_account_disconnected',
    'linkedin_account_issue',
    'linkedin_high_failure_rate'
);
CREATE TYPE thaw.reservation AS (
	id bigint,
	code text,
	opens_at timestamp with time zone,
	kind text,
	step integer,
	lease_until timestamp with time zone
);
CREATE TYPE thaw.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);
CREATE TYPE thaw.signal_kind AS ENUM (
    'status',
    'login',
    'lock',
    'unlock'
);
CREATE TYPE thaw.signal_outcome AS ENUM (
    'applied',
    'duplicate',
    'stale',
    'unknown_account',
    'ignored'
);
CREATE TYPE thaw.taken AS (
	external_id text,
	change jsonb,
	kept_ids bigint[],
	was_parked boolean,
	row_id bigint,
	workspace_id bigint,
	campaign_id bigint,
	account_id bigint,
	is_shadow boolean,
	code text,
	problem text
);
CREATE FUNCTION thaw.account_cap(p_account_id bigint) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT thaw.account_cap(workspace, settings)
        FROM thaw.accounts AS account
        JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
        CROSS JOIN thaw.settings AS settings
        WHERE account.id = p_account_id);
END;
$$;
CREATE FUNCTION thaw.is_visible(text text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (text !~ '[\u0001-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|^[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]|[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]$'::text);
CREATE FUNCTION thaw.now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN now();
COMMENT ON FUNCTION thaw.now() IS 'The current time of Thaw: the start of the transaction, by the database clock.';
CREATE TABLE thaw.settings (
    only_row boolean DEFAULT true NOT NULL,
    tick interval DEFAULT '00:15:00'::interval NOT NULL,
    account_cap integer DEFAULT 200 NOT NULL,
    fleet_cap integer DEFAULT 2000 NOT NULL,
    signal_cap integer DEFAULT 2000 NOT NULL,
    jitter interval DEFAULT '00:15:00'::interval NOT NULL,
    grace_period interval DEFAULT '02:00:00'::interval NOT NULL,
    keep_history interval DEFAULT '400 days'::interval NOT NULL,
    keep_signals interval DEFAULT '30 days'::interval NOT NULL,
    safety_accounts integer DEFAULT 10 NOT NULL,
    safety_percent integer DEFAULT 20 NOT NULL,
    safety_window interval DEFAULT '00:10:00'::interval NOT NULL,
    safety_calm interval DEFAULT '00:30:00'::interval NOT NULL,
    safety_slow_percent integer DEFAULT 30 NOT NULL,
    safety_slow_window interval DEFAULT '06:00:00'::interval NOT NULL,
    flap_limit integer DEFAULT 3 NOT NULL,
    flap_wait interval DEFAULT '00:10:00'::interval NOT NULL,
    silence_factor integer DEFAULT 2 NOT NULL,
    changed_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    changed_by text,
    action_gap_from interval DEFAULT '00:01:00'::interval NOT NULL,
    action_gap_to interval DEFAULT '00:03:00'::interval NOT NULL,
    action_lease interval DEFAULT '00:10:00'::interval NOT NULL,
    pending_invites integer DEFAULT 500 NOT NULL,
    push_actions boolean DEFAULT false NOT NULL,
    CONSTRAINT settings_account_cap_check CHECK (((account_cap >= 1) AND (account_cap <= 1000000))),
    CONSTRAINT settings_action_gap_from_check CHECK (((action_gap_from >= '00:00:00'::interval) AND (action_gap_from <= '1 day'::interval))),
    CONSTRAINT settings_action_gap_is_a_range CHECK (((action_gap_to >= action_gap_from) AND (action_gap_to <= '1 day'::interval))),
    CONSTRAINT settings_action_lease_check CHECK (((action_lease >= '00:00:10'::interval) AND (action_lease <= '1 day'::interval))),
    CONSTRAINT settings_flap_limit_check CHECK (((flap_limit >= 0) AND (flap_limit <= 20))),
    CONSTRAINT settings_flap_wait_check CHECK (((flap_wait >= '00:00:00'::interval) AND (flap_wait <= '1 day'::interval))),
    CONSTRAINT settings_fleet_cap_check CHECK (((fleet_cap >= 1) AND (fleet_cap <= 10000000))),
    CONSTRAINT settings_grace_period_check CHECK (((grace_period >= '00:00:00'::interval) AND (grace_period <= '7 days'::interval))),
    CONSTRAINT settings_jitter_check CHECK (((jitter >= '00:00:00'::interval) AND (jitter <= '1 day'::interval))),
    CONSTRAINT settings_keep_history_check CHECK (((keep_history >= '2 days'::interval) AND (keep_history <= '36500 days'::interval))),
    CONSTRAINT settings_keep_signals_check CHECK (((keep_signals >= '2 days'::interval) AND (keep_signals <= '36500 days'::interval))),
    CONSTRAINT settings_only_row_check CHECK (only_row),
    CONSTRAINT settings_pending_invites_check CHECK (((pending_invites >= 0) AND (pending_invites <= 100000))),
    CONSTRAINT settings_safety_accounts_check CHECK (((safety_accounts >= 1) AND (safety_accounts <= 1000000))),
    CONSTRAINT settings_safety_calm_check CHECK (((safety_calm >= '00:01:00'::interval) AND (safety_calm <= '7 days'::interval))),
    CONSTRAINT settings_safety_percent_check CHECK (((safety_percent >= 1) AND (safety_percent <= 100))),
    CONSTRAINT settings_safety_slow_percent_check CHECK (((safety_slow_percent >= 1) AND (safety_slow_percent <= 100))),
    CONSTRAINT settings_safety_slow_window_check CHECK (((safety_slow_window >= '01:00:00'::interval) AND (safety_slow_window <= '7 days'::interval))),
    CONSTRAINT settings_safety_window_check CHECK (((safety_window >= '00:01:00'::interval) AND (safety_window <= '1 day'::interval))),
    CONSTRAINT settings_signal_cap_check CHECK (((signal_cap >= 1) AND (signal_cap <= 10000000))),
    CONSTRAINT settings_silence_factor_check CHECK (((silence_factor >= 0) AND (silence_factor <= 100))),
    CONSTRAINT settings_tick_check CHECK ((((tick >= '00:00:01'::interval) AND (tick <= '1 day'::interval)) AND (EXTRACT(epoch FROM tick) = floor(EXTRACT(epoch FROM tick)))))
);
COMMENT ON TABLE thaw.settings IS 'One row: the settings of the whole fleet.';
COMMENT ON COLUMN thaw.settings.action_gap_from IS 'The gap between any two actions of a sender is drawn between action_gap_from and action_gap_to.';
COMMENT ON COLUMN thaw.settings.action_lease IS 'How long a reservation lasts if it is not started, and how long a started action may take until its outcome counts as unknown.';
COMMENT ON COLUMN thaw.settings.pending_invites IS 'How many invites of a sender may be open: sent within 180 days, and neither accepted nor withdrawn.';
COMMENT ON COLUMN thaw.settings.push_actions IS 'Whether the job schedule reserves due actions and sends them as webhook action.due. If not, senders claim them (thaw.claim_actions).';
CREATE TABLE thaw.workspaces (
    id bigint NOT NULL,
    key text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    auto_resume boolean DEFAULT true NOT NULL,
    auto_resume_reason text,
    auto_resume_changed_at timestamp with time zone,
    auto_resume_changed_by text,
    heal_cap integer,
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    external_id text,
    shadow boolean DEFAULT false NOT NULL,
    CONSTRAINT workspaces_external_id_is_visible CHECK ((thaw.is_visible(external_id) AND ((length(external_id) >= 1) AND (length(external_id) <= 200)))),
    CONSTRAINT workspaces_heal_cap_check CHECK (((heal_cap >= 1) AND (heal_cap <= 10000000))),
    CONSTRAINT workspaces_key_check CHECK ((key <> ''::text)),
    CONSTRAINT workspaces_key_is_visible CHECK (thaw.is_visible(key)),
    CONSTRAINT workspaces_times_are_in_range CHECK ((((created_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (created_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((auto_resume_changed_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (auto_resume_changed_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))))
);
COMMENT ON TABLE thaw.workspaces IS 'A tenant of the platform.';
COMMENT ON COLUMN thaw.workspaces.heal_cap IS 'How many prospects per tick the heals started by the tenant may resume, regardless of the cap per account. Null: these heals keep the caps of the tick. Set by thaw.set_heal_cap.';
COMMENT ON COLUMN thaw.workspaces.external_id IS 'The ID of this row in the platform''s own table, as text. Unique. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.workspaces.shadow IS 'Whether the workspace is in shadow mode: Thaw follows the platform and shows what it would do, and changes nothing. Set by thaw.go_live and thaw.go_shadow.';
CREATE FUNCTION thaw.account_cap(p_workspace thaw.workspaces, p_settings thaw.settings) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN (p_settings).account_cap;
CREATE FUNCTION thaw.account_events_queue() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
BEGIN
    IF NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause)
    SELECT 'account', a.id, n.from_status, 'signal'
    FROM new_rows AS n
    JOIN thaw.accounts AS a ON a.id = n.account_id
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id AND NOT w.shadow
    WHERE a.external_id IS NOT NULL
    ORDER BY a.id, n.id;
    RETURN NULL;
END;
$$;
CREATE TABLE thaw.accounts (
    id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    provider text DEFAULT 'linkedin'::text NOT NULL,
    provider_account_id text NOT NULL,
    member_id text,
    display_name text DEFAULT ''::text NOT NULL,
    status thaw.account_status DEFAULT 'connecting'::thaw.account_status NOT NULL,
    last_error text,
    status_at timestamp with time zone,
    first_connected_at timestamp with time zone,
    connected_at timestamp with time zone,
    disconnected_at timestamp with time zone,
    reconnected_at timestamp with time zone,
    locked_at timestamp with time zone,
    locked_reason text,
    lock_status_at timestamp with time zone,
    link_id bigint,
    lost_at timestamp with time zone,
    flaps timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    resume_after timestamp with time zone,
    needs_reconnect_at timestamp with time zone,
    pause_after timestamp with time zone,
    hold_until timestamp with time zone,
    hold_reason text,
    timezone text,
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    external_id text,
    parked_reason text,
    tier thaw.account_tier DEFAULT 'free'::thaw.account_tier NOT NULL,
    tier_changed_at timestamp with time zone,
    restricted_at timestamp with time zone,
    CONSTRAINT accounts_connected_has_no_error CHECK (((status <> 'connected'::thaw.account_status) OR (last_error IS NULL))),
    CONSTRAINT accounts_connected_is_confirmed CHECK (((status <> 'connected'::thaw.account_status) OR (reconnected_at IS NULL))),
    CONSTRAINT accounts_connected_is_not_due_to_pause CHECK (((status <> 'connected'::thaw.account_status) OR (pause_after IS NULL))),
    CONSTRAINT accounts_external_id_is_visible CHECK ((thaw.is_visible(external_id) AND ((length(external_id) >= 1) AND (length(external_id) <= 200)))),
    CONSTRAINT accounts_hold_has_a_reason CHECK ((((hold_until IS NULL) = (hold_reason IS NULL)) AND (hold_reason <> ''::text))),
    CONSTRAINT accounts_last_error_check CHECK ((length(last_error) <= 1000)),
    CONSTRAINT accounts_link_is_to_another CHECK ((link_id <> id)),
    CONSTRAINT accounts_lock_has_a_reason CHECK ((((locked_at IS NULL) = (locked_reason IS NULL)) AND (locked_reason <> ''::text) AND (length(locked_reason) <= 1000))),
    CONSTRAINT accounts_member_id_check CHECK ((member_id <> ''::text)),
    CONSTRAINT accounts_member_id_is_visible CHECK (thaw.is_visible(member_id)),
    CONSTRAINT accounts_parked_has_a_reason CHECK (((length(parked_reason) >= 1) AND (length(parked_reason) <= 1000))),
    CONSTRAINT accounts_provider_account_id_check CHECK ((provider_account_id <> ''::text)),
    CONSTRAINT accounts_provider_account_id_is_visible CHECK (thaw.is_visible(provider_account_id)),
    CONSTRAINT accounts_provider_check CHECK ((provider <> ''::text)),
    CONSTRAINT accounts_times_are_in_range CHECK ((((status_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (status_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((first_connected_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (first_connected_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((connected_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (connected_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((disconnected_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (disconnected_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((pause_after >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (pause_after <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((hold_until >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (hold_until <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((created_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (created_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))))
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.accounts IS 'One login ("seat") at the provider.';
COMMENT ON COLUMN thaw.accounts.member_id IS 'The person behind the account. It stays the same when that person connects again as a new account.';
COMMENT ON COLUMN thaw.accounts.status_at IS 'The time of the status in the newest applied signal. Null: no signal was applied yet.';
COMMENT ON COLUMN thaw.accounts.disconnected_at IS 'When the account last lost its connection. Null: never. A reconnect does not clear it.';
COMMENT ON COLUMN thaw.accounts.reconnected_at IS 'When the login succeeded, while the provider has not yet confirmed that the account works. Null: no confirmation is pending.';
COMMENT ON COLUMN thaw.accounts.locked_at IS 'Since when the provider has locked the account. Null: it is not locked. The lock is independent of the status: nothing is resumed through a locked account, even if it is connected.';
COMMENT ON COLUMN thaw.accounts.lock_status_at IS 'The time of the last applied lock or unlock signal.';
COMMENT ON COLUMN thaw.accounts.link_id IS 'The first account of a group that is linked as one person, in addition to accounts with the same member_id. Null: the account is itself the first, or it has no link.';
COMMENT ON COLUMN thaw.accounts.lost_at IS 'The last connection loss that counts for safety mode. Losses of a flapping account do not count.';
COMMENT ON COLUMN thaw.accounts.flaps IS 'The times of the latest connection losses, newest first: as many as settings.flap_limit, at least one.';
COMMENT ON COLUMN thaw.accounts.resume_after IS 'If the account is flapping: the time until which it must stay connected before prospects resume through it. Null: it is not flapping.';
COMMENT ON COLUMN thaw.accounts.needs_reconnect_at IS 'When the message account.needs_reconnect was written for the current outage. Null: it was not.';
COMMENT ON COLUMN thaw.accounts.pause_after IS 'When the active enrollments of this account are due to be paused. Null: no pause is due.';
COMMENT ON COLUMN thaw.accounts.timezone IS 'The IANA time zone of the person behind the account, such as Europe/Berlin. Null: unknown. There is no default: with a wrong zone, the account would send at night.';
COMMENT ON COLUMN thaw.accounts.external_id IS 'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.accounts.parked_reason IS 'Why Thaw cannot tell what the platform knows about this account (thaw adopt). Nothing is resumed or sent through it. Null: it is not parked.';
COMMENT ON COLUMN thaw.accounts.tier IS 'The subscription of the account at the provider. It selects the caps of thaw.action_limits. The default has the lowest.';
COMMENT ON COLUMN thaw.accounts.tier_changed_at IS 'When tier last changed. Null: never. thaw verify compares later actions with it.';
COMMENT ON COLUMN thaw.accounts.restricted_at IS 'When the provider last restricted the account. Null: never. The ramp starts again at half its week then.';
CREATE FUNCTION thaw.block_reason(p_account thaw.accounts, p_is_safety_on boolean, p_is_auto_resume_on boolean, p_is_shadow boolean) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((p_account).status <> 'connected'::thaw.account_status) THEN 'account_not_connected'::text WHEN ((p_account).locked_at IS NOT NULL) THEN 'account_locked'::text WHEN ((p_account).parked_reason IS NOT NULL) THEN 'account_parked'::text WHEN ((p_account).hold_until > thaw.now()) THEN 'account_on_hold'::text WHEN p_is_safety_on THEN 'safety_mode'::text WHEN ((p_account).resume_after > thaw.now()) THEN 'account_flapping'::text WHEN (NOT p_is_auto_resume_on) THEN 'auto_resume_off'::text WHEN p_is_shadow THEN 'shadow_mode'::text ELSE NULL::text END;
CREATE FUNCTION thaw.account_gate(p_account thaw.accounts, p_is_safety_on boolean) RETURNS text
    LANGUAGE sql STABLE
    RETURN thaw.block_reason(p_account, p_is_safety_on, true, false);
CREATE FUNCTION thaw.account_gate_opens_at(p_account thaw.accounts, p_code text) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN CASE p_code WHEN 'account_on_hold'::text THEN (p_account).hold_until WHEN 'account_flapping'::text THEN (p_account).resume_after ELSE NULL::timestamp with time zone END;
CREATE FUNCTION thaw.accounts_apply_early_signals() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    early   bigint;
    account thaw.accounts;
BEGIN
    FOR early IN
        SELECT a.id FROM inserted AS a
        WHERE EXISTS (
            SELECT FROM thaw.account_signals AS s
            WHERE s.provider = a.provider AND s.provider_account_id = a.provider_account_id AND s.outcome = 'unknown_account')
        ORDER BY a.id
    LOOP
        SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = early FOR NO KEY UPDATE;
        PERFORM thaw.apply_kept_signals(account);
    END LOOP;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_bound_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.hold_until > thaw.now() + thaw.longest_hold() THEN
        RAISE EXCEPTION 'a hold must end within a year, not at %', thaw.job_time(NEW.hold_until)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_hold_is_within_a_year', TABLE = 'accounts', SCHEMA = 'thaw',
                HINT = 'Set an end within a year. An operator can set a later one with thaw hold --correct or thaw.correct_hold.';
    END IF;
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.accounts_keep_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION thaw.accounts_named(p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT '9223372036854775807'::bigint) RETURNS TABLE(id bigint)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
 SELECT a.id
    FROM thaw.accounts a
   WHERE (((lower(a.provider_account_id) COLLATE "C") = (lower(accounts_named.p_name) COLLATE "C")) AND (a.provider_account_id = accounts_named.p_name) AND ((a.workspace_id >= accounts_named.p_first_workspace) AND (a.workspace_id <= accounts_named.p_last_workspace)))
 UNION ALL
  SELECT a.id
    FROM thaw.accounts a
   WHERE ((a.external_id = accounts_named.p_name) AND ((a.workspace_id >= accounts_named.p_first_workspace) AND (a.workspace_id <= accounts_named.p_last_workspace)) AND (NOT (EXISTS ( SELECT
            FROM thaw.accounts k
           WHERE (((lower(k.provider_account_id) COLLATE "C") = (lower(accounts_named.p_name) COLLATE "C")) AND (k.provider_account_id = accounts_named.p_name) AND ((k.workspace_id >= accounts_named.p_first_workspace) AND (k.workspace_id <= accounts_named.p_last_workspace)))))));
END;
CREATE FUNCTION thaw.accounts_note_connection() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION thaw.accounts_note_disconnection() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION thaw.accounts_note_person() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.person_changes (account_id) VALUES (NEW.id);
    IF TG_OP = 'UPDATE' AND OLD.link_id IS NOT NULL AND OLD.link_id IS DISTINCT FROM NEW.link_id THEN
        INSERT INTO thaw.person_changes (account_id) VALUES (OLD.link_id);
    END IF;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_note_restriction() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.restricted_at := thaw.now();
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.accounts_note_tier() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.tier_changed_at := thaw.now();
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.accounts_nudge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge(NEW.id, thaw.now());
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_publish_flapping() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.publish('account.flapping', NEW.workspace_id, NEW.id, jsonb_build_object(
        'losses', cardinality(NEW.flaps), 'since', thaw.rfc3339(NEW.flaps[cardinality(NEW.flaps)]),
        'resume_after', thaw.rfc3339(NEW.resume_after)));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_publish_recovery() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.publish('account.recovered', NEW.workspace_id, NEW.id, jsonb_build_object(
        'since', thaw.rfc3339(OLD.disconnected_at), 'connected_at', thaw.rfc3339(NEW.connected_at)));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_release_actions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.account_id = NEW.id AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'account_not_connected');
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_to_look_at(p_limit integer, p_workspace_id bigint DEFAULT NULL::bigint) RETURNS TABLE(account_id bigint, place bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    at         timestamptz := thaw.now();
    bound      integer := greatest(2 * p_limit, 1000);
    accounts   bigint[];
    workspaces bigint[];
    times      timestamptz[];
    first      bigint;
BEGIN
    IF p_workspace_id IS NOT NULL THEN
        RETURN QUERY
        SELECT s.account_id, row_number() OVER (ORDER BY s.next_at, s.account_id) FROM thaw.sending_accounts AS s
        WHERE s.workspace_id = p_workspace_id AND s.next_at <= at AND s.next_at < 'infinity'
        ORDER BY s.next_at, s.account_id LIMIT p_limit;
        RETURN;
    END IF;
    SELECT array_agg(oldest.account_id), array_agg(oldest.workspace_id), array_agg(oldest.next_at) INTO accounts, workspaces, times
    FROM (
        SELECT s.account_id, s.workspace_id, s.next_at FROM thaw.sending_accounts AS s
        WHERE s.next_at <= at AND s.next_at < 'infinity'
        ORDER BY s.next_at LIMIT bound) AS oldest;
    IF cardinality(accounts) = bound THEN
        first := 1 + floor(thaw.draw(format('workspace %s', at)) * (SELECT max(w.id) FROM thaw.workspaces AS w));
        SELECT accounts || array_agg(other.account_id), workspaces || array_agg(other.workspace_id), times || array_agg(other.next_at)
        INTO accounts, workspaces, times
        FROM (
            WITH RECURSIVE visited AS (
                SELECT first - 1 AS id, 0 AS n
                UNION ALL
                -- The next workspace with an account that is due at some time; after the last one,
                -- the first.
                SELECT coalesce(
                    (SELECT s.workspace_id FROM thaw.sending_accounts AS s
                     WHERE s.workspace_id > visited.id AND s.next_at < 'infinity' ORDER BY s.workspace_id, s.next_at LIMIT 1),
                    (SELECT s.workspace_id FROM thaw.sending_accounts AS s WHERE s.next_at < 'infinity' ORDER BY s.workspace_id, s.next_at LIMIT 1)),
                    visited.n + 1
                FROM visited WHERE visited.n < 200
            ), workspace AS MATERIALIZED (
                SELECT DISTINCT v.id FROM visited AS v
                WHERE v.n > 0 AND (SELECT s.next_at FROM thaw.sending_accounts AS s WHERE s.workspace_id = v.id AND s.next_at < 'infinity' ORDER BY s.next_at LIMIT 1) <= at
            )
            SELECT s.account_id, s.workspace_id, s.next_at
            FROM workspace
            CROSS JOIN LATERAL (
                SELECT x.* FROM thaw.sending_accounts AS x
                WHERE x.workspace_id = workspace.id AND x.next_at <= at AND x.next_at < 'infinity'
                ORDER BY x.next_at LIMIT (SELECT 1 + p_limit / count(*) FROM workspace)) AS s) AS other;
    END IF;
    RETURN QUERY
    SELECT turn.account_id, row_number() OVER (ORDER BY turn.round, turn.next_at, turn.account_id)
    FROM (
        SELECT one.*, row_number() OVER (PARTITION BY one.workspace_id ORDER BY one.next_at, one.account_id) AS round
        FROM (SELECT DISTINCT due.account_id, due.workspace_id, due.next_at FROM unnest(accounts, workspaces, times) AS due (account_id, workspace_id, next_at)) AS one) AS turn
    ORDER BY turn.round, turn.next_at, turn.account_id LIMIT p_limit;
END;
$$;
CREATE FUNCTION thaw.accounts_write_history() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.account_events (account_id, at, from_status, to_status, last_error)
    VALUES (NEW.id, thaw.now(), OLD.status, NEW.status, NEW.last_error);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.accounts_write_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, until, before)
    VALUES ('held', session_user, NEW.hold_reason, NEW.workspace_id, NEW.id, NEW.hold_until, thaw.hold_of(OLD));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.act_on_campaign(p_what text, p_workspace_key text, p_campaign text, p_reason text, p_actor text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    campaign  thaw.campaigns;
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT c.* INTO campaign FROM thaw.campaigns AS c
    WHERE c.id = thaw.find_campaign(p_workspace_key, p_campaign) FOR NO KEY UPDATE;
    IF campaign.status NOT IN ('running', 'paused') THEN
        RAISE EXCEPTION 'campaign "%" is %', p_campaign, campaign.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a running campaign can be paused, and only a paused one can be resumed.';
    ELSIF campaign.paused_reason = 'subscription_inactive' THEN
        RAISE EXCEPTION 'campaign "%" is paused because the subscription is not active', p_campaign
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Billing starts it again when the subscription becomes active.';
    ELSIF p_what = 'paused' AND campaign.paused_reason = 'paused_by_user' OR p_what = 'resumed' AND campaign.status = 'running' THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    IF p_what = 'paused' THEN
        UPDATE thaw.campaigns AS c SET
            status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(c.paused_at, thaw.now())
        WHERE c.id = campaign.id;
    ELSE
        UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL WHERE c.id = campaign.id;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, campaign_id)
    VALUES (p_what, p_actor, p_reason, campaign.workspace_id, campaign.id)
    RETURNING d.id INTO action_id;
    INSERT INTO thaw.campaign_events (
        campaign_id, at, kind, source, from_status, to_status, reason, detail, action_id, from_reason)
    SELECT campaign.id, thaw.now(), p_what::thaw.event_kind, 'operator', campaign.status,
        CASE p_what WHEN 'paused' THEN 'paused' ELSE 'running' END::thaw.campaign_status,
        CASE p_what WHEN 'paused' THEN 'paused_by_user' ELSE campaign.paused_reason END,
        format('%s: %s', p_actor, p_reason), action_id, campaign.paused_reason;
    RETURN action_id;
END;
$$;
CREATE FUNCTION thaw.act_on_prospect(p_what text, p_prospect_url text, p_workspace_key text, p_campaign text, p_reason text, p_actor text, OUT action_id bigint, OUT changed integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    wanted      bigint[];
    locked      bigint[];
    urls        text[];
    workspaces  bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT array_agg(e.id), array_agg(DISTINCT e.prospect_url),
        CASE WHEN bool_or(e.prospect_url = p_prospect_url) THEN 1 ELSE count(DISTINCT e.workspace_id) END
    INTO wanted, urls, workspaces
    FROM thaw.enrollments_named(ARRAY[p_prospect_url]) AS named
    JOIN thaw.enrollments AS e ON e.id = named.id
    WHERE (p_workspace_key IS NULL OR e.workspace_id IN (SELECT w.id FROM thaw.workspaces_named(p_workspace_key) AS w))
        AND (p_campaign IS NULL OR e.campaign_id IN (SELECT c.id FROM thaw.campaigns_named(p_campaign, e.workspace_id) AS c));
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'no campaign has the prospect %', p_prospect_url
            USING ERRCODE = 'no_data_found', HINT = 'Use the URL as it was enrolled. thaw explain also finds other spellings.';
    ELSIF workspaces > 1 THEN
        RAISE EXCEPTION '% workspaces have a prospect with the platform''s ID "%"', workspaces, p_prospect_url
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the workspace too, or use the URL.';
    END IF;
    -- The audit log has the URL, also if the ID of the platform was given.
    p_prospect_url := urls[1];
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (SELECT e.account_id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted))
    ORDER BY a.id FOR NO KEY UPDATE;
    SELECT array_agg(claim.id) INTO locked FROM (
        SELECT e.id FROM thaw.enrollments AS e
        WHERE e.id = ANY (wanted)
            AND CASE p_what
                WHEN 'paused' THEN e.status IN ('pending', 'active')
                    OR e.status = 'paused' AND e.paused_reason <> 'paused_by_user'
                ELSE e.status = 'paused' AND NOT e.waits_for_account END
        ORDER BY e.id FOR NO KEY UPDATE) AS claim;
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, prospect_url, enrollments)
    VALUES (p_what, p_actor, p_reason, p_prospect_url, 0)
    RETURNING d.id INTO action_id;
    changed := thaw.apply_action(action_id, locked);
END;
$$;
CREATE FUNCTION thaw.action_gates(p_enrollment_ids bigint[], p_kinds text[], p_starting bigint[] DEFAULT NULL::bigint[], p_is_given_out boolean DEFAULT false) RETURNS TABLE(enrollment_id bigint, kind text, code text, opens_at timestamp with time zone, used integer, cap integer, workspace_id bigint, account_id bigint, campaign_id bigint, sender_id bigint, provider text, member_id text, prospect_url text, step integer, timezone text, day date, day_began_at timestamp with time zone, ramp_started_at timestamp with time zone, restricted_at timestamp with time zone, gap_from interval, gap_to interval, campaign_remaining integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := thaw.now();
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT e.id, e.status, e.workspace_id, e.account_id, e.campaign_id, e.prospect_url, e.step, e.next_action_at,
            campaign.status AS campaign_status, step.kind AS step_kind, coalesce(e.next_kind, step.kind) AS expected,
            coalesce(asked.kind, e.next_kind, step.kind) AS kind,
            EXISTS (SELECT FROM thaw.campaign_steps AS s WHERE s.campaign_id = e.campaign_id) AS has_steps,
            CASE WHEN coalesce(asked.kind, e.next_kind, step.kind) = 'invite' THEN thaw.prospect_key(e.prospect_url) END AS invited,
            account.provider, account.member_id,
            p_is_given_out AND (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = e.workspace_id) AS is_shadow
        FROM unnest(p_enrollment_ids, p_kinds) AS asked (id, kind)
        JOIN thaw.enrollments AS e ON e.id = asked.id
        JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
        LEFT JOIN thaw.accounts AS account ON account.id = e.account_id
        LEFT JOIN thaw.campaign_steps AS step ON step.campaign_id = e.campaign_id AND step.position = e.step
    ), gates AS MATERIALIZED (
        SELECT * FROM thaw.kind_gates(
            ARRAY(SELECT DISTINCT asked.account_id FROM asked WHERE asked.account_id IS NOT NULL),
            ARRAY(SELECT DISTINCT asked.kind FROM asked WHERE asked.kind IS NOT NULL), p_starting)
    ), facts AS MATERIALIZED (
        SELECT asked.*,
            -- Without a known kind there is no row of gates.
            CASE WHEN g.account_id IS NOT NULL THEN g.account_code
                ELSE (SELECT thaw.account_gate(a, thaw.is_safety_on()) FROM thaw.accounts AS a WHERE a.id = asked.account_id) END AS account_code,
            CASE WHEN g.account_id IS NOT NULL THEN g.account_opens_at
                ELSE (SELECT thaw.account_gate_opens_at(a, thaw.account_gate(a, thaw.is_safety_on())) FROM thaw.accounts AS a WHERE a.id = asked.account_id) END AS account_opens_at,
            g.sender_id, g.code AS kind_code, g.opens_at AS kind_opens_at, g.pending_code,
            g.timezone, g.day, g.day_began_at, g.day_ends_at, g.used_today, g.per_day, g.used_in_week, g.per_week, g.pending_invites,
            g.ramp_started_at, g.restricted_at, g.gap_from, g.gap_to, g.account_id IS NULL AS is_unlimited,
            own.per_day AS campaign_cap,
            CASE WHEN own.per_day IS NOT NULL THEN (
                SELECT count(*) FROM thaw.actions AS x
                WHERE x.campaign_id = asked.campaign_id AND x.kind = asked.kind AND x.local_day IN (g.day, g.day - 1) AND x.is_used
                    AND thaw.counts_into_campaign_day(g.day, x.local_day, x.timezone, x.used_at, x.state, at)
                    AND NOT x.id = ANY (coalesce(p_starting, '{}'))) END::integer AS campaign_used,
            (SELECT x.state FROM thaw.actions AS x
             WHERE x.enrollment_id = asked.id AND x.step = asked.step AND (x.is_used OR x.state = 'already')
                 AND NOT x.id = ANY (coalesce(p_starting, '{}'))
             LIMIT 1) AS done,
            pair.id AS pair_id, pair.closed_as = 'accepted' OR pair.error_code = 'already_connected' AS is_connected,
            withdrawn.closed_at AS withdrawn_at
        FROM asked
        LEFT JOIN gates AS g ON g.account_id = asked.account_id AND g.kind = asked.kind
        LEFT JOIN thaw.action_overrides AS own ON own.campaign_id = asked.campaign_id AND own.kind = asked.kind
        LEFT JOIN LATERAL (
            SELECT x.id, x.closed_as, x.error_code FROM thaw.actions AS x
            WHERE x.kind = 'invite' AND x.sender_id = g.sender_id AND thaw.prospect_key(x.prospect_url) = asked.invited
                AND (x.is_used OR x.state = 'already') AND (x.closed_as IS NULL OR x.closed_as = 'accepted')
                AND NOT x.id = ANY (coalesce(p_starting, '{}'))
            LIMIT 1) AS pair ON true
        LEFT JOIN LATERAL (
            SELECT max(x.closed_at) AS closed_at FROM thaw.actions AS x
            WHERE x.sender_id = g.sender_id AND thaw.prospect_key(x.prospect_url) = asked.invited AND x.closed_as = 'withdrawn') AS withdrawn ON true
    )
    SELECT facts.id, facts.kind, closed.code,
        CASE closed.code
            WHEN facts.account_code THEN facts.account_opens_at
            WHEN 'not_due' THEN facts.next_action_at
            WHEN 'campaign_cap' THEN CASE WHEN facts.campaign_cap > 0 THEN facts.day_ends_at END
            WHEN 'invite_withdrawn' THEN facts.withdrawn_at + interval '21 days'
            WHEN facts.kind_code THEN facts.kind_opens_at
        END,
        CASE closed.code WHEN 'daily_cap' THEN facts.used_today WHEN 'weekly_cap' THEN facts.used_in_week
            WHEN 'campaign_cap' THEN facts.campaign_used WHEN 'pending_invites' THEN facts.pending_invites END,
        CASE closed.code WHEN 'daily_cap' THEN facts.per_day WHEN 'weekly_cap' THEN facts.per_week
            WHEN 'campaign_cap' THEN facts.campaign_cap WHEN 'pending_invites' THEN facts.pending_invites END,
        facts.workspace_id, facts.account_id, facts.campaign_id, facts.sender_id, facts.provider, facts.member_id, facts.prospect_url, facts.step,
        facts.timezone, facts.day, facts.day_began_at, facts.ramp_started_at, facts.restricted_at, facts.gap_from, facts.gap_to,
        facts.campaign_cap - facts.campaign_used
    FROM facts
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN facts.account_id IS NULL THEN 'no_account'
            WHEN facts.status <> 'active' THEN 'not_active'
            WHEN facts.account_code IS NOT NULL THEN facts.account_code
            WHEN facts.campaign_status <> 'running' THEN 'campaign_not_running'
            WHEN facts.kind IS NULL OR (facts.expected IS NOT NULL OR facts.has_steps) AND facts.kind IS DISTINCT FROM facts.expected THEN 'no_such_step'
            WHEN facts.done IS NOT NULL THEN CASE facts.done
                WHEN 'reserved' THEN 'already_reserved' WHEN 'started' THEN 'already_started' WHEN 'unknown' THEN 'already_unknown' ELSE 'already_sent' END
            WHEN facts.is_shadow THEN 'shadow_mode'
            WHEN facts.next_action_at > at AND p_starting IS NULL THEN 'not_due'
            WHEN facts.is_unlimited THEN 'limits_missing'
            WHEN facts.kind_code IS NOT NULL THEN facts.kind_code
            WHEN facts.campaign_used >= facts.campaign_cap THEN 'campaign_cap'
            WHEN facts.pending_code IS NOT NULL THEN facts.pending_code
            WHEN facts.pair_id IS NOT NULL THEN CASE WHEN facts.is_connected THEN 'already_connected' ELSE 'already_invited' END
            WHEN facts.withdrawn_at > at - interval '21 days' THEN 'invite_withdrawn'
        END AS code) AS closed;
END;
$$;
COMMENT ON FUNCTION thaw.action_gates(p_enrollment_ids bigint[], p_kinds text[], p_starting bigint[], p_is_given_out boolean) IS 'The first closed gate of an action for each of the given enrollments, with the time at which it opens. code null: the action may be done now. Shadow mode is a gate only with p_is_given_out.';
CREATE FUNCTION thaw.action_holds_keep() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (TG_OP = 'DELETE' OR NEW.until < OLD.until) AND NOT EXISTS (
        SELECT FROM thaw.manual_actions AS a
        WHERE a.account_id = OLD.account_id AND a.at = thaw.now() AND a.what = 'kind_hold_corrected' AND a.detail = OLD.kind)
        AND EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = OLD.account_id)
    THEN
        RAISE EXCEPTION 'the kind % is on hold until %', OLD.kind, thaw.job_time(OLD.until)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'action_holds_are_never_shortened', TABLE = 'action_holds', SCHEMA = 'thaw',
                HINT = 'Set a later end. An operator can correct a mistaken hold with thaw.correct_action_hold.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END;
$$;
CREATE FUNCTION thaw.action_holds_nudge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    -- The hold was of the person.
    PERFORM thaw.nudge(OLD.account_id, thaw.now()), thaw.nudge_siblings(OLD.sender_id, OLD.account_id);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.action_limits_note_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.changed_at := thaw.now();
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.actions_note_hours() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO thaw.action_hour_changes (hour)
        SELECT DISTINCT thaw.hour_of(a.settled_at) FROM old_rows AS a
        WHERE a.started_at IS NOT NULL AND a.settled_at > thaw.now() - interval '32 days';
    ELSE
        INSERT INTO thaw.action_hour_changes (hour) VALUES (thaw.hour_of(OLD.settled_at));
        IF thaw.hour_of(NEW.settled_at) <> thaw.hour_of(OLD.settled_at) THEN
            INSERT INTO thaw.action_hour_changes (hour) VALUES (thaw.hour_of(NEW.settled_at));
        END IF;
    END IF;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.is_of_campaigns(p_reason thaw.pause_reason) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((p_reason IS NOT NULL) AND (p_reason = ANY (ARRAY['high_failure_rate'::thaw.pause_reason, 'subscription_inactive'::thaw.pause_reason])));
CREATE FUNCTION thaw.waits_for_account(p_reason thaw.pause_reason) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((p_reason IS NOT NULL) AND (p_reason = ANY (ARRAY['account_disconnected'::thaw.pause_reason, 'account_issue'::thaw.pause_reason])));
CREATE TABLE thaw.enrollments (
    id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    account_id bigint,
    step integer DEFAULT 0 NOT NULL,
    status thaw.enrollment_status DEFAULT 'pending'::thaw.enrollment_status NOT NULL,
    paused_reason thaw.pause_reason,
    paused_at timestamp with time zone,
    next_action_at timestamp with time zone,
    waits_for_account boolean GENERATED ALWAYS AS (thaw.waits_for_account(paused_reason)) STORED NOT NULL,
    prospect_url text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    external_id text,
    own_reason text,
    next_kind text COLLATE pg_catalog."C",
    due_at timestamp with time zone GENERATED ALWAYS AS (
CASE
    WHEN ((status = 'active'::thaw.enrollment_status) AND (next_kind IS NOT NULL)) THEN next_action_at
    ELSE NULL::timestamp with time zone
END) STORED,
    CONSTRAINT enrollments_external_id_is_visible CHECK ((thaw.is_visible(external_id) AND ((length(external_id) >= 1) AND (length(external_id) <= 200)))),
    CONSTRAINT enrollments_next_kind_check CHECK ((next_kind ~ '^[a-z][a-z0-9_]{0,63}$'::text)),
    CONSTRAINT enrollments_own_reason_check CHECK ((length(own_reason) <= 1000)),
    CONSTRAINT enrollments_paused_has_a_reason CHECK ((((status = 'paused'::thaw.enrollment_status) = (paused_reason IS NOT NULL)) AND ((status = 'paused'::thaw.enrollment_status) = (paused_at IS NOT NULL)))),
    CONSTRAINT enrollments_prospect_url_check CHECK ((prospect_url <> ''::text)),
    CONSTRAINT enrollments_prospect_url_is_visible CHECK (thaw.is_visible(prospect_url)),
    CONSTRAINT enrollments_reason_is_of_enrollment CHECK ((NOT thaw.is_of_campaigns(paused_reason))),
    CONSTRAINT enrollments_step_check CHECK ((step >= 0)),
    CONSTRAINT enrollments_times_are_in_range CHECK ((((paused_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (paused_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((next_action_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (next_action_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((created_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (created_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))))
)
WITH (fillfactor='95', autovacuum_vacuum_scale_factor='0.02');
COMMENT ON TABLE thaw.enrollments IS 'One prospect in one campaign on one account, at a step.';
COMMENT ON COLUMN thaw.enrollments.account_id IS 'Null: no account is assigned yet. No account pauses or resumes such a row, and the counts of paused prospects do not include it.';
COMMENT ON COLUMN thaw.enrollments.waits_for_account IS 'Whether the enrollment is paused for an account reason (thaw.waits_for_account). Thaw resumes rows automatically only after such a reason.';
COMMENT ON COLUMN thaw.enrollments.external_id IS 'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
COMMENT ON COLUMN thaw.enrollments.own_reason IS 'Why the platform paused the prospect, in its own words. Shown while paused_reason is paused_by_user; cleared when the pause ends.';
COMMENT ON COLUMN thaw.enrollments.next_kind IS 'The kind of the next action, such as invite or message. Null: the platform decides it, and Thaw does not schedule the action.';
COMMENT ON COLUMN thaw.enrollments.due_at IS 'When Thaw may give out the next action: next_action_at of an active enrollment with a next_kind. Null for all others.';
CREATE FUNCTION thaw.active_campaigns(p_account_id bigint) RETURNS TABLE(campaign_id bigint)
    LANGUAGE sql STABLE ROWS 10
    BEGIN ATOMIC
 WITH RECURSIVE loose AS (
         ( SELECT e.campaign_id
            FROM thaw.enrollments e
           WHERE ((e.status = 'active'::thaw.enrollment_status) AND (e.account_id = active_campaigns.p_account_id))
           ORDER BY e.campaign_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT e.campaign_id
                    FROM thaw.enrollments e
                   WHERE ((e.status = 'active'::thaw.enrollment_status) AND (e.account_id = active_campaigns.p_account_id) AND (e.campaign_id > loose_1.campaign_id))
                   ORDER BY e.campaign_id
                  LIMIT 1) AS campaign_id
            FROM loose loose_1
           WHERE (loose_1.campaign_id IS NOT NULL)
         )
  SELECT loose.campaign_id
    FROM loose
   WHERE (loose.campaign_id IS NOT NULL);
END;
CREATE FUNCTION thaw.adopt_instance(name text, reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    recorded thaw.instance;
    was_copy boolean;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    IF adopt_instance.name IS NULL OR adopt_instance.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' THEN
        RAISE EXCEPTION '"%" is not a name for an instance', adopt_instance.name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A name has up to 63 letters, digits, dots, underscores and hyphens, such as staging.';
    END IF;
    PERFORM thaw.check_instance(adopt_instance.name);
    SELECT i.* INTO recorded FROM thaw.instance AS i FOR NO KEY UPDATE;
    was_copy := thaw.why_copy() IS NOT NULL;
    IF was_copy AND adopt_instance.name = recorded.name AND recorded.doubt IS NULL THEN
        RAISE WARNING 'instance % keeps its name: if the original still runs, both write messages with the same name', recorded.name;
    END IF;
    UPDATE thaw.instance AS i SET
        id = CASE WHEN was_copy THEN gen_random_uuid() ELSE i.id END, name = adopt_instance.name, doubt = NULL,
        system_identifier = here.system_identifier, database_name = here.database_name, database_oid = here.database_oid,
        timeline = thaw.this_timeline(), recorded_at = thaw.now(), seen_at = thaw.now()
    FROM thaw.this_database() AS here;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('instance_adopted', actor, adopt_instance.reason,
        CASE WHEN recorded.name = adopt_instance.name THEN recorded.name ELSE recorded.name || ' to ' || adopt_instance.name END);
    IF was_copy THEN
        -- Before safety mode ends, which writes a message of the new instance.
        UPDATE thaw.webhook_deliveries AS d SET
            state = 'failed', next_attempt_at = NULL, last_error = format('not sent: written before this database became instance %s', adopt_instance.name)
        FROM thaw.webhook_endpoints AS e
        WHERE d.endpoint_id = e.id AND d.state = 'waiting';
        IF (SELECT s.entered_by = 'instance' FROM thaw.safety AS s) THEN
            PERFORM thaw.exit_safety_mode(reason, actor);
        END IF;
    END IF;
    RETURN was_copy;
END;
$_$;
COMMENT ON FUNCTION thaw.adopt_instance(name text, reason text, actor text) IS 'Makes this database an instance of its own, or renames it. In a copy of a database, this ends safety mode; waiting messages of the original are not delivered. Returns true if it was a copy.';
CREATE FUNCTION thaw.counts_as_used(p_state thaw.action_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (p_state = ANY (ARRAY['reserved'::thaw.action_state, 'started'::thaw.action_state, 'sent'::thaw.action_state, 'unknown'::thaw.action_state]));
CREATE TABLE thaw.actions (
    id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    account_id bigint NOT NULL,
    sender_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    enrollment_id bigint NOT NULL,
    provider text NOT NULL,
    member_id text,
    prospect_url text NOT NULL COLLATE pg_catalog."C",
    step integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    state thaw.action_state DEFAULT 'reserved'::thaw.action_state NOT NULL,
    is_used boolean GENERATED ALWAYS AS (thaw.counts_as_used(state)) STORED NOT NULL,
    outcome thaw.action_outcome,
    actor text NOT NULL,
    reserved_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    lease_until timestamp with time zone,
    started_at timestamp with time zone,
    settled_at timestamp with time zone,
    used_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    local_day date NOT NULL,
    timezone text,
    gap interval NOT NULL,
    next_of_kind_at timestamp with time zone NOT NULL,
    provider_ref text,
    error_code text,
    closed_at timestamp with time zone,
    closed_as text,
    CONSTRAINT actions_actor_check CHECK (((actor <> ''::text) AND (length(actor) <= 256))),
    CONSTRAINT actions_closed_as_check CHECK ((closed_as = ANY (ARRAY['accepted'::text, 'withdrawn'::text, 'duplicate'::text]))),
    CONSTRAINT actions_error_code_check CHECK (((error_code <> ''::text) AND (length(error_code) <= 256))),
    CONSTRAINT actions_lease_is_of_open CHECK (((state = ANY (ARRAY['reserved'::thaw.action_state, 'started'::thaw.action_state])) = (lease_until IS NOT NULL))),
    CONSTRAINT actions_only_invites_close CHECK ((((closed_at IS NULL) = (closed_as IS NULL)) AND ((closed_as IS NULL) OR ((kind = 'invite'::text) AND ((closed_as = 'duplicate'::text) OR (state = ANY (ARRAY['sent'::thaw.action_state, 'already'::thaw.action_state, 'unknown'::thaw.action_state]))))))),
    CONSTRAINT actions_outcome_fits CHECK (
CASE state
    WHEN 'reserved'::thaw.action_state THEN (outcome IS NULL)
    WHEN 'started'::thaw.action_state THEN (outcome IS NULL)
    WHEN 'expired'::thaw.action_state THEN (outcome IS NULL)
    WHEN 'sent'::thaw.action_state THEN ((outcome = ANY (ARRAY['sent'::thaw.action_outcome, 'verified_sent'::thaw.action_outcome])) AND (outcome IS NOT NULL))
    WHEN 'already'::thaw.action_state THEN ((outcome = 'already'::thaw.action_outcome) AND (outcome IS NOT NULL))
    WHEN 'refused'::thaw.action_state THEN ((outcome = 'refused'::thaw.action_outcome) AND (outcome IS NOT NULL))
    WHEN 'unknown'::thaw.action_state THEN ((outcome IS NULL) OR (outcome = 'unknown'::thaw.action_outcome))
    ELSE ((outcome IS NULL) OR (outcome = ANY (ARRAY['released'::thaw.action_outcome, 'limited'::thaw.action_outcome, 'throttled'::thaw.action_outcome, 'account_lost'::thaw.action_outcome, 'restricted'::thaw.action_outcome, 'verified_absent'::thaw.action_outcome])))
END),
    CONSTRAINT actions_provider_ref_check CHECK (((provider_ref <> ''::text) AND (length(provider_ref) <= 256))),
    CONSTRAINT actions_settled_has_a_time CHECK (((state = ANY (ARRAY['reserved'::thaw.action_state, 'started'::thaw.action_state])) = (settled_at IS NULL))),
    CONSTRAINT actions_started_has_a_time CHECK (
CASE
    WHEN (state = ANY (ARRAY['started'::thaw.action_state, 'sent'::thaw.action_state, 'already'::thaw.action_state, 'refused'::thaw.action_state, 'unknown'::thaw.action_state])) THEN (started_at IS NOT NULL)
    WHEN (state = ANY (ARRAY['reserved'::thaw.action_state, 'expired'::thaw.action_state])) THEN (started_at IS NULL)
    ELSE true
END)
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.actions IS 'Every reservation of an action with what came of it. Caps are counted from these rows. The rows have no foreign keys to the fleet, as the history.';
COMMENT ON COLUMN thaw.actions.outcome IS 'What the sender reported. Null for expired, for released by a pause or a closed gate, and for unknown if no report came before the lease ended.';
COMMENT ON COLUMN thaw.actions.settled_at IS 'When the action ended. Not before started_at and reserved_at, also if this transaction began before that one.';
COMMENT ON COLUMN thaw.actions.local_day IS 'The local day of the sender on which the action was reserved or, once started, was started. One that is under way at midnight counts into the next day too.';
COMMENT ON COLUMN thaw.actions.timezone IS 'The time zone of the account when the action was reserved, or started.';
COMMENT ON COLUMN thaw.actions.gap IS 'The drawn gap to the next action of the sender.';
COMMENT ON COLUMN thaw.actions.closed_as IS 'For an invite: how it ended at the provider. duplicate: two senders turned out to be one person, and the other invite to the same prospect counts as the open one. Null: it is open.';
CREATE FUNCTION thaw.advance(p_action thaw.actions, p_next_kind text, p_next_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    next      thaw.campaign_steps;
    is_linear boolean := EXISTS (SELECT FROM thaw.campaign_steps AS s WHERE s.campaign_id = p_action.campaign_id);
    is_last   boolean;
BEGIN
    SELECT s.* INTO next FROM thaw.campaign_steps AS s WHERE s.campaign_id = p_action.campaign_id AND s.position = p_action.step + 1;
    is_last := is_linear AND next.kind IS NULL AND p_next_kind IS NULL;
    UPDATE thaw.enrollments AS e SET
        step = e.step + 1,
        next_kind = coalesce(p_next_kind, next.kind),
        -- A next kind without a time is due at once.
        next_action_at = coalesce(p_next_at, thaw.now() + next.delay, CASE WHEN p_next_kind IS NOT NULL THEN thaw.now() END),
        status = CASE WHEN is_last AND e.status IN ('active', 'paused') THEN 'completed' ELSE e.status END,
        paused_reason = CASE WHEN NOT is_last THEN e.paused_reason END, paused_at = CASE WHEN NOT is_last THEN e.paused_at END
    WHERE e.id = p_action.enrollment_id AND e.step = p_action.step;
END;
$$;
CREATE TABLE thaw.retention (
    part text NOT NULL,
    turn integer NOT NULL,
    kept_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    passed_id bigint DEFAULT 0 NOT NULL,
    walk_id bigint DEFAULT 0 NOT NULL,
    walk_tick timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    walk_began timestamp with time zone DEFAULT thaw.now() NOT NULL,
    age_column name DEFAULT 'at'::name NOT NULL
);
COMMENT ON TABLE thaw.retention IS 'The progress of retention: one row per table; turn is the processing order.';
COMMENT ON COLUMN thaw.retention.kept_since IS 'All rows younger than this are present. -infinity: nothing was removed yet.';
COMMENT ON COLUMN thaw.retention.passed_id IS 'The greatest id that a walk has passed. Retention has not removed any row with a greater id.';
COMMENT ON COLUMN thaw.retention.age_column IS 'The column of the table that has the age of a row. Tables by tick have it in tick_at.';
CREATE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamp with time zone, p_size integer) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    reached bigint;
    line    record;
BEGIN
    FOR line IN EXECUTE format('SELECT t.id, t.%I AS at FROM thaw.%I AS t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
        p_walk.age_column, p_walk.part)
        USING p_walk.walk_id, p_size
    LOOP
        EXIT WHEN line.at >= p_before;
        reached := line.id;
    END LOOP;
    RETURN reached;
END;
$_$;
CREATE FUNCTION thaw.affected_accounts(p_kinds text[]) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    ids bigint[];
BEGIN
    -- One probe of an index per account and status.
    ids := ARRAY(
        SELECT a.id FROM thaw.accounts AS a
        WHERE a.external_id IS NOT NULL
            AND ('accounts' = ANY (p_kinds)
                OR p_kinds && '{campaigns,enrollments}'::text[]
                    AND (EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'active' AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'pending' AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id = a.id))));
    RETURN QUERY
    SELECT unnest(ids)
    UNION
    SELECT s.sibling_id FROM thaw.siblings AS s WHERE s.account_id = ANY (ids);
END;
$$;
CREATE FUNCTION thaw.allows_resume(p_status thaw.campaign_status, p_waits_for_account boolean) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN ((p_status = 'running'::thaw.campaign_status) OR p_waits_for_account);
CREATE TABLE thaw.sending_windows (
    id bigint NOT NULL,
    workspace_id bigint,
    account_id bigint,
    weekdays smallint[] NOT NULL,
    opens time without time zone NOT NULL,
    closes time without time zone NOT NULL,
    timezone text,
    CONSTRAINT sending_windows_account_is_of_its_workspace CHECK (((account_id IS NULL) OR (workspace_id IS NOT NULL))),
    CONSTRAINT sending_windows_have_a_length CHECK ((opens <> closes)),
    CONSTRAINT sending_windows_opens_check CHECK ((opens < '24:00:00'::time without time zone)),
    CONSTRAINT sending_windows_timezone_check CHECK (((timezone <> ''::text) AND (length(timezone) <= 64))),
    CONSTRAINT sending_windows_weekdays_check CHECK (((weekdays <@ '{1,2,3,4,5,6,7}'::smallint[]) AND ((cardinality(weekdays) >= 1) AND (cardinality(weekdays) <= 7))))
);
COMMENT ON TABLE thaw.sending_windows IS 'When accounts send. The windows of an account replace those of its workspace, and these replace those of the fleet (workspace_id null). A window that closes at or before it opens closes on the next day.';
COMMENT ON COLUMN thaw.sending_windows.weekdays IS 'ISO weekdays on which the window opens: 1 is Monday.';
COMMENT ON COLUMN thaw.sending_windows.timezone IS 'IANA time zone of the window. Null: the time zone of the account. An account for which neither is known sends nothing.';
CREATE TABLE thaw.zones (
    key text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    CONSTRAINT zones_check CHECK ((key = lower(name))),
    CONSTRAINT zones_name_check CHECK ((name <> ''::text))
);
COMMENT ON TABLE thaw.zones IS 'The IANA time zones of this server, by lower-case name. Refreshed when a process starts (thaw.refresh_zones).';
CREATE FUNCTION thaw.applicable_windows(p_workspace_id bigint, p_account_id bigint, p_zone text) RETURNS TABLE(weekdays smallint[], opens time without time zone, closes time without time zone, timezone text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT w.weekdays,
     w.opens,
     w.closes,
         CASE
             WHEN (w.timezone IS NULL) THEN applicable_windows.p_zone
             ELSE ( SELECT z.name
                FROM thaw.zones z
               WHERE (z.key = (lower(w.timezone) COLLATE "C")))
         END AS name
    FROM (( SELECT
                 CASE
                     WHEN (EXISTS ( SELECT
                        FROM thaw.sending_windows x
                       WHERE ((x.workspace_id = applicable_windows.p_workspace_id) AND (x.account_id = applicable_windows.p_account_id)))) THEN 'account'::text
                     WHEN (EXISTS ( SELECT
                        FROM thaw.sending_windows x
                       WHERE ((x.workspace_id = applicable_windows.p_workspace_id) AND (x.account_id IS NULL)))) THEN 'workspace'::text
                     ELSE 'fleet'::text
                 END AS level
          OFFSET 0) owner
      CROSS JOIN LATERAL ( SELECT x.id,
             x.workspace_id,
             x.account_id,
             x.weekdays,
             x.opens,
             x.closes,
             x.timezone
            FROM thaw.sending_windows x
           WHERE ((owner.level = 'account'::text) AND (x.workspace_id = applicable_windows.p_workspace_id) AND (x.account_id = applicable_windows.p_account_id))
         UNION ALL
          SELECT x.id,
             x.workspace_id,
             x.account_id,
             x.weekdays,
             x.opens,
             x.closes,
             x.timezone
            FROM thaw.sending_windows x
           WHERE ((owner.level = 'workspace'::text) AND (x.workspace_id = applicable_windows.p_workspace_id) AND (x.account_id IS NULL))
         UNION ALL
          SELECT x.id,
             x.workspace_id,
             x.account_id,
             x.weekdays,
             x.opens,
             x.closes,
             x.timezone
            FROM thaw.sending_windows x
           WHERE ((owner.level = 'fleet'::text) AND (x.workspace_id IS NULL) AND (x.account_id IS NULL))) w);
END;
CREATE FUNCTION thaw.apply_accounts(p_rows jsonb, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    taken   thaw.taken[] := thaw.with_kept('account', p_rows, p_is_backfill);
    locked  bigint[];
    one     record;
    outcome text;
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, NULL, failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(a.id) AS id, min(a.workspace_id) AS workspace_id, count(*) AS n FROM thaw.accounts AS a
            WHERE a.external_id = t.external_id AND (NOT t.change ? 'workspace' OR a.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE known.id IS NULL AND a.external_id IS NULL AND a.workspace_id = workspace.id
                AND a.provider = coalesce(t.change ->> 'provider', 'linkedin') AND a.provider_account_id = t.change ->> 'provider_account_id') AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have an account with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ? 'workspace' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                WHEN known.id IS NULL AND linked.id IS NULL AND NOT t.change ? 'provider_account_id' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = t.row_id AND a.external_id IS NULL));
    END IF;
    INSERT INTO thaw.accounts (external_id, workspace_id, provider, provider_account_id, member_id, display_name, timezone, tier)
    SELECT t.external_id, t.workspace_id, coalesce(t.change ->> 'provider', 'linkedin'),
        coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id), nullif(t.change ->> 'member_id', ''),
        coalesce(t.change ->> 'name', ''), nullif(t.change ->> 'timezone', ''), coalesce(t.change ->> 'tier', 'free')::thaw.account_tier
    FROM unnest(taken) AS t
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;
    locked := thaw.lock_taken('thaw.accounts', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    UPDATE thaw.accounts AS a SET external_id = new.external_id, provider = new.provider, provider_account_id = new.provider_account_id,
        member_id = new.member_id, display_name = new.display_name, timezone = new.timezone, tier = new.tier, parked_reason = new.parked_reason
    FROM (
        SELECT t.row_id, t.external_id, coalesce(t.change ->> 'provider', old.provider) AS provider,
            CASE WHEN t.change ? 'provider_account_id' THEN coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id)
                ELSE old.provider_account_id END AS provider_account_id,
            CASE WHEN t.change ? 'member_id' THEN nullif(t.change ->> 'member_id', '') ELSE old.member_id END AS member_id,
            CASE WHEN t.change ? 'name' THEN coalesce(t.change ->> 'name', '') ELSE old.display_name END AS display_name,
            CASE WHEN t.change ? 'timezone' THEN nullif(t.change ->> 'timezone', '') ELSE old.timezone END AS timezone,
            CASE WHEN t.change ? 'tier' THEN coalesce(t.change ->> 'tier', 'free')::thaw.account_tier ELSE old.tier END AS tier,
            CASE WHEN NOT t.was_parked THEN old.parked_reason END AS parked_reason
        FROM unnest(taken) AS t JOIN thaw.accounts AS old ON old.id = t.row_id
        WHERE t.code IS NULL) AS new
    WHERE a.id = new.row_id
        AND (a.external_id, a.provider, a.provider_account_id, a.member_id, a.display_name, a.timezone, a.tier, a.parked_reason)
            IS DISTINCT FROM (new.external_id, new.provider, new.provider_account_id, new.member_id, new.display_name, new.timezone, new.tier, new.parked_reason);
    PERFORM thaw.give_ramps(array_agg(a.id ORDER BY a.id), array_agg((t.change ->> 'ramp_started_on')::date ORDER BY a.id))
    FROM unnest(taken) AS t
    JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
    WHERE t.code IS NULL AND t.change ->> 'ramp_started_on' IS NOT NULL
    HAVING count(*) > 0;
    FOR one IN
        SELECT a.*, word.status AS new_status
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (t.change ->> 'deleted')::boolean THEN 'removed' ELSE t.change ->> 'status' END::thaw.account_status AS status) AS word
        JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
        WHERE t.code IS NULL AND word.status <> a.status
        ORDER BY a.id
    LOOP
        -- Connecting replaces connected only with a time of its own, in a later second.
        outcome := thaw.signal(one.provider, one.provider_account_id, one.new_status::text,
            CASE WHEN one.new_status = 'connecting' AND one.status = 'connected' THEN greatest(thaw.now(), one.status_at + interval '1 second') END);
        IF outcome <> 'applied' THEN
            PERFORM thaw.queue_changes('account', ARRAY[one.id], one.new_status::text, 'signal');
        END IF;
    END LOOP;
    RETURN thaw.settle_taken('account', taken, p_is_backfill);
END;
$$;
CREATE FUNCTION thaw.apply_action(p_action_id bigint, p_enrollment_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action thaw.manual_actions;
    changed  integer;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH before AS (
        SELECT e.id, e.status, e.paused_reason FROM thaw.enrollments AS e WHERE e.id = ANY (p_enrollment_ids)
    ), written AS (
        UPDATE thaw.enrollments AS e SET
            status = 'paused',
            paused_reason = CASE action.what
                WHEN 'paused' THEN 'paused_by_user'::thaw.pause_reason ELSE 'account_issue' END,
            paused_at = coalesce(e.paused_at, thaw.now())
        FROM before
        WHERE e.id = before.id
        RETURNING e.id, e.step, e.account_id, e.paused_at, e.paused_reason AS now_reason, before.status, before.paused_reason
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail,
        action_id, from_reason)
    SELECT written.id, thaw.now(), written.account_id, written.account_id, written.step,
        CASE action.what WHEN 'paused' THEN 'paused' ELSE 'released' END::thaw.event_kind, 'operator', written.status, 'paused',
        CASE action.what WHEN 'paused' THEN written.now_reason ELSE written.paused_reason END, written.paused_at,
        format('%s: %s', action.actor, action.reason), p_action_id, written.paused_reason
    FROM written;
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    UPDATE thaw.manual_actions AS d SET enrollments = coalesce(d.enrollments, 0) + changed WHERE d.id = p_action_id;
    RETURN changed;
END;
$$;
CREATE FUNCTION thaw.apply_action_batch(p_action_id bigint, p_size integer, p_even_by_user boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action thaw.manual_actions;
    status   thaw.account_status;
    changed  integer;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    SELECT a.status INTO status FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    IF action.what = 'resumed' AND status = 'restricted' THEN
        RAISE EXCEPTION 'the account is still restricted' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Resume it after the provider reports it as connected again.';
    END IF;
    WITH claim AS (
        SELECT active.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE action.what = 'paused' AND e.account_id = action.account_id AND e.status = 'active'
            ORDER BY e.campaign_id, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS active
        UNION ALL
        SELECT waiting.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE action.what = 'paused' AND e.status = 'paused' AND e.waits_for_account AND e.account_id = action.account_id
            ORDER BY e.campaign_id, e.paused_at, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS waiting
        UNION ALL
        SELECT stopped.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id = action.account_id
                AND (e.paused_reason = 'account_restricted' OR action.what = 'resumed' AND p_even_by_user)
            ORDER BY e.campaign_id, e.paused_at, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS stopped
        LIMIT p_size)
    SELECT thaw.apply_action(p_action_id, array_agg(claim.id)) INTO changed FROM claim;
    RETURN changed;
END;
$$;
CREATE FUNCTION thaw.apply_campaigns(p_rows jsonb, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    taken  thaw.taken[] := thaw.with_kept('campaign', p_rows, p_is_backfill);
    locked bigint[];
    kept   bigint[];
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = coalesce(workspace.id, known.workspace_id)), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.external_id AND (NOT t.change ? 'workspace' OR c.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT c.id FROM thaw.campaigns AS c
            WHERE known.id IS NULL AND c.external_id IS NULL AND c.workspace_id = workspace.id AND c.key = coalesce(t.change ->> 'key', t.external_id)) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ?& '{workspace,status}'::text[] THEN ARRAY['unknown_row', 'a campaign that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = t.row_id AND c.external_id IS NULL));
    END IF;
    INSERT INTO thaw.campaigns (external_id, workspace_id, key, name, status, paused_reason, paused_at)
    SELECT t.external_id, t.workspace_id, coalesce((ruled.new).key, t.external_id), coalesce((ruled.new).name, ''), (ruled.new).status,
        (ruled.new).paused_reason, (ruled.new).paused_at
    FROM unnest(taken) AS t
    CROSS JOIN LATERAL thaw.taken_campaign(NULL, t.change, true, false) AS ruled
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;
    locked := thaw.lock_taken('thaw.campaigns', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, t.external_id, c AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.campaigns AS c ON c.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_campaign(c, t.change, t.is_shadow, t.was_parked) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.campaigns AS c SET external_id = ruled.external_id, key = (ruled.new).key, name = (ruled.new).name,
            status = (ruled.new).status, paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at
        FROM ruled
        WHERE c.id = ruled.row_id AND (ruled.new IS DISTINCT FROM ruled.old OR c.external_id IS DISTINCT FROM ruled.external_id)
    )
    SELECT array_agg(ruled.row_id) INTO kept FROM ruled WHERE ruled.verdict = 'keep';
    PERFORM thaw.queue_changes('campaign', kept, 'running', 'person');
    RETURN thaw.settle_taken('campaign', taken, p_is_backfill);
END;
$$;
CREATE FUNCTION thaw.apply_enrollments(p_rows jsonb, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    taken    thaw.taken[] := thaw.with_kept('enrollment', p_rows, p_is_backfill);
    locked   bigint[];
    kept     bigint[];
    requeued bigint[];
    usable   bigint[];
    role     text := 'in the platform''s table, by database role ' || session_user;
    -- Until then, a backfill may bring a row that was deleted after its snapshot. It is copied as
    -- removed, so that the same batch does not bring it again.
    is_complete boolean := (SELECT s.phase = 'running' FROM thaw.adopt_state AS s);
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, row.id, row.workspace_id, campaign.id, account.id,
            (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = row.workspace_id), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.change ->> 'campaign'
                AND (NOT t.change ? 'workspace' OR c.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS campaign
        CROSS JOIN LATERAL (
            SELECT min(e.id) AS id, min(e.workspace_id) AS workspace_id, count(*) AS n FROM thaw.enrollments AS e
            WHERE e.external_id = t.external_id
                AND (NOT t.change ? 'workspace' OR e.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS known
        -- A prospect that Thaw knew before the adoption has no ID of the platform yet.
        LEFT JOIN LATERAL (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE known.id IS NULL AND e.prospect_url = t.change ->> 'prospect_url' AND e.campaign_id = campaign.id AND e.external_id IS NULL
            ORDER BY e.id LIMIT 1) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(known.id, linked.id) AS id, coalesce(known.workspace_id, campaign.workspace_id) AS workspace_id) AS row
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = t.change ->> 'account' AND a.workspace_id = row.workspace_id) AS account ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a prospect with ID %s', known.n, t.external_id)]
                WHEN campaign.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', campaign.n, t.change ->> 'campaign')]
                WHEN row.id IS NULL AND (t.change ->> 'deleted')::boolean AND is_complete
                    THEN NULL -- inserted and deleted again
                WHEN row.id IS NULL AND NOT t.change ?& '{campaign,status,prospect_url}'::text[]
                    THEN ARRAY['unknown_row', 'a prospect that was never inserted changed']
                WHEN t.change ? 'campaign' AND campaign.id IS NULL
                    THEN ARRAY['unknown_parent', format('there is no campaign with ID %s', t.change ->> 'campaign')]
                WHEN known.workspace_id <> campaign.workspace_id
                    THEN ARRAY['unknown_parent', format('campaign %s is in another workspace', t.change ->> 'campaign')]
                WHEN t.change ->> 'account' IS NOT NULL AND account.id IS NULL
                    THEN ARRAY['unknown_parent', format('the workspace has no account with ID %s', t.change ->> 'account')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        -- Known rows are newer than the snapshot that the backfill reads. Only what was kept of
        -- their changes is applied.
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = t.row_id AND e.external_id IS NULL));
    END IF;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    -- Without rows, the triggers of the statement would still run.
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.row_id IS NULL AND t.code IS NULL) THEN
        INSERT INTO thaw.enrollments (
            external_id, workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, own_reason, next_action_at, next_kind, prospect_url)
        SELECT t.external_id, t.workspace_id, t.campaign_id, t.account_id, coalesce((ruled.new).step, 0), (ruled.new).status, (ruled.new).paused_reason,
            (ruled.new).paused_at, (ruled.new).own_reason, (ruled.new).next_action_at, (ruled.new).next_kind, (ruled.new).prospect_url
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL thaw.taken_enrollment(NULL, t, NULL) AS ruled
        WHERE t.row_id IS NULL AND t.code IS NULL AND NOT (is_complete AND coalesce((t.change ->> 'deleted')::boolean, false))
        ORDER BY length(t.external_id), t.external_id;
    END IF;
    locked := thaw.lock_taken('thaw.enrollments', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    usable := thaw.usable_accounts(ARRAY(
        SELECT coalesce(t.account_id, e.account_id) FROM unnest(taken) AS t JOIN thaw.enrollments AS e ON e.id = t.row_id
        WHERE t.code IS NULL AND t.change ->> 'status' = 'active' AND e.paused_reason = 'paused_by_user'));
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, e AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.enrollments AS e ON e.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_enrollment(e, t, usable) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.enrollments AS e SET external_id = (ruled.new).external_id, campaign_id = (ruled.new).campaign_id,
            account_id = (ruled.new).account_id, step = (ruled.new).step, status = (ruled.new).status,
            paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at, own_reason = (ruled.new).own_reason,
            next_action_at = (ruled.new).next_action_at, next_kind = (ruled.new).next_kind, prospect_url = (ruled.new).prospect_url
        FROM ruled
        WHERE e.id = ruled.row_id AND ruled.new IS DISTINCT FROM ruled.old
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        SELECT ruled.row_id, thaw.now(), (ruled.old).account_id, event.to_account_id, (ruled.new).step, event.kind, 'platform',
            event.from_status, CASE event.kind WHEN 'settled' THEN 'paused' ELSE (ruled.new).status END, event.reason, event.paused_at, role
        FROM ruled
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (ruled.new).status = 'active' THEN 'resumed'
                    WHEN (ruled.new).status <> 'paused' THEN 'changed'
                    WHEN thaw.waits_for_account((ruled.new).paused_reason) AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account THEN 'released'
                    ELSE 'paused' END::thaw.event_kind AS kind,
                (ruled.old).account_id AS to_account_id, (ruled.old).status AS from_status,
                CASE WHEN (ruled.new).status = 'paused' AND NOT (thaw.waits_for_account((ruled.new).paused_reason)
                    AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account)
                    THEN (ruled.new).paused_reason ELSE (ruled.old).paused_reason END AS reason,
                coalesce((ruled.old).paused_at, (ruled.new).paused_at) AS paused_at
            WHERE (ruled.old).paused_reason IS DISTINCT FROM (ruled.new).paused_reason
            UNION ALL
            -- As in 00032_settle.sql.
            SELECT 'settled', (ruled.old).account_id, (ruled.old).status, (ruled.old).paused_reason, (ruled.old).paused_at
            WHERE (ruled.old).status = 'paused' AND (ruled.old).step <> (ruled.new).step
            UNION ALL
            SELECT 'moved', (ruled.new).account_id, (ruled.new).status, (ruled.new).paused_reason, (ruled.new).paused_at
            WHERE (ruled.old).account_id <> (ruled.new).account_id) AS event
        ORDER BY ruled.row_id, event.kind = 'settled' DESC, event.kind = 'moved'
    )
    SELECT array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'keep'), array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'requeue')
    INTO kept, requeued
    FROM ruled;
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.code IS NULL AND (t.change ->> 'status' = 'active' OR t.change ? 'account')) THEN
        PERFORM thaw.pause_on_lost_accounts(taken);
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    IF kept IS NOT NULL THEN
        PERFORM thaw.queue_changes('enrollment', kept, 'active', 'person');
    END IF;
    IF requeued IS NOT NULL THEN
        PERFORM thaw.requeue_taken(requeued);
    END IF;
    RETURN thaw.settle_taken('enrollment', taken, p_is_backfill);
END;
$$;
CREATE FUNCTION thaw.apply_kept_signals(p_account thaw.accounts) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    account  thaw.accounts := p_account;
    kept     thaw.account_signals;
    newest   thaw.account_signals;
    result   thaw.signal_outcome;
    applied  integer := 0;
BEGIN
    FOR kept IN
        SELECT s.* FROM thaw.account_signals AS s
        WHERE s.provider = account.provider AND s.provider_account_id = account.provider_account_id
            AND s.outcome = 'unknown_account'
        ORDER BY s.id
    LOOP
        IF kept.product IS NULL AND kept.kind IN ('status', 'login')
            AND (newest.id IS NULL OR thaw.supersedes(newest.status, thaw.signal_time(newest), kept.status, kept.kind, thaw.signal_time(kept))
                AND NOT (newest.status = 'connected' AND kept.status = 'connecting' AND kept.occurred_at IS NULL))
        THEN
            newest := kept;
        END IF;
    END LOOP;
    FOR kept IN
        SELECT s.* FROM thaw.account_signals AS s
        WHERE s.provider = account.provider AND s.provider_account_id = account.provider_account_id
            AND s.outcome = 'unknown_account'
        ORDER BY s.id
    LOOP
        IF kept.product IS NOT NULL OR kept.kind IN ('lock', 'unlock') OR kept.id = newest.id THEN
            result := thaw.apply_signal(account, kept, true);
            SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = account.id;
        ELSE
            PERFORM thaw.link_by_signal(account, kept.v1_account_id);
            result := 'stale';
        END IF;
        UPDATE thaw.account_signals AS s SET outcome = result, account_id = account.id WHERE s.id = kept.id;
        applied := applied + 1;
    END LOOP;
    RETURN applied;
END;
$$;
CREATE TABLE thaw.account_signals (
    id bigint NOT NULL,
    provider text NOT NULL,
    provider_account_id text NOT NULL,
    account_id bigint,
    delivery_key text,
    duplicate_of bigint,
    raw_status text NOT NULL,
    status thaw.account_status,
    kind thaw.signal_kind DEFAULT 'status'::thaw.signal_kind NOT NULL,
    just_created boolean DEFAULT false NOT NULL,
    product text,
    member_id text,
    v1_account_id text,
    occurred_at timestamp with time zone,
    received_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    outcome thaw.signal_outcome NOT NULL,
    body jsonb,
    verdict text,
    resumed integer,
    finished_at timestamp with time zone,
    CONSTRAINT account_signals_applied_has_an_account CHECK (((outcome <> 'applied'::thaw.signal_outcome) OR ((account_id IS NOT NULL) AND ((status IS NOT NULL) OR (kind = ANY (ARRAY['lock'::thaw.signal_kind, 'unlock'::thaw.signal_kind])))))),
    CONSTRAINT account_signals_duplicate_names_its_original CHECK (((outcome = 'duplicate'::thaw.signal_outcome) = (duplicate_of IS NOT NULL))),
    CONSTRAINT account_signals_occurred_at_is_bounded CHECK (((occurred_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (occurred_at < '2100-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT account_signals_pass_is_closed_once CHECK ((((finished_at IS NULL) = (resumed IS NULL)) AND ((finished_at IS NULL) = (verdict IS NULL)) AND (resumed >= 0))),
    CONSTRAINT account_signals_text_is_bounded CHECK ((((length(raw_status) >= 1) AND (length(raw_status) <= 256)) AND (raw_status !~ '[[:cntrl:]]'::text) AND (length(provider) <= 256) AND (length(provider_account_id) <= 256) AND (length(member_id) <= 256) AND (length(v1_account_id) <= 256) AND (length(delivery_key) <= 512) AND (length(product) <= 64)))
);
COMMENT ON TABLE thaw.account_signals IS 'Every delivery of an account-status message, with its outcome.';
COMMENT ON COLUMN thaw.account_signals.delivery_key IS 'The key that identifies a repeated delivery. Null: the provider sends no such key.';
COMMENT ON COLUMN thaw.account_signals.just_created IS 'Whether the provider has just created the account. Such an account has nothing to pause yet.';
COMMENT ON COLUMN thaw.account_signals.product IS 'The product that the status is about; the status of the account does not change. Null: the signal is about the account.';
COMMENT ON COLUMN thaw.account_signals.v1_account_id IS 'The ID of the same account in the provider''s v1 API. The two accounts are linked.';
CREATE FUNCTION thaw.apply_lock(p_account thaw.accounts, p_signal thaw.account_signals, p_at timestamp with time zone, p_by_receipt boolean) RETURNS thaw.signal_outcome
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT p_by_receipt AND date_trunc('second', p_at) < date_trunc('second', p_account.lock_status_at) THEN
        RETURN 'stale';
    END IF;
    UPDATE thaw.accounts AS account SET
        lock_status_at = greatest(p_at, account.lock_status_at),
        locked_at = CASE WHEN p_signal.kind = 'lock' THEN coalesce(account.locked_at, p_at) END,
        locked_reason = CASE WHEN p_signal.kind = 'lock' THEN coalesce(account.locked_reason, p_signal.raw_status) END,
        member_id = coalesce(account.member_id, p_signal.member_id)
    WHERE account.id = p_account.id;
    IF p_signal.kind = 'unlock' AND p_account.locked_at IS NOT NULL AND p_account.status = 'connected' THEN
        PERFORM thaw.enqueue('resume_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            greatest(p_account.resume_after - thaw.now(), interval '0'));
    END IF;
    RETURN 'applied';
END;
$$;
CREATE FUNCTION thaw.apply_signal(p_account thaw.accounts, p_signal thaw.account_signals, p_is_late boolean) RETURNS thaw.signal_outcome
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- Ordered by receipt under the account lock: a signal without a time is never older than the
    -- status of the account.
    by_receipt boolean := p_signal.occurred_at IS NULL AND NOT p_is_late;
    at         timestamptz := thaw.signal_time(p_signal);
    due        timestamptz;
    until      timestamptz;
BEGIN
    PERFORM thaw.link_by_signal(p_account, p_signal.v1_account_id);
    IF p_signal.kind IN ('lock', 'unlock') THEN
        RETURN thaw.apply_lock(p_account, p_signal, at, by_receipt);
    ELSIF p_signal.product IS NOT NULL THEN
        RETURN thaw.apply_to_product(p_account.id, p_signal, at);
    END IF;
    IF NOT thaw.supersedes(p_account.status, p_account.status_at, p_signal.status, p_signal.kind, CASE WHEN NOT by_receipt THEN at END)
        -- A kept signal arrived before everything applied in the meantime.
        OR p_is_late AND date_trunc('second', at) = date_trunc('second', p_account.status_at)
    THEN
        RETURN 'stale';
    END IF;
    due := CASE
        WHEN p_signal.status = 'connected' THEN NULL
        WHEN NOT thaw.is_transient(p_signal.status) THEN least(p_account.pause_after, thaw.now())
        -- A new account has nothing to pause.
        WHEN p_signal.just_created THEN p_account.pause_after
        -- The grace period of a transient error starts with its first signal.
        ELSE coalesce(p_account.pause_after, least(at, thaw.now()) + (SELECT settings.grace_period FROM thaw.settings))
    END;
    UPDATE thaw.accounts AS account SET
        status = p_signal.status,
        status_at = greatest(at, account.status_at),
        last_error = CASE WHEN p_signal.status IN ('connected', 'connecting') THEN NULL ELSE p_signal.raw_status END,
        first_connected_at = CASE
            WHEN p_signal.status = 'connected' THEN coalesce(account.first_connected_at, at)
            ELSE account.first_connected_at END,
        connected_at = CASE
            WHEN p_signal.status = 'connected' AND account.status <> 'connected' THEN at
            ELSE account.connected_at END,
        reconnected_at = CASE
            WHEN p_signal.kind = 'login' THEN at
            WHEN p_signal.status = 'connecting' THEN account.reconnected_at END,
        pause_after = due,
        member_id = coalesce(account.member_id, p_signal.member_id)
    WHERE account.id = p_account.id
    RETURNING account.resume_after INTO until;
    IF p_account.status = 'connected' AND p_signal.status <> 'connected' THEN
        PERFORM thaw.check_losses();
    END IF;
    IF p_signal.status = 'connected' THEN
        PERFORM thaw.enqueue('resume_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            -- A flapping account must first stay connected for settings.flap_wait.
            greatest(until - thaw.now(), interval '0'));
    ELSIF due IS NOT NULL AND (p_account.pause_after IS NULL OR due < p_account.pause_after) THEN
        PERFORM thaw.enqueue('pause_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            greatest(due - thaw.now(), interval '0'));
    END IF;
    RETURN 'applied';
END;
$$;
CREATE FUNCTION thaw.apply_to_product(p_account_id bigint, p_signal thaw.account_signals, p_at timestamp with time zone) RETURNS thaw.signal_outcome
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.account_products AS known (account_id, product, status, raw_status, status_at, down_since)
    -- Providers have few products. The limit guards against one that sends arbitrary names.
    SELECT p_account_id, p_signal.product, p_signal.status, p_signal.raw_status, p_at,
        CASE WHEN p_signal.status <> 'connected' THEN p_at END
    WHERE EXISTS (SELECT FROM thaw.account_products AS p WHERE p.account_id = p_account_id AND p.product = p_signal.product)
        OR (SELECT count(*) FROM thaw.account_products AS p WHERE p.account_id = p_account_id) < 16
    ON CONFLICT (account_id, product) DO UPDATE SET
        status = excluded.status, raw_status = excluded.raw_status, status_at = greatest(excluded.status_at, known.status_at),
        down_since = CASE WHEN excluded.status <> 'connected' THEN coalesce(known.down_since, excluded.status_at) END
    WHERE date_trunc('second', excluded.status_at) >= date_trunc('second', known.status_at);
    RETURN CASE WHEN FOUND THEN 'applied' ELSE 'stale' END::thaw.signal_outcome;
END;
$$;
CREATE FUNCTION thaw.apply_workspaces(p_rows jsonb, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    taken  thaw.taken[] := thaw.with_kept('workspace', p_rows, p_is_backfill);
    locked bigint[];
BEGIN
    -- A workspace that Thaw knew before the adoption has no ID of the platform yet.
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked,
            coalesce((SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.external_id),
                (SELECT w.id FROM thaw.workspaces AS w WHERE w.key = coalesce(t.change ->> 'key', t.external_id) AND w.external_id IS NULL)),
            NULL, NULL, NULL, NULL, t.code, t.problem)::thaw.taken
        FROM unnest(taken) AS t);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.workspaces AS w WHERE w.id = t.row_id AND w.external_id IS NULL));
    END IF;
    INSERT INTO thaw.workspaces (external_id, key, name, shadow)
    SELECT t.external_id, coalesce(t.change ->> 'key', t.external_id), coalesce(t.change ->> 'name', ''), s.shadow_by_default
    FROM unnest(taken) AS t CROSS JOIN thaw.adopt_state AS s
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;
    locked := thaw.lock_taken('thaw.workspaces', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    UPDATE thaw.workspaces AS w SET external_id = t.external_id, key = coalesce(t.change ->> 'key', w.key), name = coalesce(t.change ->> 'name', w.name)
    FROM unnest(taken) AS t
    WHERE w.id = t.row_id AND w.id = ANY (locked)
        AND (w.external_id, w.key, w.name) IS DISTINCT FROM (t.external_id, coalesce(t.change ->> 'key', w.key), coalesce(t.change ->> 'name', w.name));
    RETURN thaw.settle_taken('workspace', thaw.set_aside(taken, locked), p_is_backfill);
END;
$$;
CREATE TABLE thaw.person_changes (
    id bigint NOT NULL,
    account_id bigint NOT NULL
);
COMMENT ON TABLE thaw.person_changes IS 'Accounts whose person may have changed, with those that are linked with them. Applied before the next reservation, and once a second.';
CREATE FUNCTION thaw.are_persons_unknown() RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (count(*) > 1000)
    FROM ( SELECT
            FROM thaw.person_changes
          LIMIT 1001) counted;
END;
CREATE FUNCTION thaw.assign_id() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    drawn bigint;
BEGIN
    BEGIN
        drawn := currval(pg_get_serial_sequence('thaw.' || TG_TABLE_NAME, 'id'));
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        drawn := NULL; -- nothing was drawn in this session
    END;
    IF drawn IS DISTINCT FROM NEW.id THEN
        RAISE EXCEPTION 'the id of a new row in thaw.% cannot be chosen', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = 'thaw', HINT = 'Omit id from the insert.';
    END IF;
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.blocked_by(p_account thaw.accounts, p_even_if_off boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT thaw.block_reason(p_account, thaw.is_safety_on(), p_even_if_off OR workspace.auto_resume, workspace.shadow)
        FROM thaw.workspaces AS workspace WHERE workspace.id = p_account.workspace_id);
END;
$$;
CREATE FUNCTION thaw.blocked_campaigns(p_after bigint DEFAULT 0, p_size integer DEFAULT 2000, p_accounts integer DEFAULT 20000, OUT account_ids bigint[], OUT workspace_ids bigint[], OUT looked_to bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    WITH slice AS MATERIALIZED (
        SELECT c.id, c.workspace_id, c.paused_at FROM thaw.campaigns AS c
        WHERE c.waits_for_account AND c.id > p_after ORDER BY c.id LIMIT p_size + 1
    ), sized AS (
        SELECT slice.*,
            row_number() OVER (ORDER BY slice.id) AS place,
            sum(size.connected) OVER (ORDER BY slice.id) AS accounts
        FROM slice
        JOIN (
            SELECT w.workspace_id, count(a.id) AS connected
            FROM (SELECT DISTINCT s.workspace_id FROM slice AS s) AS w
            LEFT JOIN thaw.accounts AS a ON a.workspace_id = w.workspace_id AND a.status = 'connected'
            GROUP BY w.workspace_id) AS size ON size.workspace_id = slice.workspace_id
    ), looked AS MATERIALIZED (
        SELECT * FROM sized WHERE sized.place = 1 OR sized.place <= p_size AND sized.accounts <= p_accounts
    ), blocked AS (
        SELECT DISTINCT found.id, looked.workspace_id
        FROM looked
        CROSS JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.workspace_id = looked.workspace_id AND a.status = 'connected' AND a.connected_at >= looked.paused_at
                -- BETWEEN and ORDER BY match the index. With equality the planner expects to find
                -- one of many rows soon and scans the table or its primary key from the start.
                AND coalesce(
                    (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'active' AND e.account_id = a.id AND e.campaign_id BETWEEN looked.id AND looked.id
                    ORDER BY e.campaign_id, e.id LIMIT 1),
                    (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'pending' AND e.account_id = a.id AND e.campaign_id BETWEEN looked.id AND looked.id
                    ORDER BY e.campaign_id, e.id LIMIT 1)) IS NOT NULL
                AND thaw.blocked_by(a) IS NULL
            ORDER BY a.id LIMIT 1) AS found
    )
    SELECT
        (SELECT coalesce(array_agg(b.id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT coalesce(array_agg(b.workspace_id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT CASE WHEN count(*) < (SELECT count(*) FROM slice) THEN max(l.id) ELSE 0 END FROM looked AS l)
    INTO account_ids, workspace_ids, looked_to;
END;
$$;
CREATE FUNCTION thaw.blocks(p_account thaw.accounts) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    account           thaw.accounts := p_account;
    is_safety_on      boolean := thaw.is_safety_on();
    is_auto_resume_on boolean;
    is_shadow         boolean;
    found             text[] := '{}';
    next              text;
BEGIN
    SELECT workspace.auto_resume, workspace.shadow INTO is_auto_resume_on, is_shadow
    FROM thaw.workspaces AS workspace WHERE workspace.id = p_account.workspace_id;
    LOOP
        next := thaw.block_reason(account, is_safety_on, is_auto_resume_on, is_shadow);
        EXIT WHEN next IS NULL;
        found := found || next;
        CASE next
            WHEN 'account_not_connected' THEN account.status := 'connected';
            WHEN 'account_locked' THEN account.locked_at := NULL;
            WHEN 'account_parked' THEN account.parked_reason := NULL;
            WHEN 'account_on_hold' THEN account.hold_until := NULL;
            WHEN 'safety_mode' THEN is_safety_on := false;
            WHEN 'account_flapping' THEN account.resume_after := NULL;
            WHEN 'auto_resume_off' THEN is_auto_resume_on := true;
            WHEN 'shadow_mode' THEN is_shadow := false;
        END CASE;
    END LOOP;
    RETURN found;
END;
$$;
CREATE FUNCTION thaw.campaign_events_queue() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
BEGIN
    IF NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    PERFORM thaw.refuse_in_shadow(ARRAY(
        SELECT DISTINCT c.workspace_id FROM new_rows AS n JOIN thaw.campaigns AS c ON c.id = n.campaign_id
        WHERE n.source <> 'platform' AND c.external_id IS NOT NULL));
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause)
    SELECT 'campaign', c.id, n.from_status, thaw.cause_of(n.source)
    FROM new_rows AS n
    JOIN thaw.campaigns AS c ON c.id = n.campaign_id
    WHERE n.source <> 'platform' AND c.external_id IS NOT NULL
    ORDER BY c.id, n.id;
    RETURN NULL;
END;
$$;
CREATE TABLE thaw.campaigns (
    id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    key text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    status thaw.campaign_status DEFAULT 'draft'::thaw.campaign_status NOT NULL,
    paused_reason thaw.pause_reason,
    paused_at timestamp with time zone,
    waits_for_account boolean GENERATED ALWAYS AS (thaw.waits_for_account(paused_reason)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    external_id text,
    CONSTRAINT campaigns_external_id_is_visible CHECK ((thaw.is_visible(external_id) AND ((length(external_id) >= 1) AND (length(external_id) <= 200)))),
    CONSTRAINT campaigns_key_check CHECK ((key <> ''::text)),
    CONSTRAINT campaigns_key_is_visible CHECK (thaw.is_visible(key)),
    CONSTRAINT campaigns_paused_has_a_reason CHECK ((((status = 'paused'::thaw.campaign_status) = (paused_reason IS NOT NULL)) AND ((status = 'paused'::thaw.campaign_status) = (paused_at IS NOT NULL)))),
    CONSTRAINT campaigns_times_are_in_range CHECK ((((paused_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (paused_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)) AND ((created_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (created_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))))
);
COMMENT ON TABLE thaw.campaigns IS 'A sequence of steps, as its author wrote it.';
COMMENT ON COLUMN thaw.campaigns.waits_for_account IS 'Whether the campaign is paused for an account reason (thaw.waits_for_account). Thaw resumes rows automatically only after such a reason.';
COMMENT ON COLUMN thaw.campaigns.external_id IS 'The ID of this row in the platform''s own table, as text. Unique within a workspace. Null: the platform has none, or did not pass it.';
CREATE FUNCTION thaw.campaigns_named(p_name text, p_workspace_id bigint) RETURNS TABLE(id bigint)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
 SELECT c.id
    FROM thaw.campaigns c
   WHERE ((c.workspace_id = campaigns_named.p_workspace_id) AND (c.key = campaigns_named.p_name))
 UNION ALL
  SELECT c.id
    FROM thaw.campaigns c
   WHERE ((c.workspace_id = campaigns_named.p_workspace_id) AND (c.external_id = campaigns_named.p_name) AND (NOT (EXISTS ( SELECT
            FROM thaw.campaigns k
           WHERE ((k.workspace_id = campaigns_named.p_workspace_id) AND (k.key = campaigns_named.p_name))))));
END;
CREATE FUNCTION thaw.campaigns_nudge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NEW.workspace_id);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.campaigns_release_actions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.campaign_id = NEW.id AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'campaign_not_running');
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.campaigns_write_history() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status, reason, detail)
    VALUES (NEW.id, thaw.now(),
        CASE NEW.status WHEN 'paused' THEN 'paused' WHEN 'running' THEN 'resumed' ELSE 'changed' END::thaw.event_kind,
        'platform', OLD.status, NEW.status, coalesce(NEW.paused_reason, OLD.paused_reason),
        'by database role ' || session_user);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.tick(at timestamp with time zone DEFAULT thaw.now()) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (SELECT date_bin(s.tick, tick.at, '2000-01-01 00:00:00+00') FROM thaw.settings AS s);
END;
$$;
COMMENT ON FUNCTION thaw.tick(at timestamp with time zone) IS 'The tick that contains the given time: a quarter hour (00, 15, 30, 45 UTC) by default; the length is settings.tick.';
CREATE TABLE thaw.account_quotas (
    tick_at timestamp with time zone NOT NULL,
    account_id bigint NOT NULL,
    cap integer NOT NULL,
    used integer NOT NULL,
    carried integer DEFAULT 0 NOT NULL,
    CONSTRAINT account_quotas_carried_is_used CHECK (((carried >= 0) AND (carried <= GREATEST(used, 0)))),
    CONSTRAINT account_quotas_used_is_within_cap CHECK (((used >= 0) AND (used <= cap)))
)
WITH (fillfactor='90');
COMMENT ON TABLE thaw.account_quotas IS 'How many enrollments were resumed through an account in a tick, by sweep and signals together.';
COMMENT ON COLUMN thaw.account_quotas.carried IS 'As in thaw.fleet_quotas.carried.';
CREATE TABLE thaw.account_served (
    account_id bigint NOT NULL,
    tick_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.account_served IS 'The last tick that allocated something to an account.';
CREATE TABLE thaw.count_state (
    only_row boolean DEFAULT true NOT NULL,
    folded_to bigint DEFAULT 0 NOT NULL,
    mark_id bigint DEFAULT 0 NOT NULL,
    mark_xmax xid8 DEFAULT '0'::xid8 NOT NULL,
    recounted_to bigint DEFAULT 0 NOT NULL,
    CONSTRAINT count_state_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.count_state IS 'One row: the progress of folding deltas and of recounting accounts.';
CREATE TABLE thaw.paused_counts (
    account_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    reason thaw.pause_reason NOT NULL,
    waits_for_account boolean NOT NULL,
    paused integer NOT NULL
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.paused_counts IS 'Paused enrollments by account, campaign and reason, excluding changes still in thaw.paused_deltas. Read thaw.paused_lines instead.';
CREATE TABLE thaw.paused_deltas (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    reason thaw.pause_reason NOT NULL,
    waits_for_account boolean NOT NULL,
    delta integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');
COMMENT ON TABLE thaw.paused_deltas IS 'Changes of the number of paused enrollments that are not yet added to thaw.paused_counts.';
CREATE VIEW thaw.paused_parts AS
 SELECT c.account_id,
    c.campaign_id,
    c.reason,
    c.waits_for_account,
    c.paused
   FROM thaw.paused_counts c
UNION ALL
 SELECT d.account_id,
    d.campaign_id,
    d.reason,
    d.waits_for_account,
    d.delta AS paused
   FROM thaw.paused_deltas d
  WHERE (d.id > ( SELECT s.folded_to
           FROM thaw.count_state s));
CREATE TABLE thaw.waiting_totals (
    account_id bigint NOT NULL,
    waiting integer NOT NULL
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.waiting_totals IS 'Enrollments that wait for an account, by account: sums of thaw.paused_counts, so that a tick reads one row per account.';
CREATE VIEW thaw.waiting_parts AS
 SELECT t.account_id,
    t.waiting
   FROM thaw.waiting_totals t
UNION ALL
 SELECT d.account_id,
    d.delta AS waiting
   FROM thaw.paused_deltas d
  WHERE (d.waits_for_account AND (d.id > ( SELECT s.folded_to
           FROM thaw.count_state s)));
CREATE VIEW thaw.open_parts AS
 SELECT p.account_id,
    p.waiting
   FROM thaw.waiting_parts p
UNION ALL
 SELECT l.account_id,
    (- l.paused) AS waiting
   FROM (thaw.campaigns c
     JOIN thaw.paused_parts l ON ((l.campaign_id = c.id)))
  WHERE (l.waits_for_account AND (NOT thaw.allows_resume(c.status, c.waits_for_account)));
CREATE TABLE thaw.safety (
    only_row boolean DEFAULT true NOT NULL,
    since timestamp with time zone,
    reason text,
    entered_by text,
    manual_exit boolean DEFAULT false NOT NULL,
    accounts_lost integer,
    accounts_connected integer,
    breached_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT safety_mode_has_a_reason CHECK ((((since IS NULL) = (reason IS NULL)) AND ((since IS NULL) = (entered_by IS NULL)) AND (reason <> ''::text) AND (entered_by <> ''::text))),
    CONSTRAINT safety_off_is_empty CHECK (((since IS NOT NULL) OR ((NOT manual_exit) AND (accounts_lost IS NULL) AND (accounts_connected IS NULL) AND (breached_at IS NULL)))),
    CONSTRAINT safety_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.safety IS 'One row. Safety mode is on while since is not null.';
CREATE VIEW thaw.siblings AS
 SELECT account.id AS account_id,
    sibling.id AS sibling_id
   FROM (thaw.accounts account
     JOIN thaw.accounts sibling ON (((sibling.workspace_id = account.workspace_id) AND (sibling.provider = account.provider) AND (sibling.member_id = account.member_id) AND (sibling.id <> account.id))))
UNION ALL
 SELECT account.id AS account_id,
    sibling.id AS sibling_id
   FROM (thaw.accounts account
     JOIN thaw.accounts sibling ON (((sibling.link_id = COALESCE(account.link_id, account.id)) AND (sibling.workspace_id = account.workspace_id) AND (sibling.provider = account.provider) AND (sibling.id <> account.id) AND ((sibling.member_id = account.member_id) IS NOT TRUE))))
UNION ALL
 SELECT account.id AS account_id,
    sibling.id AS sibling_id
   FROM (thaw.accounts account
     JOIN thaw.accounts sibling ON (((sibling.id = account.link_id) AND (sibling.workspace_id = account.workspace_id) AND (sibling.provider = account.provider) AND ((sibling.member_id = account.member_id) IS NOT TRUE))));
COMMENT ON VIEW thaw.siblings IS 'Pairs of accounts of the same person in the same workspace, by member_id or by link: one row per direction.';
CREATE VIEW thaw.sibling_targets AS
 SELECT DISTINCT ON (source.id) source.id AS source_id,
    sibling.id AS target_id
   FROM ((thaw.accounts source
     JOIN thaw.siblings family ON ((family.account_id = source.id)))
     JOIN thaw.accounts sibling ON (((sibling.id = family.sibling_id) AND (sibling.status = 'connected'::thaw.account_status))))
  WHERE (source.status <> ALL (ARRAY['connected'::thaw.account_status, 'restricted'::thaw.account_status]))
  ORDER BY source.id, sibling.connected_at DESC, sibling.id DESC;
CREATE VIEW thaw.resumable_parts AS
 SELECT part.account_id AS source_id,
    account.id AS account_id,
    account.workspace_id,
    part.waiting,
    thaw.account_cap(workspace.*, settings.*) AS cap
   FROM ((((thaw.open_parts part
     JOIN thaw.accounts account ON ((account.id = part.account_id)))
     JOIN thaw.workspaces workspace ON ((workspace.id = account.workspace_id)))
     CROSS JOIN thaw.safety)
     CROSS JOIN thaw.settings settings)
  WHERE (thaw.block_reason(account.*, (safety.since IS NOT NULL), workspace.auto_resume, workspace.shadow) IS NULL)
UNION ALL
 SELECT part.account_id AS source_id,
    target.id AS account_id,
    target.workspace_id,
    part.waiting,
    thaw.account_cap(workspace.*, settings.*) AS cap
   FROM (((((thaw.open_parts part
     JOIN thaw.sibling_targets moved ON ((moved.source_id = part.account_id)))
     JOIN thaw.accounts target ON ((target.id = moved.target_id)))
     JOIN thaw.workspaces workspace ON ((workspace.id = target.workspace_id)))
     CROSS JOIN thaw.safety)
     CROSS JOIN thaw.settings settings)
  WHERE (thaw.block_reason(target.*, (safety.since IS NOT NULL), workspace.auto_resume, workspace.shadow) IS NULL);
CREATE VIEW thaw.resumable_accounts AS
 SELECT p.account_id,
    p.workspace_id,
    p.cap,
    sum(p.waiting) AS waiting
   FROM thaw.resumable_parts p
  GROUP BY p.account_id, p.workspace_id, p.cap
 HAVING (sum(p.waiting) > 0);
COMMENT ON VIEW thaw.resumable_accounts IS 'The accounts through which prospects may resume now, how many, and the account''s cap per tick. Uses counts, without reading enrollments.';
CREATE TABLE thaw.workspace_served (
    workspace_id bigint NOT NULL,
    tick_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.workspace_served IS 'The last tick that allocated something to a workspace.';
CREATE FUNCTION thaw.candidates(p_tick_at timestamp with time zone DEFAULT thaw.tick()) RETURNS TABLE(account_id bigint, workspace_id bigint, backlog integer, quota integer, cap integer, account_served_at timestamp with time zone, workspace_served_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET jit TO 'off'
    SET work_mem TO '64MB'
    BEGIN ATOMIC
 SELECT candidate.account_id,
     candidate.workspace_id,
     (LEAST(candidate.waiting, (2147483647)::bigint))::integer AS "least",
     COALESCE((charged.cap - charged.used), candidate.cap) AS "coalesce",
     candidate.cap,
     account_order.tick_at,
     workspace_order.tick_at
    FROM (((thaw.resumable_accounts candidate
      LEFT JOIN thaw.account_quotas charged ON (((charged.tick_at = candidates.p_tick_at) AND (charged.account_id = candidate.account_id))))
      LEFT JOIN thaw.account_served account_order ON ((account_order.account_id = candidate.account_id)))
      LEFT JOIN thaw.workspace_served workspace_order ON ((workspace_order.workspace_id = candidate.workspace_id)));
END;
CREATE FUNCTION thaw.cap_in_week(p_week smallint, p_default integer, p_own integer, p_ceiling integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_week < 6) THEN LEAST(p_default, p_own, p_ceiling) ELSE LEAST(COALESCE(p_own, p_default), p_ceiling) END;
CREATE FUNCTION thaw.cause_of(p_source thaw.event_source) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_source WHEN 'operator'::thaw.event_source THEN 'person'::text WHEN 'scheduler'::thaw.event_source THEN 'sweep'::text ELSE (p_source)::text END;
CREATE FUNCTION thaw.charge_quota(p_tick timestamp with time zone, p_lane thaw.lane, p_account_id bigint, p_account_cap integer, p_lane_cap integer, p_resumed integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.account_quotas AS b (tick_at, account_id, cap, used)
    VALUES (p_tick, p_account_id, p_account_cap, p_resumed)
    ON CONFLICT (tick_at, account_id) DO UPDATE SET used = b.used + excluded.used;
    INSERT INTO thaw.fleet_quotas AS b (tick_at, lane, cap, used) VALUES (p_tick, p_lane, p_lane_cap, p_resumed)
    ON CONFLICT (tick_at, lane) DO UPDATE SET used = b.used + excluded.used
        WHERE b.used + excluded.used <= b.cap;
    RETURN FOUND;
END;
$$;
CREATE FUNCTION thaw.check_instance(p_name text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    recorded thaw.instance;
    newest   integer := thaw.this_timeline();
    problem  text;
BEGIN
    INSERT INTO thaw.instance (name, system_identifier, database_name, database_oid, timeline)
    SELECT coalesce(p_name, thaw.instance_name(here.database_name)), here.system_identifier, here.database_name, here.database_oid, newest
    FROM thaw.this_database() AS here
    ON CONFLICT (only_row) DO NOTHING;
    SELECT i.* INTO recorded FROM thaw.instance AS i FOR NO KEY UPDATE;
    problem := thaw.why_copy();
    IF problem IS NULL AND newest <> recorded.timeline AND newest <> 0 AND recorded.timeline <> 0 THEN
        IF recorded.seen_at < thaw.now() - interval '1 hour' THEN
            problem := format('this database may be a restored backup: the timeline of the server changed from %s to %s, and instance %s was last seen here at %s',
                recorded.timeline, newest, recorded.name, thaw.rfc3339(recorded.seen_at));
            UPDATE thaw.instance SET doubt = problem;
        ELSE
            UPDATE thaw.instance AS i SET timeline = newest, seen_at = thaw.now();
            problem := format('the server was promoted, or reset to an earlier time (timeline %s to %s): Thaw cannot know what happened after %s and is not here, such as signals, pauses and resumes, and messages that were delivered. Compare the accounts with the provider: thaw reconcile',
                recorded.timeline, newest, thaw.rfc3339(recorded.seen_at));
            INSERT INTO thaw.manual_actions (what, actor, reason) VALUES ('server_changed', 'monitor', problem);
            RETURN problem;
        END IF;
    END IF;
    IF problem IS NULL THEN
        -- At most once a minute, however many processes start.
        UPDATE thaw.instance AS i SET seen_at = thaw.now(), timeline = newest
        WHERE i.seen_at < thaw.now() - interval '30 seconds';
        RETURN NULL;
    END IF;
    -- The copy may be in safety mode already, from the original.
    IF NOT thaw.enter_safety_mode(problem, 'instance', true) THEN
        UPDATE thaw.safety AS s SET reason = problem, entered_by = 'instance', manual_exit = true
        WHERE s.entered_by <> 'instance' OR s.reason <> problem;
    END IF;
    RETURN problem || '. Nothing is resumed and no webhook is delivered. If this is a copy that you want to run, or the original after a move, run: thaw instance adopt --as NAME --reason TEXT';
END;
$$;
CREATE FUNCTION thaw.check_losses() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (SELECT s.since IS NULL FROM thaw.safety AS s) AND thaw.may_be_breach() THEN
        PERFORM thaw.enter_on_breach(thaw.losses());
    END IF;
END;
$$;
CREATE FUNCTION thaw.checked_lease(p_lease interval) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_lease NOT BETWEEN interval '10 seconds' AND interval '1 day' THEN
        RAISE EXCEPTION 'the lease is %', p_lease
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 10 seconds to 1 day. The default is settings.action_lease.';
    END IF;
    RETURN coalesce(p_lease, (SELECT s.action_lease FROM thaw.settings AS s));
END;
$$;
CREATE FUNCTION thaw.claim_actions("limit" integer DEFAULT 100, lease interval DEFAULT NULL::interval, workspace text DEFAULT NULL::text, actor text DEFAULT CURRENT_USER) RETURNS TABLE(reservation bigint, lease_until timestamp with time zone, kind text, step integer, workspace_key text, workspace_external_id text, provider text, account text, account_external_id text, campaign text, campaign_external_id text, enrollment bigint, enrollment_external_id text, prospect_url text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    given bigint[];
BEGIN
    PERFORM thaw.require_actor(claim_actions.actor);
    IF claim_actions."limit" IS NULL OR claim_actions."limit" NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'the limit is %', coalesce(claim_actions."limit"::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Claim 1 to 1000 actions at a time.';
    END IF;
    SELECT b.action_ids INTO given FROM thaw.schedule_batch(
        claim_actions."limit", thaw.checked_lease(claim_actions.lease), claim_actions.actor,
        CASE WHEN claim_actions.workspace IS NOT NULL THEN thaw.find_workspace(claim_actions.workspace) END) AS b;
    RETURN QUERY
    SELECT a.id, a.lease_until, a.kind, a.step, w.key, w.external_id, a.provider, account.provider_account_id, account.external_id,
        campaign.key, campaign.external_id, a.enrollment_id, e.external_id, a.prospect_url
    FROM thaw.actions AS a
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id
    JOIN thaw.accounts AS account ON account.id = a.account_id
    JOIN thaw.campaigns AS campaign ON campaign.id = a.campaign_id
    JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
    WHERE a.id = ANY (given)
    ORDER BY a.id;
END;
$$;
COMMENT ON FUNCTION thaw.claim_actions("limit" integer, lease interval, workspace text, actor text) IS 'Reserves due actions for a sender that polls: at most limit, at most one per sender (the person behind an account), fair across workspaces, accounts and campaigns. Commit, then call thaw.start for each before the call to the provider, and thaw.settle after it. No rows: nothing can be done now; LISTEN thaw_actions notifies the sender.';
CREATE FUNCTION thaw.claim_kept(p_kind text, p_external_ids text[]) RETURNS SETOF thaw.kept_change
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    claimed bigint[];
BEGIN
    claimed := ARRAY(
        SELECT x.id FROM thaw.adopt_errors AS x WHERE x.kind = p_kind AND x.external_id = ANY (p_external_ids)
        ORDER BY x.id FOR UPDATE SKIP LOCKED);
    -- Read again: what another transaction has replaced since is seen here, and is not claimed.
    RETURN QUERY
    SELECT x.external_id, array_agg(x.id), thaw.merged(array_agg(x.change ORDER BY coalesce(x.place, x.id))), bool_or(NOT x.is_deferred),
        max(least(x.attempts, 30)), min(x.first_at), max(coalesce(x.place, x.id)), bool_and(mine.id IS NOT NULL)
    FROM thaw.adopt_errors AS x
    LEFT JOIN unnest(claimed) AS mine (id) ON mine.id = x.id
    WHERE x.kind = p_kind AND x.external_id = ANY (p_external_ids)
    GROUP BY x.external_id;
END;
$$;
CREATE FUNCTION thaw.close_invite(reservation bigint, as_what text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action thaw.actions;
    newer  bigint;
BEGIN
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = close_invite.reservation FOR NO KEY UPDATE;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(close_invite.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    ELSIF close_invite.as_what IS NULL OR close_invite.as_what NOT IN ('accepted', 'withdrawn') THEN
        RAISE EXCEPTION 'an invite does not end as "%"', coalesce(left(close_invite.as_what, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use accepted or withdrawn.';
    ELSIF action.kind <> 'invite' OR action.state NOT IN ('sent', 'already', 'unknown') THEN
        RAISE EXCEPTION 'action % is no sent invite: it is % (%)', action.id, action.kind, action.state
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only an invite that was sent can be accepted or withdrawn.';
    ELSIF action.closed_as = close_invite.as_what OR action.closed_as = 'duplicate' THEN
        RETURN false;
    ELSIF action.closed_as = 'accepted' THEN
        RAISE EXCEPTION 'the invite of action % was accepted', action.id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'It cannot be withdrawn any more. Nothing was changed.';
    ELSIF close_invite.as_what = 'accepted' AND action.closed_as = 'withdrawn' THEN
        newer := (
            SELECT min(a.id) FROM thaw.actions AS a
            WHERE a.kind = 'invite' AND a.sender_id = action.sender_id AND thaw.prospect_key(a.prospect_url) = thaw.prospect_key(action.prospect_url)
                AND (a.is_used OR a.state = 'already') AND (a.closed_as IS NULL OR a.closed_as = 'accepted'));
        IF newer IS NOT NULL THEN
            RAISE EXCEPTION 'the invite of action % was withdrawn, and action % invites the prospect again', action.id, newer
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Close that one. Nothing was changed.';
        END IF;
    END IF;
    UPDATE thaw.actions AS a SET closed_at = thaw.now(), closed_as = close_invite.as_what WHERE a.id = action.id;
    -- The ceiling of open invites may have held the accounts of the person.
    PERFORM thaw.nudge(action.account_id, thaw.now()), thaw.nudge_siblings(action.sender_id, action.account_id);
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.close_invite(reservation bigint, as_what text) IS 'Records that a sent invite was accepted or withdrawn. Until then it counts toward the ceiling of pending invites, and no second one goes to the prospect. An accepted invite stays accepted. Returns false if this was recorded before.';
CREATE FUNCTION thaw.close_pause(p_account_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    told bigint;
BEGIN
    UPDATE thaw.outbox AS o SET is_open = false WHERE o.account_id = p_account_id AND o.is_open
    RETURNING o.id INTO told;
    IF told IS NOT NULL THEN
        PERFORM thaw.deliver(told);
    END IF;
END;
$$;
CREATE FUNCTION thaw.close_record(p_lane thaw.lane, p_account_id bigint, p_tick_at timestamp with time zone, p_signal_id bigint, p_verdict text, p_resumed integer, p_moved integer, p_campaigns_resumed integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    tick_finished boolean := false;
BEGIN
    IF p_lane = 'sweep' THEN
        UPDATE thaw.allocations AS g SET resumed = p_resumed, verdict = p_verdict, finished_at = thaw.now()
        WHERE g.tick_at = p_tick_at AND g.account_id = p_account_id;
        UPDATE thaw.sweeps AS s SET
            accounts_processed = s.accounts_processed + 1,
            resumed = s.resumed + p_resumed,
            moved = s.moved + p_moved,
            campaigns_resumed = s.campaigns_resumed + p_campaigns_resumed,
            remaining = greatest(s.remaining - p_resumed, 0),
            finished_at = CASE WHEN s.accounts_processed + 1 = s.accounts_planned THEN thaw.now() END
        WHERE s.tick_at = p_tick_at
        RETURNING s.finished_at IS NOT NULL INTO tick_finished;
    ELSE
        UPDATE thaw.account_signals AS s SET resumed = p_resumed, verdict = p_verdict, finished_at = thaw.now()
        WHERE s.id = p_signal_id;
    END IF;
    RETURN tick_finished;
END;
$$;
CREATE FUNCTION thaw.close_ticks(p_tick_at timestamp with time zone) RETURNS timestamp with time zone[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    over timestamptz[];
BEGIN
    WITH stale AS (
        SELECT s.tick_at FROM thaw.sweeps AS s WHERE s.finished_at IS NULL AND s.tick_at < p_tick_at
    ), held AS MATERIALIZED (
        SELECT g.tick_at, g.account_id FROM thaw.allocations AS g
        WHERE g.tick_at IN (SELECT stale.tick_at FROM stale) AND g.finished_at IS NULL
        ORDER BY g.tick_at, g.account_id FOR NO KEY UPDATE
    ), closed AS (
        UPDATE thaw.allocations AS g SET finished_at = thaw.now(), verdict = 'stale_tick'
        FROM held
        WHERE g.tick_at = held.tick_at AND g.account_id = held.account_id
        RETURNING g.tick_at
    ), ended AS (
        UPDATE thaw.sweeps AS s SET
            finished_at = thaw.now(),
            accounts_processed = s.accounts_processed + (SELECT count(*) FROM closed WHERE closed.tick_at = s.tick_at)
        FROM stale
        WHERE s.tick_at = stale.tick_at AND s.finished_at IS NULL
        RETURNING s.tick_at
    )
    SELECT coalesce(array_agg(e.tick_at ORDER BY e.tick_at), '{}') INTO over FROM ended AS e;
    RETURN over;
END;
$$;
CREATE FUNCTION thaw.closing(p_zone text, p_local timestamp without time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN CASE
        WHEN (p_local AT TIME ZONE p_zone) AT TIME ZONE p_zone <> p_local
            THEN (p_local - thaw.utc_offset(p_zone, p_local AT TIME ZONE p_zone)) AT TIME ZONE 'UTC'
        ELSE thaw.first_instant(p_zone, p_local) END;
END;
$$;
CREATE FUNCTION thaw.complete_job(p_job_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE "thaw".river_job AS job SET state = 'completed', finalized_at = pg_catalog.now()
    WHERE job.id = p_job_id AND job.state = 'running';
    RETURN FOUND;
END;
$$;
CREATE FUNCTION thaw.complete_step(enrollment_id bigint, completed_step integer, next_action_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    row thaw.enrollments;
BEGIN
    SELECT e.* INTO row FROM thaw.enrollments AS e WHERE e.id = complete_step.enrollment_id FOR NO KEY UPDATE;
    IF row.id IS NULL THEN
        RAISE EXCEPTION 'there is no enrollment %', coalesce(complete_step.enrollment_id::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments. thaw.find_enrollment returns it for an ID of the platform.';
    ELSIF complete_step.completed_step IS NULL OR complete_step.completed_step > row.step THEN
        RAISE EXCEPTION 'step % of enrollment % cannot be completed: it is at step %', coalesce(complete_step.completed_step::text, 'null'), row.id, row.step
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Settle the steps one by one, in order. The column step is the step to be done next.';
    ELSIF complete_step.completed_step < row.step THEN
        RETURN false;
    END IF;
    UPDATE thaw.enrollments AS e SET step = row.step + 1, next_action_at = coalesce(complete_step.next_action_at, row.next_action_at)
    WHERE e.id = row.id;
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.complete_step(enrollment_id bigint, completed_step integer, next_action_at timestamp with time zone) IS 'Records that an action was completed: the step moves on by one, and the next action is due at next_action_at (null: unchanged). A paused enrollment stays paused and continues at the new step when it resumes. Returns false if this step was already completed.';
CREATE FUNCTION thaw.confirm_changes(kind text, ids text[]) RETURNS TABLE(id text, status text, reason text, own_reason text, account text, next_action_at timestamp with time zone, paused_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    kept  text[];
    ready text[] := confirm_changes.ids;
BEGIN
    IF confirm_changes.kind NOT IN ('account', 'campaign', 'enrollment') OR coalesce(cardinality(confirm_changes.ids), 0) > 10000 THEN
        RAISE EXCEPTION 'the changes of % rows of kind "%" cannot be confirmed', coalesce(cardinality(confirm_changes.ids), 0), confirm_changes.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass a kind and at most 10000 IDs that thaw.take_changes returned.';
    END IF;
    kept := ARRAY(
        SELECT DISTINCT x.external_id FROM thaw.adopt_errors AS x
        WHERE x.kind = confirm_changes.kind AND x.external_id = ANY (confirm_changes.ids));
    IF kept <> '{}' THEN
        -- As thaw.retry_adoption does: nothing here is newer than what was kept.
        PERFORM set_config('thaw.taking', 'on', true), set_config('thaw.retrying', 'on', true);
        PERFORM thaw.take(confirm_changes.kind, (SELECT jsonb_agg(jsonb_build_object('id', k.id)) FROM unnest(kept) AS k (id)), false);
        PERFORM set_config('thaw.taking', '', true), set_config('thaw.retrying', '', true);
        kept := ARRAY(
            SELECT DISTINCT x.external_id FROM thaw.adopt_errors AS x
            WHERE x.kind = confirm_changes.kind AND x.external_id = ANY (confirm_changes.ids));
        PERFORM thaw.queue_changes(confirm_changes.kind, ARRAY(
            SELECT a.id FROM thaw.accounts AS a WHERE confirm_changes.kind = 'account' AND a.external_id = ANY (kept)
            UNION ALL
            SELECT c.id FROM thaw.campaigns AS c WHERE confirm_changes.kind = 'campaign' AND c.external_id = ANY (kept)
            UNION ALL
            SELECT e.id FROM thaw.enrollments AS e WHERE confirm_changes.kind = 'enrollment' AND e.external_id = ANY (kept)), 'unknown', 'person',
            coalesce(nullif(current_setting('thaw.taken_since', true), '')::timestamptz, thaw.now()));
        ready := ARRAY(SELECT unnest(ready) EXCEPT SELECT unnest(kept));
    END IF;
    RETURN QUERY
    SELECT now.id, now.status, now.reason, now.own_reason, now.account, now.next_action_at, now.paused_at
    FROM (
        SELECT a.external_id AS id, a.status::text AS status, NULL AS reason, NULL AS own_reason, NULL AS account, NULL::timestamptz AS next_action_at,
            NULL::timestamptz AS paused_at
        FROM thaw.accounts AS a WHERE confirm_changes.kind = 'account' AND a.external_id = ANY (ready)
        UNION ALL
        SELECT c.external_id, c.status::text, c.paused_reason::text, NULL, NULL, NULL, c.paused_at
        FROM thaw.campaigns AS c
        WHERE confirm_changes.kind = 'campaign' AND c.external_id = ANY (ready) AND c.status IN ('running', 'paused')
        UNION ALL
        SELECT e.external_id, e.status::text, e.paused_reason::text, e.own_reason, a.external_id, e.next_action_at, e.paused_at
        FROM thaw.enrollments AS e
        LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
        WHERE confirm_changes.kind = 'enrollment' AND e.external_id = ANY (ready) AND e.status IN ('pending', 'active', 'paused')) AS now
    ORDER BY length(now.id), now.id COLLATE "C";
END;
$$;
COMMENT ON FUNCTION thaw.confirm_changes(kind text, ids text[]) IS 'What to write into the platform''s rows: call it after thaw.take_changes and after locking the rows, with their kind (account, campaign, enrollment) and their IDs. Rows that are not returned need nothing now.';
CREATE FUNCTION thaw.correct_action_hold(account text, kind text, until timestamp with time zone, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_sending_reason(correct_action_hold.reason, correct_action_hold.actor), thaw.require_kind(correct_action_hold.kind);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(correct_action_hold.account, correct_action_hold.provider) FOR NO KEY UPDATE;
    IF correct_action_hold.until <= thaw.now() OR correct_action_hold.until > thaw.now() + interval '10 years' THEN
        RAISE EXCEPTION 'a hold must end in the future, at most 10 years away, not at %', thaw.job_time(correct_action_hold.until)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'To end the hold now, omit the end (null in SQL).';
    ELSIF NOT EXISTS (
        SELECT FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind AND h.until > thaw.now())
    THEN
        RAISE EXCEPTION 'the kind % of account "%" is not on hold', correct_action_hold.kind, correct_action_hold.account
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Only a current hold can be corrected. It is of the account for which it was set.';
    END IF;
    -- Written first: the trigger action_holds_keep requires the record.
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('kind_hold_corrected', correct_action_hold.actor, correct_action_hold.reason, correct_action_hold.kind, held.workspace_id, held.id);
    IF correct_action_hold.until IS NULL THEN
        DELETE FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind;
    ELSE
        UPDATE thaw.action_holds AS h SET
            until = correct_action_hold.until, code = 'person', reason = correct_action_hold.reason, actor = correct_action_hold.actor, at = thaw.now()
        WHERE h.account_id = held.id AND h.kind = correct_action_hold.kind;
    END IF;
    RETURN correct_action_hold.until;
END;
$$;
COMMENT ON FUNCTION thaw.correct_action_hold(account text, kind text, until timestamp with time zone, reason text, actor text, provider text) IS 'Corrects a mistaken hold of one kind: sets another end of it, or ends it now (until null), with a reason for the audit log. Only the owner of the schema may call it.';
CREATE FUNCTION thaw.correct_hold(account text, until timestamp with time zone, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(correct_hold.account, correct_hold.provider) FOR NO KEY UPDATE;
    IF held.hold_until IS NULL OR held.hold_until <= thaw.now() THEN
        RAISE EXCEPTION 'account "%" is not on hold', correct_hold.account
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a current hold can be corrected.';
    ELSIF correct_hold.until <= thaw.now() OR correct_hold.until > thaw.now() + interval '10 years' THEN
        RAISE EXCEPTION 'a hold must end in the future, at most 10 years away, not at %', thaw.job_time(correct_hold.until)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'To end the hold now, omit the end (null in SQL).';
    END IF;
    RETURN thaw.set_hold('hold_corrected', held, correct_hold.until, correct_hold.reason, correct_hold.actor);
END;
$$;
COMMENT ON FUNCTION thaw.correct_hold(account text, until timestamp with time zone, reason text, actor text, provider text) IS 'For operators: sets another end of a hold, or ends it now (until null), with a reason for the audit log. Only the owner of the schema may call it.';
CREATE FUNCTION thaw.count_action_hours() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    at       timestamptz := thaw.now();
    settings thaw.settings;
    last     timestamptz;
    oldest   timestamptz := thaw.hour_of(at - interval '31 days');
    since    timestamptz;
    changed  timestamptz[];
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT coalesce(s.hours_counted_at, '-infinity') INTO last FROM thaw.scheduler AS s
    WHERE s.hours_counted_at IS NULL OR s.hours_counted_at <= at - least(settings.tick, interval '5 minutes')
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The hour before is counted again: a settlement may commit after its hour.
    since := greatest(oldest, thaw.hour_of(last) - interval '1 hour');
    -- At most 100 changed hours at a time. The others follow with the next counts.
    changed := ARRAY(SELECT DISTINCT c.hour FROM thaw.action_hour_changes AS c ORDER BY c.hour LIMIT 100);
    -- What is noted from here on for these hours is committed, and the count below has it.
    DELETE FROM thaw.action_hour_changes AS c WHERE c.hour = ANY (changed);
    DELETE FROM thaw.action_hours AS h WHERE h.hour >= since OR h.hour < oldest OR h.hour = ANY (changed);
    INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered)
    SELECT thaw.hour_of(a.settled_at), count(*) FILTER (WHERE a.state = 'sent'),
        count(*) FILTER (WHERE a.state = 'unknown'), count(*) FILTER (WHERE a.state NOT IN ('sent', 'unknown'))
    FROM thaw.actions AS a
    WHERE a.settled_at >= since AND a.started_at IS NOT NULL
    GROUP BY 1
    ORDER BY 1;
    INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered)
    SELECT again.hour, counted.sent, counted.unknown, counted.undelivered
    FROM unnest(changed) AS again (hour)
    CROSS JOIN LATERAL (
        SELECT count(*) AS actions, count(*) FILTER (WHERE a.state = 'sent') AS sent,
            count(*) FILTER (WHERE a.state = 'unknown') AS unknown, count(*) FILTER (WHERE a.state NOT IN ('sent', 'unknown')) AS undelivered
        FROM thaw.actions AS a
        WHERE a.settled_at >= again.hour AND a.settled_at < again.hour + interval '1 hour' AND a.started_at IS NOT NULL) AS counted
    WHERE again.hour >= oldest AND again.hour < since AND counted.actions > 0
    ORDER BY again.hour;
    UPDATE thaw.scheduler SET hours_counted_at = at;
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.count_action_hours() IS 'Counts what was settled per hour since the last count, and the hours that have changed since (thaw.action_hour_changes). Returns whether it did: at most every 5 minutes. Every worker process calls it.';
CREATE FUNCTION thaw.count_heal(p_heal_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal thaw.heals;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    UPDATE thaw.heals AS h SET found = heal.resumed + scope.waiting, accounts = scope.accounts, first_source_ids = NULL,
        account_share = CASE WHEN heal.oldest_first AND heal.account_id IS NULL AND scope.waiting > heal.cap - heal.resumed THEN
            greatest(1, thaw.fair_share(scope.each_waiting, heal.cap - heal.resumed)) END,
        all_campaigns_open = heal.workspace_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM thaw.campaigns AS campaign
            WHERE campaign.workspace_id = heal.workspace_id AND NOT thaw.allows_resume(campaign.status, campaign.waits_for_account)
                AND EXISTS (
                    SELECT FROM thaw.paused_counts AS line
                    WHERE line.campaign_id = campaign.id AND line.waits_for_account AND line.paused > 0))
    FROM (
        SELECT coalesce(sum(source.waiting), 0) AS waiting, count(*) AS accounts, array_agg(source.waiting) AS each_waiting
        FROM (
            SELECT known.source_id, sum(known.waiting)::bigint AS waiting
            FROM (
                SELECT line.source_id, line.waiting FROM thaw.heal_scope(p_heal_id) AS line
                UNION ALL
                SELECT first.id, 0 FROM unnest(heal.first_source_ids) AS first (id)) AS known
            GROUP BY known.source_id) AS source) AS scope
    WHERE h.id = p_heal_id;
END;
$$;
CREATE FUNCTION thaw.count_mentions(p_texts text[]) RETURNS TABLE(table_name text, mentions bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
DECLARE
    pattern text := thaw.mention_pattern(p_texts);
    line    record;
BEGIN
    FOR line IN
        SELECT c.table_name, string_agg(format('t.%I::text ~* $1', c.column_name), ' OR ') AS condition
        FROM thaw.text_columns() AS c GROUP BY c.table_name ORDER BY c.table_name
    LOOP
        EXECUTE format('SELECT count(*) FROM thaw.%I AS t WHERE %s', line.table_name, line.condition) INTO mentions USING pattern;
        table_name := line.table_name;
        RETURN NEXT;
    END LOOP;
END;
$_$;
COMMENT ON FUNCTION thaw.count_mentions(p_texts text[]) IS 'How many rows of each table mention one of the texts (URLs in any spelling, names, addresses), in any column that holds text.';
CREATE FUNCTION thaw.counts_into(p_day date, p_began_at timestamp with time zone, p_local_day date, p_used_at timestamp with time zone, p_state thaw.action_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((p_local_day = p_day) OR (p_used_at >= p_began_at) OR (p_state = 'started'::thaw.action_state));
CREATE FUNCTION thaw.counts_into_campaign_day(p_day date, p_local_day date, p_zone text, p_used_at timestamp with time zone, p_state thaw.action_state, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ((p_local_day = p_day) OR ((p_local_day = (p_day - 1)) AND (((CASE WHEN (p_state = 'started'::thaw.action_state) THEN p_at ELSE p_used_at END AT TIME ZONE p_zone))::date >= p_day)));
CREATE FUNCTION thaw.current_reason(p_reason thaw.pause_reason) RETURNS thaw.pause_reason
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_reason WHEN 'linkedin_account_disconnected'::thaw.pause_reason THEN 'account_disconnected'::thaw.pause_reason WHEN 'linkedin_account_issue'::thaw.pause_reason THEN 'account_issue'::thaw.pause_reason WHEN 'linkedin_high_failure_rate'::thaw.pause_reason THEN 'high_failure_rate'::thaw.pause_reason ELSE p_reason END;
COMMENT ON FUNCTION thaw.current_reason(p_reason thaw.pause_reason) IS 'The reason that replaces a deprecated pause reason; any other reason is returned unchanged.';
CREATE FUNCTION thaw.first_instant(p_zone text, p_local timestamp without time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    later   timestamptz := p_local AT TIME ZONE p_zone;
    earlier timestamptz := (p_local - thaw.utc_offset(p_zone, later - interval '6 hours')) AT TIME ZONE 'UTC';
BEGIN
    RETURN CASE WHEN earlier < later AND earlier AT TIME ZONE p_zone = p_local THEN earlier ELSE later END;
END;
$$;
CREATE FUNCTION thaw.day_start(p_zone text, p_day date) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN thaw.first_instant(p_zone, (p_day)::timestamp without time zone);
CREATE FUNCTION thaw.default_heal_cap() RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN 5000;
CREATE FUNCTION thaw.deliver(p_outbox_id bigint, p_failed boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    message  text := (SELECT o.message_id FROM thaw.outbox AS o WHERE o.id = p_outbox_id);
    endpoint bigint;
    given    integer := 0;
BEGIN
    FOR endpoint IN
        SELECT e.id
        FROM thaw.webhook_endpoints AS e
        WHERE e.disabled_at IS NULL AND (NOT p_failed OR EXISTS (
            SELECT FROM thaw.webhook_deliveries AS d
            WHERE d.outbox_id = p_outbox_id AND d.endpoint_id = e.id AND d.state = 'failed'))
        ORDER BY e.id FOR KEY SHARE OF e
    LOOP
        INSERT INTO thaw.webhook_deliveries AS d (outbox_id, endpoint_id) VALUES (p_outbox_id, endpoint)
        ON CONFLICT (outbox_id, endpoint_id) DO UPDATE SET
            state = 'waiting', attempts = 0, next_attempt_at = thaw.now(), delivered_at = NULL;
        -- One queue per endpoint: a slow endpoint does not delay others, and only processes with
        -- its secret read its queue.
        PERFORM thaw.enqueue('deliver', 'webhooks_' || endpoint, 2::smallint,
            jsonb_build_object('endpoint_id', endpoint, 'message_id', message));
        given := given + 1;
    END LOOP;
    RETURN given;
END;
$$;
CREATE FUNCTION thaw.deltas_settled(p_xmax xid8) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- Transaction ids in pg_locks have 32 bits; the distance to the next one is less than half of
    -- that range.
    next bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
BEGIN
    RETURN NOT EXISTS (
        WITH locks AS MATERIALIZED (SELECT l.* FROM pg_catalog.pg_locks AS l)
        SELECT FROM locks AS writer
        LEFT JOIN locks AS own
            ON own.virtualtransaction = writer.virtualtransaction AND own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
        WHERE writer.locktype = 'relation' AND writer.relation = 'thaw.paused_deltas'::regclass
            AND writer.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
            AND writer.mode = 'RowExclusiveLock' AND writer.granted
            AND writer.pid IS DISTINCT FROM pg_backend_pid()
            AND (own.transactionid IS NULL
                OR next + (own.transactionid::text::bigint - next % 4294967296 + 6442450944) % 4294967296 - 2147483648
                    < p_xmax::text::bigint));
END;
$$;
CREATE FUNCTION thaw.draw(p_key text) RETURNS double precision
    LANGUAGE sql
    RETURN random();
CREATE FUNCTION thaw.drop_jobs(p_queue text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM "thaw".river_job AS job
    WHERE job.queue = p_queue AND job.state IN ('available', 'scheduled', 'retryable', 'pending');
END;
$$;
CREATE FUNCTION thaw.drop_tick_jobs(p_tick_at timestamp with time zone, p_size integer) RETURNS integer
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    dropped integer;
BEGIN
    DELETE FROM "thaw".river_job AS job
    WHERE job.id = ANY (ARRAY(
        SELECT stale.id FROM "thaw".river_job AS stale
        WHERE stale.queue = 'tick' AND stale.kind = 'resume_account'
            AND stale.state IN ('available', 'scheduled', 'retryable', 'pending')
            AND stale.args ->> 'tick_at' < thaw.job_time(p_tick_at)
        LIMIT p_size
        FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END;
$$;
CREATE FUNCTION thaw.due_lines(p_account_ids bigint[]) RETURNS TABLE(account_id bigint, campaign_id bigint, kind text, due_at timestamp with time zone)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH RECURSIVE loose AS (
          SELECT account.id AS account_id,
             line.campaign_id,
             line.next_kind,
             line.due_at
            FROM (unnest(due_lines.p_account_ids) account(id)
              CROSS JOIN LATERAL ( SELECT e.campaign_id,
                     e.next_kind,
                     e.due_at
                    FROM thaw.enrollments e
                   WHERE ((e.account_id = account.id) AND (e.due_at IS NOT NULL))
                   ORDER BY e.campaign_id, e.next_kind, e.due_at
                  LIMIT 1) line)
         UNION ALL
          SELECT loose_1.account_id,
             next.campaign_id,
             next.next_kind,
             next.due_at
            FROM (loose loose_1
              CROSS JOIN LATERAL ( SELECT e.campaign_id,
                     e.next_kind,
                     e.due_at
                    FROM thaw.enrollments e
                   WHERE ((e.account_id = loose_1.account_id) AND (e.due_at IS NOT NULL) AND (ROW(e.campaign_id, e.next_kind) > ROW(loose_1.campaign_id, loose_1.next_kind)))
                   ORDER BY e.campaign_id, e.next_kind, e.due_at
                  LIMIT 1) next)
         )
  SELECT loose.account_id,
     loose.campaign_id,
     loose.next_kind,
     loose.due_at
    FROM loose;
END;
CREATE FUNCTION thaw.enable_endpoint(p_endpoint_id bigint, p_shown text, p_reason text, p_actor text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    UPDATE thaw.webhook_endpoints AS e SET disabled_at = NULL, disabled_reason = NULL
    WHERE e.id = p_endpoint_id AND e.disabled_at IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('endpoint_enabled', p_actor, p_reason, p_shown);
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.end_of_range(beginning text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (beginning || chr(1114111));
CREATE FUNCTION thaw.ends_in(p_type text, p_data jsonb) RETURNS interval
    LANGUAGE sql STABLE
    RETURN CASE WHEN (p_type = 'action.due'::text) THEN (((p_data ->> 'lease_until'::text))::timestamp with time zone - thaw.now()) ELSE NULL::interval END;
CREATE FUNCTION thaw.enqueue(p_kind text, p_queue text, p_priority smallint, p_args jsonb, p_delay interval DEFAULT '00:00:00'::interval, p_unique_states bit DEFAULT '11110001'::"bit") RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    job_id bigint;
BEGIN
    INSERT INTO "thaw".river_job AS job (
        args, kind, max_attempts, metadata, priority, queue, scheduled_at, state, unique_key, unique_states)
    VALUES (
        p_args, p_kind, 500,
        -- A traced transaction sets thaw.traceparent; its jobs continue the trace.
        jsonb_strip_nulls(jsonb_build_object('traceparent', nullif(current_setting('thaw.traceparent', true), ''))),
        p_priority, p_queue, pg_catalog.now() + p_delay,
        CASE WHEN p_delay > '0' THEN 'scheduled' ELSE 'available' END::"thaw".river_job_state,
        thaw.job_key(p_kind, p_args), p_unique_states)
    -- The same no-op update as in River's insert: without it, a conflict would return no row.
    ON CONFLICT (unique_key)
        WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL
            AND "thaw".river_job_state_in_bitmask(unique_states, state)
        DO UPDATE SET kind = job.kind
    RETURNING job.id INTO job_id;
    RETURN job_id;
END;
$$;
COMMENT ON FUNCTION thaw.enqueue(p_kind text, p_queue text, p_priority smallint, p_args jsonb, p_delay interval, p_unique_states bit) IS 'Inserts a River job, unique by kind and arguments in the given states (bits: scheduled, running, retryable, pending, discarded, completed, cancelled, available). Does not notify: workers poll for new jobs several times in 100 ms. Returns the id of the new or of the existing job.';
CREATE FUNCTION thaw.enqueue_many(p_kind text, p_queue text, p_priority smallint, p_args jsonb[], p_unique_states bit DEFAULT '11110001'::"bit") RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    added integer;
BEGIN
    INSERT INTO "thaw".river_job (
        args, kind, max_attempts, metadata, priority, queue, scheduled_at, state, unique_key, unique_states)
    SELECT job.args, p_kind, 500,
        jsonb_strip_nulls(jsonb_build_object('traceparent', nullif(current_setting('thaw.traceparent', true), ''))),
        p_priority, p_queue, pg_catalog.now(), 'available', thaw.job_key(p_kind, job.args), p_unique_states
    FROM unnest(p_args) AS job (args)
    ON CONFLICT (unique_key)
        WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL
            AND "thaw".river_job_state_in_bitmask(unique_states, state)
        DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END;
$$;
COMMENT ON FUNCTION thaw.enqueue_many(p_kind text, p_queue text, p_priority smallint, p_args jsonb[], p_unique_states bit) IS 'Inserts River jobs of one kind in one statement, unique by kind and arguments. Returns how many are new.';
CREATE FUNCTION thaw.enrollment_events_queue() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_rows AS n WHERE n.source <> 'platform') OR NOT thaw.is_adopted() THEN
        RETURN NULL;
    END IF;
    PERFORM thaw.refuse_in_shadow(ARRAY(
        SELECT DISTINCT e.workspace_id FROM new_rows AS n JOIN thaw.enrollments AS e ON e.id = n.enrollment_id
        WHERE n.source <> 'platform' AND e.external_id IS NOT NULL));
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, from_account_id, cause)
    SELECT 'enrollment', change.id, change.from_status, change.from_account_id, change.cause
    FROM (
        SELECT e.id, (array_agg(n.from_status::text ORDER BY n.id))[1] AS from_status,
            min(n.from_account_id) FILTER (WHERE n.kind = 'moved') AS from_account_id, thaw.cause_of(min(n.source)) AS cause
        FROM new_rows AS n
        JOIN thaw.enrollments AS e ON e.id = n.enrollment_id
        WHERE n.source <> 'platform' AND e.external_id IS NOT NULL
        GROUP BY e.id) AS change
    ORDER BY change.id;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_count_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, -count(*)
    FROM old_rows AS o
    WHERE o.paused_reason IS NOT NULL AND o.account_id IS NOT NULL
    GROUP BY o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_count_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account, count(*)
    FROM new_rows AS n
    WHERE n.paused_reason IS NOT NULL AND n.account_id IS NOT NULL
    GROUP BY n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_count_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.paused_reason IS NOT NULL AND OLD.account_id IS NOT NULL THEN
        INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
        VALUES (OLD.account_id, OLD.campaign_id, OLD.paused_reason, OLD.waits_for_account, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.paused_reason IS NOT NULL AND NEW.account_id IS NOT NULL THEN
        INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
        VALUES (NEW.account_id, NEW.campaign_id, NEW.paused_reason, NEW.waits_for_account, 1);
    END IF;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_count_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT l.account_id, l.campaign_id, l.reason, l.waits_for_account, -l.paused FROM thaw.paused_lines AS l;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_count_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT line.account_id, line.campaign_id, line.paused_reason, line.waits_for_account, sum(line.n)
    FROM (
        SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, -1 AS n FROM old_rows AS o
        WHERE o.paused_reason IS NOT NULL AND o.account_id IS NOT NULL
        UNION ALL
        SELECT n.account_id, n.campaign_id, n.paused_reason, n.waits_for_account, 1 FROM new_rows AS n
        WHERE n.paused_reason IS NOT NULL AND n.account_id IS NOT NULL) AS line
    GROUP BY line.account_id, line.campaign_id, line.paused_reason, line.waits_for_account
    HAVING sum(line.n) <> 0;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_date_pause() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.enrollments AS e SET paused_at = thaw.pause_begins(NEW.id, NEW.paused_at)
    WHERE e.id = NEW.id AND e.paused_at = NEW.paused_at AND e.paused_at < thaw.pause_begins(NEW.id, NEW.paused_at);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_end_own_reason() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.own_reason := NULL;
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.enrollments_named(p_names text[], p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT '9223372036854775807'::bigint) RETURNS TABLE(id bigint)
    LANGUAGE sql STABLE ROWS 10
    BEGIN ATOMIC
 SELECT e.id
    FROM thaw.enrollments e
   WHERE ((e.prospect_url = ANY (enrollments_named.p_names)) AND ((e.workspace_id >= enrollments_named.p_first_workspace) AND (e.workspace_id <= enrollments_named.p_last_workspace)))
 UNION ALL
  SELECT e.id
    FROM thaw.enrollments e
   WHERE ((e.external_id = ANY (enrollments_named.p_names)) AND ((e.workspace_id >= enrollments_named.p_first_workspace) AND (e.workspace_id <= enrollments_named.p_last_workspace)) AND (NOT (e.prospect_url = ANY (enrollments_named.p_names))) AND (NOT (EXISTS ( SELECT
            FROM thaw.enrollments k
           WHERE ((k.prospect_url = e.external_id) AND ((k.workspace_id >= enrollments_named.p_first_workspace) AND (k.workspace_id <= enrollments_named.p_last_workspace)))))));
END;
CREATE FUNCTION thaw.enrollments_note_next_kind() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status THEN
        PERFORM c.id FROM thaw.campaigns AS c WHERE c.id = NEW.campaign_id FOR KEY SHARE;
    END IF;
    IF EXISTS (SELECT FROM thaw.campaign_steps AS s WHERE s.campaign_id = NEW.campaign_id) THEN
        NEW.next_kind := (SELECT s.kind FROM thaw.campaign_steps AS s WHERE s.campaign_id = NEW.campaign_id AND s.position = NEW.step);
    END IF;
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.enrollments_nudge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge(NEW.account_id, NEW.due_at);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_release_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id FROM thaw.actions AS open
        WHERE open.enrollment_id = NEW.id AND open.is_used AND open.state = 'reserved' FOR NO KEY UPDATE SKIP LOCKED), 'not_active');
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_release_set() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
    PERFORM thaw.release_actions(ARRAY(
        SELECT open.id
        FROM new_rows AS e
        JOIN thaw.actions AS open ON open.enrollment_id = e.id AND open.is_used AND open.state = 'reserved'
        WHERE e.status = 'paused' ORDER BY open.id FOR NO KEY UPDATE OF open SKIP LOCKED), 'not_active');
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_write_history() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    kind thaw.event_kind := CASE
        WHEN NEW.status = 'active' THEN 'resumed'
        WHEN NEW.status <> 'paused' THEN 'changed'
        -- As with thaw.resume_prospect: a prospect that a person or a restriction paused waits for
        -- its account again.
        WHEN NEW.waits_for_account AND OLD.status = 'paused' AND NOT OLD.waits_for_account THEN 'released'
        ELSE 'paused' END;
BEGIN
    IF OLD.paused_reason IS DISTINCT FROM NEW.paused_reason THEN
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        VALUES (NEW.id, thaw.now(), OLD.account_id, OLD.account_id, NEW.step, kind, 'platform', OLD.status, NEW.status,
            CASE kind WHEN 'paused' THEN NEW.paused_reason ELSE OLD.paused_reason END,
            CASE kind WHEN 'paused' THEN NEW.paused_at ELSE OLD.paused_at END,
            'by database role ' || session_user || CASE NEW.paused_reason WHEN 'paused_by_user' THEN coalesce(': ' || NEW.own_reason, '') ELSE '' END);
    END IF;
    -- Not a move: an account is assigned to a prospect without one, or taken away.
    IF OLD.account_id <> NEW.account_id THEN
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        VALUES (NEW.id, thaw.now(), OLD.account_id, NEW.account_id, NEW.step, 'moved', 'platform', NEW.status, NEW.status,
            NEW.paused_reason, NEW.paused_at, 'by database role ' || session_user);
    END IF;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.enrollments_write_step() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
    VALUES (NEW.id, thaw.now(), NEW.account_id, NEW.account_id, NEW.step, 'settled', 'platform', 'paused', 'paused', NEW.paused_reason,
        NEW.paused_at, 'by database role ' || session_user);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.ensure_senders(p_account_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    moved record;
BEGIN
    IF NOT EXISTS (
        SELECT FROM thaw.accounts AS a
        LEFT JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        LEFT JOIN thaw.senders AS s ON s.id = sending.sender_id
        WHERE a.id = ANY (p_account_ids) AND (s.provider, s.key) IS DISTINCT FROM (a.provider, thaw.person_of(a)))
    THEN
        RETURN;
    END IF;
    INSERT INTO thaw.senders (provider, key)
    SELECT DISTINCT a.provider, thaw.person_of(a)
    FROM thaw.accounts AS a
    WHERE a.id = ANY (p_account_ids)
    ORDER BY a.provider, thaw.person_of(a)
    ON CONFLICT (provider, key) DO NOTHING;
    -- All senders that are involved are locked in one order.
    PERFORM s.id FROM thaw.senders AS s
    WHERE s.id IN (
        SELECT unnest(ARRAY[sending.sender_id, known.id])
        FROM thaw.accounts AS a
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        JOIN thaw.senders AS known ON known.provider = a.provider AND known.key = thaw.person_of(a)
        WHERE a.id = ANY (p_account_ids) AND sending.sender_id <> known.id)
    ORDER BY s.id FOR NO KEY UPDATE;
    FOR moved IN
        SELECT sending.account_id, sending.sender_id AS from_id, s.id AS to_id
        FROM thaw.accounts AS a
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        JOIN thaw.senders AS s ON s.provider = a.provider AND s.key = thaw.person_of(a)
        WHERE a.id = ANY (p_account_ids) AND sending.sender_id <> s.id
        ORDER BY sending.account_id
    LOOP
        PERFORM thaw.move_to_sender(moved.account_id, moved.from_id, moved.to_id);
    END LOOP;
    INSERT INTO thaw.sending_accounts (account_id, workspace_id, sender_id)
    SELECT a.id, a.workspace_id, s.id
    FROM thaw.accounts AS a
    JOIN thaw.senders AS s ON s.provider = a.provider AND s.key = thaw.person_of(a)
    WHERE a.id = ANY (p_account_ids)
    ORDER BY a.id
    ON CONFLICT (account_id) DO NOTHING;
END;
$$;
CREATE FUNCTION thaw.enter_on_breach(p_losses record) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_losses.is_breach THEN
        PERFORM thaw.enter_safety_mode(
            format('%s of %s connected accounts were lost within %s', p_losses.accounts_lost, p_losses.accounts_connected,
                (SELECT CASE
                    WHEN p_losses.is_slow THEN ceil(extract(epoch FROM s.safety_slow_window) / 3600) || ' hours'
                    ELSE ceil(extract(epoch FROM s.safety_window) / 60) || ' minutes' END FROM thaw.settings AS s)),
            'monitor', false, p_losses.accounts_lost, p_losses.accounts_connected);
    END IF;
END;
$$;
CREATE FUNCTION thaw.enter_safety_mode(p_reason text, p_actor text, p_manual_exit boolean, p_accounts_lost integer DEFAULT NULL::integer, p_accounts_connected integer DEFAULT NULL::integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.safety AS s SET
        since = thaw.now(), reason = p_reason, entered_by = p_actor, manual_exit = p_manual_exit,
        accounts_lost = p_accounts_lost, accounts_connected = p_accounts_connected
    WHERE s.since IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.manual_actions (what, actor, reason, accounts_lost, accounts_connected)
    VALUES ('safety_entered', p_actor, p_reason, p_accounts_lost, p_accounts_connected);
    PERFORM thaw.publish('safety.entered', NULL, NULL, jsonb_build_object(
        'reason', p_reason, 'actor', p_actor, 'accounts_lost', p_accounts_lost, 'accounts_connected', p_accounts_connected));
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.erase_found(p_found jsonb, p_person text, p_mention text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
DECLARE
    line   record;
    keys   text[];
    gone   bigint[] := '{}';
    n      bigint;
    done   bigint;
    counts jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        keys := ARRAY(SELECT jsonb_array_elements_text(p_found -> line.table_name));
        done := 0;
        -- A statement of its own: the next one sees what other transactions have changed until now.
        EXECUTE format('SELECT array_agg(held.key) FROM (
                SELECT t.%1$I::text AS key FROM thaw.%2$I AS t WHERE t.%1$I = ANY ($1::%3$s[]) FOR NO KEY UPDATE SKIP LOCKED) AS held',
            line.key_name, line.table_name, line.key_type) INTO keys USING keys;
        CASE line.table_name
        WHEN 'adopt_errors' THEN
            DELETE FROM thaw.adopt_errors AS x
            WHERE x.id = ANY (keys::bigint[]) AND (x.change::text ~* p_person OR x.kind = 'enrollment' AND EXISTS (
                SELECT FROM thaw.enrollments AS e WHERE e.external_id = x.external_id HAVING bool_and(e.prospect_url ~* p_person)));
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'enrollments' THEN
            WITH deleted AS (
                DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (keys::bigint[]) AND e.prospect_url ~* p_person RETURNING e.id)
            SELECT coalesce(array_agg(deleted.id), '{}') INTO gone FROM deleted;
            done := cardinality(gone);
            counts := counts || jsonb_build_object('gone', done);
        WHEN 'enrollment_events' THEN
            -- All text about a prospect that is gone. These rows are found by the prospect.
            UPDATE thaw.enrollment_events AS event SET detail = NULL WHERE event.enrollment_id = ANY (gone) AND event.detail IS NOT NULL;
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'manual_actions' THEN
            -- The text of an action on the prospect is about this person, whatever it says.
            UPDATE thaw.manual_actions AS d SET
                prospect_url = CASE WHEN d.prospect_url !~* p_mention THEN d.prospect_url END,
                actor = regexp_replace(d.actor, p_mention, '[erased]', 'gi'),
                reason = CASE WHEN d.prospect_url ~* p_person THEN '[erased]' ELSE regexp_replace(d.reason, p_mention, '[erased]', 'gi') END,
                detail = CASE WHEN d.prospect_url ~* p_person THEN NULL ELSE regexp_replace(d.detail, p_mention, '[erased]', 'gi') END
            WHERE d.id = ANY (keys::bigint[])
                AND (d.prospect_url ~* p_mention OR d.actor ~* p_mention OR d.reason ~* p_mention OR d.detail ~* p_mention);
            GET DIAGNOSTICS done = ROW_COUNT;
        ELSE
            NULL;
        END CASE;
        EXECUTE format('UPDATE thaw.%I AS t SET %s WHERE t.%I = ANY ($2::%s[]) AND (%s)', line.table_name, line.changes, line.key_name, line.key_type, line.condition)
        USING p_mention, keys;
        GET DIAGNOSTICS n = ROW_COUNT;
        -- A row of the audit log may have been changed twice.
        counts := counts || jsonb_build_object(line.table_name, least(done + n, coalesce(cardinality(keys), 0)
            + CASE line.table_name WHEN 'enrollment_events' THEN done ELSE 0 END));
    END LOOP;
    RETURN counts;
END;
$_$;
CREATE FUNCTION thaw.erase_person(p_urls text[], p_also text[], p_reason text, p_actor text, p_size integer DEFAULT 10000) RETURNS TABLE(table_name text, erased bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    person    text := thaw.mention_pattern(p_urls);
    mention   text := thaw.mention_pattern(p_urls || p_also);
    counts    jsonb;
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    IF p_reason ~* mention OR p_actor ~* mention THEN
        RAISE EXCEPTION 'the reason or the actor names the person' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'The audit log keeps both. Write, for example, the number of the request.';
    ELSIF coalesce(p_size, 0) NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'size is %', coalesce(p_size::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Erase from 1 to 100000 rows of each table per call.';
    END IF;
    -- Recorded first: see thaw.accounts_keep_hold.
    INSERT INTO thaw.manual_actions AS d (what, actor, reason) VALUES ('prospect_erased', p_actor, p_reason) RETURNING d.id INTO action_id;
    counts := thaw.erase_found(thaw.find_mentions(person, mention, p_size), person, mention);
    UPDATE thaw.manual_actions AS d SET enrollments = (counts ->> 'gone')::integer WHERE d.id = action_id;
    RETURN QUERY SELECT count.key, count.value::bigint FROM jsonb_each_text(counts - 'gone') AS count;
END;
$$;
CREATE FUNCTION thaw.erase_prospect(prospect text, reason text, actor text DEFAULT CURRENT_USER, workspace_key text DEFAULT NULL::text, also text[] DEFAULT '{}'::text[], size integer DEFAULT 10000) RETURNS TABLE(table_name text, erased bigint, remaining bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    urls       text[];
    workspaces bigint;
    counts     jsonb;
BEGIN
    SELECT array_agg(DISTINCT e.prospect_url), CASE WHEN bool_or(e.prospect_url = erase_prospect.prospect) THEN 1 ELSE count(DISTINCT e.workspace_id) END
    INTO urls, workspaces
    FROM thaw.enrollments_named(ARRAY[erase_prospect.prospect]) AS named
    JOIN thaw.enrollments AS e ON e.id = named.id
    WHERE erase_prospect.workspace_key IS NULL OR e.workspace_id = thaw.find_workspace(erase_prospect.workspace_key);
    IF workspaces > 1 THEN
        RAISE EXCEPTION '% workspaces have a prospect with the platform''s ID "%"', workspaces, erase_prospect.prospect
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the workspace too, or use the URL.';
    ELSIF urls IS NULL AND erase_prospect.prospect !~ '[/@]' THEN
        RAISE EXCEPTION 'no campaign has the prospect %', erase_prospect.prospect
            USING ERRCODE = 'no_data_found', HINT = 'Use a URL, an address, or the platform''s ID of a prospect that is enrolled.';
    END IF;
    -- A person who is no longer enrolled may still be mentioned.
    urls := coalesce(urls, ARRAY[erase_prospect.prospect]);
    SELECT jsonb_object_agg(done.table_name, done.erased) INTO counts
    FROM thaw.erase_person(urls, erase_prospect.also, erase_prospect.reason, erase_prospect.actor, erase_prospect.size) AS done;
    RETURN QUERY
    SELECT remaining.table_name, coalesce((counts ->> remaining.table_name)::bigint, 0), remaining.mentions
    FROM thaw.count_mentions(urls || erase_prospect.also) AS remaining;
END;
$$;
COMMENT ON FUNCTION thaw.erase_prospect(prospect text, reason text, actor text, workspace_key text, also text[], size integer) IS 'Erases a person, given by a URL or by the platform''s ID of a prospect: enrollments in all campaigns and workspaces, and every mention in history, audit log, messages, webhook bodies and jobs. also: other texts to erase, such as the name. size: at most so many rows of each table. Returns, per table, how many rows were erased and how many still mention the person; while the latter is not 0, call it again. Cannot be undone. For the owner of the schema and roles that were granted it.';
CREATE FUNCTION thaw.exit_safety_mode(p_reason text, p_actor text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    began timestamptz;
    transient_errors bigint[];
BEGIN
    IF (SELECT s.since IS NULL FROM thaw.safety AS s) THEN
        RETURN false;
    ELSIF thaw.why_copy() IS NOT NULL THEN
        RAISE EXCEPTION '%', thaw.why_copy()
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Safety mode ends when you make it an instance of its own: thaw instance adopt --as NAME.';
    END IF;
    SELECT array_agg(transient_error.id) INTO transient_errors FROM (
        SELECT a.id FROM thaw.accounts AS a
        WHERE a.pause_after IS NOT NULL AND thaw.is_transient(a.status)
        ORDER BY a.id FOR NO KEY UPDATE) AS transient_error;
    SELECT s.since INTO began FROM thaw.safety AS s FOR NO KEY UPDATE;
    IF began IS NULL THEN
        RETURN false;
    END IF;
    UPDATE thaw.safety AS s SET
        since = NULL, reason = NULL, entered_by = NULL, manual_exit = false, accounts_lost = NULL, accounts_connected = NULL,
        breached_at = NULL, ended_at = thaw.now();
    UPDATE thaw.accounts AS a SET
        pause_after = a.pause_after + (thaw.now() - greatest(began, a.pause_after - settings.grace_period))
    FROM thaw.settings
    WHERE a.id = ANY (transient_errors);
    INSERT INTO thaw.manual_actions (what, actor, reason) VALUES ('safety_exited', p_actor, p_reason);
    PERFORM thaw.publish('safety.exited', NULL, NULL, jsonb_build_object('reason', p_reason, 'actor', p_actor, 'since', thaw.rfc3339(began)));
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.expedite(p_kind text, p_args jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE "thaw".river_job AS job SET state = 'available', scheduled_at = pg_catalog.now()
    WHERE job.unique_key = thaw.job_key(p_kind, p_args)
        AND job.unique_key IS NOT NULL AND job.unique_states IS NOT NULL
        AND "thaw".river_job_state_in_bitmask(job.unique_states, job.state)
        AND job.state IN ('scheduled', 'retryable');
END;
$$;
CREATE FUNCTION thaw.expire_actions(p_size integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    at      timestamptz := thaw.now();
    expired integer;
    unknown bigint[];
BEGIN
    WITH changed AS (
        UPDATE thaw.actions AS a SET
            state = CASE a.state WHEN 'reserved' THEN 'expired' ELSE 'unknown' END::thaw.action_state,
            used_at = CASE a.state WHEN 'started' THEN greatest(a.used_at, least(a.lease_until, at)) ELSE a.used_at END,
            lease_until = NULL, settled_at = greatest(at, a.started_at, a.reserved_at)
        WHERE a.id = ANY (ARRAY(
            SELECT ended.id FROM thaw.actions AS ended
            WHERE ended.lease_until <= at ORDER BY ended.lease_until LIMIT p_size FOR NO KEY UPDATE SKIP LOCKED))
        RETURNING a.id, a.state, a.account_id
    ), nudged AS (
        INSERT INTO thaw.nudges (account_id, at) SELECT DISTINCT changed.account_id, at FROM changed
    )
    SELECT count(*), array_agg(changed.id) FILTER (WHERE changed.state = 'unknown') INTO expired, unknown FROM changed;
    PERFORM thaw.publish_unknown(unknown);
    RETURN expired;
END;
$$;
COMMENT ON FUNCTION thaw.expire_actions(p_size integer) IS 'Ends the leases that are over. Every worker process calls it.';
CREATE FUNCTION thaw.fair_share(p_waiting bigint[], p_quota bigint) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        -- In ascending order: the first account that does not fit although all later ones get no
        -- more than it has.
        SELECT floor((p_quota - line.before) / line.others)::integer
        FROM (
            SELECT account.waiting, account.place, count(*) OVER () - account.place + 1 AS others,
                sum(account.waiting) OVER (ORDER BY account.place) - account.waiting AS before
            FROM (
                SELECT given.waiting, row_number() OVER (ORDER BY given.waiting) AS place
                FROM unnest(p_waiting) AS given (waiting)) AS account) AS line
        WHERE line.before + line.waiting * line.others > p_quota
        ORDER BY line.place
        LIMIT 1);
END;
$$;
CREATE TABLE thaw.river_job (
    id bigint NOT NULL,
    state thaw.river_job_state DEFAULT 'available'::thaw.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::thaw.river_job_state, 'completed'::thaw.river_job_state, 'discarded'::thaw.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::thaw.river_job_state, 'completed'::thaw.river_job_state, 'discarded'::thaw.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);
CREATE FUNCTION thaw.fetch_jobs(p_queue text, p_kinds text[], p_client_id text, p_size integer, p_max_attempted_by integer, p_reach interval) RETURNS SETOF thaw.river_job
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    WITH next AS MATERIALIZED (
        SELECT due.id
        FROM generate_series(1, 4) AS by (priority)
        CROSS JOIN LATERAL (
            SELECT job.id
            FROM "thaw".river_job AS job
            WHERE job.state = 'available' AND job.queue = p_queue AND job.priority = by.priority
                AND (p_kinds IS NULL OR job.kind = ANY (p_kinds))
                AND job.scheduled_at BETWEEN pg_catalog.now() - p_reach AND pg_catalog.now()
            ORDER BY job.scheduled_at, job.id
            LIMIT p_size
            FOR UPDATE SKIP LOCKED) AS due
        LIMIT p_size
    )
    UPDATE "thaw".river_job AS job SET
        state = 'running', attempt = job.attempt + 1, attempted_at = pg_catalog.now(),
        -- Keeps the last p_max_attempted_by entries.
        attempted_by = array_append(CASE
            WHEN cardinality(job.attempted_by) >= p_max_attempted_by
            THEN job.attempted_by[cardinality(job.attempted_by) + 2 - p_max_attempted_by:]
            ELSE job.attempted_by END, p_client_id)
    FROM next
    WHERE job.id = next.id
    RETURNING job.*;
END;
$$;
CREATE FUNCTION thaw.find_account(p_account text, p_provider text, p_workspace_id bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    found       bigint[];
    providers   text;
    is_external boolean;
    workspaces  text;
BEGIN
    SELECT array_agg(a.id), string_agg(a.provider, ', ' ORDER BY a.provider), bool_and(a.provider_account_id <> p_account),
        string_agg(w.key, ', ' ORDER BY w.key)
    INTO found, providers, is_external, workspaces
    FROM thaw.accounts_named(p_account, coalesce(p_workspace_id, 0), coalesce(p_workspace_id, 9223372036854775807)) AS named
    JOIN thaw.accounts AS a ON a.id = named.id
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id
    WHERE p_provider IS NULL OR a.provider = p_provider;
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no %account "%"%', coalesce(p_provider || ' ', ''), p_account,
            coalesce((SELECT format(' in workspace "%s"', w.key) FROM thaw.workspaces AS w WHERE w.id = p_workspace_id), '')
            USING ERRCODE = 'no_data_found', HINT = 'Use a provider_account_id or an external_id of thaw.accounts.';
    ELSIF cardinality(found) > 1 AND is_external THEN
        RAISE EXCEPTION '% workspaces have an account with the platform''s ID "%": %', cardinality(found), p_account, workspaces
            USING ERRCODE = 'cardinality_violation', HINT = 'Use the provider account ID.';
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION '% providers have an account "%": %', cardinality(found), p_account, providers
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the provider too.';
    END IF;
    RETURN found[1];
END;
$$;
CREATE FUNCTION thaw.find_campaign(p_workspace_key text, p_campaign text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    found bigint := (SELECT c.id FROM thaw.workspaces_named(p_workspace_key) AS w, thaw.campaigns_named(p_campaign, w.id) AS c);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'workspace "%" has no campaign "%"', p_workspace_key, p_campaign
            USING ERRCODE = 'no_data_found', HINT = 'thaw.campaigns.key lists the campaigns.';
    END IF;
    RETURN found;
END;
$$;
CREATE FUNCTION thaw.find_enrollment(workspace_key text, external_id text) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    found bigint := (
        SELECT e.id FROM thaw.enrollments AS e
        WHERE e.external_id = find_enrollment.external_id AND e.workspace_id = thaw.find_workspace(find_enrollment.workspace_key));
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'workspace "%" has no enrollment with the platform''s ID "%"', find_enrollment.workspace_key, find_enrollment.external_id
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments.external_id.';
    END IF;
    RETURN found;
END;
$$;
COMMENT ON FUNCTION thaw.find_enrollment(workspace_key text, external_id text) IS 'The ID of the enrollment with an ID of the platform (external_id) in a workspace, which is named by its key or its own external_id.';
CREATE FUNCTION thaw.find_mentions(p_person text, p_mention text, p_size integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
DECLARE
    line  record;
    keys  jsonb;
    found jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(found.key), ''[]'') FROM (SELECT t.%I::text AS key FROM thaw.%I AS t WHERE %s LIMIT $3) AS found',
            line.key_name, line.table_name, CASE line.table_name
                WHEN 'enrollments' THEN line.condition || ' OR t.prospect_url ~* $2'
                WHEN 'manual_actions' THEN line.condition || ' OR t.prospect_url ~* $1'
                -- A prospect whose rows are all of this person.
                WHEN 'adopt_errors' THEN line.condition || $c$ OR t.kind = 'enrollment' AND EXISTS (
                    SELECT FROM thaw.enrollments AS e WHERE e.external_id = t.external_id HAVING bool_and(e.prospect_url ~* $2))$c$
                ELSE line.condition END)
        INTO keys USING p_mention, p_person, p_size;
        found := found || jsonb_build_object(line.table_name, keys);
    END LOOP;
    RETURN found;
END;
$_$;
CREATE FUNCTION thaw.find_workspace(p_workspace text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    found bigint := (SELECT w.id FROM thaw.workspaces_named(p_workspace) AS w);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no workspace "%"', p_workspace
            USING ERRCODE = 'no_data_found', HINT = 'Use a key or an external_id of thaw.workspaces.';
    END IF;
    RETURN found;
END;
$$;
CREATE FUNCTION thaw.finish_heal(p_heal_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal    thaw.heals;
    waiting bigint := 0;
    sources bigint[] := '{}';
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id AND h.status <> 'done';
    IF (CASE WHEN thaw.is_listed(heal) THEN heal.resumed IS DISTINCT FROM heal.found
        ELSE thaw.heal_bound(heal) > 0 END)
    THEN
        SELECT coalesce(sum(s.waiting), 0), coalesce(array_agg(DISTINCT s.source_id), '{}') INTO waiting, sources
        FROM thaw.heal_scope(p_heal_id) AS s;
    END IF;
    IF heal.found IS NULL THEN
        heal.found := heal.resumed + waiting;
        heal.accounts := (SELECT count(DISTINCT known.id) FROM unnest(sources || heal.first_source_ids) AS known (id));
        heal.accounts_done := heal.accounts - cardinality(sources);
    END IF;
    UPDATE thaw.heals AS h SET status = 'done', finished_at = thaw.now(), remaining = waiting, found = heal.found,
        accounts = heal.accounts, accounts_done = heal.accounts_done, first_source_ids = NULL, is_moving = false, stopped_reason = NULL, stopped_at = NULL
    WHERE h.id = heal.id;
    DELETE FROM thaw.heal_order AS part WHERE part.heal_id = p_heal_id;
END;
$$;
CREATE FUNCTION thaw.first_due(p_account_id bigint, p_campaign_id bigint, p_kind text, p_size integer) RETURNS TABLE(id bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT e.id
    FROM thaw.enrollments e
   WHERE ((e.account_id = first_due.p_account_id) AND (e.campaign_id = first_due.p_campaign_id) AND (e.next_kind = first_due.p_kind) AND (e.due_at IS NOT NULL) AND (( SELECT true
            FROM thaw.actions x
           WHERE ((x.enrollment_id = e.id) AND (x.step = e.step) AND (x.is_used OR (x.state = 'already'::thaw.action_state)))
          LIMIT 1) IS NULL))
   ORDER BY e.due_at, e.id
  LIMIT first_due.p_size;
END;
CREATE FUNCTION thaw.fold_counts(p_size integer DEFAULT 20000) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    state   thaw.count_state;
    settled bigint := 0;
    last_id bigint;
    emptied bigint[];
    idle    bigint[];
    folded  integer;
BEGIN
    SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- After a restore into another cluster, transaction ids start over; after a logical
    -- replication, sequences may too.
    IF state.mark_xmax > pg_snapshot_xmax(pg_current_snapshot()) THEN
        state.mark_id := 0;
        state.mark_xmax := '0';
    END IF;
    IF state.folded_to > (SELECT ids.last_value FROM thaw.paused_deltas_id_seq AS ids) THEN
        state.folded_to := 0;
        state.mark_id := 0;
    END IF;
    -- Checked before the deltas are read: the statement below sees everything that has ended by
    -- now.
    IF thaw.deltas_settled(state.mark_xmax) THEN
        settled := state.mark_id;
    END IF;
    WITH gone AS (
        DELETE FROM thaw.paused_deltas AS d
        WHERE d.id > state.folded_to AND d.id <= (
            SELECT max(next.id) FROM (
                SELECT n.id FROM thaw.paused_deltas AS n WHERE n.id > state.folded_to ORDER BY n.id LIMIT p_size) AS next)
        RETURNING d.*
    ), lines AS (
        INSERT INTO thaw.paused_counts AS c (account_id, campaign_id, reason, waits_for_account, paused)
        SELECT g.account_id, g.campaign_id, g.reason, g.waits_for_account, sum(g.delta)
        FROM gone AS g
        GROUP BY g.account_id, g.campaign_id, g.reason, g.waits_for_account
        HAVING sum(g.delta) <> 0
        ON CONFLICT (account_id, campaign_id, reason) DO UPDATE SET paused = c.paused + excluded.paused
        RETURNING c.account_id, c.paused
    ), totals AS (
        INSERT INTO thaw.waiting_totals AS t (account_id, waiting)
        SELECT g.account_id, sum(g.delta) FROM gone AS g WHERE g.waits_for_account
        GROUP BY g.account_id
        HAVING sum(g.delta) <> 0
        ON CONFLICT (account_id) DO UPDATE SET waiting = t.waiting + excluded.waiting
        RETURNING t.account_id, t.waiting
    )
    SELECT count(*), max(g.id),
        (SELECT array_agg(DISTINCT l.account_id) FROM lines AS l WHERE l.paused = 0),
        (SELECT array_agg(t.account_id) FROM totals AS t WHERE t.waiting = 0)
    INTO folded, last_id, emptied, idle
    FROM gone AS g;
    DELETE FROM thaw.paused_counts AS c WHERE c.account_id = ANY (emptied) AND c.paused = 0;
    DELETE FROM thaw.waiting_totals AS t WHERE t.account_id = ANY (idle) AND t.waiting = 0;
    -- All deltas up to the settled id are folded, unless this call was limited by p_size.
    IF folded = p_size THEN
        settled := least(settled, last_id);
    END IF;
    IF settled > state.folded_to OR last_id IS NOT NULL OR state.mark_xmax = '0' THEN
        UPDATE thaw.count_state AS s SET
            folded_to = greatest(state.folded_to, settled),
            -- A mark is kept until it is settled; then the state of this call becomes the next
            -- mark.
            mark_id = CASE WHEN settled > 0 OR state.mark_id = 0 THEN coalesce(last_id, 0) ELSE state.mark_id END,
            mark_xmax = CASE WHEN settled > 0 OR state.mark_id = 0
                THEN pg_snapshot_xmax(pg_current_snapshot()) ELSE state.mark_xmax END;
    END IF;
    RETURN folded;
END;
$$;
COMMENT ON FUNCTION thaw.fold_counts(p_size integer) IS 'Adds recorded changes to the counts of paused enrollments and returns how many. One process runs it at a time.';
CREATE FUNCTION thaw.follow_persons(p_size integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.person_changes) THEN
        RETURN 0;
    END IF;
    WITH gone AS (
        DELETE FROM thaw.person_changes AS c
        WHERE c.id = ANY (ARRAY(SELECT x.id FROM thaw.person_changes AS x ORDER BY x.id LIMIT p_size FOR UPDATE))
        RETURNING c.account_id
    )
    SELECT array_agg(gone.account_id) INTO changed FROM gone;
    PERFORM thaw.ensure_senders(ARRAY(
        SELECT DISTINCT linked.id
        FROM (SELECT DISTINCT coalesce(a.link_id, a.id) AS first_id FROM thaw.accounts AS a WHERE a.id = ANY (changed)) AS link
        CROSS JOIN LATERAL (
            SELECT link.first_id AS id
            UNION ALL
            SELECT a.id FROM thaw.accounts AS a WHERE a.link_id = link.first_id) AS linked
        JOIN thaw.sending_accounts AS sending ON sending.account_id = linked.id
        ORDER BY linked.id));
    RETURN coalesce(cardinality(changed), 0);
END;
$$;
COMMENT ON FUNCTION thaw.follow_persons(p_size integer) IS 'Applies changes of the persons behind accounts to what they have used. Every worker process calls it once a second.';
CREATE TABLE thaw.enrollment_events (
    id bigint NOT NULL,
    enrollment_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    tick_at timestamp with time zone,
    heal_id bigint,
    signal_id bigint,
    job_id bigint,
    from_account_id bigint,
    to_account_id bigint,
    step integer NOT NULL,
    kind thaw.event_kind NOT NULL,
    source thaw.event_source NOT NULL,
    from_status thaw.enrollment_status NOT NULL,
    to_status thaw.enrollment_status NOT NULL,
    reason thaw.pause_reason,
    paused_at timestamp with time zone,
    detail text,
    action_id bigint,
    from_reason thaw.pause_reason,
    CONSTRAINT enrollment_events_names_its_pass CHECK (((kind <> ALL (ARRAY['resumed'::thaw.event_kind, 'moved'::thaw.event_kind])) OR
CASE source
    WHEN 'sweep'::thaw.event_source THEN (tick_at IS NOT NULL)
    WHEN 'signal'::thaw.event_source THEN ((tick_at IS NOT NULL) AND (signal_id IS NOT NULL))
    WHEN 'heal'::thaw.event_source THEN (heal_id IS NOT NULL)
    ELSE true
END)),
    CONSTRAINT enrollment_events_names_its_pause CHECK (((kind <> ALL (ARRAY['paused'::thaw.event_kind, 'resumed'::thaw.event_kind, 'released'::thaw.event_kind])) OR (paused_at IS NOT NULL))),
    CONSTRAINT enrollment_events_pause_has_a_reason CHECK (((kind <> 'paused'::thaw.event_kind) OR (reason IS NOT NULL)))
)
WITH (autovacuum_vacuum_scale_factor='0.02');
COMMENT ON TABLE thaw.enrollment_events IS 'The history of enrollments: one row per transition, written in the transaction that makes it.';
COMMENT ON COLUMN thaw.enrollment_events.reason IS 'For a pause: its reason. For a resume: the reason of the pause that it ended.';
COMMENT ON COLUMN thaw.enrollment_events.paused_at IS 'The start of the pause that this event begins or ends. It identifies the pause: two resumes with the same value ended one pause twice, which must not happen.';
CREATE FUNCTION thaw.forget_events(p_events thaw.enrollment_events[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_events IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM thaw.heals AS h
    WHERE h.id IN (SELECT event.heal_id FROM unnest(p_events) AS event) ORDER BY h.id FOR NO KEY UPDATE;
    UPDATE thaw.heals AS h SET resumed = h.resumed - line.resumed, moved = h.moved - line.moved
    FROM (
        SELECT event.heal_id, count(*) FILTER (WHERE event.kind = 'resumed')::integer AS resumed,
            count(*) FILTER (WHERE event.kind = 'moved')::integer AS moved
        FROM unnest(p_events) AS event WHERE event.source = 'heal' GROUP BY event.heal_id) AS line
    WHERE h.id = line.heal_id;
    PERFORM FROM thaw.allocations AS g
    WHERE (g.tick_at, g.account_id) IN (SELECT event.tick_at, event.to_account_id FROM unnest(p_events) AS event)
    ORDER BY g.tick_at, g.account_id FOR NO KEY UPDATE;
    UPDATE thaw.allocations AS g SET resumed = g.resumed - line.n
    FROM (
        SELECT event.tick_at, event.to_account_id, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source = 'sweep' AND event.kind = 'resumed'
        GROUP BY event.tick_at, event.to_account_id) AS line
    WHERE g.tick_at = line.tick_at AND g.account_id = line.to_account_id;
    PERFORM FROM thaw.account_quotas AS q
    WHERE (q.tick_at, q.account_id) IN (SELECT event.tick_at, event.to_account_id FROM unnest(p_events) AS event)
    ORDER BY q.tick_at, q.account_id FOR NO KEY UPDATE;
    UPDATE thaw.account_quotas AS q SET carried = q.carried + line.n
    FROM (
        SELECT event.tick_at, event.to_account_id, count(*)::integer AS n
        FROM unnest(p_events) AS event
        WHERE event.source IN ('sweep', 'signal', 'heal') AND event.kind = 'resumed' AND event.tick_at IS NOT NULL
        GROUP BY event.tick_at, event.to_account_id) AS line
    WHERE q.tick_at = line.tick_at AND q.account_id = line.to_account_id;
    PERFORM FROM thaw.fleet_quotas AS q
    WHERE q.tick_at IN (SELECT event.tick_at FROM unnest(p_events) AS event) ORDER BY q.tick_at, q.lane FOR NO KEY UPDATE;
    UPDATE thaw.fleet_quotas AS q SET carried = q.carried + line.n
    FROM (
        SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source IN ('sweep', 'signal') AND event.kind = 'resumed'
        GROUP BY event.tick_at, event.source) AS line
    WHERE q.tick_at = line.tick_at AND q.lane = line.lane;
    PERFORM FROM thaw.sweeps AS s
    WHERE s.tick_at IN (SELECT event.tick_at FROM unnest(p_events) AS event) ORDER BY s.tick_at FOR NO KEY UPDATE;
    UPDATE thaw.sweeps AS s SET resumed = s.resumed - line.resumed, moved = s.moved - line.moved
    FROM (
        SELECT event.tick_at, count(*) FILTER (WHERE event.kind = 'resumed')::integer AS resumed,
            count(*) FILTER (WHERE event.kind = 'moved')::integer AS moved
        FROM unnest(p_events) AS event WHERE event.source = 'sweep' GROUP BY event.tick_at) AS line
    WHERE s.tick_at = line.tick_at;
    PERFORM FROM thaw.account_signals AS s
    WHERE s.id IN (SELECT event.signal_id FROM unnest(p_events) AS event) ORDER BY s.id FOR NO KEY UPDATE;
    UPDATE thaw.account_signals AS s SET resumed = s.resumed - line.n
    FROM (
        SELECT event.signal_id, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source = 'signal' AND event.kind = 'resumed' GROUP BY event.signal_id) AS line
    WHERE s.id = line.signal_id;
END;
$$;
CREATE FUNCTION thaw.give_ramps(p_account_ids bigint[], p_dates date[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.ensure_senders(p_account_ids);
    UPDATE thaw.senders AS s SET ramp_started_at = ramp.started_at
    FROM (
        SELECT sending.sender_id, min(thaw.day_start(coalesce(thaw.zone_named(a.timezone), 'UTC'), given.day)) AS started_at
        FROM unnest(p_account_ids, p_dates) AS given (account_id, day)
        JOIN thaw.accounts AS a ON a.id = given.account_id
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        WHERE given.day BETWEEN '2000-01-01' AND thaw.now()::date
        GROUP BY sending.sender_id) AS ramp
    WHERE s.id = ramp.sender_id AND s.last_sent_at IS NULL AND s.restriction_seen_at IS NULL
        AND ramp.started_at <= thaw.now() AND s.ramp_started_at IS DISTINCT FROM ramp.started_at;
END;
$$;
CREATE FUNCTION thaw.go_live(workspace_key text, reason text, actor text DEFAULT CURRENT_USER) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN thaw.set_shadow(workspace_key, false, reason, actor);
END;
$$;
COMMENT ON FUNCTION thaw.go_live(workspace_key text, reason text, actor text) IS 'Takes a workspace from shadow mode to live, or all (workspace_key null; new workspaces are live then too). Returns how many changed.';
CREATE FUNCTION thaw.go_shadow(workspace_key text, reason text, actor text DEFAULT CURRENT_USER) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN thaw.set_shadow(workspace_key, true, reason, actor);
END;
$$;
COMMENT ON FUNCTION thaw.go_shadow(workspace_key text, reason text, actor text) IS 'Puts a workspace into shadow mode, or all that the platform''s tables have (workspace_key null; new workspaces start in it then too). Thaw then changes nothing in it. Returns how many changed.';
CREATE FUNCTION thaw.has_endpoint() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN EXISTS (SELECT FROM thaw.webhook_endpoints AS e WHERE e.disabled_at IS NULL);
END;
$$;
CREATE UNLOGGED TABLE thaw.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);
CREATE FUNCTION thaw.has_leader() RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (EXISTS ( SELECT
            FROM thaw.river_leader leader
           WHERE (leader.expires_at > now()))) AS "exists";
END;
CREATE FUNCTION thaw.heal(workspace_key text, account text DEFAULT NULL::text, cap integer DEFAULT NULL::integer, actor text DEFAULT CURRENT_USER, even_if_off boolean DEFAULT false, provider text DEFAULT NULL::text, rate integer DEFAULT NULL::integer, reason text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    workspace_id bigint := thaw.find_workspace(heal.workspace_key);
    account_id   bigint;
BEGIN
    IF heal.account IS NOT NULL THEN
        account_id := thaw.find_account(heal.account, heal.provider, workspace_id);
        workspace_id := NULL;
    END IF;
    RETURN thaw.start_heal(workspace_id, account_id, NULL, heal.cap, heal.even_if_off, heal.actor, NULL, heal.rate, heal.reason);
END;
$$;
COMMENT ON FUNCTION thaw.heal(workspace_key text, account text, cap integer, actor text, even_if_off boolean, provider text, rate integer, reason text) IS 'Starts a heal of a workspace, or of one of its accounts, and returns its id. Workers run it. Fails if a heal is running on the same target, or in safety mode. even_if_off: resume prospects even if auto-resume is off. provider: needed if several providers use the account ID. rate: at most so many prospects per minute.';
CREATE FUNCTION thaw.heal_batch(p_heal_id bigint, p_size integer, p_job_id bigint, OUT verdict text, OUT resumed integer, OUT retry_in interval) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- The maximum number of rounds for prospects that other transactions hold. The waits before
    -- rounds 2 to 6 are 1, 2, 4, 8 and 15 seconds.
    rounds constant integer := 6;
    heal   thaw.heals;
    next   record;
    -- How many were resumed and moved to a sibling account, in total and by account.
    batch_moved    integer := 0;
    account_ids    bigint[];
    each_resumed   integer[];
    each_moved integer[];
    cause  thaw.cause;
    at_end boolean := true;
    -- Whether there is one target account, so that the batch may wait; see the top of this file.
    waits  boolean;
    targets   bigint[];
    campaigns bigint[];
    started_for bigint[];
    -- What is passed over. held: locked by others, or the target account has changed. off: may no
    -- longer resume.
    held_targets   bigint[] := '{}';
    held_sources   bigint[] := '{}';
    held_campaigns bigint[] := '{}';
    off_sources    bigint[] := '{}';
    off_campaigns  bigint[] := '{}';
    is_safety_on boolean;
    is_listed boolean;
    chosen    integer := 0;
    held      integer := 0;
    -- Whether the cap may be too small for all.
    is_short  boolean := false;
BEGIN
    resumed := 0;
    -- The heal is first in the lock order: a second attempt of a batch continues after the first.
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id FOR NO KEY UPDATE;
    verdict := CASE WHEN heal.id IS NULL THEN 'not_found' WHEN heal.status <> 'running' THEN heal.status::text END;
    IF verdict IS NOT NULL THEN
        RETURN;
    ELSIF thaw.is_safety_on() THEN
        verdict := 'stopped';
        UPDATE thaw.heals AS h SET status = 'stopped', stopped_at = thaw.now(), stopped_reason = 'safety mode was entered'
        WHERE h.id = p_heal_id;
        RETURN;
    ELSIF heal.next_batch_at > thaw.now() THEN
        verdict := 'paced';
        retry_in := heal.next_batch_at - thaw.now();
        RETURN;
    END IF;
    verdict := 'more';
    IF heal.is_moving THEN
        SELECT * INTO next FROM thaw.heal_move(heal, p_size, p_job_id);
        UPDATE thaw.heals AS h SET moved = h.moved + next.moved, campaigns_resumed = h.campaigns_resumed + next.started,
            batch = h.batch + 1
        WHERE h.id = p_heal_id;
        IF next.is_done THEN
            verdict := 'done';
            PERFORM thaw.finish_heal(p_heal_id);
        ELSE
            SET LOCAL synchronous_commit = off;
        END IF;
        RETURN;
    END IF;
    is_listed := thaw.is_listed(heal);
    IF heal.oldest_first IS NULL THEN
        is_short := thaw.heal_bound(heal) > heal.cap;
        heal.oldest_first := NOT is_listed AND is_short;
    END IF;
    -- After the first batch, which was not enough; or before it, because the cap is shared among
    -- several accounts.
    IF heal.found IS NULL AND (heal.batch > 0 OR is_short AND heal.account_id IS NULL) THEN
        SET LOCAL synchronous_commit = off;
        UPDATE thaw.heals AS h SET oldest_first = heal.oldest_first, batch = greatest(h.batch, 1) WHERE h.id = p_heal_id;
        IF is_listed THEN
            PERFORM thaw.order_heal(p_heal_id);
        ELSE
            PERFORM thaw.count_heal(p_heal_id);
        END IF;
        RETURN;
    END IF;
    IF heal.rate IS NOT NULL THEN
        -- At most what the rate allows in ten seconds, so that a heal does not resume in bursts.
        p_size := least(p_size, greatest(1, heal.rate / 6));
    END IF;
    -- 1. Choose.
    IF heal.resumed < heal.cap THEN
        IF is_listed THEN
            next := thaw.heal_next_listed(heal, least(p_size, heal.cap - heal.resumed));
        ELSE
            next := thaw.heal_next(heal, least(p_size, heal.cap - heal.resumed));
        END IF;
        heal := next.p_heal;
        at_end := next.at_end;
        chosen := cardinality(next.places);
    END IF;
    IF chosen > 0 THEN
        -- 2. Lock the accounts and check again: one may have been lost or held, or a sibling may
        -- have connected.
        targets := ARRAY(SELECT DISTINCT target.id FROM unnest(next.target_ids) AS target (id) ORDER BY target.id);
        waits := cardinality(targets) = 1;
        IF waits THEN
            PERFORM a.id FROM thaw.accounts AS a WHERE a.id = targets[1] FOR NO KEY UPDATE;
        ELSE
            WITH locked AS (
                SELECT a.id FROM thaw.accounts AS a WHERE a.id = ANY (targets) ORDER BY a.id FOR NO KEY UPDATE SKIP LOCKED)
            SELECT coalesce(array_agg(target.id), '{}') INTO held_targets
            FROM unnest(targets) AS target (id) WHERE target.id NOT IN (SELECT locked.id FROM locked);
        END IF;
        is_safety_on := thaw.is_safety_on();
        -- Materialized, so that the aggregates evaluate it once per account. LIMIT 1, here and
        -- elsewhere: a connected account is its own target, so its siblings are not looked up.
        WITH source AS MATERIALIZED (
            SELECT one.id, one.target_id,
                (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS now_id,
                (SELECT thaw.block_reason(a, is_safety_on, heal.even_if_off OR w.auto_resume, w.shadow) IS NOT NULL
                 FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = one.target_id) AS is_blocked
            FROM (
                SELECT DISTINCT s.id, s.target_id FROM unnest(next.source_ids, next.target_ids) AS s (id, target_id)
                OFFSET 0) AS one -- once per account, not once per row
            WHERE one.target_id <> ALL (held_targets))
        SELECT coalesce(array_agg(source.id) FILTER (WHERE source.now_id IS NULL OR source.is_blocked), '{}'),
            coalesce(array_agg(source.id) FILTER (WHERE NOT source.is_blocked AND source.now_id <> source.target_id), '{}')
        INTO off_sources, held_sources
        FROM source;
        -- Lock the campaigns of the remaining prospects, and start those that wait for an account.
        SELECT array_agg(used.id ORDER BY used.id), array_agg(used.target_id ORDER BY used.id) INTO campaigns, targets
        FROM (
            SELECT line.id, min(line.target_id) AS target_id
            FROM unnest(next.source_ids, next.campaign_ids, next.target_ids) AS line (source_id, id, target_id)
            WHERE line.target_id <> ALL (held_targets) AND line.source_id <> ALL (off_sources || held_sources)
            GROUP BY line.id) AS used;
        cause := ROW('heal', CASE WHEN heal.keeps_caps THEN thaw.tick() END, NULL, p_heal_id, p_job_id);
        IF waits THEN
            PERFORM thaw.lock_campaigns(campaigns);
        ELSE
            held_campaigns := thaw.lock_free_campaigns(campaigns);
            SELECT array_agg(used.id), array_agg(used.target_id) INTO campaigns, targets
            FROM unnest(campaigns, targets) AS used (id, target_id)
            WHERE used.id <> ALL (held_campaigns);
        END IF;
        started_for := thaw.start_campaigns(cause, campaigns, targets);
        -- Campaigns that a person or the platform stopped in the meantime.
        off_campaigns := ARRAY(
            SELECT used.id FROM unnest(campaigns) AS used (id)
            WHERE (SELECT c.status FROM thaw.campaigns AS c WHERE c.id = used.id) <> 'running');
        -- 3. Resume. A row that another transaction changed since it was chosen counts as held; the
        -- next round checks it again.
        IF off_sources || off_campaigns || held_sources || held_targets || held_campaigns <> '{}' THEN
            SELECT array_agg(one.place) FILTER (WHERE NOT one.held), array_agg(one.source_id) FILTER (WHERE NOT one.held),
                array_agg(one.target_id) FILTER (WHERE NOT one.held), count(*) FILTER (WHERE one.held)
            INTO next.places, next.source_ids, next.target_ids, held
            FROM (
                SELECT chosen.*, chosen.source_id = ANY (held_sources) OR chosen.target_id = ANY (held_targets)
                    OR chosen.campaign_id = ANY (held_campaigns) AS held
                FROM unnest(next.places, next.source_ids, next.campaign_ids, next.target_ids)
                    AS chosen (place, source_id, campaign_id, target_id)
                WHERE chosen.source_id <> ALL (off_sources) AND chosen.campaign_id <> ALL (off_campaigns)) AS one;
        END IF;
        IF heal.keeps_caps THEN
            -- Materialized: the quota of an account is looked up once, not once per prospect.
            WITH quota AS MATERIALIZED (
                SELECT target.id, coalesce((
                    SELECT b.cap - b.used FROM thaw.account_quotas AS b
                    WHERE b.tick_at = cause.tick_at AND b.account_id = target.id), thaw.account_cap(target.id)) AS remaining
                FROM (SELECT DISTINCT chosen.id FROM unnest(next.target_ids) AS chosen (id)) AS target)
            SELECT array_agg(one.place ORDER BY one.n), array_agg(one.source_id ORDER BY one.n),
                array_agg(one.target_id ORDER BY one.n)
            INTO next.places, next.source_ids, next.target_ids
            FROM (
                SELECT chosen.*, row_number() OVER (PARTITION BY chosen.target_id ORDER BY chosen.n) AS of_account
                FROM unnest(next.places, next.source_ids, next.target_ids)
                    WITH ORDINALITY AS chosen (place, source_id, target_id, n)) AS one
            JOIN quota ON quota.id = one.target_id
            WHERE one.of_account <= quota.remaining;
        END IF;
        IF heal.found IS NULL THEN
            heal.first_source_ids := ARRAY(SELECT DISTINCT source.id FROM unnest(next.source_ids) AS source (id));
        END IF;
        SELECT rows.* INTO resumed, batch_moved, account_ids, each_resumed, each_moved
        FROM thaw.resume_rows(cause, next.places, next.source_ids, next.target_ids) AS rows;
        held := held + coalesce(cardinality(next.places), 0) - resumed;
        IF heal.keeps_caps THEN
            INSERT INTO thaw.account_quotas AS b (tick_at, account_id, cap, used)
            SELECT cause.tick_at, through.account_id, thaw.account_cap(through.account_id), through.resumed
            FROM unnest(account_ids, each_resumed) AS through (account_id, resumed)
            ON CONFLICT (tick_at, account_id) DO UPDATE SET used = b.used + excluded.used;
        END IF;
    END IF;
    heal.resumed := heal.resumed + resumed;
    heal.pass_resumed := heal.pass_resumed + resumed;
    heal.skipped := heal.skipped + held;
    -- 4. Continue after the last prospect. At the end, start another round for the held ones, or
    -- another pass with new shares for what is left of the cap.
    IF at_end AND heal.resumed < heal.cap
        AND (heal.skipped > 0 AND heal.round < rounds OR heal.account_share IS NOT NULL AND heal.pass_resumed + heal.skipped > 0)
    THEN
        IF heal.pass_resumed = 0 AND heal.round = rounds THEN
            -- Held prospects use up the shares of their accounts. The last pass has none.
            heal.account_share := NULL;
        END IF;
        IF heal.skipped > 0 THEN
            verdict := 'busy';
            retry_in := least(15, 2 ^ (heal.round - 1)) * interval '1 second';
            heal.round := least(heal.round + 1, rounds);
            heal.skipped := 0;
        END IF;
        IF heal.account_share IS NOT NULL THEN
            heal.account_share := thaw.heal_share(heal);
        END IF;
        heal.pass := heal.pass + 1;
        heal.pass_resumed := 0;
        heal.at_account_chosen := 0;
        heal.at_account_id := NULL;
        heal.at_campaign_id := NULL;
        heal.at_paused_at := NULL;
        heal.at_enrollment_id := NULL;
        heal.at_place := CASE WHEN heal.at_place IS NOT NULL THEN 0 END;
    ELSIF at_end OR heal.resumed >= heal.cap THEN
        verdict := 'done';
    END IF;
    UPDATE thaw.heals AS h SET
        resumed = heal.resumed,
        moved = h.moved + batch_moved,
        campaigns_resumed = h.campaigns_resumed + coalesce(cardinality(started_for), 0),
        accounts_done = CASE WHEN at_end THEN greatest(heal.accounts, heal.accounts_done) ELSE heal.accounts_done END,
        batch = h.batch + 1,
        at_account_id = heal.at_account_id, at_campaign_id = heal.at_campaign_id,
        at_paused_at = heal.at_paused_at, at_enrollment_id = heal.at_enrollment_id,
        at_place = heal.at_place,
        round = heal.round, skipped = heal.skipped, pass = heal.pass, pass_resumed = heal.pass_resumed,
        at_account_chosen = heal.at_account_chosen, account_share = heal.account_share,
        next_batch_at = CASE WHEN heal.rate IS NOT NULL THEN
            greatest(thaw.now(), h.next_batch_at) + heal_batch.resumed * interval '1 minute' / heal.rate END,
        oldest_first = heal.oldest_first, first_source_ids = heal.first_source_ids
    WHERE h.id = p_heal_id;
    -- 5. Publish a message for the platform per account.
    IF resumed > 0 AND thaw.has_endpoint() THEN
        PERFORM thaw.publish_resumed(a, 'heal', heal.even_if_off, NULL, NULL, p_heal_id, through.resumed, through.moved,
            cardinality(array_positions(started_for, a.id)))
        FROM unnest(account_ids, each_resumed, each_moved) AS through (account_id, resumed, moved)
        JOIN thaw.accounts AS a ON a.id = through.account_id
        ORDER BY a.id;
    END IF;
    -- 6. Finish, or go on to move pending prospects.
    IF verdict = 'done' AND EXISTS (SELECT FROM thaw.heal_movable(heal, 1)) THEN
        UPDATE thaw.heals AS h SET is_moving = true WHERE h.id = p_heal_id;
        verdict := 'more';
    END IF;
    IF verdict = 'done' THEN
        PERFORM thaw.finish_heal(p_heal_id);
    ELSE
        -- A batch that is lost in a server crash runs again, because its progress is in the same
        -- transaction. Only the last commit waits for the WAL flush, which includes all earlier
        -- ones.
        SET LOCAL synchronous_commit = off;
    END IF;
END;
$$;
CREATE TABLE thaw.heals (
    id bigint NOT NULL,
    workspace_id bigint,
    account_id bigint,
    is_fleet boolean DEFAULT false NOT NULL,
    target text NOT NULL,
    cap integer NOT NULL,
    rate integer,
    even_if_off boolean DEFAULT false NOT NULL,
    tenant_id bigint,
    keeps_caps boolean DEFAULT false NOT NULL,
    status thaw.heal_status DEFAULT 'running'::thaw.heal_status NOT NULL,
    resumed integer DEFAULT 0 NOT NULL,
    moved integer DEFAULT 0 NOT NULL,
    campaigns_resumed integer DEFAULT 0 NOT NULL,
    found integer,
    accounts integer,
    first_source_ids bigint[],
    oldest_first boolean,
    all_campaigns_open boolean DEFAULT false NOT NULL,
    account_share integer,
    pass integer DEFAULT 1 NOT NULL,
    pass_resumed integer DEFAULT 0 NOT NULL,
    at_account_chosen integer DEFAULT 0 NOT NULL,
    is_moving boolean DEFAULT false NOT NULL,
    next_batch_at timestamp with time zone,
    batch integer DEFAULT 0 NOT NULL,
    accounts_done integer DEFAULT 0 NOT NULL,
    at_account_id bigint,
    at_campaign_id bigint,
    at_paused_at timestamp with time zone,
    at_enrollment_id bigint,
    at_place bigint,
    round integer DEFAULT 1 NOT NULL,
    skipped integer DEFAULT 0 NOT NULL,
    remaining integer,
    actor text NOT NULL,
    reason text,
    job_id bigint,
    requested_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    finished_at timestamp with time zone,
    stopped_reason text,
    stopped_at timestamp with time zone,
    CONSTRAINT heals_account_share_check CHECK ((account_share >= 1)),
    CONSTRAINT heals_cap_check CHECK ((cap >= 1)),
    CONSTRAINT heals_done_has_remaining CHECK ((((status = 'done'::thaw.heal_status) = (finished_at IS NOT NULL)) AND ((status = 'done'::thaw.heal_status) = (remaining IS NOT NULL)))),
    CONSTRAINT heals_have_at_most_one_scope CHECK (((num_nonnulls(workspace_id, account_id) + (is_fleet)::integer) <= 1)),
    CONSTRAINT heals_of_the_fleet_have_a_rate CHECK (((NOT is_fleet) OR (rate IS NOT NULL))),
    CONSTRAINT heals_rate_check CHECK (((rate >= 1) AND (rate <= 1000000))),
    CONSTRAINT heals_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT heals_resumed_is_within_cap CHECK (((resumed >= 0) AND (resumed <= cap))),
    CONSTRAINT heals_stopped_has_a_reason CHECK ((((status = 'stopped'::thaw.heal_status) = (stopped_reason IS NOT NULL)) AND ((status = 'stopped'::thaw.heal_status) = (stopped_at IS NOT NULL)))),
    CONSTRAINT heals_stopped_reason_check CHECK ((stopped_reason <> ''::text)),
    CONSTRAINT heals_target_check CHECK ((target <> ''::text))
)
WITH (fillfactor='50');
COMMENT ON TABLE thaw.heals IS 'One row per heal: of a workspace, of an account, of the whole fleet (is_fleet), or otherwise of the enrollments in thaw.heal_enrollments.';
COMMENT ON COLUMN thaw.heals.skipped IS 'How many prospects the current round passed over because other transactions held them; for a finished heal, the last round. They are part of remaining.';
CREATE FUNCTION thaw.heal_bound(p_heal thaw.heals) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- Looked up once: a condition of the query is evaluated for each delta.
    sources bigint[];
BEGIN
    IF p_heal.account_id IS NOT NULL THEN
        sources := thaw.sources_of(p_heal.account_id) || p_heal.account_id;
        RETURN (
            SELECT coalesce(sum(part.waiting), 0)
            FROM thaw.waiting_parts AS part
            WHERE part.account_id = ANY (sources));
    ELSIF p_heal.is_fleet THEN
        RETURN (SELECT coalesce(sum(part.waiting), 0) FROM thaw.waiting_parts AS part);
    ELSIF thaw.is_listed(p_heal) THEN
        RETURN (
            SELECT coalesce(sum(cardinality(part.enrollment_ids)), 0) FROM thaw.heal_enrollments AS part WHERE part.heal_id = p_heal.id);
    END IF;
    RETURN (
        SELECT coalesce(sum(part.waiting), 0)
        FROM thaw.accounts AS a
        JOIN thaw.waiting_parts AS part ON part.account_id = a.id
        WHERE a.workspace_id = p_heal.workspace_id);
END;
$$;
CREATE FUNCTION thaw.start_heal(p_workspace_id bigint, p_account_id bigint, p_enrollment_ids bigint[], p_cap integer, p_even_if_off boolean, p_actor text, p_tenant_id bigint DEFAULT NULL::bigint, p_rate integer DEFAULT NULL::integer, p_reason text DEFAULT NULL::text, p_is_fleet boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    SET work_mem TO '128MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- Sorted once, by the aggregate, which takes a fifth of the time that sorting rows takes.
    listed  bigint[] := (
        SELECT array_agg(DISTINCT given.id ORDER BY given.id)
        FROM (SELECT unnest(p_enrollment_ids) AS id) AS given
        WHERE given.id IS NOT NULL);
    wanted  text := CASE
        WHEN p_is_fleet THEN 'fleet'
        WHEN p_workspace_id IS NOT NULL THEN 'workspace:' || p_workspace_id
        WHEN p_account_id IS NOT NULL THEN 'account:' || p_account_id
        WHEN cardinality(listed) > 0 THEN 'prospects:' || encode(sha256(array_send(listed)), 'hex') END;
    settings   thaw.settings;
    tenant     thaw.workspaces;
    allowed    integer;
    heal_cap   integer := coalesce(p_cap, CASE WHEN NOT p_is_fleet THEN thaw.default_heal_cap() END);
    heal       thaw.heals;
    running    bigint;
BEGIN
    -- A heal that stopped ends here, with what it has resumed.
    PERFORM thaw.finish_heal(h.id) FROM thaw.heals AS h
    WHERE h.target = wanted AND h.status <> 'done'
        AND (h.status = 'stopped' OR NOT thaw.is_enqueued('heal', jsonb_build_object('heal_id', h.id)));
    IF p_tenant_id IS NOT NULL THEN
        SELECT s.* INTO settings FROM thaw.settings AS s;
        -- Locked, so that of two concurrent starts the second sees the first.
        SELECT w.* INTO tenant FROM thaw.workspaces AS w WHERE w.id = p_tenant_id FOR NO KEY UPDATE;
        allowed := coalesce(tenant.heal_cap, settings.fleet_cap) - (
            SELECT coalesce(sum(CASE h.status WHEN 'done' THEN h.resumed ELSE h.cap END), 0)
            FROM thaw.heals AS h
            WHERE h.tenant_id = p_tenant_id AND h.requested_at >= thaw.tick());
        IF p_account_id IS NOT NULL AND tenant.heal_cap IS NULL THEN
            allowed := least(allowed, thaw.account_cap(p_account_id));
        END IF;
        heal_cap := coalesce(p_cap, allowed);
        IF heal_cap > allowed OR allowed < 1 THEN
            RAISE EXCEPTION 'heals started by workspace "%" may resume % more prospects in this tick, not %', tenant.key,
                greatest(allowed, 0), coalesce(p_cap::text, 'more')
                USING ERRCODE = 'TH003', HINT = format(
                    'Use a lower cap, wait for the next tick, or ask an operator to raise the limit: thaw heal-cap set %s N.', tenant.key);
        END IF;
    END IF;
    IF p_is_fleet THEN
        IF p_rate IS NULL THEN
            RAISE EXCEPTION 'a heal of the whole fleet has no rate' USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Set how many prospects it may resume per minute. Without a rate, all accounts would send at once.';
        ELSIF p_even_if_off THEN
            RAISE EXCEPTION 'a heal of the whole fleet cannot include workspaces whose auto-resume is off'
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Heal these workspaces one by one.';
        END IF;
        heal_cap := coalesce(heal_cap, (SELECT greatest(1, least(2147483647, sum(part.waiting))) FROM thaw.waiting_parts AS part));
    END IF;
    IF heal_cap IS NULL OR heal_cap < 1 THEN
        RAISE EXCEPTION 'the cap of a heal must be at least 1, not %', coalesce(heal_cap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_rate NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'the rate of a heal must be from 1 to 1000000 prospects per minute, not %', p_rate
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF wanted IS NULL THEN
        RAISE EXCEPTION 'a heal needs a workspace, an account, or at least one enrollment'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO thaw.heals AS h (
        workspace_id, account_id, is_fleet, target, cap, rate, even_if_off, actor, reason, tenant_id, keeps_caps)
    VALUES (p_workspace_id, p_account_id, p_is_fleet, wanted, heal_cap, p_rate, p_even_if_off, p_actor, p_reason, p_tenant_id,
        p_tenant_id IS NOT NULL AND tenant.heal_cap IS NULL)
    ON CONFLICT (target) WHERE status = 'running' DO NOTHING
    RETURNING h.* INTO heal;
    IF heal.id IS NULL THEN
        SELECT h.id INTO running FROM thaw.heals AS h WHERE h.target = wanted AND h.status = 'running';
        RAISE EXCEPTION 'heal % is running on the same target', running
            USING ERRCODE = 'unique_violation',
                HINT = format('Wait until it is done, then start another heal for the remaining prospects, or stop it: thaw heal stop %s.', running);
    END IF;
    INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids)
    SELECT heal.id, max(one.id), array_agg(one.id)
    FROM unnest(listed) WITH ORDINALITY AS one (id, place)
    GROUP BY (one.place - 1) / 200;
    PERFORM thaw.refuse_in_safety_mode(heal);
    PERFORM thaw.record_heal('heal_started', heal, p_reason, p_actor);
    UPDATE thaw.heals AS h SET job_id = thaw.enqueue('heal', 'heal', 2::smallint, jsonb_build_object('heal_id', h.id))
    WHERE h.id = heal.id;
    RETURN heal.id;
END;
$$;
CREATE FUNCTION thaw.heal_fleet(rate integer, cap integer DEFAULT NULL::integer, actor text DEFAULT CURRENT_USER, reason text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN thaw.start_heal(NULL::bigint, NULL::bigint, NULL::bigint[], cap, false, actor, NULL::bigint, rate, reason, true);
COMMENT ON FUNCTION thaw.heal_fleet(rate integer, cap integer, actor text, reason text) IS 'Starts a heal of the whole fleet, which resumes at most rate prospects per minute, and returns its id. Without a cap, it resumes up to as many prospects as wait now. Workspaces whose auto-resume is off are not included.';
CREATE FUNCTION thaw.heal_movable(p_heal thaw.heals, p_size integer) RETURNS TABLE(place tid, source_id bigint, target_id bigint, campaign_id bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    sources bigint[];
BEGIN
    IF thaw.is_listed(p_heal) THEN
        RETURN QUERY
        WITH pending AS MATERIALIZED (
            SELECT e.ctid, e.account_id, e.campaign_id
            FROM thaw.heal_enrollments AS listed
            CROSS JOIN LATERAL (
                SELECT found.ctid, found.account_id, found.campaign_id
                FROM thaw.enrollments AS found
                WHERE found.id = ANY (listed.enrollment_ids) AND found.status = 'pending'
                OFFSET 0) AS e
            WHERE listed.heal_id = p_heal.id)
        SELECT pending.ctid, moves.source_id, moves.target_id, pending.campaign_id
        FROM thaw.heal_moves(p_heal, ARRAY(SELECT DISTINCT pending.account_id FROM pending)) AS moves
        JOIN pending ON pending.account_id = moves.source_id
        LIMIT p_size;
        RETURN;
    ELSIF p_heal.account_id IS NOT NULL THEN
        sources := thaw.sources_of(p_heal.account_id) || p_heal.account_id;
    ELSE
        sources := ARRAY(
            SELECT a.id FROM thaw.accounts AS a
            WHERE thaw.is_gone(a.status) AND (p_heal.is_fleet OR a.workspace_id = p_heal.workspace_id)
                -- ORDER BY matches the index, as in thaw.blocked_campaigns.
                AND (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'pending' AND e.account_id = a.id
                    ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL);
    END IF;
    RETURN QUERY
    SELECT pending.ctid, moves.source_id, moves.target_id, pending.campaign_id
    FROM thaw.heal_moves(p_heal, ARRAY(SELECT DISTINCT one.id FROM unnest(sources) AS one (id))) AS moves
    CROSS JOIN LATERAL (
        SELECT e.ctid, e.campaign_id
        FROM thaw.enrollments AS e
        WHERE e.status = 'pending' AND e.account_id = moves.source_id
        ORDER BY e.campaign_id, e.id
        LIMIT p_size) AS pending
    LIMIT p_size;
END;
$$;
CREATE FUNCTION thaw.heal_move(p_heal thaw.heals, p_size integer, p_job_id bigint, OUT moved integer, OUT started integer, OUT is_done boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    cause     thaw.cause := ROW('heal', NULL, NULL, p_heal.id, p_job_id);
    chosen    integer;
    places    tid[];
    sources   bigint[];
    targets   bigint[];
    campaigns bigint[];
    open      bigint[];
    through   bigint[];
    held      bigint[];
    target    record;
    n         integer;
BEGIN
    moved := 0;
    started := 0;
    SELECT array_agg(m.place), array_agg(m.source_id), array_agg(m.target_id), array_agg(m.campaign_id), count(*)
    INTO places, sources, targets, campaigns, chosen
    FROM thaw.heal_movable(p_heal, p_size) AS m;
    SELECT array_agg(free.id) INTO open FROM (
        SELECT a.id FROM thaw.accounts AS a WHERE a.id = ANY (targets) ORDER BY a.id
        FOR NO KEY UPDATE SKIP LOCKED) AS free;
    open := ARRAY(
        SELECT a.id FROM thaw.accounts AS a WHERE a.id = ANY (open) AND thaw.blocked_by(a, p_heal.even_if_off) IS NULL);
    -- Campaigns that do not wait for an account need no lock.
    SELECT array_agg(used.id ORDER BY used.id), array_agg(used.target_id ORDER BY used.id) INTO campaigns, through FROM (
        SELECT line.id, min(line.target_id) AS target_id
        FROM unnest(campaigns, targets) AS line (id, target_id)
        WHERE line.target_id = ANY (open)
            AND (SELECT c.waits_for_account FROM thaw.campaigns AS c WHERE c.id = line.id)
        GROUP BY line.id) AS used;
    IF campaigns IS NOT NULL THEN
        held := thaw.lock_free_campaigns(campaigns);
        SELECT array_agg(free.id), array_agg(free.target_id) INTO campaigns, through
        FROM unnest(campaigns, through) AS free (id, target_id) WHERE free.id <> ALL (held);
        started := coalesce(cardinality(thaw.start_campaigns(cause, campaigns, through)), 0);
    END IF;
    FOR target IN
        SELECT a AS account, array_agg(line.place) AS places, array_agg(line.source_id) AS source_ids
        FROM unnest(places, sources, targets) AS line (place, source_id, target_id)
        JOIN thaw.accounts AS a ON a.id = line.target_id
        JOIN thaw.enrollments AS e ON e.ctid = line.place AND e.campaign_id <> ALL (coalesce(held, '{}'))
        WHERE a.id = ANY (open)
        GROUP BY a.id
        ORDER BY a.id
    LOOP
        n := thaw.move_rows(
            cause, target.places, target.source_ids, array_fill((target.account).id, ARRAY[cardinality(target.places)]));
        moved := moved + n;
        IF n > 0 THEN
            PERFORM thaw.publish_moved(target.account, 'heal', NULL, NULL, p_heal.id, n);
        END IF;
    END LOOP;
    is_done := chosen < p_size OR moved = 0;
END;
$$;
CREATE FUNCTION thaw.heal_moves(p_heal thaw.heals, p_source_ids bigint[]) RETURNS TABLE(source_id bigint, target_id bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    is_safe boolean := NOT thaw.is_safety_on();
BEGIN
    RETURN QUERY
    SELECT source.id, source.target_id
    FROM (
        SELECT a.id,
            (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = a.id LIMIT 1) AS target_id
        FROM thaw.accounts AS a
        WHERE a.id = ANY (p_source_ids) AND thaw.is_gone(a.status)
        OFFSET 0) AS source
    CROSS JOIN LATERAL (
        SELECT FROM thaw.accounts AS target
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        WHERE target.id = source.target_id
            AND thaw.block_reason(target, NOT is_safe, p_heal.even_if_off OR workspace.auto_resume, workspace.shadow) IS NULL
        LIMIT 1) AS open;
END;
$$;
CREATE FUNCTION thaw.heal_next(INOUT p_heal thaw.heals, p_quota integer, OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    by_time    boolean := p_heal.oldest_first;
    -- Reads the rows of an account in index order, regardless of campaign. The batch finds a
    -- campaign that was stopped after the count and passes over it; the next round looks up
    -- campaigns first.
    straight   boolean := p_heal.all_campaigns_open AND NOT by_time AND p_heal.round = 1;
    -- How many accounts to check at a time: about as many as fill the batch, then more. `most`
    -- limits the accounts per batch: where few can be resumed, a batch stays short.
    width      integer := greatest(20, least(p_quota, greatest(
        1.2 * p_quota * coalesce(p_heal.accounts, 1) / greatest(p_heal.found, 10),
        p_quota / p_heal.account_share)));
    most       constant integer := 20000;
    looked_at  integer := 0;
    next_id    bigint := coalesce(p_heal.at_account_id, 0);
    taken      integer := 0;
    sources    bigint[];
    -- Lines: source account, campaign and target; and the first and last line of each account.
    line_sources   bigint[];
    line_campaigns bigint[];
    line_targets   bigint[];
    firsts         integer[];
    lasts          integer[];
    more_places    tid[];
    more_lines     integer[];
    more_paused    timestamptz[];
    more_ids       bigint[];
BEGIN
    places := '{}';
    source_ids := '{}';
    campaign_ids := '{}';
    target_ids := '{}';
    WHILE taken < p_quota LOOP
        sources := thaw.heal_sources(p_heal, next_id, width);
        IF sources IS NULL THEN
            EXIT;
        END IF;
        next_id := sources[cardinality(sources)] + 1;
        looked_at := looked_at + cardinality(sources);
        IF NOT straight THEN
            -- The campaigns of each account, by a loose index scan that starts where the last batch
            -- ended.
            SELECT array_agg(line.source_id), array_agg(line.campaign_id), array_agg(line.target_id)
            INTO line_sources, line_campaigns, line_targets
            FROM (
                SELECT source.id AS source_id, source.target_id, campaign.id AS campaign_id
                FROM (
                    SELECT one.id, one.place,
                        (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS target_id,
                        CASE WHEN one.id = p_heal.at_account_id AND NOT by_time THEN p_heal.at_campaign_id ELSE 0 END AS from_campaign
                    FROM unnest(sources) WITH ORDINALITY AS one (id, place)
                    OFFSET 0) AS source
                CROSS JOIN LATERAL (
                    WITH RECURSIVE loose AS (
                        (SELECT e.campaign_id
                         FROM thaw.enrollments AS e
                         WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                            AND e.campaign_id >= source.from_campaign
                         ORDER BY e.campaign_id LIMIT 1)
                        UNION ALL
                        SELECT (SELECT e.campaign_id
                                FROM thaw.enrollments AS e
                                WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                                    AND e.campaign_id > loose.campaign_id
                                ORDER BY e.campaign_id LIMIT 1)
                        FROM loose
                        WHERE loose.campaign_id IS NOT NULL)
                    SELECT loose.campaign_id FROM loose WHERE loose.campaign_id IS NOT NULL) AS waiting
                CROSS JOIN LATERAL (
                    SELECT c.id FROM thaw.campaigns AS c
                    WHERE c.id = waiting.campaign_id AND thaw.allows_resume(c.status, c.waits_for_account)
                    LIMIT 1) AS campaign
                WHERE source.target_id IS NOT NULL
                ORDER BY source.place, campaign.id) AS line;
        END IF;
        IF straight THEN
            SELECT array_agg(picked.ctid), array_agg(picked.source_id), array_agg(picked.campaign_id), array_agg(picked.target_id),
                array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, line_sources, line_campaigns, line_targets, more_paused, more_ids
            FROM (
                SELECT next.*, source.id AS source_id, source.target_id
                FROM (
                    SELECT one.id,
                        (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS target_id
                    FROM unnest(sources) AS one (id)
                    OFFSET 0) AS source
                CROSS JOIN LATERAL (
                    SELECT e.ctid, e.campaign_id, e.paused_at, e.id
                    FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = source.id
                        AND (e.campaign_id, e.paused_at, e.id) > (
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_campaign_id ELSE 0 END,
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_paused_at ELSE '-infinity' END,
                            CASE WHEN source.id = p_heal.at_account_id THEN p_heal.at_enrollment_id ELSE 0 END)
                    ORDER BY e.campaign_id, e.paused_at, e.id
                    LIMIT p_quota - taken) AS next
                WHERE source.target_id IS NOT NULL
                LIMIT p_quota - taken) AS picked;
            more_lines := ARRAY(SELECT generate_series(1, cardinality(more_places)));
        ELSIF line_sources IS NULL THEN
            more_places := NULL;
        ELSIF by_time THEN
            SELECT array_agg(lines.first), array_agg(lines.last) INTO firsts, lasts
            FROM (
                SELECT min(line.place)::integer AS first, max(line.place)::integer AS last
                FROM unnest(line_sources) WITH ORDINALITY AS line (source_id, place)
                GROUP BY line.source_id ORDER BY line.source_id) AS lines;
            SELECT array_agg(picked.ctid), array_agg(picked.line), array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, more_lines, more_paused, more_ids
            FROM (
                SELECT next.*
                FROM unnest(firsts, lasts) AS source (first, last)
                CROSS JOIN LATERAL (
                    SELECT oldest.ctid, line AS line, oldest.paused_at, oldest.id
                    FROM generate_series(source.first, source.last) AS line
                    CROSS JOIN LATERAL (
                        SELECT e.ctid, e.paused_at, e.id
                        FROM thaw.enrollments AS e
                        WHERE e.status = 'paused' AND e.waits_for_account
                            AND e.account_id = line_sources[line] AND e.campaign_id = line_campaigns[line]
                            AND (e.paused_at, e.id) > (
                                CASE WHEN line_sources[line] = p_heal.at_account_id THEN p_heal.at_paused_at ELSE '-infinity' END,
                                CASE WHEN line_sources[line] = p_heal.at_account_id THEN p_heal.at_enrollment_id ELSE 0 END)
                        ORDER BY e.paused_at, e.id
                        LIMIT p_quota - taken) AS oldest
                    ORDER BY oldest.paused_at, oldest.id
                    -- Its share, less what earlier batches of this pass have chosen.
                    LIMIT least(p_quota - taken, p_heal.account_share - least(p_heal.account_share,
                        CASE WHEN line_sources[source.first] = p_heal.at_account_id THEN p_heal.at_account_chosen ELSE 0 END))) AS next
                LIMIT p_quota - taken) AS picked;
        ELSE
            SELECT array_agg(picked.ctid), array_agg(picked.line), array_agg(picked.paused_at), array_agg(picked.id)
            INTO more_places, more_lines, more_paused, more_ids
            FROM (
                SELECT next.ctid, line AS line, next.paused_at, next.id
                FROM generate_series(1, cardinality(line_sources)) AS line
                CROSS JOIN LATERAL (
                    SELECT e.ctid, e.paused_at, e.id
                    FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line_sources[line] AND e.campaign_id = line_campaigns[line]
                        AND (e.paused_at, e.id) > (
                            CASE WHEN line_sources[line] = p_heal.at_account_id AND line_campaigns[line] = p_heal.at_campaign_id
                                THEN p_heal.at_paused_at ELSE '-infinity' END,
                            CASE WHEN line_sources[line] = p_heal.at_account_id AND line_campaigns[line] = p_heal.at_campaign_id
                                THEN p_heal.at_enrollment_id ELSE 0 END)
                    ORDER BY e.paused_at, e.id
                    LIMIT p_quota - taken) AS next
                LIMIT p_quota - taken) AS picked;
        END IF;
        IF more_places IS NOT NULL THEN
            taken := taken + cardinality(more_places);
            places := places || more_places;
            SELECT source_ids || array_agg(line_sources[line]), campaign_ids || array_agg(line_campaigns[line]),
                target_ids || array_agg(line_targets[line])
            INTO source_ids, campaign_ids, target_ids
            FROM unnest(more_lines) AS line;
        END IF;
        width := least(2 * width, p_quota);
        at_end := false;
        EXIT WHEN looked_at >= most;
        at_end := NULL;
    END LOOP;
    at_end := coalesce(at_end, taken < p_quota);
    -- The later passes over the accounts do not count them again.
    IF p_heal.round = 1 AND taken > 0 AND p_heal.pass = 1 THEN
        p_heal.accounts_done := p_heal.accounts_done + (
            SELECT count(DISTINCT source.id)
            FROM unnest(source_ids || p_heal.at_account_id) AS source (id)
            WHERE source.id < source_ids[taken]);
    END IF;
    IF taken < p_quota AND NOT at_end THEN
        p_heal.at_account_chosen := 0;
        p_heal.at_account_id := next_id;
        p_heal.at_campaign_id := 0;
        p_heal.at_paused_at := '-infinity';
        p_heal.at_enrollment_id := 0;
    ELSIF taken > 0 THEN
        p_heal.at_account_chosen := cardinality(array_positions(source_ids, source_ids[taken]))
            + CASE WHEN source_ids[taken] = p_heal.at_account_id THEN p_heal.at_account_chosen ELSE 0 END;
        p_heal.at_account_id := source_ids[taken];
        p_heal.at_campaign_id := campaign_ids[taken];
        p_heal.at_paused_at := more_paused[cardinality(more_paused)];
        p_heal.at_enrollment_id := more_ids[cardinality(more_ids)];
    END IF;
END;
$$;
CREATE FUNCTION thaw.heal_next_listed(INOUT p_heal thaw.heals, p_quota integer, OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    at_id bigint := coalesce(p_heal.at_enrollment_id, 0);
    -- The next ids of the list, including prospects that no longer wait.
    ids   bigint[];
BEGIN
    IF p_heal.at_place IS NULL THEN
        SELECT array_agg(next.id ORDER BY next.id) INTO ids
        FROM (
            SELECT given.id
            FROM (
                SELECT part.enrollment_ids
                FROM thaw.heal_enrollments AS part
                WHERE part.heal_id = p_heal.id AND part.last_id > at_id
                ORDER BY part.last_id
                LIMIT 2 + p_quota / 200) AS listed
            CROSS JOIN LATERAL unnest(listed.enrollment_ids) AS given (id)
            WHERE given.id > at_id
            ORDER BY given.id
            LIMIT p_quota) AS next;
        p_heal.at_enrollment_id := coalesce(ids[cardinality(ids)], p_heal.at_enrollment_id);
        at_end := NOT EXISTS (
            SELECT FROM thaw.heal_enrollments AS part
            WHERE part.heal_id = p_heal.id AND part.last_id > coalesce(p_heal.at_enrollment_id, 0));
    ELSE
        SELECT array_agg(next.id ORDER BY next.place) INTO ids
        FROM (
            SELECT given.id, listed.last_place - cardinality(listed.enrollment_ids) + given.n AS place
            FROM (
                SELECT part.last_place, part.enrollment_ids
                FROM thaw.heal_order AS part
                WHERE part.heal_id = p_heal.id AND part.last_place > p_heal.at_place
                ORDER BY part.last_place
                LIMIT 2 + p_quota / 200) AS listed
            CROSS JOIN LATERAL unnest(listed.enrollment_ids) WITH ORDINALITY AS given (id, n)
            WHERE listed.last_place - cardinality(listed.enrollment_ids) + given.n > p_heal.at_place
            ORDER BY place
            LIMIT p_quota) AS next;
        p_heal.at_place := p_heal.at_place + coalesce(cardinality(ids), 0);
        at_end := NOT EXISTS (
            SELECT FROM thaw.heal_order AS part
            WHERE part.heal_id = p_heal.id AND part.last_place > p_heal.at_place);
    END IF;
    WITH chosen AS MATERIALIZED (
        SELECT e.ctid, listed.place, e.account_id, e.campaign_id
        FROM (
            SELECT one.ctid, one.id, one.account_id, one.campaign_id
            FROM thaw.enrollments AS one
            WHERE one.id = ANY (ids) AND one.waits_for_account
            OFFSET 0) AS e
        JOIN unnest(ids) WITH ORDINALITY AS listed (id, place) ON listed.id = e.id
    ), targets AS MATERIALIZED (
        SELECT source.id,
            (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = source.id LIMIT 1) AS target_id
        FROM (SELECT DISTINCT chosen.account_id AS id FROM chosen OFFSET 0) AS source
    ), campaigns AS MATERIALIZED (
        SELECT used.id
        FROM (SELECT DISTINCT chosen.campaign_id AS id FROM chosen) AS used
        CROSS JOIN LATERAL (
            SELECT FROM thaw.campaigns AS c
            WHERE c.id = used.id AND thaw.allows_resume(c.status, c.waits_for_account)
            LIMIT 1) AS c
    )
    SELECT coalesce(array_agg(line.ctid), '{}'), array_agg(line.account_id), array_agg(line.campaign_id),
        array_agg(line.target_id)
    INTO places, source_ids, campaign_ids, target_ids
    FROM (
        SELECT chosen.ctid, chosen.account_id, chosen.campaign_id, targets.target_id
        FROM chosen
        JOIN targets ON targets.id = chosen.account_id AND targets.target_id IS NOT NULL
        JOIN campaigns ON campaigns.id = chosen.campaign_id
        ORDER BY chosen.place) AS line;
END;
$$;
CREATE FUNCTION thaw.heal_open_lines(p_heal thaw.heals, p_account_ids bigint[], p_campaign_ids bigint[], p_counts bigint[]) RETURNS TABLE(target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    is_safe boolean := NOT thaw.is_safety_on();
BEGIN
    -- Everything is looked up by key, once per account and campaign. The planner does not know the
    -- length of the list and planned joins as nested loops over whole tables.
    RETURN QUERY
    SELECT source.target_id, source.account_id, line.campaign_id, line.waiting
    FROM (
        SELECT by_account.*, resume.target_id
        FROM (
            SELECT one.account_id, array_agg(one.campaign_id) AS campaign_ids, array_agg(one.waiting) AS waiting
            FROM unnest(p_account_ids, p_campaign_ids, p_counts) AS one (account_id, campaign_id, waiting)
            GROUP BY one.account_id) AS by_account
        CROSS JOIN LATERAL (
            SELECT (
                SELECT w.target_id FROM thaw.resume_targets AS w WHERE w.source_id = by_account.account_id LIMIT 1) AS target_id
            OFFSET 0) AS resume
        CROSS JOIN LATERAL (
            SELECT FROM thaw.accounts AS target
            JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
            WHERE target.id = resume.target_id
                AND thaw.block_reason(target, NOT is_safe, p_heal.even_if_off OR workspace.auto_resume, workspace.shadow) IS NULL
            LIMIT 1) AS open
        OFFSET 0) AS source
    CROSS JOIN LATERAL unnest(source.campaign_ids, source.waiting) AS line (campaign_id, waiting)
    CROSS JOIN LATERAL (
        SELECT FROM thaw.campaigns AS campaign
        WHERE campaign.id = line.campaign_id AND thaw.allows_resume(campaign.status, campaign.waits_for_account)
        LIMIT 1) AS open;
END;
$$;
CREATE FUNCTION thaw.heal_scope(p_heal_id bigint) RETURNS TABLE(target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal      thaw.heals;
    -- For a heal of an account. Computed once, because as a condition of the query it would run for
    -- every delta.
    sources   bigint[];
    -- The lines with waiting prospects.
    account_ids  bigint[];
    campaign_ids bigint[];
    counts       bigint[];
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    IF thaw.is_listed(heal) THEN
        SELECT array_agg(line.account_id), array_agg(line.campaign_id), array_agg(line.waiting)
        INTO account_ids, campaign_ids, counts
        FROM (
            SELECT e.account_id, e.campaign_id, count(*) AS waiting
            FROM thaw.heal_enrollments AS listed
            -- One scan per row of the list, which has up to 200 prospects.
            CROSS JOIN LATERAL (
                SELECT found.account_id, found.campaign_id
                FROM thaw.enrollments AS found
                WHERE found.id = ANY (listed.enrollment_ids) AND found.waits_for_account
                OFFSET 0) AS e
            WHERE listed.heal_id = heal.id
            GROUP BY e.account_id, e.campaign_id) AS line;
    ELSE
        IF heal.account_id IS NOT NULL THEN
            sources := thaw.sources_of(heal.account_id) || heal.account_id;
        END IF;
        SELECT array_agg(line.account_id), array_agg(line.campaign_id), array_agg(line.waiting)
        INTO account_ids, campaign_ids, counts
        FROM (
            SELECT part.account_id, part.campaign_id, sum(part.paused)::bigint AS waiting
            FROM thaw.accounts AS a
            JOIN thaw.paused_parts AS part ON part.account_id = a.id
            WHERE a.workspace_id = heal.workspace_id AND part.waits_for_account
            GROUP BY part.account_id, part.campaign_id
            HAVING sum(part.paused) > 0
            UNION ALL
            SELECT part.account_id, part.campaign_id, sum(part.paused)::bigint
            FROM thaw.paused_parts AS part
            WHERE part.waits_for_account AND part.account_id = ANY (sources)
            GROUP BY part.account_id, part.campaign_id
            HAVING sum(part.paused) > 0
            UNION ALL
            SELECT part.account_id, part.campaign_id, sum(part.paused)::bigint
            FROM thaw.paused_parts AS part
            WHERE part.waits_for_account AND heal.is_fleet
            GROUP BY part.account_id, part.campaign_id
            HAVING sum(part.paused) > 0) AS line;
    END IF;
    RETURN QUERY SELECT * FROM thaw.heal_open_lines(heal, account_ids, campaign_ids, counts);
END;
$$;
CREATE FUNCTION thaw.heal_share(p_heal thaw.heals) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT greatest(thaw.fair_share(array_agg(source.waiting), p_heal.cap - p_heal.resumed),
            CASE WHEN sum(source.waiting) > p_heal.cap - p_heal.resumed THEN 1 END)
        FROM (
            SELECT sum(scope.waiting)::bigint AS waiting FROM thaw.heal_scope(p_heal.id) AS scope GROUP BY scope.source_id) AS source);
END;
$$;
CREATE FUNCTION thaw.heal_sources(p_heal thaw.heals, p_from bigint, p_limit integer) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_heal.account_id IS NOT NULL THEN
        RETURN (
            SELECT array_agg(DISTINCT source.id)
            FROM unnest(thaw.sources_of(p_heal.account_id) || p_heal.account_id) AS source (id)
            WHERE source.id >= p_from);
    ELSIF p_heal.is_fleet THEN
        -- A loose index scan: it reads the accounts that have waiting prospects, and no others.
        RETURN (
            WITH RECURSIVE source AS (
                (SELECT e.account_id AS id, 1 AS n
                 FROM thaw.enrollments AS e
                 WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id >= p_from
                 ORDER BY e.account_id LIMIT 1)
                UNION ALL
                SELECT (SELECT e.account_id
                        FROM thaw.enrollments AS e
                        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > source.id
                        ORDER BY e.account_id LIMIT 1), source.n + 1
                FROM source
                WHERE source.id IS NOT NULL AND source.n < p_limit)
            SELECT array_agg(source.id ORDER BY source.id) FROM source WHERE source.id IS NOT NULL);
    END IF;
    RETURN (
        SELECT array_agg(source.id) FROM (
            SELECT a.id
            FROM thaw.accounts AS a
            WHERE a.workspace_id = p_heal.workspace_id AND a.id >= p_from
                AND (
                    SELECT e.account_id FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id
                    ORDER BY e.campaign_id LIMIT 1) IS NOT NULL
            ORDER BY a.workspace_id, a.id
            LIMIT p_limit) AS source);
END;
$$;
CREATE FUNCTION thaw.heal_state(p_heal thaw.heals) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN CASE
        WHEN p_heal.status = 'running'
            AND NOT thaw.is_enqueued('heal', jsonb_build_object('heal_id', p_heal.id)) THEN 'stopped'
        ELSE p_heal.status::text END;
END;
$$;
CREATE FUNCTION thaw.heals_publish_end() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.publish('heal.finished', NEW.workspace_id, NEW.account_id, jsonb_build_object(
        'heal_id', NEW.id,
        'scope', CASE
            WHEN NEW.workspace_id IS NOT NULL THEN 'workspace' WHEN NEW.account_id IS NOT NULL THEN 'account'
            WHEN NEW.is_fleet THEN 'fleet' ELSE 'prospects' END,
        'cap', NEW.cap, 'found', NEW.found, 'resumed', NEW.resumed, 'moved', NEW.moved,
        'campaigns_resumed', NEW.campaigns_resumed, 'remaining', NEW.remaining, 'actor', NEW.actor,
        'requested_at', thaw.rfc3339(NEW.requested_at), 'finished_at', thaw.rfc3339(NEW.finished_at)));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.hold(account text, until timestamp with time zone, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(hold.account, hold.provider) FOR NO KEY UPDATE;
    IF hold.until IS NULL OR hold.until <= thaw.now() THEN
        RAISE EXCEPTION 'a hold must end in the future, not %', coalesce('at ' || thaw.job_time(hold.until), 'never')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Check the year, and set a later end.';
    ELSIF hold.until > thaw.now() + thaw.longest_hold() THEN
        RAISE EXCEPTION 'a hold must end within a year, not at %', thaw.job_time(hold.until)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Set an end within a year. An operator can set a later one with thaw hold --correct or thaw.correct_hold.';
    END IF;
    RETURN thaw.set_hold('held', held, hold.until, hold.reason, hold.actor);
END;
$$;
COMMENT ON FUNCTION thaw.hold(account text, until timestamp with time zone, reason text, actor text, provider text) IS 'Puts an account on hold until a time at most a year away: nothing is resumed or sent through it. An existing hold can only be extended; operators can correct one with thaw.correct_hold.';
CREATE FUNCTION thaw.hold_action_kind(account text, kind text, until timestamp with time zone, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    held    thaw.accounts;
    current timestamptz;
BEGIN
    PERFORM thaw.require_sending_reason(hold_action_kind.reason, hold_action_kind.actor), thaw.require_kind(hold_action_kind.kind);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(hold_action_kind.account, hold_action_kind.provider) FOR NO KEY UPDATE;
    IF hold_action_kind.until IS NULL OR hold_action_kind.until <= thaw.now()
        OR hold_action_kind.until > thaw.now() + thaw.longest_hold()
    THEN
        RAISE EXCEPTION 'a hold must end in the future and within a year, not %', coalesce('at ' || thaw.job_time(hold_action_kind.until), 'never')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Check the year, and set another end.';
    END IF;
    SELECT h.until INTO current FROM thaw.action_holds AS h WHERE h.account_id = held.id AND h.kind = hold_action_kind.kind;
    IF current > hold_action_kind.until THEN
        RAISE EXCEPTION 'the kind % is on hold until %', hold_action_kind.kind, thaw.job_time(current)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Set a later end. An operator can correct a mistaken hold with thaw hold --correct or thaw.correct_action_hold.';
    END IF;
    -- The hold is of the person, so that a second account does not go on.
    PERFORM thaw.ensure_senders(ARRAY[held.id]);
    PERFORM thaw.hold_kind(held.id, hold_action_kind.kind, hold_action_kind.until, 'person', hold_action_kind.reason, hold_action_kind.actor);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('kind_held', hold_action_kind.actor, hold_action_kind.reason,
        hold_action_kind.kind || ' until ' || thaw.job_time(hold_action_kind.until), held.workspace_id, held.id);
    RETURN hold_action_kind.until;
END;
$$;
COMMENT ON FUNCTION thaw.hold_action_kind(account text, kind text, until timestamp with time zone, reason text, actor text, provider text) IS 'Puts one kind of action of an account on hold until a time at most a year away; other kinds go on. An existing hold can only be extended; operators can correct one with thaw.correct_action_hold.';
CREATE FUNCTION thaw.hold_kind(p_account_id bigint, p_kind text, p_until timestamp with time zone, p_code text, p_reason text, p_actor text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.action_holds AS h (account_id, kind, sender_id, until, code, reason, actor)
    VALUES (p_account_id, p_kind, (SELECT s.sender_id FROM thaw.sending_accounts AS s WHERE s.account_id = p_account_id), p_until, p_code,
        p_reason, p_actor)
    ON CONFLICT (account_id, kind) DO UPDATE SET
        until = excluded.until, code = excluded.code, reason = excluded.reason, actor = excluded.actor, at = thaw.now(),
        sender_id = excluded.sender_id
    WHERE excluded.until > h.until;
    IF FOUND THEN
        PERFORM thaw.publish('account.limited', NULL, p_account_id, jsonb_build_object(
            'kind', p_kind, 'until', thaw.rfc3339(p_until), 'code', p_code, 'reason', p_reason));
    END IF;
END;
$$;
CREATE FUNCTION thaw.hold_of(p_account thaw.accounts) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object('hold_until', (p_account).hold_until, 'hold_reason', (p_account).hold_reason);
CREATE FUNCTION thaw.hour_of(p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_bin('01:00:00'::interval, p_at, '2000-01-01 00:00:00+00'::timestamp with time zone);
CREATE FUNCTION thaw.instance_name(p_database_name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE(NULLIF("left"(regexp_replace(regexp_replace(p_database_name, '[^A-Za-z0-9._-]'::text, '-'::text, 'g'::text), '^[^A-Za-z0-9]+'::text, ''::text), 63), ''::text), 'thaw'::text);
CREATE FUNCTION thaw.instead_of_undo_core(p_what text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_what WHEN 'safety_entered'::text THEN 'Exit safety mode instead.'::text WHEN 'safety_exited'::text THEN 'Enter safety mode again instead.'::text WHEN 'heal_started'::text THEN 'Stop the heal instead. What it has resumed stays resumed.'::text WHEN 'heal_stopped'::text THEN 'Continue the heal instead.'::text WHEN 'heal_resumed'::text THEN 'Stop the heal instead.'::text WHEN 'settings_changed'::text THEN 'Set the old value again. The audit log has it.'::text WHEN 'linked'::text THEN 'Accounts stay linked.'::text WHEN 'imported'::text THEN 'Import a file with the earlier state instead.'::text WHEN 'signals_replayed'::text THEN 'A newer signal about an account replaces its status.'::text WHEN 'reconciled'::text THEN 'A newer signal about an account replaces its status.'::text WHEN 'endpoint_added'::text THEN 'Remove the endpoint instead.'::text WHEN 'endpoint_enabled'::text THEN 'Remove the endpoint instead.'::text WHEN 'endpoint_removed'::text THEN 'Start a process with --webhook-url to add the endpoint again.'::text WHEN 'messages_replayed'::text THEN 'Receivers detect repeated messages by their ID.'::text WHEN 'token_created'::text THEN 'Revoke the token instead.'::text WHEN 'token_revoked'::text THEN 'Create another token instead.'::text WHEN 'jobs_changed'::text THEN 'Retry or resume the jobs in River UI instead.'::text WHEN 'instance_adopted'::text THEN 'Adopt it under the name that it had before.'::text WHEN 'adopted'::text THEN 'Use thaw adopt remove, or apply the mapping that it had before.'::text WHEN 'adoption_fixed'::text THEN 'The copy follows the platform.'::text WHEN 'adoption_removed'::text THEN 'Use thaw adopt apply.'::text WHEN 'server_changed'::text THEN 'It is an event, not an action.'::text WHEN 'prospect_erased'::text THEN 'What was erased cannot be restored.'::text WHEN 'workspace_removed'::text THEN 'What was removed cannot be restored.'::text WHEN 'undone'::text THEN 'Take the original action again instead.'::text ELSE NULL::text END;
CREATE FUNCTION thaw.instead_of_undo(p_what text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_what WHEN 'limit_set'::text THEN 'Set the old limit again. The audit log has it.'::text WHEN 'ceiling_set'::text THEN 'Set the old ceiling again. The audit log has it.'::text WHEN 'windows_set'::text THEN 'Set the old windows again. The audit log has them.'::text WHEN 'kind_held'::text THEN 'Correct the hold instead.'::text WHEN 'kind_hold_corrected'::text THEN 'Put the kind on hold again instead.'::text WHEN 'action_settled'::text THEN 'What a person found out at the provider stays.'::text WHEN 'ramp_set'::text THEN 'Set the old date again. The audit log has it.'::text ELSE thaw.instead_of_undo_core(p_what) END;
CREATE FUNCTION thaw.is_adopted() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (SELECT s.started_at IS NOT NULL FROM thaw.adopt_state AS s);
END;
$$;
CREATE FUNCTION thaw.job_key(p_kind text, p_args jsonb) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (SELECT sha256(convert_to(
        '&kind=' || p_kind || '&args={'
        || string_agg(to_json(arg.key)::text || ':' || arg.value::text, ',' ORDER BY arg.key COLLATE "C") || '}', 'UTF8'))
    FROM jsonb_each(p_args) AS arg);
END;
$$;
CREATE FUNCTION thaw.river_job_state_in_bitmask(bitmask bit, state thaw.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;
CREATE FUNCTION thaw.is_enqueued(p_kind text, p_args jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (EXISTS ( SELECT
            FROM thaw.river_job job
           WHERE ((job.unique_key = thaw.job_key(is_enqueued.p_kind, is_enqueued.p_args)) AND (job.unique_key IS NOT NULL) AND (job.unique_states IS NOT NULL) AND thaw.river_job_state_in_bitmask(job.unique_states, job.state) AND (job.state <> 'completed'::thaw.river_job_state)))) AS "exists";
END;
CREATE FUNCTION thaw.is_flapping(p_flaps timestamp with time zone[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (SELECT s.flap_limit > 0 AND coalesce(p_flaps[s.flap_limit] > thaw.now() - interval '1 hour', false)
            FROM thaw.settings AS s);
END;
$$;
CREATE FUNCTION thaw.is_transient(p_status thaw.account_status) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (p_status = ANY (ARRAY['connecting'::thaw.account_status, 'error'::thaw.account_status]));
CREATE FUNCTION thaw.is_gone(p_status thaw.account_status) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((p_status <> ALL (ARRAY['connected'::thaw.account_status, 'restricted'::thaw.account_status])) AND (NOT thaw.is_transient(p_status)));
CREATE TABLE thaw.adopt_errors (
    id bigint NOT NULL,
    kind text NOT NULL,
    external_id text,
    change jsonb NOT NULL,
    code text NOT NULL,
    problem text NOT NULL,
    is_deferred boolean DEFAULT false NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    next_at timestamp with time zone,
    place bigint,
    first_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    CONSTRAINT adopt_errors_attempts_check CHECK ((attempts >= 1)),
    CONSTRAINT adopt_errors_code_check CHECK ((code <> ''::text)),
    CONSTRAINT adopt_errors_deferred_is_retried CHECK (((NOT is_deferred) OR (next_at IS NOT NULL))),
    CONSTRAINT adopt_errors_external_id_check CHECK ((external_id <> ''::text)),
    CONSTRAINT adopt_errors_kind_check CHECK ((kind = ANY (ARRAY['workspace'::text, 'account'::text, 'campaign'::text, 'enrollment'::text]))),
    CONSTRAINT adopt_errors_problem_check CHECK (((length(problem) >= 1) AND (length(problem) <= 1000)))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');
COMMENT ON TABLE thaw.adopt_errors IS 'Changes of the platform''s rows that could not be applied to the copy yet.';
COMMENT ON COLUMN thaw.adopt_errors.external_id IS 'The platform''s ID of the row. Null: the rows of a whole statement are unknown, and only a comparison (thaw adopt check) finds them.';
COMMENT ON COLUMN thaw.adopt_errors.change IS 'What is to be applied: the argument of thaw.take_enrollments and the like, with the former failures of the row.';
COMMENT ON COLUMN thaw.adopt_errors.code IS 'A SQLSTATE, or unknown_word, unknown_row, unknown_parent, ambiguous.';
COMMENT ON COLUMN thaw.adopt_errors.is_deferred IS 'Whether only a lock or another passing condition was in the way. The row is not parked.';
COMMENT ON COLUMN thaw.adopt_errors.next_at IS 'When it is tried again. Null: with the next change of the row, or by thaw adopt check --fix.';
COMMENT ON COLUMN thaw.adopt_errors.place IS 'The id that the newest change in it had when it was first kept. Null: its own id. 0: a row of a backfill, which is older than every change. Changes of one row are merged in this order.';
CREATE FUNCTION thaw.is_kept_of(p_kept thaw.adopt_errors, p_workspace_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    change constant jsonb := p_kept.change;
    owners bigint[];
BEGIN
    owners := CASE
        WHEN p_kept.kind = 'workspace' THEN ARRAY(SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = p_kept.external_id)
        WHEN change ->> 'workspace' IS NOT NULL THEN ARRAY(SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = change ->> 'workspace')
        WHEN p_kept.kind = 'account' THEN ARRAY(SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.external_id = p_kept.external_id)
        WHEN p_kept.kind = 'campaign' THEN ARRAY(SELECT c.workspace_id FROM thaw.campaigns AS c WHERE c.external_id = p_kept.external_id)
        ELSE ARRAY(
            SELECT c.workspace_id FROM thaw.campaigns AS c WHERE c.external_id = change ->> 'campaign'
            UNION SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.external_id = change ->> 'account'
            UNION SELECT e.workspace_id FROM thaw.enrollments AS e WHERE e.external_id = p_kept.external_id) END;
    RETURN owners = ARRAY[p_workspace_id];
END;
$$;
CREATE FUNCTION thaw.is_listed(p_heal thaw.heals) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((p_heal).workspace_id IS NULL) AND ((p_heal).account_id IS NULL) AND (NOT (p_heal).is_fleet));
CREATE FUNCTION thaw.is_passed(p_code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (p_code = ANY (ARRAY['already_invited'::text, 'already_connected'::text, 'invite_withdrawn'::text]));
CREATE FUNCTION thaw.is_pushing() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((SELECT s.push_actions FROM thaw.settings s) AND thaw.has_endpoint());
CREATE FUNCTION thaw.is_safety_on() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (SELECT safety.since IS NOT NULL FROM thaw.safety) OR thaw.why_copy() IS NOT NULL;
END;
$$;
CREATE FUNCTION thaw.is_stuck(account thaw.accounts) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (((account).status = 'connecting'::thaw.account_status) AND (COALESCE((account).status_at, (account).created_at) < (thaw.now() - '01:00:00'::interval)));
CREATE FUNCTION thaw.is_trusted_writer() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN has_table_privilege('thaw.enrollment_events'::text, 'INSERT'::text);
COMMENT ON FUNCTION thaw.is_trusted_writer() IS 'Whether the current role may write history. True for Thaw itself, false for a role that only writes the fleet tables.';
CREATE TABLE thaw.manual_actions (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    what text NOT NULL,
    actor text NOT NULL,
    session_role text DEFAULT SESSION_USER NOT NULL,
    reason text,
    detail text,
    workspace_id bigint,
    account_id bigint,
    campaign_id bigint,
    prospect_url text,
    heal_id bigint,
    undoes bigint,
    before jsonb,
    until timestamp with time zone,
    enrollments integer,
    accounts_lost integer,
    accounts_connected integer,
    logged_at timestamp with time zone,
    CONSTRAINT manual_actions_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT manual_actions_detail_check CHECK ((detail <> ''::text)),
    CONSTRAINT manual_actions_have_a_reason CHECK (((reason IS NOT NULL) OR (what = ANY (ARRAY['auto_resume_off'::text, 'auto_resume_on'::text, 'heal_started'::text])) OR ((detail IS NOT NULL) AND (what = ANY (ARRAY['imported'::text, 'signals_replayed'::text, 'reconciled'::text, 'endpoint_added'::text, 'token_created'::text, 'jobs_changed'::text, 'adoption_fixed'::text]))))),
    CONSTRAINT manual_actions_hold_has_an_end CHECK (
CASE
    WHEN (what = 'held'::text) THEN (until IS NOT NULL)
    WHEN (what = ANY (ARRAY['hold_corrected'::text, 'undone'::text])) THEN true
    ELSE (until IS NULL)
END),
    CONSTRAINT manual_actions_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT manual_actions_undone_names_its_action CHECK (((what = 'undone'::text) = (undoes IS NOT NULL))),
    CONSTRAINT manual_actions_what_check CHECK ((what = ANY (ARRAY['safety_entered'::text, 'safety_exited'::text, 'held'::text, 'hold_corrected'::text, 'paused'::text, 'resumed'::text, 'auto_resume_off'::text, 'auto_resume_on'::text, 'settings_changed'::text, 'linked'::text, 'heal_cap_set'::text, 'heal_cap_removed'::text, 'heal_started'::text, 'heal_stopped'::text, 'heal_resumed'::text, 'imported'::text, 'signals_replayed'::text, 'reconciled'::text, 'endpoint_added'::text, 'endpoint_enabled'::text, 'endpoint_removed'::text, 'messages_replayed'::text, 'token_created'::text, 'token_revoked'::text, 'jobs_changed'::text, 'undone'::text, 'instance_adopted'::text, 'server_changed'::text, 'shadow_on'::text, 'shadow_off'::text, 'prospect_erased'::text, 'workspace_removed'::text, 'adopted'::text, 'adoption_fixed'::text, 'adoption_removed'::text, 'limit_set'::text, 'ceiling_set'::text, 'windows_set'::text, 'kind_held'::text, 'kind_hold_corrected'::text, 'action_settled'::text, 'ramp_set'::text])))
);
ALTER TABLE ONLY thaw.manual_actions ALTER COLUMN what SET (n_distinct=20);
ALTER TABLE ONLY thaw.manual_actions ALTER COLUMN actor SET (n_distinct=100);
COMMENT ON TABLE thaw.manual_actions IS 'The audit log of manual actions, and of safety mode entered and exited by the monitor: who did what, when, to what, and why.';
CREATE FUNCTION thaw.is_undoable(p_action_id bigint, p_what text) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((thaw.instead_of_undo(p_what) IS NULL) AND (NOT (EXISTS (SELECT FROM thaw.manual_actions later WHERE (later.undoes = is_undoable.p_action_id)))));
CREATE FUNCTION thaw.job_counts() RETURNS TABLE(queue text, state text, jobs bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT job.queue,
     (job.state)::text AS state,
     count(*) AS count
    FROM thaw.river_job job
   WHERE (job.state = ANY (ARRAY['available'::thaw.river_job_state, 'pending'::thaw.river_job_state, 'running'::thaw.river_job_state, 'retryable'::thaw.river_job_state, 'scheduled'::thaw.river_job_state, 'cancelled'::thaw.river_job_state, 'discarded'::thaw.river_job_state]))
   GROUP BY job.queue, job.state;
END;
CREATE FUNCTION thaw.job_time(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'::text);
CREATE FUNCTION thaw.keep_identity() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF thaw.is_trusted_writer() THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the identity of a row in thaw.% cannot be changed', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = 'thaw',
            HINT = CASE TG_TABLE_NAME
                WHEN 'accounts' THEN 'id, workspace_id, provider and provider_account_id cannot be changed after the insert. For a person who connected again as a new account, insert a new row with the same member_id.'
                WHEN 'enrollments' THEN 'id, workspace_id and campaign_id cannot be changed after the insert. Insert a new enrollment instead.'
                ELSE 'id and workspace_id cannot be changed after the insert. Insert a new row instead.' END;
END;
$$;
CREATE FUNCTION thaw.keep_taken(p_kind text, p_taken thaw.taken[], p_code text, p_problem text, p_is_deferred boolean, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    is_retry boolean := coalesce(current_setting('thaw.retrying', true), '') = 'on';
    earlier  thaw.kept_change[] := ARRAY(SELECT k FROM thaw.claim_kept(p_kind, ARRAY(SELECT t.external_id FROM unnest(p_taken) AS t)) AS k);
    kept     integer;
BEGIN
    DELETE FROM thaw.adopt_errors AS x WHERE x.id = ANY (ARRAY(SELECT unnest(k.ids) FROM unnest(earlier) AS k WHERE k.is_claimed));
    INSERT INTO thaw.adopt_errors (kind, external_id, change, code, problem, is_deferred, attempts, next_at, first_at, place)
    SELECT p_kind, t.external_id,
        -- A row that is parked now is paused. Its status until then is part of the change, so that
        -- a change that has none restores it.
        thaw.merge_change(CASE WHEN NOT p_is_deferred AND NOT was.was_parked THEN thaw.status_before(p_kind, t.external_id) ELSE '{}' END,
            CASE WHEN is_retry THEN was.change WHEN p_is_backfill THEN thaw.merge_change(t.change, was.change)
                ELSE thaw.merge_change(was.change, t.change) END),
        coalesce(t.code, p_code), left(coalesce(t.problem, p_problem), 1000),
        p_is_deferred AND NOT (was.was_parked AND was.is_claimed), was.attempts + 1,
        CASE WHEN coalesce(t.code, p_code) IN ('unknown_word', 'ambiguous') THEN NULL
            WHEN p_is_deferred THEN thaw.now() + least(2 ^ was.attempts, 60) * interval '0.5 seconds'
            ELSE thaw.now() + least(2 ^ was.attempts, 3600) * interval '1 second' END,
        coalesce(k.first_at, thaw.now()),
        -- A retry has nothing newer than what was kept.
        CASE WHEN is_retry OR p_is_backfill THEN was.place END
    FROM unnest(p_taken) AS t
    LEFT JOIN unnest(earlier) AS k ON k.external_id = t.external_id
    CROSS JOIN LATERAL (
        SELECT coalesce(k.is_claimed, false) AS is_claimed, coalesce(k.was_parked, false) AS was_parked, coalesce(k.attempts, 0) AS attempts,
            CASE WHEN k.is_claimed THEN k.change ELSE '{}' END AS change, CASE WHEN k.is_claimed THEN k.place ELSE 0 END AS place) AS was
    WHERE NOT is_retry OR was.is_claimed
    ORDER BY t.external_id;
    GET DIAGNOSTICS kept = ROW_COUNT;
    IF NOT p_is_deferred THEN
        BEGIN
            PERFORM thaw.park(p_kind, p_taken, p_problem);
        EXCEPTION WHEN OTHERS THEN
            NULL; -- the row is parked by the next attempt
        END;
    END IF;
    RETURN kept;
END;
$$;
CREATE FUNCTION thaw.kind_gates(p_account_ids bigint[], p_kinds text[] DEFAULT NULL::text[], p_starting bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(account_id bigint, kind text, sender_id bigint, account_code text, account_opens_at timestamp with time zone, code text, opens_at timestamp with time zone, pending_code text, caps_open_at timestamp with time zone, timezone text, day date, day_began_at timestamp with time zone, day_ends_at timestamp with time zone, used_today integer, per_day integer, used_in_week integer, per_week integer, pending_invites integer, ramp_week smallint, ramp_started_at timestamp with time zone, restricted_at timestamp with time zone, gap_from interval, gap_to interval, window_opens_at timestamp with time zone, window_closes_at timestamp with time zone, held_until timestamp with time zone, held_code text, next_allowed_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- Not "at", which is a column of thaw.action_holds.
    moment    timestamptz := thaw.now();
    settings  thaw.settings;
    is_safety boolean := thaw.is_safety_on();
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    RETURN QUERY
    WITH account AS MATERIALIZED (
        SELECT a.id, a.workspace_id, a.tier,
            -- Scalar: one probe of the index, where a join may read all zones.
            (SELECT z.name FROM thaw.zones AS z WHERE z.key = lower(a.timezone) COLLATE "C") AS timezone,
            gate.code AS block, thaw.account_gate_opens_at(a, gate.code) AS block_ends_at,
            s.id AS sender_id, s.day AS last_day, s.day_began_at AS last_day_began_at, s.day_timezone AS last_day_zone,
            s.next_allowed_at, s.last_started_at, s.ramp_started_at, s.restriction_seen_at,
            greatest(a.restricted_at, (
                SELECT max(m.restricted_at) FROM thaw.accounts AS m WHERE m.provider = a.provider AND m.member_id = a.member_id), (
                SELECT max(m.restricted_at) FROM thaw.sending_accounts AS sibling JOIN thaw.accounts AS m ON m.id = sibling.account_id
                WHERE sibling.sender_id = s.id)) AS restricted_at
        FROM thaw.accounts AS a
        -- OFFSET: the gate is evaluated once.
        CROSS JOIN LATERAL (SELECT thaw.account_gate(a, is_safety) AS code OFFSET 0) AS gate
        -- OFFSET: one probe per account. A join may hash all senders.
        LEFT JOIN LATERAL (SELECT x.* FROM thaw.senders AS x WHERE x.provider = a.provider AND x.key = thaw.person_of(a) OFFSET 0) AS s ON true
        WHERE a.id = ANY (p_account_ids)
    ), applicable AS MATERIALIZED (
        SELECT account.id, w.*
        FROM account
        CROSS JOIN LATERAL thaw.applicable_windows(account.workspace_id, account.id, account.timezone) AS w
    ), hours AS MATERIALIZED (
        -- Many accounts share a window: each is evaluated once.
        SELECT shared.*, state.is_open, state.opens_at, state.closes_at
        FROM (SELECT DISTINCT a.weekdays, a.opens, a.closes, a.timezone FROM applicable AS a WHERE a.timezone IS NOT NULL) AS shared
        CROSS JOIN LATERAL thaw.window_at(shared.timezone, shared.weekdays, shared.opens, shared.closes, moment) AS state
    ), schedule AS MATERIALIZED (
        SELECT a.id, min(a.timezone) AS timezone, coalesce(bool_or(h.is_open), false) AS is_open, min(h.opens_at) AS opens_at,
            max(h.closes_at) AS closes_at
        FROM applicable AS a
        LEFT JOIN hours AS h
            ON h.weekdays = a.weekdays AND h.opens = a.opens AND h.closes = a.closes AND h.timezone = a.timezone
        GROUP BY a.id
    ), zoned AS MATERIALIZED (
        SELECT account.*, schedule.is_open, schedule.opens_at AS window_opens_at, schedule.closes_at AS window_closes_at,
            coalesce(account.timezone, schedule.timezone) AS day_zone
        FROM account
        LEFT JOIN schedule ON schedule.id = account.id
    ), days AS MATERIALIZED (
        -- Many accounts share a day, too.
        SELECT shared.*, local.*
        FROM (SELECT DISTINCT z.last_day, z.last_day_began_at, z.last_day_zone, z.day_zone FROM zoned AS z WHERE z.day_zone IS NOT NULL) AS shared
        CROSS JOIN LATERAL thaw.local_day(shared.last_day, shared.last_day_began_at, shared.last_day_zone, shared.day_zone, moment) AS local
    ), state AS MATERIALIZED (
        SELECT zoned.*, days.day, days.began_at, days.ends_at, ramp.week, ramp.started_at
        FROM zoned
        LEFT JOIN days
            ON days.day_zone = zoned.day_zone AND coalesce(days.last_day, 'infinity') = coalesce(zoned.last_day, 'infinity')
                AND coalesce(days.last_day_began_at, 'infinity') = coalesce(zoned.last_day_began_at, 'infinity')
                AND coalesce(days.last_day_zone, '') = coalesce(zoned.last_day_zone, '')
        CROSS JOIN LATERAL thaw.ramp_at(
            zoned.ramp_started_at, zoned.last_started_at, zoned.restricted_at, zoned.restriction_seen_at, moment) AS ramp
    ), used AS MATERIALIZED (
        SELECT state.*, k.kind,
            -- Without a default or a ceiling nothing is allowed.
            CASE WHEN l.kind IS NOT NULL AND ceiling.kind IS NOT NULL
                THEN thaw.cap_in_week(state.week, l.per_day, coalesce(own.per_day, common.per_day), ceiling.per_day) END AS per_day,
            thaw.cap_in_week(state.week, l.per_week, coalesce(own.per_week, common.per_week), ceiling.per_week) AS per_week,
            greatest(coalesce(own.gap_from, common.gap_from, l.gap_from), ceiling.gap_from) AS gap_from,
            greatest(coalesce(own.gap_to, common.gap_to, l.gap_to), coalesce(own.gap_from, common.gap_from, l.gap_from), ceiling.gap_from) AS gap_to,
            coalesce(ledger.today, 0)::integer AS today, coalesce(ledger.in_week, 0)::integer AS in_week,
            ledger.next_of_kind_at, ledger.last_start, held.until AS held_until, held.code AS held_code,
            CASE WHEN k.kind = 'invite' THEN (
                SELECT count(*) FROM (
                    SELECT FROM thaw.actions AS x
                    WHERE x.sender_id = state.sender_id AND x.kind = 'invite' AND x.is_used AND x.closed_at IS NULL
                        AND x.used_at > moment - interval '180 days' AND NOT x.id = ANY (coalesce(p_starting, '{}'))
                    LIMIT settings.pending_invites) AS open_invite) END::integer AS open_invites
        FROM state
        JOIN thaw.action_kinds AS k ON p_kinds IS NULL OR k.kind = ANY (p_kinds)
        LEFT JOIN LATERAL (
            SELECT x.* FROM thaw.action_limits AS x WHERE x.tier = state.tier AND x.ramp_week = state.week AND x.kind = k.kind LIMIT 1) AS l ON true
        LEFT JOIN thaw.action_ceilings AS ceiling ON ceiling.kind = k.kind
        LEFT JOIN thaw.action_overrides AS own ON own.account_id = state.id AND own.kind = k.kind
        LEFT JOIN thaw.action_overrides AS common
            ON common.workspace_id = state.workspace_id AND common.account_id IS NULL AND common.campaign_id IS NULL AND common.kind = k.kind
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE x.is_used AND thaw.counts_into(state.day, state.began_at, x.local_day, x.used_at, x.state)) AS today,
                count(*) FILTER (WHERE x.is_used) AS in_week,
                max(x.next_of_kind_at) FILTER (WHERE x.is_used OR x.started_at IS NOT NULL) AS next_of_kind_at, max(x.started_at) AS last_start
            FROM thaw.actions AS x
            WHERE x.sender_id = state.sender_id AND x.kind = k.kind AND x.used_at > moment - interval '168 hours'
                AND NOT x.id = ANY (coalesce(p_starting, '{}'))) AS ledger ON true
        LEFT JOIN LATERAL (
            -- Why an account of another workspace is on hold is not shown, only until when.
            SELECT h.until, CASE WHEN owner.is_own THEN h.code ELSE 'held_elsewhere' END AS code FROM thaw.action_holds AS h
            CROSS JOIN LATERAL (
                SELECT h.account_id = state.id OR coalesce((
                    SELECT holder.workspace_id = state.workspace_id FROM thaw.accounts AS holder WHERE holder.id = h.account_id), false) AS is_own OFFSET 0) AS owner
            WHERE (h.account_id = state.id OR h.sender_id = state.sender_id) AND h.kind = k.kind AND h.until > moment
            ORDER BY h.until DESC, owner.is_own DESC LIMIT 1) AS held ON true
    ), gap AS (
        SELECT used.*, thaw.ramp_grows_at(used.started_at, used.week) AS ramp_grows_at,
            CASE WHEN p_starting IS NULL
            THEN greatest(used.next_allowed_at, used.next_of_kind_at)
            ELSE greatest(used.last_started_at + settings.action_gap_from, used.last_start + used.gap_from) END AS allowed_at
        FROM used
    )
    SELECT gap.id, gap.kind, gap.sender_id,
        gap.block, gap.block_ends_at,
        closed.code,
        CASE closed.code
            WHEN 'kind_on_hold' THEN gap.held_until
            WHEN 'window_closed' THEN gap.window_opens_at
            WHEN 'cooldown' THEN gap.allowed_at
            WHEN 'daily_cap' THEN opening.of_day
            WHEN 'weekly_cap' THEN opening.of_week
        END,
        pending.code,
        CASE WHEN pending.code IS NULL AND gap.per_day > 0 AND coalesce(gap.per_week, 1) > 0
            THEN greatest(moment, gap.held_until, gap.allowed_at, opening.of_day, opening.of_week) END,
        gap.day_zone, gap.day, gap.began_at, gap.ends_at, gap.today, gap.per_day, gap.in_week, gap.per_week, gap.open_invites,
        gap.week, gap.started_at, gap.restricted_at, gap.gap_from, gap.gap_to,
        gap.window_opens_at, gap.window_closes_at, gap.held_until, gap.held_code, gap.allowed_at
    FROM gap
    CROSS JOIN LATERAL (SELECT CASE WHEN gap.open_invites >= settings.pending_invites THEN 'pending_invites' END AS code) AS pending
    CROSS JOIN LATERAL (
        -- When full caps open. They also grow when the next week of the ramp begins.
        SELECT CASE WHEN gap.today >= gap.per_day AND gap.per_day > 0 THEN least(gap.ends_at, gap.ramp_grows_at) END AS of_day,
            CASE WHEN gap.in_week >= gap.per_week AND gap.per_week > 0 THEN least(gap.ramp_grows_at, (
                SELECT x.used_at + interval '168 hours' FROM thaw.actions AS x
                WHERE x.sender_id = gap.sender_id AND x.kind = gap.kind AND x.is_used AND NOT x.id = ANY (coalesce(p_starting, '{}'))
                ORDER BY x.used_at DESC OFFSET gap.per_week - 1 LIMIT 1)) END AS of_week) AS opening
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN gap.per_day IS NULL THEN 'limits_missing'
            WHEN gap.held_until IS NOT NULL THEN 'kind_on_hold'
            WHEN gap.day_zone IS NULL OR gap.is_open IS NULL OR gap.window_opens_at IS NULL THEN 'window_has_no_zone'
            WHEN NOT gap.is_open THEN 'window_closed'
            WHEN gap.allowed_at > moment THEN 'cooldown'
            WHEN gap.today >= gap.per_day THEN 'daily_cap'
            WHEN gap.in_week >= gap.per_week THEN 'weekly_cap'
        END AS code) AS closed;
END;
$$;
COMMENT ON FUNCTION thaw.kind_gates(p_account_ids bigint[], p_kinds text[], p_starting bigint[]) IS 'What limits each kind of action of the given accounts now: the limits in effect, what is used, and the first closed gate of the account (account_code) and of the kind (code), each with the time at which it opens.';
CREATE FUNCTION thaw.lane_cap(p_lane thaw.lane, p_settings thaw.settings) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_lane WHEN 'sweep'::thaw.lane THEN (p_settings).fleet_cap WHEN 'signal'::thaw.lane THEN (p_settings).signal_cap ELSE NULL::integer END;
CREATE FUNCTION thaw.learn_silence() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    reached bigint;
BEGIN
    PERFORM FROM thaw.signal_walk AS w FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT s.id, s.provider, s.received_at, s.body IS NOT NULL AND s.provider <> '' AS counts
        FROM thaw.account_signals AS s
        WHERE s.id > (SELECT w.after_id FROM thaw.signal_walk AS w)
        ORDER BY s.id LIMIT 20000
    ), gap AS (
        SELECT f.provider, f.received_at,
            f.received_at - coalesce(lag(f.received_at) OVER (PARTITION BY f.provider ORDER BY f.received_at, f.id),
                (SELECT known.last_signal_at FROM thaw.signal_sources AS known WHERE known.provider = f.provider), f.received_at) AS length
        FROM fresh AS f WHERE f.counts
    ), learned AS (
        INSERT INTO thaw.signal_gaps AS known (provider, day, longest)
        SELECT gap.provider, (gap.received_at AT TIME ZONE 'UTC')::date, greatest(max(gap.length), interval '0')
        FROM gap GROUP BY 1, 2
        ON CONFLICT (provider, day) DO UPDATE SET longest = greatest(known.longest, excluded.longest)
    ), seen AS (
        INSERT INTO thaw.signal_sources AS known (provider, last_signal_at)
        SELECT gap.provider, max(gap.received_at) FROM gap GROUP BY gap.provider
        ON CONFLICT (provider) DO UPDATE SET last_signal_at = greatest(known.last_signal_at, excluded.last_signal_at)
    )
    SELECT max(fresh.id) INTO reached FROM fresh;
    UPDATE thaw.signal_walk AS w SET after_id = reached WHERE reached IS NOT NULL;
    DELETE FROM thaw.signal_gaps AS g WHERE g.day < (thaw.now() AT TIME ZONE 'UTC')::date - 28;
END;
$$;
CREATE FUNCTION thaw.limit_ends(p_account_id bigint, p_kind text, p_error_code text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    at   timestamptz := thaw.now();
    zone text;
    day  date;
    ends timestamptz;
BEGIN
    IF p_error_code = 'insufficient_credits' THEN
        RETURN date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 month';
    END IF;
    SELECT g.timezone, g.day, g.day_ends_at INTO zone, day, ends FROM thaw.kind_gates(ARRAY[p_account_id], ARRAY[p_kind]) AS g;
    IF p_error_code = 'cannot_resend_yet' THEN
        RETURN coalesce(thaw.day_start(zone, (date_trunc('week', day) + interval '7 days')::date), at + interval '7 days');
    END IF;
    -- Without a time zone, no day is known.
    RETURN coalesce(ends, at + interval '24 hours');
END;
$$;
CREATE FUNCTION thaw.limit_text(p_kind text, p_per_day integer, p_per_week integer, p_gap_from interval, p_gap_to interval) RETURNS text
    LANGUAGE sql STABLE
    RETURN ((p_kind || ': '::text) || COALESCE(NULLIF(concat_ws(', '::text, (p_per_day || ' per day'::text), (p_per_week || ' per 7 days'::text), (('gap '::text || p_gap_from) || COALESCE((' to '::text || p_gap_to), ''::text))), ''::text), 'no limit of its own'::text));
CREATE FUNCTION thaw.link_accounts(old text, new text, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    old_account thaw.accounts;
    new_account thaw.accounts;
    first_id    bigint;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (thaw.find_account(link_accounts.old, link_accounts.provider), thaw.find_account(link_accounts.new, link_accounts.provider))
    ORDER BY a.id FOR NO KEY UPDATE;
    SELECT a.* INTO old_account FROM thaw.accounts AS a WHERE a.id = thaw.find_account(link_accounts.old, link_accounts.provider);
    SELECT a.* INTO new_account FROM thaw.accounts AS a WHERE a.id = thaw.find_account(link_accounts.new, link_accounts.provider);
    IF old_account.id = new_account.id THEN
        RAISE EXCEPTION 'both accounts are "%"', link_accounts.old
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the account that was replaced and the one that replaces it.';
    ELSIF old_account.workspace_id <> new_account.workspace_id THEN
        RAISE EXCEPTION 'account "%" and account "%" belong to different workspaces', link_accounts.old, link_accounts.new
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Prospects never move from one workspace to another.';
    ELSIF old_account.provider <> new_account.provider THEN
        RAISE EXCEPTION 'account "%" is of provider %, and account "%" of %', link_accounts.old, old_account.provider,
            link_accounts.new, new_account.provider
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Prospects never move from one provider to another.';
    ELSIF old_account.member_id <> new_account.member_id THEN
        RAISE EXCEPTION 'account "%" and account "%" belong to different people', link_accounts.old, link_accounts.new
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Their member_id values differ. Correct the one that is wrong.';
    END IF;
    first_id := coalesce(old_account.link_id, old_account.id);
    UPDATE thaw.accounts AS a SET link_id = first_id
    WHERE a.workspace_id = new_account.workspace_id AND a.id <> first_id
        AND (a.id = new_account.id OR a.id = new_account.link_id
            OR a.link_id = coalesce(new_account.link_id, new_account.id));
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
    VALUES ('linked', link_accounts.actor, link_accounts.reason, new_account.workspace_id, new_account.id);
END;
$$;
COMMENT ON FUNCTION thaw.link_accounts(old text, new text, reason text, actor text, provider text) IS 'Links an account to the one that replaces it, if member_id does not identify both as the same person. Both must be in the same workspace. While one of them is not connected, its prospects are resumed through the other, if that is connected.';
CREATE FUNCTION thaw.link_by_signal(p_account thaw.accounts, p_v1_account_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    first_id bigint;
BEGIN
    IF p_v1_account_id IS NULL OR p_account.link_id IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT coalesce(old.link_id, old.id) INTO first_id FROM thaw.accounts AS old
    WHERE old.provider = p_account.provider AND old.provider_account_id = p_v1_account_id
        AND old.workspace_id = p_account.workspace_id AND old.id <> p_account.id;
    IF first_id <> p_account.id
        AND NOT EXISTS (SELECT FROM thaw.accounts AS other WHERE other.link_id = p_account.id AND other.workspace_id = p_account.workspace_id)
    THEN
        UPDATE thaw.accounts AS a SET link_id = first_id WHERE a.id = p_account.id AND a.link_id IS NULL;
        INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
        VALUES ('linked', 'provider', format('the provider reports %s as its former account ID', p_v1_account_id),
            p_account.workspace_id, p_account.id);
    END IF;
END;
$$;
CREATE FUNCTION thaw.linked_person_of(p_account thaw.accounts) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    RETURN coalesce(
        'member:' || (
            SELECT min(linked.member_id) FROM thaw.accounts AS linked
            WHERE linked.workspace_id = p_account.workspace_id AND linked.provider = p_account.provider
                AND (linked.id = p_account.link_id OR linked.link_id = coalesce(p_account.link_id, p_account.id))),
        'account:' || coalesce(p_account.link_id, p_account.id));
END;
$$;
CREATE FUNCTION thaw.local_day(p_day date, p_began_at timestamp with time zone, p_day_zone text, p_zone text, p_at timestamp with time zone, OUT day date, OUT began_at timestamp with time zone, OUT ends_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    next_day date;
BEGIN
    IF p_day IS NOT NULL THEN
        IF p_zone = p_day_zone THEN
            next_day := p_day + 1;
        ELSE
            next_day := ((p_began_at + interval '24 hours') AT TIME ZONE p_zone)::date;
            IF thaw.day_start(p_zone, next_day) < p_began_at + interval '24 hours' THEN
                next_day := next_day + 1;
            END IF;
            next_day := greatest(next_day, p_day + 1);
        END IF;
        ends_at := thaw.day_start(p_zone, next_day);
        IF p_at < ends_at THEN
            day := p_day;
            began_at := p_began_at;
            RETURN;
        END IF;
    END IF;
    day := (p_at AT TIME ZONE p_zone)::date;
    began_at := thaw.day_start(p_zone, day);
    ends_at := thaw.day_start(p_zone, day + 1);
    -- Clocks that go back after midnight show the date before once more. The next day goes on.
    IF ends_at <= p_at THEN
        day := day + 1;
        began_at := ends_at;
        ends_at := thaw.day_start(p_zone, day + 1);
    END IF;
END;
$$;
CREATE FUNCTION thaw.lock_campaign_caps(p_campaign_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM own.id FROM thaw.action_overrides AS own WHERE own.campaign_id = ANY (p_campaign_ids) ORDER BY own.id FOR NO KEY UPDATE;
END;
$$;
CREATE FUNCTION thaw.lock_campaigns(p_campaign_ids bigint[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = ANY (p_campaign_ids) AND c.waits_for_account) THEN
        PERFORM thaw.yield_to_writers(p_campaign_ids);
        BEGIN
            PERFORM c.id FROM thaw.campaigns AS c
            WHERE c.id = ANY (p_campaign_ids) AND c.status = 'running'
            ORDER BY c.id FOR SHARE;
            IF EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = ANY (p_campaign_ids) AND c.waits_for_account) THEN
                RAISE EXCEPTION 'a campaign was stopped meanwhile' USING ERRCODE = 'TH002';
            END IF;
            RETURN false;
        EXCEPTION WHEN SQLSTATE 'TH002' THEN
            NULL;
        END;
    END IF;
    PERFORM c.id FROM thaw.campaigns AS c
    WHERE c.id = ANY (p_campaign_ids) AND thaw.allows_resume(c.status, c.waits_for_account)
    ORDER BY c.id FOR NO KEY UPDATE;
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.lock_free_campaigns(p_campaign_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    locked bigint[];
BEGIN
    WITH waiting AS (
        SELECT c.id FROM thaw.campaigns AS c
        WHERE c.id = ANY (p_campaign_ids) AND c.waits_for_account
        FOR NO KEY UPDATE SKIP LOCKED
    ), running AS (
        SELECT c.id FROM thaw.campaigns AS c
        WHERE c.id = ANY (p_campaign_ids) AND c.status = 'running'
        FOR SHARE SKIP LOCKED
    )
    SELECT array_agg(free.id) INTO locked
    FROM (SELECT waiting.id FROM waiting UNION ALL SELECT running.id FROM running) AS free;
    -- A campaign that was stopped between the two statements is locked in shared mode and cannot be
    -- started.
    RETURN ARRAY(
        SELECT wanted.id FROM unnest(p_campaign_ids) AS wanted (id)
        WHERE wanted.id <> ALL (coalesce(locked, '{}')));
END;
$$;
CREATE FUNCTION thaw.lock_heal(p_heal_id bigint) RETURNS thaw.heals
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal thaw.heals;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id FOR NO KEY UPDATE;
    IF heal.id IS NULL THEN
        RAISE EXCEPTION 'there is no heal %', p_heal_id
            USING ERRCODE = 'no_data_found', HINT = 'thaw heal list lists the heals.';
    ELSIF heal.status = 'done' THEN
        RAISE EXCEPTION 'heal % is done', p_heal_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Start another heal for the remaining prospects.';
    END IF;
    RETURN heal;
END;
$$;
CREATE FUNCTION thaw.lock_sender(p_account_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    account thaw.accounts;
    known   bigint;
    locked  bigint;
BEGIN
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM thaw.person_changes) THEN
        IF thaw.are_persons_unknown() THEN
            RAISE EXCEPTION 'the persons behind many accounts have just changed'
                USING ERRCODE = 'serialization_failure', HINT = 'Try again in a few seconds: what they have used is being added up.';
        END IF;
        PERFORM thaw.follow_persons();
    END IF;
    -- The sender may change while this transaction waits for it.
    FOR attempt IN 1..10 LOOP
        SELECT s.id INTO known
        FROM thaw.sending_accounts AS sending
        JOIN thaw.senders AS s ON s.id = sending.sender_id
        WHERE sending.account_id = p_account_id AND s.provider = account.provider AND s.key = thaw.person_of(account);
        IF known = locked THEN
            RETURN locked;
        ELSIF known IS NULL THEN
            -- The account sends for the first time.
            PERFORM thaw.ensure_senders(ARRAY[p_account_id]);
        ELSE
            PERFORM s.id FROM thaw.senders AS s WHERE s.id = known FOR NO KEY UPDATE;
            locked := known;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'the person behind account % changes again and again', p_account_id USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
END;
$$;
CREATE FUNCTION thaw.lock_taken(p_table regclass, p_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    locked  bigint[] := '{}';
    missing bigint[] := p_ids;
    more    bigint[];
BEGIN
    IF coalesce(cardinality(p_ids), 0) = 0 THEN
        RETURN locked;
    END IF;
    FOR round IN 1..4 LOOP
        IF p_table = 'thaw.enrollments'::regclass THEN
            -- Written out, so that it is not planned for each call.
            more := ARRAY(SELECT t.id FROM thaw.enrollments AS t WHERE t.id = ANY (missing) ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED);
        ELSE
            EXECUTE format('SELECT array_agg(free.id) FROM (
                SELECT t.id FROM %s AS t WHERE t.id = ANY ($1) ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED) AS free', p_table)
            INTO more USING missing;
        END IF;
        locked := locked || more;
        EXIT WHEN cardinality(locked) = cardinality(p_ids);
        missing := ARRAY(SELECT unnest(missing) EXCEPT SELECT unnest(more) ORDER BY 1);
        EXIT WHEN round = 4;
        BEGIN
            EXECUTE format('SELECT t.id FROM %s AS t WHERE t.id = $1 FOR NO KEY UPDATE', p_table) USING missing[1];
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            EXIT;
        END;
    END LOOP;
    RETURN locked;
END;
$_$;
CREATE FUNCTION thaw.longest_hold() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '366 days'::interval;
CREATE FUNCTION thaw.longest_reserving() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '00:01:00'::interval;
CREATE FUNCTION thaw.look_at(p_account_ids bigint[], OUT looked integer, OUT due integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    at        timestamptz := thaw.now();
    accounts  bigint[];
    owners    bigint[];
    campaigns bigint[];
    kinds     text[];
BEGIN
    looked := 0;
    due := 0;
    IF thaw.are_persons_unknown() THEN
        RETURN;
    END IF;
    -- A statement of its own: what is read below is not older than the locks (thaw.take_nudges).
    accounts := ARRAY(
        SELECT s.account_id FROM thaw.sending_accounts AS s
        WHERE s.account_id = ANY (p_account_ids) AND s.next_at <= at ORDER BY s.account_id FOR NO KEY UPDATE SKIP LOCKED);
    looked := cardinality(accounts);
    accounts := thaw.park_shadow(accounts);
    IF accounts IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(line.account_id), array_agg(line.campaign_id), array_agg(line.kind) INTO owners, campaigns, kinds FROM thaw.due_lines(accounts) AS line;
    WITH gate AS MATERIALIZED (
        SELECT g.account_id, g.campaign_id, g.kind, g.code, g.opens_at, thaw.is_passed(g.code) AS is_passed
        FROM thaw.action_gates(ARRAY(
            SELECT head.id
            FROM unnest(owners, campaigns, kinds) AS line (account_id, campaign_id, kind)
            CROSS JOIN LATERAL thaw.first_due(line.account_id, line.campaign_id, line.kind, 1) AS head), NULL) AS g
    ), behind AS MATERIALIZED (
        -- A prospect who has an invite already does not hold up those behind.
        SELECT g.account_id
        FROM thaw.action_gates(ARRAY(
            SELECT next.id FROM gate
            CROSS JOIN LATERAL thaw.first_due(gate.account_id, gate.campaign_id, gate.kind, 20) AS next
            WHERE gate.is_passed), NULL) AS g
        WHERE g.code IS NULL
    ), answer AS (
        SELECT gate.account_id, gate.code,
            -- A scheduler would defer the prospect, and does so if there is one.
            CASE WHEN gate.is_passed THEN at WHEN gate.code IS NOT NULL THEN coalesce(gate.opens_at, at + interval '1 hour') END AS next_at
        FROM gate
        UNION ALL
        SELECT behind.account_id, NULL, NULL FROM behind
    ), look AS MATERIALIZED (
        SELECT DISTINCT ON (account.id) account.id, answer.code, answer.account_id IS NOT NULL AND answer.code IS NULL AS is_open,
            -- Everything is under way or unknown, or nothing is due at all.
            coalesce(answer.next_at, CASE WHEN account.id IN (SELECT unnest(owners)) THEN at + interval '1 hour' ELSE 'infinity' END) AS next_at
        FROM unnest(accounts) AS account (id)
        LEFT JOIN answer ON answer.account_id = account.id
        ORDER BY account.id, answer.next_at NULLS FIRST
    ), noted AS (
        UPDATE thaw.sending_accounts AS s SET
            -- After a reservation, an account could go from the end of its gap.
            next_at = CASE WHEN look.is_open THEN greatest(s.next_at, (SELECT x.next_allowed_at FROM thaw.senders AS x WHERE x.id = s.sender_id)) ELSE look.next_at END,
            code = look.code
        FROM look WHERE s.account_id = look.id
    )
    SELECT count(*) FILTER (WHERE look.is_open) INTO due FROM look;
END;
$$;
COMMENT ON FUNCTION thaw.look_at(p_account_ids bigint[], OUT looked integer, OUT due integer) IS 'Notes which of the given accounts can send nothing now, why, and when to look at them again. Gives nothing out. The job watch calls it once a minute for accounts that are due.';
CREATE FUNCTION thaw.losses(OUT accounts_lost integer, OUT accounts_connected integer, OUT is_breach boolean, OUT is_slow boolean) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    settings thaw.settings;
    ended    timestamptz;
    since    timestamptz;
    pace     bigint;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT s.ended_at INTO ended FROM thaw.safety AS s;
    since := greatest(thaw.now() - settings.safety_window, ended);
    is_slow := false;
    SELECT count(*) INTO accounts_lost FROM thaw.accounts AS a WHERE a.lost_at > since;
    is_breach := accounts_lost >= settings.safety_accounts;
    IF is_breach THEN
        -- Counts only as many as the decision needs.
        SELECT count(*) INTO accounts_connected FROM (
            SELECT FROM thaw.accounts AS a
            WHERE a.status = 'connected' OR a.lost_at > since
            LIMIT accounts_lost::bigint * 100 / settings.safety_percent + 1) AS counted;
        is_breach := accounts_lost::bigint * 100 >= accounts_connected::bigint * settings.safety_percent;
    END IF;
    IF is_breach OR accounts_lost = 0 THEN
        RETURN;
    END IF;
    -- The current pace, extrapolated to the slow window.
    pace := accounts_lost * (extract(epoch FROM settings.safety_slow_window) / extract(epoch FROM settings.safety_window));
    since := greatest(thaw.now() - settings.safety_slow_window, ended);
    DECLARE
        slowly integer := (SELECT count(*) FROM thaw.accounts AS a WHERE a.lost_at > since AND a.status <> 'connected');
        of_all integer;
    BEGIN
        IF slowly >= settings.safety_accounts THEN
            SELECT count(*) INTO of_all FROM (
                SELECT FROM thaw.accounts AS a
                WHERE a.status = 'connected' OR a.lost_at > since
                LIMIT slowly::bigint * 100 / settings.safety_slow_percent + 1) AS counted;
            is_slow := least(slowly, pace) * 100 >= of_all::bigint * settings.safety_slow_percent;
            IF is_slow THEN
                is_breach := true;
                accounts_lost := slowly;
                accounts_connected := of_all;
            END IF;
        END IF;
    END;
END;
$$;
CREATE TABLE thaw.workers (
    client_id text NOT NULL,
    lock_key bigint NOT NULL,
    pid integer NOT NULL,
    registered_at timestamp with time zone DEFAULT now() NOT NULL,
    lost_at timestamp with time zone,
    CONSTRAINT workers_client_id_check CHECK (((client_id <> ''::text) AND (length(client_id) <= 100)))
);
COMMENT ON TABLE thaw.workers IS 'Worker processes that are running, or died less than two minutes ago.';
COMMENT ON COLUMN thaw.workers.client_id IS 'The client id of the process in River: the last entry of river_job.attempted_by while it runs a job.';
COMMENT ON COLUMN thaw.workers.lock_key IS 'The advisory lock that the process holds.';
COMMENT ON COLUMN thaw.workers.pid IS 'The Postgres server process of the session that holds the lock.';
COMMENT ON COLUMN thaw.workers.registered_at IS 'When the process took the lock.';
COMMENT ON COLUMN thaw.workers.lost_at IS 'When the lock was first found missing. Null: the process is running.';
CREATE FUNCTION thaw.lost_workers() RETURNS SETOF text
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT w.client_id
    FROM thaw.workers w
   WHERE (NOT (EXISTS ( SELECT
            FROM pg_locks l
           WHERE ((l.locktype = 'advisory'::text) AND l.granted AND (l.pid = w.pid) AND (l.objsubid = 1) AND (l.database = ( SELECT d.oid
                    FROM pg_database d
                   WHERE (d.datname = current_database()))) AND ((l.classid)::bigint = ((w.lock_key >> 32) & '4294967295'::bigint)) AND ((l.objid)::bigint = (w.lock_key & '4294967295'::bigint))))));
END;
CREATE FUNCTION thaw.mark_losses() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.safety_marks (at, losses, accounts_connected)
    SELECT thaw.now(), l.last_value, (SELECT count(*) FROM thaw.accounts AS a WHERE a.status = 'connected')
    FROM thaw.losses_seq AS l
    ON CONFLICT (at) DO NOTHING;
    DELETE FROM thaw.safety_marks AS m
    WHERE m.at < thaw.now() - (SELECT s.safety_window FROM thaw.settings AS s) - interval '10 minutes';
END;
$$;
CREATE FUNCTION thaw.may_be_breach() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    settings thaw.settings;
    newest   thaw.safety_marks;
    lost     bigint;
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    SELECT m.* INTO newest FROM thaw.safety_marks AS m ORDER BY m.at DESC LIMIT 1;
    SELECT l.last_value - m.losses INTO lost
    FROM thaw.losses_seq AS l
    CROSS JOIN (
        SELECT mark.losses FROM thaw.safety_marks AS mark
        WHERE mark.at <= thaw.now() - settings.safety_window ORDER BY mark.at DESC LIMIT 1) AS m;
    RETURN newest.at IS NULL OR newest.at < thaw.now() - settings.safety_window OR lost IS NULL
        OR lost >= settings.safety_accounts
            AND lost * 100 >= newest.accounts_connected::bigint * settings.safety_percent;
END;
$$;
CREATE FUNCTION thaw.may_push(p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    at    timestamptz := thaw.now();
    state thaw.pushing;
    seen  record;
BEGIN
    SELECT s.* INTO state FROM thaw.pushing AS s FOR NO KEY UPDATE;
    IF state.watched <> '{}' THEN
        SELECT count(*) FILTER (WHERE a.started_at IS NOT NULL OR a.outcome = 'released') AS taken,
            count(*) FILTER (WHERE a.state = 'reserved') AS open, count(*) FILTER (WHERE a.state = 'expired') AS expired
        INTO seen FROM thaw.actions AS a WHERE a.id = ANY (state.watched);
        IF seen.taken > 0 THEN
            state.wait := NULL;
        ELSIF seen.open > 0 THEN
            RETURN CASE WHEN state.wait IS NULL AND at < state.watched_at + (SELECT s.action_lease FROM thaw.settings AS s) / 5
                THEN p_limit ELSE 0 END;
        ELSIF seen.expired > 0 THEN
            state.wait := least(coalesce(state.wait * 2, '1 minute'), '10 minutes');
        END IF; -- All were released, by a pause or a closed gate, which says nothing.
        state.paused_until := CASE WHEN seen.taken = 0 AND seen.expired > 0 THEN at + state.wait END;
        UPDATE thaw.pushing SET watched = '{}', watched_at = NULL, wait = state.wait, paused_until = state.paused_until;
    END IF;
    RETURN CASE WHEN state.paused_until > at THEN 0 WHEN state.wait IS NULL THEN p_limit ELSE least(p_limit, 10) END;
END;
$$;
CREATE FUNCTION thaw.meaning_of(p_provider text, p_word text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_word = ANY (enum_range(NULL::thaw.account_status)::text[]) OR p_word IN ('reconnected', 'locked', 'unlocked') THEN
        RETURN p_word;
    END IF;
    RETURN (SELECT w.means FROM thaw.provider_words AS w WHERE w.provider = p_provider AND w.word = p_word);
END;
$$;
CREATE FUNCTION thaw.mention_pattern(p_texts text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    given       text;
    core        text;
    is_profile  boolean;
    alternative text;
    all_of_them text[] := '{}';
BEGIN
    FOREACH given IN ARRAY p_texts LOOP
        core := regexp_replace(btrim(given), '^(?:https?://|mailto:)', '', 'i');
        is_profile := core ~* '^([a-z]+\.)?linkedin\.com/';
        core := rtrim(CASE WHEN is_profile THEN regexp_replace(regexp_replace(core, '^[a-z]+\.(?=linkedin)', '', 'i'), '[?#].*$', '')
            ELSE regexp_replace(core, '^www\.', '', 'i') END, '/');
        IF length(core) < 4 OR core ~ '[[:cntrl:]]' THEN
            RAISE EXCEPTION 'the text "%" cannot be searched for', given
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Use at least 4 characters, without control characters.';
        END IF;
        -- JSON has a backslash before quotes and backslashes.
        alternative := regexp_replace(translate(core, '"\', chr(1) || chr(2)), '([.^$*+?()\[\]{}|])', '\\\1', 'g');
        alternative := replace(replace(alternative, chr(1), '\\?"'), chr(2), '\\{1,2}');
        all_of_them := all_of_them || CASE
            WHEN is_profile THEN '(?<![[:alnum:]_%-])' || alternative || '(?![[:alnum:]_%-]|\.[[:alnum:]])'
            WHEN core ~ '[/@]' THEN '(?<![[:alnum:]_%.+-])(?:www\.)?' || alternative || '(?![[:alnum:]_%-]|[./?=&#][[:alnum:]])'
            ELSE '(?<![[:alnum:]_])' || alternative || '(?![[:alnum:]_])' END;
    END LOOP;
    RETURN array_to_string(ARRAY(SELECT DISTINCT one.text FROM unnest(all_of_them) AS one (text)), '|');
END;
$_$;
CREATE FUNCTION thaw.mention_tables() RETURNS TABLE(table_name text, key_name text, key_type text, condition text, changes text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    RETURN QUERY
    SELECT c.table_name, coalesce(key.name, 'ctid'), coalesce(key.type, 'tid'), string_agg(format('t.%I::text ~* $1', c.column_name), ' OR '),
        string_agg(format(CASE WHEN person.named_by IS NULL THEN '%1$I = regexp_replace(t.%1$I::text, $1, ''[erased]'', ''gi'')::%2$s'
            ELSE '%1$I = CASE WHEN t.%1$I IS NOT NULL AND t.%3$I ~* $1 THEN ''[erased '' || t.%4$I || '']'' ELSE regexp_replace(t.%1$I, $1, ''[erased]'', ''gi'') END'
            END, c.column_name, c.type_name, person.named_by, coalesce(key.name, 'ctid')), ', ')
    FROM thaw.text_columns() AS c
    LEFT JOIN thaw.person_columns AS person ON person.table_name = c.table_name AND person.column_name = c.column_name
    LEFT JOIN LATERAL (
        SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('thaw.%I', c.table_name)::regclass AND i.indisprimary AND i.indnkeyatts = 1
            AND a.atttypid IN ('bigint'::regtype, 'integer'::regtype)) AS key ON true
    WHERE NOT c.is_name OR person.named_by IS NOT NULL
    GROUP BY c.table_name, key.name, key.type
    -- Enrollments before their history.
    ORDER BY c.table_name = 'enrollment_events', c.table_name;
END;
$_$;
CREATE FUNCTION thaw.merge_change(p_earlier jsonb, p_later jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN ((p_later ? 'status'::text) OR (p_later ? 'unknown'::text)) THEN (p_earlier - '{status,unknown,reason,own_reason}'::text[]) ELSE p_earlier END || p_later);
CREATE FUNCTION thaw.merged(p_changes jsonb[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    change jsonb;
    merged jsonb := '{}';
BEGIN
    FOREACH change IN ARRAY coalesce(p_changes, '{}') LOOP
        merged := thaw.merge_change(merged, change);
    END LOOP;
    RETURN merged;
END;
$$;
CREATE FUNCTION thaw.movable(p_source_ids bigint[], OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    size constant integer := 2000;
BEGIN
    SELECT array_agg(next.ctid), array_agg(next.account_id), array_agg(DISTINCT next.campaign_id)
    INTO places, source_ids, campaign_ids
    FROM (
        SELECT pending.ctid, pending.account_id, pending.campaign_id
        FROM thaw.accounts AS source
        CROSS JOIN LATERAL (
            SELECT e.ctid, e.account_id, e.campaign_id
            FROM thaw.enrollments AS e
            WHERE e.status = 'pending' AND e.account_id = source.id
            ORDER BY e.campaign_id, e.id
            LIMIT size) AS pending
        WHERE source.id = ANY (p_source_ids) AND thaw.is_gone(source.status)
        LIMIT size) AS next;
END;
$$;
CREATE FUNCTION thaw.move_rows(p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    jitter interval := (SELECT s.jitter FROM thaw.settings AS s);
    moved  integer;
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH claimed AS MATERIALIZED (
        SELECT prospect.ctid, prospect.id, prospect.next_action_at, prospect.next_action_at < thaw.now() AS is_overdue,
            prospect.account_id AS from_account_id, place.target_id
        FROM unnest(p_places, p_source_ids, p_target_ids) AS place (ctid, source_id, target_id)
        JOIN thaw.enrollments AS prospect
            ON prospect.ctid = place.ctid AND prospect.account_id = place.source_id AND prospect.status = 'pending'
        FOR NO KEY UPDATE OF prospect SKIP LOCKED
    ), slots AS (
        SELECT claimed.*, row_number() OVER account AS i, count(*) OVER account AS n
        FROM claimed
        WINDOW account AS (
            PARTITION BY claimed.target_id, claimed.is_overdue ORDER BY claimed.next_action_at, claimed.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), changed AS (
        UPDATE thaw.enrollments AS e SET
            account_id = slots.target_id,
            next_action_at = CASE WHEN slots.is_overdue
                THEN thaw.now() + thaw.spread(slots.i, slots.n, jitter) ELSE e.next_action_at END
        FROM slots
        WHERE e.ctid = slots.ctid
        RETURNING e.id, e.step, slots.from_account_id, slots.target_id
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, tick_at, heal_id, signal_id, job_id, from_account_id, to_account_id, step, kind, source,
        from_status, to_status)
    SELECT changed.id, thaw.now(), p_cause.tick_at, p_cause.heal_id, p_cause.signal_id, p_cause.job_id,
        changed.from_account_id, changed.target_id, changed.step, 'moved', p_cause.source, 'pending', 'pending'
    FROM changed;
    GET DIAGNOSTICS moved = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN moved;
END;
$$;
CREATE FUNCTION thaw.move_targets(p_size integer DEFAULT 2000, OUT account_ids bigint[], OUT workspace_ids bigint[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    SELECT coalesce(array_agg(open.target_id), '{}'), coalesce(array_agg(open.workspace_id), '{}') INTO account_ids, workspace_ids
    FROM (
        SELECT DISTINCT move.target_id, move.workspace_id FROM thaw.open_moves() AS move
        ORDER BY move.target_id
        LIMIT p_size) AS open;
END;
$$;
CREATE FUNCTION thaw.move_to_sender(p_account_id bigint, p_from_id bigint, p_to_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    at      timestamptz := thaw.now();
    source  thaw.senders;
    target  thaw.senders;
    -- The current day of the target. Null: it has none yet, and takes that of the source.
    current record;
    -- Invites that both senders have to one prospect: those that lose.
    mine_twice   bigint[];
    theirs_twice bigint[];
BEGIN
    SELECT s.* INTO source FROM thaw.senders AS s WHERE s.id = p_from_id;
    SELECT s.* INTO target FROM thaw.senders AS s WHERE s.id = p_to_id;
    SELECT d.day, d.began_at INTO current FROM thaw.local_day(target.day, target.day_began_at, target.day_timezone, target.day_timezone, at) AS d;
    UPDATE thaw.senders AS s SET
        next_allowed_at = greatest(s.next_allowed_at, source.next_allowed_at),
        last_started_at = greatest(s.last_started_at, source.last_started_at),
        last_sent_at = greatest(s.last_sent_at, source.last_sent_at),
        ramp_started_at = coalesce(s.ramp_started_at, source.ramp_started_at),
        restriction_seen_at = greatest(s.restriction_seen_at, source.restriction_seen_at),
        day = coalesce(current.day, source.day), day_began_at = coalesce(current.began_at, source.day_began_at),
        day_timezone = coalesce(s.day_timezone, source.day_timezone)
    WHERE s.id = p_to_id;
    -- Of two invites to one prospect, the one that is better proven stays open. One that is only
    -- reserved must not be sent any more.
    SELECT array_agg(twice.mine) FILTER (WHERE twice.mine_proof <= twice.their_proof), array_agg(twice.theirs) FILTER (WHERE twice.mine_proof > twice.their_proof)
    INTO mine_twice, theirs_twice
    FROM (
        SELECT mine.id AS mine, theirs.id AS theirs, thaw.proof_of(mine.state) AS mine_proof, thaw.proof_of(theirs.state) AS their_proof
        FROM thaw.actions AS mine
        JOIN thaw.actions AS theirs ON theirs.sender_id = p_to_id AND thaw.prospect_key(theirs.prospect_url) = thaw.prospect_key(mine.prospect_url)
        WHERE mine.account_id = p_account_id AND mine.sender_id = p_from_id
            AND mine.kind = 'invite' AND (mine.is_used OR mine.state = 'already') AND (mine.closed_as IS NULL OR mine.closed_as = 'accepted')
            AND theirs.kind = 'invite' AND (theirs.is_used OR theirs.state = 'already') AND (theirs.closed_as IS NULL OR theirs.closed_as = 'accepted')) AS twice;
    PERFORM thaw.release_actions(ARRAY(
        SELECT a.id FROM thaw.actions AS a WHERE a.id = ANY (mine_twice || theirs_twice) AND a.state = 'reserved' ORDER BY a.id FOR NO KEY UPDATE), 'already_invited');
    UPDATE thaw.actions AS a SET closed_at = at, closed_as = 'duplicate'
    WHERE a.id = ANY (mine_twice || theirs_twice) AND (a.is_used OR a.state = 'already');
    -- What the account did in the current day of the person counts into it, whatever the day was
    -- called in the zone of the account.
    UPDATE thaw.actions AS a SET
        sender_id = p_to_id, local_day = CASE WHEN a.used_at >= current.began_at THEN current.day ELSE a.local_day END
    WHERE a.id = ANY (ARRAY(
        SELECT mine.id FROM thaw.actions AS mine
        WHERE mine.account_id = p_account_id AND mine.sender_id = p_from_id AND (mine.used_at > at - interval '8 days' OR mine.kind = 'invite')
        ORDER BY mine.id FOR NO KEY UPDATE));
    UPDATE thaw.action_holds AS h SET sender_id = p_to_id WHERE h.account_id = p_account_id AND h.sender_id = p_from_id;
    UPDATE thaw.sending_accounts AS sending SET sender_id = p_to_id WHERE sending.account_id = p_account_id;
END;
$$;
CREATE FUNCTION thaw.new_paused_at(p_enrollment_id bigint, p_theirs timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    ended timestamptz := (
        SELECT max(v.paused_at) FROM thaw.enrollment_events AS v WHERE v.enrollment_id = p_enrollment_id AND v.kind = 'resumed');
BEGIN
    RETURN CASE WHEN p_theirs > ended OR ended IS NULL AND p_theirs IS NOT NULL THEN p_theirs
        ELSE greatest(thaw.now(), ended + interval '1 microsecond') END;
END;
$$;
CREATE FUNCTION thaw.newest_actions(p_enrollment_id bigint, p_account_id bigint, p_state thaw.action_state, p_first_workspace bigint, p_last_workspace bigint, p_before_id bigint, p_scan integer) RETURNS TABLE(id bigint)
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    IF p_enrollment_id IS NOT NULL THEN
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a
        WHERE a.enrollment_id = p_enrollment_id AND a.id < p_before_id
        ORDER BY a.id DESC LIMIT p_scan;
    ELSIF p_state = 'unknown' THEN
        -- There are few. Those of an account may be older than all of its newest actions.
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a
        WHERE a.state = 'unknown' AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace AND a.id < p_before_id
            AND (p_account_id IS NULL OR a.account_id = p_account_id)
        ORDER BY a.id DESC LIMIT p_scan;
    ELSIF p_account_id IS NOT NULL THEN
        RETURN QUERY
        WITH RECURSIVE campaign AS (
            (SELECT a.campaign_id FROM thaw.actions AS a WHERE a.account_id = p_account_id ORDER BY a.campaign_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT a.campaign_id FROM thaw.actions AS a
                WHERE a.account_id = p_account_id AND a.campaign_id > campaign.campaign_id ORDER BY a.campaign_id LIMIT 1)
            FROM campaign WHERE campaign.campaign_id IS NOT NULL
        )
        SELECT newest.id FROM campaign
        CROSS JOIN LATERAL (
            SELECT a.id FROM thaw.actions AS a
            WHERE a.account_id = p_account_id AND a.campaign_id = campaign.campaign_id AND a.id < p_before_id
            ORDER BY a.id DESC LIMIT p_scan) AS newest
        WHERE campaign.campaign_id IS NOT NULL
        ORDER BY newest.id DESC LIMIT p_scan;
    ELSIF p_state IN ('reserved', 'started') THEN
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a WHERE a.lease_until IS NOT NULL AND a.id < p_before_id ORDER BY a.id DESC LIMIT p_scan;
    ELSE
        RETURN QUERY
        SELECT a.id FROM thaw.actions AS a WHERE a.id < p_before_id ORDER BY a.id DESC LIMIT p_scan;
    END IF;
END;
$$;
CREATE FUNCTION thaw.next_actions(p_enrollment_ids bigint[]) RETURNS TABLE(enrollment_id bigint, kind text, due_at timestamp with time zone, code text, opens_at timestamp with time zone, used integer, cap integer, expected_at timestamp with time zone, ahead integer, action_id bigint, is_held_elsewhere boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := thaw.now();
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT e.id, e.next_action_at, (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = e.workspace_id) AS is_shadow, CASE WHEN x.id IS NULL THEN e.due_at END AS due_at, x.id AS action_id,
            CASE WHEN e.next_kind IS NULL THEN x.kind END AS kind
        FROM thaw.enrollments AS e
        LEFT JOIN LATERAL (
            SELECT x.id, x.kind FROM thaw.actions AS x
            WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already') LIMIT 1) AS x ON true
        WHERE e.id = ANY (p_enrollment_ids)
    ), gate AS MATERIALIZED (
        SELECT g.enrollment_id, g.account_id, g.kind, g.code, g.opens_at, g.used, g.cap, asked.next_action_at, asked.due_at, asked.action_id,
            asked.is_shadow
        FROM thaw.action_gates(
            ARRAY(SELECT asked.id FROM asked ORDER BY asked.id), ARRAY(SELECT asked.kind FROM asked ORDER BY asked.id), p_is_given_out => true) AS g
        JOIN asked ON asked.id = g.enrollment_id
    ), limits AS MATERIALIZED (
        SELECT * FROM thaw.kind_gates(
            ARRAY(SELECT DISTINCT gate.account_id FROM gate WHERE gate.account_id IS NOT NULL),
            ARRAY(SELECT DISTINCT gate.kind FROM gate WHERE gate.kind IS NOT NULL))
    ), earliest AS (
        SELECT gate.*, coalesce(gate.code = 'kind_on_hold' AND l.held_code = 'held_elsewhere', false) AS is_held_elsewhere,
            CASE WHEN NOT gate.is_shadow AND (gate.code IS NULL OR gate.opens_at IS NOT NULL) AND l.caps_open_at IS NOT NULL
            THEN greatest(l.caps_open_at, gate.next_action_at, gate.opens_at) END AS at
        FROM gate
        LEFT JOIN limits AS l ON l.account_id = gate.account_id AND l.kind = gate.kind
    )
    SELECT earliest.enrollment_id, earliest.kind, earliest.next_action_at, earliest.code, earliest.opens_at, earliest.used, earliest.cap,
        CASE WHEN earliest.at IS NOT NULL THEN thaw.window_from(earliest.account_id, earliest.at) END,
        -- thaw.due_lines finds the campaigns of the account; of each, at most 100 are counted.
        CASE WHEN earliest.due_at IS NULL THEN 0 ELSE (
            SELECT count(*) FROM (
                SELECT FROM thaw.due_lines(ARRAY[earliest.account_id]) AS line
                CROSS JOIN LATERAL (
                    SELECT FROM thaw.enrollments AS e
                    WHERE e.account_id = earliest.account_id AND e.campaign_id = line.campaign_id AND e.next_kind = line.kind
                        AND e.due_at IS NOT NULL AND (e.due_at, e.id) < (earliest.due_at, earliest.enrollment_id)
                        AND (
                            SELECT true FROM thaw.actions AS x
                            WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already')
                            LIMIT 1) IS NULL
                    LIMIT 100) AS before
                WHERE line.kind = earliest.kind AND line.due_at <= earliest.due_at
                LIMIT 100) AS ahead) END::integer,
        earliest.action_id, earliest.is_held_elsewhere
    FROM earliest;
END;
$$;
COMMENT ON FUNCTION thaw.next_actions(p_enrollment_ids bigint[]) IS 'The next action of each of the given enrollments: its first closed gate, the earliest time at which it can be expected, how many actions of its account are due before it (at most 100), and the action of the step if it was given out before.';
CREATE FUNCTION thaw.note_adopt_failure(kind text, sqlstate text, message text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
BEGIN
    INSERT INTO thaw.adopt_errors (kind, change, code, problem)
    VALUES (note_adopt_failure.kind, '{}', coalesce(nullif(note_adopt_failure.sqlstate, ''), 'unknown'),
        left(coalesce(nullif(note_adopt_failure.message, ''), 'no message'), 1000));
    RETURN 1;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'thaw: a statement on the platform''s tables was not copied: %', message;
    RETURN 1;
END;
$$;
COMMENT ON FUNCTION thaw.note_adopt_failure(kind text, sqlstate text, message text) IS 'Called by the triggers of thaw adopt when they could not pass the rows of a statement: kind of the rows, SQLSTATE and message. A comparison (thaw adopt check) is then needed. Never raises. Returns 1.';
CREATE FUNCTION thaw.note_adopt_problems(problems text[], kinds text[], is_clean boolean, OUT is_new boolean, OUT held bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    due_at timestamptz;
BEGIN
    SELECT s.problems IS DISTINCT FROM note_adopt_problems.problems,
        CASE WHEN kinds <> '{}' THEN coalesce(s.check_due_at, thaw.now()) WHEN NOT is_clean THEN s.check_due_at END
    INTO is_new, due_at
    FROM thaw.adopt_state AS s FOR NO KEY UPDATE;
    UPDATE thaw.adopt_state AS s SET problems = note_adopt_problems.problems, check_due_at = due_at
    WHERE (s.problems, s.check_due_at) IS DISTINCT FROM (note_adopt_problems.problems, due_at);
    IF kinds <> '{}' THEN
        WITH locked AS (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.parked_reason IS NULL AND a.id IN (SELECT thaw.affected_accounts(kinds)) ORDER BY a.id FOR NO KEY UPDATE)
        UPDATE thaw.accounts AS a SET parked_reason = left(thaw.unfit() || note_adopt_problems.problems[1], 1000)
        FROM locked WHERE a.id = locked.id;
    ELSIF is_clean THEN
        WITH locked AS (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.parked_reason IS NOT NULL AND starts_with(a.parked_reason, thaw.unfit()) ORDER BY a.id FOR NO KEY UPDATE)
        UPDATE thaw.accounts AS a SET parked_reason = NULL FROM locked WHERE a.id = locked.id;
    END IF;
    held := (SELECT s.held_accounts FROM thaw.adopt_summary AS s);
END;
$$;
COMMENT ON FUNCTION thaw.note_adopt_problems(problems text[], kinds text[], is_clean boolean, OUT is_new boolean, OUT held bigint) IS 'Notes what no longer fits the mapping of thaw adopt, and holds the accounts whose copy may be wrong (kinds: accounts, campaigns, enrollments). is_clean: a comparison found no difference, which releases them. Returns whether other problems were noted before, and how many accounts are held.';
CREATE FUNCTION thaw.note_check(rows_checked bigint, drift_rows bigint, detail text, began timestamp with time zone DEFAULT thaw.now()) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    is_over boolean;
BEGIN
    UPDATE thaw.adopt_state AS s SET checked_at = thaw.now(), rows_checked = note_check.rows_checked, drift_rows = note_check.drift_rows,
        drift_detail = note_check.detail
    RETURNING note_check.drift_rows > s.drift_limit_rows AND note_check.drift_rows * 100 > note_check.rows_checked * s.drift_limit_percent INTO is_over;
    DELETE FROM thaw.adopt_errors AS x WHERE x.external_id IS NULL AND x.at < began;
    IF is_over THEN
        PERFORM thaw.enter_safety_mode(
            format('drift: %s of %s rows of the platform differ from Thaw''s copy', note_check.drift_rows, note_check.rows_checked), 'monitor', true);
    END IF;
    RETURN is_over;
END;
$$;
COMMENT ON FUNCTION thaw.note_check(rows_checked bigint, drift_rows bigint, detail text, began timestamp with time zone) IS 'Stores the result of a comparison of the platform''s tables with the copy. Called by thaw adopt check.';
CREATE FUNCTION thaw.note_consumer(consumer text, error text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF error IS NULL THEN
        UPDATE thaw.adopt_state AS s SET consumer_error_ended_at = thaw.now()
        WHERE s.consumer_error IS NOT NULL AND s.consumer_error_ended_at IS NULL;
    ELSE
        UPDATE thaw.adopt_state AS s SET consumer = left(note_consumer.consumer, 256), consumer_error = left(note_consumer.error, 1000),
            consumer_error_at = thaw.now(), consumer_error_ended_at = NULL
        WHERE s.consumer_error IS DISTINCT FROM left(note_consumer.error, 1000) OR s.consumer_error_ended_at IS NOT NULL
            OR s.consumer_error_at < thaw.now() - interval '10 seconds';
    END IF;
END;
$$;
CREATE FUNCTION thaw.nudge(p_account_id bigint, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    from_at timestamptz := greatest(p_at, thaw.now());
BEGIN
    INSERT INTO thaw.nudges (account_id, at)
    SELECT p_account_id, from_at
    WHERE NOT EXISTS (
        SELECT FROM thaw.nudges AS n WHERE n.account_id = p_account_id AND n.at <= from_at AND n.xmin = pg_current_xact_id_if_assigned()::xid);
END;
$$;
CREATE FUNCTION thaw.nudge_all() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NULL);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.nudge_owner() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge_workspace(CASE TG_OP WHEN 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.nudge_siblings(p_sender_id bigint, p_account_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge(s.account_id, thaw.now()) FROM thaw.sending_accounts AS s
    WHERE s.sender_id = p_sender_id AND s.account_id <> p_account_id AND (s.code IS NOT NULL OR s.next_at <= thaw.now());
END;
$$;
CREATE FUNCTION thaw.nudge_workspace(p_workspace_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.nudges (account_id, at)
    SELECT s.account_id, thaw.now() FROM thaw.sending_accounts AS s
    WHERE (p_workspace_id IS NULL OR s.workspace_id = p_workspace_id) AND (s.code IS NOT NULL OR s.next_at <= thaw.now());
END;
$$;
CREATE FUNCTION thaw.oldest_jobs(p_queues text[]) RETURNS TABLE(queue text, waited interval)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT wanted.queue,
     (now() - min(oldest.scheduled_at))
    FROM ((unnest(oldest_jobs.p_queues) wanted(queue)
      CROSS JOIN generate_series(1, 4) by(priority))
      CROSS JOIN LATERAL ( SELECT job.scheduled_at
            FROM thaw.river_job job
           WHERE ((job.state = 'available'::thaw.river_job_state) AND (job.queue = wanted.queue) AND (job.priority = by.priority) AND (job.scheduled_at <= now()))
           ORDER BY job.scheduled_at
          LIMIT 1) oldest)
   GROUP BY wanted.queue;
END;
CREATE FUNCTION thaw.open_campaigns(p_cause thaw.cause, p_account_id bigint, p_campaign_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    campaigns bigint[] := p_campaign_ids
        || ARRAY(SELECT active.campaign_id FROM thaw.active_campaigns(p_account_id) AS active)
        || ARRAY(SELECT pending.campaign_id FROM thaw.pending_campaigns(p_account_id) AS pending);
BEGIN
    IF NOT thaw.lock_campaigns(campaigns) THEN
        RETURN 0;
    END IF;
    RETURN coalesce(cardinality(thaw.start_campaigns(
        p_cause, campaigns, array_fill(p_account_id, ARRAY[cardinality(campaigns)]))), 0);
END;
$$;
CREATE FUNCTION thaw.open_enrollments(p_workspace_id bigint, p_campaign_id bigint) RETURNS TABLE(id bigint, account_id bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.id, a.id
    FROM thaw.accounts AS a
    CROSS JOIN LATERAL (
        SELECT x.id FROM thaw.enrollments AS x WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'active'
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'pending'
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x
        WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND x.waits_for_account
        UNION ALL
        SELECT x.id FROM thaw.enrollments AS x
        WHERE x.account_id = a.id AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND NOT x.waits_for_account) AS e
    WHERE a.workspace_id = p_workspace_id
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'active'
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'pending'
    UNION ALL
    SELECT x.id, NULL FROM thaw.enrollments AS x
    WHERE x.account_id IS NULL AND x.campaign_id = p_campaign_id AND x.status = 'paused' AND x.waits_for_account IN (true, false);
END;
$$;
CREATE FUNCTION thaw.open_moves() RETURNS TABLE(source_id bigint, target_id bigint, workspace_id bigint)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    WITH stranded AS MATERIALIZED (
        SELECT source.id,
            (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = source.id LIMIT 1) AS target_id
        FROM (
            SELECT a.id FROM thaw.accounts AS a
            WHERE thaw.is_gone(a.status)
                -- ORDER BY matches the index, as in thaw.blocked_campaigns.
                AND (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'pending' AND e.account_id = a.id
                    ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
            OFFSET 0) AS source
    )
    SELECT stranded.id, open.id, open.workspace_id
    FROM (
        SELECT target.id, target.workspace_id
        FROM (SELECT DISTINCT stranded.target_id FROM stranded WHERE stranded.target_id IS NOT NULL) AS found
        JOIN thaw.accounts AS target ON target.id = found.target_id
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        CROSS JOIN thaw.safety
        WHERE thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL) AS open
    JOIN stranded ON stranded.target_id = open.id;
END;
$$;
CREATE FUNCTION thaw.open_record(p_lane thaw.lane, p_account_id bigint, p_tick_at timestamp with time zone, p_signal_id bigint, p_account_cap integer, OUT is_closed boolean, OUT allowed integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_lane = 'sweep' THEN
        SELECT g.finished_at IS NOT NULL, g.planned INTO is_closed, allowed
        FROM thaw.allocations AS g WHERE g.tick_at = p_tick_at AND g.account_id = p_account_id
        FOR NO KEY UPDATE;
    ELSE
        SELECT s.finished_at IS NOT NULL, p_account_cap INTO is_closed, allowed
        FROM thaw.account_signals AS s WHERE s.id = p_signal_id;
    END IF;
END;
$$;
CREATE FUNCTION thaw.order_heal(p_heal_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '128MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal         thaw.heals;
    share        integer;
    account_ids  bigint[];
    campaign_ids bigint[];
    counts       bigint[];
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    IF thaw.heal_bound(heal) > heal.cap THEN
        -- The first of each account, up to its share, come first; then one more of each; then the
        -- others. The cap ends the heal somewhere among them.
        share := thaw.heal_share(heal);
    END IF;
    WITH listed AS MATERIALIZED (
        SELECT e.id, e.account_id, e.campaign_id, e.waits_for_account,
            row_number() OVER (ORDER BY
                CASE WHEN share IS NULL OR e.n <= share THEN 0 WHEN e.n = share + 1 THEN 1 ELSE 2 END,
                e.account_id, e.campaign_id, e.id) AS place
        FROM (
            SELECT one.*, CASE WHEN share IS NOT NULL THEN
                row_number() OVER (PARTITION BY one.account_id, one.waits_for_account ORDER BY one.paused_at, one.id) END AS n
            FROM thaw.heal_enrollments AS part
            CROSS JOIN LATERAL (
                SELECT found.id, found.account_id, found.campaign_id, found.waits_for_account, found.paused_at
                FROM thaw.enrollments AS found
                WHERE found.id = ANY (part.enrollment_ids)
                OFFSET 0) AS one
            WHERE part.heal_id = heal.id) AS e
    ), stored AS (
        INSERT INTO thaw.heal_order (heal_id, last_place, enrollment_ids)
        -- The rows arrive by place. Any other order would only spread a batch over more accounts.
        SELECT heal.id, max(listed.place), array_agg(listed.id)
        FROM listed
        GROUP BY (listed.place - 1) / 200
    )
    SELECT array_agg(line.account_id), array_agg(line.campaign_id), array_agg(line.waiting)
    INTO account_ids, campaign_ids, counts
    FROM (
        SELECT listed.account_id, listed.campaign_id, count(*) AS waiting
        FROM listed
        WHERE listed.waits_for_account
        GROUP BY listed.account_id, listed.campaign_id) AS line;
    -- The heal starts over in this order, so it also retries what the first batch passed over.
    UPDATE thaw.heals AS h SET at_place = 0, skipped = 0, found = heal.resumed + scope.waiting, accounts = scope.accounts,
        first_source_ids = NULL
    FROM (
        SELECT coalesce(sum(known.waiting), 0) AS waiting, count(DISTINCT known.source_id) AS accounts
        FROM (
            SELECT line.source_id, line.waiting FROM thaw.heal_open_lines(heal, account_ids, campaign_ids, counts) AS line
            UNION ALL
            SELECT first.id, 0 FROM unnest(heal.first_source_ids) AS first (id)) AS known) AS scope
    WHERE h.id = p_heal_id;
END;
$$;
CREATE FUNCTION thaw.park(p_kind text, p_taken thaw.taken[], p_problem text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    ids bigint[];
BEGIN
    CASE p_kind
    WHEN 'account' THEN
        ids := thaw.lock_taken('thaw.accounts', ARRAY(
            SELECT a.id FROM unnest(p_taken) AS t JOIN thaw.accounts AS a ON a.external_id = t.external_id ORDER BY a.id));
        UPDATE thaw.accounts AS a SET parked_reason = left(coalesce(t.problem, p_problem), 1000)
        FROM unnest(p_taken) AS t WHERE a.id = ANY (ids) AND a.external_id = t.external_id;
    WHEN 'campaign' THEN
        ids := thaw.lock_taken('thaw.campaigns', ARRAY(
            SELECT c.id FROM unnest(p_taken) AS t JOIN thaw.campaigns AS c ON c.external_id = t.external_id ORDER BY c.id));
        UPDATE thaw.campaigns AS c SET status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(c.paused_at, thaw.now())
        WHERE c.id = ANY (ids) AND c.paused_reason IS DISTINCT FROM 'paused_by_user';
    WHEN 'enrollment' THEN
        ids := thaw.lock_taken('thaw.enrollments', ARRAY(
            SELECT e.id FROM unnest(p_taken) AS t JOIN thaw.enrollments AS e ON e.external_id = t.external_id ORDER BY e.id));
        UPDATE thaw.enrollments AS e SET status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(e.paused_at, thaw.now()),
            own_reason = left('parked: ' || coalesce(t.problem, p_problem), 1000)
        FROM unnest(p_taken) AS t
        WHERE e.id = ANY (ids) AND e.external_id = t.external_id;
    ELSE
        NULL;
    END CASE;
END;
$$;
CREATE FUNCTION thaw.park_shadow(p_account_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    live bigint[];
BEGIN
    WITH parked AS (
        UPDATE thaw.sending_accounts AS s SET next_at = 'infinity', code = 'shadow_mode'
        FROM thaw.workspaces AS w
        WHERE s.account_id = ANY (p_account_ids) AND w.id = s.workspace_id AND w.shadow
        RETURNING s.account_id
    )
    SELECT array_agg(a.id) INTO live FROM unnest(p_account_ids) AS a (id) WHERE a.id NOT IN (SELECT parked.account_id FROM parked);
    RETURN live;
END;
$$;
CREATE FUNCTION thaw.pause_account(account text, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN thaw.apply_action_batch(thaw.start_action('paused', account, provider, reason, actor), 2147483647);
END;
$$;
COMMENT ON FUNCTION thaw.pause_account(account text, reason text, actor text, provider text) IS 'Pauses, with reason paused_by_user and in the caller''s transaction, all prospects of an account that are active, wait for an account, or were paused by a restriction. Returns how many. thaw pause --account does the same in batches.';
CREATE FUNCTION thaw.pause_batch(p_account_id bigint, p_size integer, p_signal_id bigint, p_tick_at timestamp with time zone, p_job_id bigint, OUT verdict text, OUT paused integer, OUT campaigns_paused integer) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    account thaw.accounts;
    new_reason     thaw.pause_reason;
    source  thaw.event_source := CASE WHEN p_tick_at IS NULL THEN 'signal' ELSE 'sweep' END;
    campaigns bigint[];
    -- The addresses of the rows and their previous statuses.
    places    tid[];
    befores   thaw.enrollment_status[];
BEGIN
    paused := 0;
    campaigns_paused := 0;
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    verdict := CASE
        WHEN account.id IS NULL THEN 'not_found'
        WHEN account.status = 'connected' THEN 'account_connected'
        WHEN account.pause_after IS NULL OR account.pause_after > thaw.now() THEN 'not_due'
        WHEN thaw.is_transient(account.status) AND (SELECT s.since IS NOT NULL FROM thaw.safety AS s)
            THEN 'safety_mode'
        WHEN (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = account.workspace_id) THEN 'shadow_mode'
    END;
    IF verdict IS NOT NULL THEN
        PERFORM thaw.close_pause(p_account_id);
        RETURN;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    new_reason := thaw.pause_reason_of(account.status);
    -- Campaigns come first: that is the lock order, and a campaign that cannot send must not look
    -- as if it were running. A campaign with active prospects on another account keeps running if
    -- that account is connected, or in a transient error that may resolve within its grace period.
    --
    -- The locks are taken by a statement of their own: a pass that held a lock may have resumed
    -- prospects of another account, and only a later statement sees them. Campaigns that wait for
    -- an account are locked too: a pass may start one before the update below, which would then
    -- lock it out of order.
    campaigns := ARRAY(SELECT active.campaign_id FROM thaw.active_campaigns(account.id) AS active);
    PERFORM campaign.id FROM thaw.campaigns AS campaign
    WHERE campaign.id = ANY (campaigns) AND (campaign.status = 'running' OR campaign.waits_for_account)
    ORDER BY campaign.id FOR NO KEY UPDATE;
    WITH stopped AS (
        UPDATE thaw.campaigns AS campaign SET status = 'paused', paused_reason = new_reason, paused_at = thaw.now()
        WHERE campaign.id = ANY (campaigns)
            AND campaign.status = 'running'
            AND NOT EXISTS (
                SELECT
                FROM thaw.accounts AS other
                JOIN thaw.enrollments AS e
                    ON e.account_id = other.id AND e.campaign_id = campaign.id AND e.status = 'active'
                WHERE other.workspace_id = account.workspace_id
                    AND other.id <> account.id
                    AND (other.status = 'connected' OR other.pause_after > thaw.now()))
        RETURNING campaign.id
    )
    INSERT INTO thaw.campaign_events (
        campaign_id, at, account_id, tick_at, signal_id, job_id, kind, source, from_status, to_status, reason)
    SELECT stopped.id, thaw.now(), account.id, p_tick_at, p_signal_id, p_job_id, 'paused', source, 'running', 'paused', new_reason
    FROM stopped;
    GET DIAGNOSTICS campaigns_paused = ROW_COUNT;
    SELECT array_agg(claim.ctid), array_agg(claim.status) INTO places, befores FROM (
        SELECT active.ctid, active.status
        FROM thaw.enrollments AS active
        WHERE active.account_id = account.id AND active.status = 'active'
        ORDER BY active.campaign_id, active.id
        LIMIT p_size
        FOR NO KEY UPDATE SKIP LOCKED) AS claim;
    -- After a restriction only a person may resume prospects, including those that were paused
    -- before it.
    IF account.status = 'restricted' AND coalesce(cardinality(places), 0) < p_size THEN
        SELECT places || array_agg(claim.ctid), befores || array_agg(claim.status) INTO places, befores FROM (
            SELECT waiting.ctid, waiting.status
            FROM thaw.enrollments AS waiting
            WHERE waiting.status = 'paused' AND waiting.waits_for_account AND waiting.account_id = account.id
            ORDER BY waiting.campaign_id, waiting.paused_at, waiting.id
            LIMIT p_size - coalesce(cardinality(places), 0)
            FOR NO KEY UPDATE SKIP LOCKED) AS claim;
    END IF;
    WITH changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'paused', paused_reason = new_reason, paused_at = coalesce(e.paused_at, thaw.now())
        FROM unnest(places, befores) AS claim (ctid, status)
        WHERE e.ctid = claim.ctid
        RETURNING e.id, e.step, e.paused_at, claim.status AS from_status
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, tick_at, signal_id, job_id, from_account_id, to_account_id, step, kind, source, from_status,
        to_status, reason, paused_at)
    SELECT changed.id, thaw.now(), p_tick_at, p_signal_id, p_job_id, account.id, account.id, changed.step, 'paused', source,
        changed.from_status, 'paused', new_reason, changed.paused_at
    FROM changed;
    GET DIAGNOSTICS paused = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    IF paused > 0 THEN
        -- The status that this pause is for. The account is locked, so no newer one can appear.
        UPDATE thaw.account_events AS status SET enrollments = coalesce(status.enrollments, 0) + pause_batch.paused
        WHERE status.id = (
            SELECT newest.id FROM thaw.account_events AS newest
            WHERE newest.account_id = account.id ORDER BY newest.account_id, newest.id DESC LIMIT 1);
    END IF;
    PERFORM thaw.publish_paused(account, new_reason, p_tick_at, p_signal_id, paused, campaigns_paused);
    -- After a full batch the next one looks for the rest; after a short one, the rest may be locked
    -- by others. ORDER BY matches the index: without it, the planner expects to find one of the
    -- account's many rows soon and scans the table from its start, past all rows that earlier
    -- batches paused.
    IF paused = p_size OR (SELECT e.id FROM thaw.enrollments AS e
        WHERE e.account_id = account.id AND e.status = 'active'
        ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
        OR (account.status = 'restricted' AND (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = account.id
            ORDER BY e.campaign_id, e.paused_at, e.id LIMIT 1) IS NOT NULL)
    THEN
        verdict := CASE WHEN paused > 0 THEN 'more' ELSE 'busy' END;
        -- A batch that is lost in a server crash runs again. Only the last commit waits for the WAL
        -- flush, which includes all earlier ones.
        SET LOCAL synchronous_commit = off;
    ELSE
        UPDATE thaw.accounts AS a SET pause_after = NULL WHERE a.id = account.id;
        PERFORM thaw.close_pause(account.id);
        PERFORM thaw.publish_needs_reconnect(account);
        verdict := 'done';
    END IF;
END;
$$;
CREATE FUNCTION thaw.pause_begins(p_enrollment_id bigint, p_paused_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN greatest(p_paused_at, (
        SELECT max(event.at) FROM thaw.enrollment_events AS event
        WHERE event.enrollment_id = p_enrollment_id AND event.kind = 'resumed'));
END;
$$;
CREATE FUNCTION thaw.pause_campaign(workspace_key text, campaign text, reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (thaw.act_on_campaign('paused'::text, workspace_key, campaign, reason, actor) IS NOT NULL);
COMMENT ON FUNCTION thaw.pause_campaign(workspace_key text, campaign text, reason text, actor text) IS 'Pauses a campaign with reason paused_by_user: nothing of it is sent or resumed. Returns false if a person had paused it already.';
CREATE FUNCTION thaw.pause_on_lost_accounts(p_taken thaw.taken[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    late bigint[];
BEGIN
    late := ARRAY(
        SELECT e.id
        FROM unnest(p_taken) AS t
        JOIN thaw.enrollments AS e ON e.external_id = t.external_id AND e.workspace_id = t.workspace_id
        JOIN thaw.accounts AS a ON a.id = e.account_id
        JOIN thaw.workspaces AS w ON w.id = e.workspace_id
        WHERE t.code IS NULL AND (t.change ->> 'status' = 'active' OR t.change ? 'account') AND e.status = 'active'
            AND a.status <> 'connected' AND NOT thaw.is_transient(a.status) AND NOT w.shadow
        ORDER BY e.id);
    IF late = '{}' THEN
        RETURN;
    END IF;
    WITH paused AS (
        UPDATE thaw.enrollments AS e SET status = 'paused', paused_reason = thaw.pause_reason_of(a.status), paused_at = thaw.new_paused_at(e.id, NULL)
        FROM thaw.accounts AS a
        WHERE e.id = ANY (late) AND a.id = e.account_id
        RETURNING e.id, e.account_id, e.step, e.paused_reason, e.paused_at
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
    SELECT paused.id, thaw.now(), paused.account_id, paused.account_id, paused.step, 'paused', 'signal', 'active', 'paused', paused.paused_reason, paused.paused_at
    FROM paused ORDER BY paused.id;
END;
$$;
CREATE FUNCTION thaw.pause_prospect(prospect_url text, reason text, actor text DEFAULT CURRENT_USER, workspace_key text DEFAULT NULL::text, campaign text DEFAULT NULL::text) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (thaw.act_on_prospect('paused'::text, prospect_url, workspace_key, campaign, reason, actor)).changed;
COMMENT ON FUNCTION thaw.pause_prospect(prospect_url text, reason text, actor text, workspace_key text, campaign text) IS 'Pauses a prospect with reason paused_by_user, in all of its campaigns or in those given, and returns in how many.';
CREATE FUNCTION thaw.pause_reason_of(p_status thaw.account_status) RETURNS thaw.pause_reason
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (p_status = 'restricted'::thaw.account_status) THEN 'account_restricted'::thaw.pause_reason WHEN (p_status = ANY (ARRAY['disconnected'::thaw.account_status, 'removed'::thaw.account_status])) THEN 'account_disconnected'::thaw.pause_reason ELSE 'account_issue'::thaw.pause_reason END;
CREATE FUNCTION thaw.pause_reasons() RETURNS thaw.pause_reason[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT word.reason FROM unnest(enum_range(NULL::thaw.pause_reason)) word(reason) WHERE (word.reason = thaw.current_reason(word.reason)) ORDER BY word.reason);
CREATE FUNCTION thaw.pending_campaigns(p_account_id bigint) RETURNS TABLE(campaign_id bigint)
    LANGUAGE sql STABLE ROWS 10
    BEGIN ATOMIC
 WITH RECURSIVE loose AS (
         ( SELECT e.campaign_id
            FROM thaw.enrollments e
           WHERE ((e.status = 'pending'::thaw.enrollment_status) AND (e.account_id = pending_campaigns.p_account_id))
           ORDER BY e.campaign_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT e.campaign_id
                    FROM thaw.enrollments e
                   WHERE ((e.status = 'pending'::thaw.enrollment_status) AND (e.account_id = pending_campaigns.p_account_id) AND (e.campaign_id > loose_1.campaign_id))
                   ORDER BY e.campaign_id
                  LIMIT 1) AS campaign_id
            FROM loose loose_1
           WHERE (loose_1.campaign_id IS NOT NULL)
         )
  SELECT loose.campaign_id
    FROM loose
   WHERE ( SELECT c.waits_for_account
            FROM thaw.campaigns c
           WHERE (c.id = loose.campaign_id));
END;
CREATE FUNCTION thaw.person_of(p_account thaw.accounts) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((p_account).member_id IS NOT NULL) THEN ('member:'::text || (p_account).member_id) ELSE thaw.linked_person_of(p_account) END;
CREATE FUNCTION thaw.pick_up_signals(p_within interval) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    found_id bigint;
    account  thaw.accounts;
    settled  integer := 0;
BEGIN
    FOR found_id IN
        SELECT DISTINCT a.id
        FROM (
            SELECT s.provider, s.provider_account_id FROM thaw.account_signals AS s
            WHERE s.outcome = 'unknown_account' AND s.received_at > thaw.now() - p_within
            ORDER BY s.received_at DESC LIMIT 10000) AS kept
        CROSS JOIN LATERAL (
            SELECT known.id FROM thaw.accounts AS known
            WHERE known.provider = kept.provider AND known.provider_account_id = kept.provider_account_id LIMIT 1) AS a
        ORDER BY a.id
        LIMIT 1000
    LOOP
        SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = found_id FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            settled := settled + thaw.apply_kept_signals(account);
        END IF;
    END LOOP;
    RETURN settled;
END;
$$;
COMMENT ON FUNCTION thaw.pick_up_signals(p_within interval) IS 'Applies signals that were kept for an unknown account whose row now exists. Every worker process calls it once a second.';
CREATE FUNCTION thaw.plan_accounts(p_tick_at timestamp with time zone, p_workspace_ids bigint[], p_shares integer[], p_after bigint DEFAULT '-1'::integer, p_until bigint DEFAULT '9223372036854775807'::bigint) RETURNS TABLE(account_id bigint, workspace_id bigint, backlog integer, quota integer, served_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT placed.account_id, placed.workspace_id, least(placed.waiting, 2147483647)::integer, placed.quota, placed.tick_at
    FROM (
        SELECT candidate.*, share.amount, quota.quota, turn.tick_at,
            row_number() OVER (
                PARTITION BY candidate.workspace_id ORDER BY turn.tick_at NULLS FIRST, candidate.account_id) AS place
        FROM (
            SELECT p.account_id, p.workspace_id, p.cap, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until AND p.workspace_id = ANY (p_workspace_ids)
            GROUP BY p.account_id, p.workspace_id, p.cap
            HAVING sum(p.waiting) > 0) AS candidate
        JOIN unnest(p_workspace_ids, p_shares) AS share (workspace_id, amount) ON share.workspace_id = candidate.workspace_id
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        CROSS JOIN LATERAL (SELECT coalesce(charged.cap - charged.used, candidate.cap) AS quota) AS quota
        LEFT JOIN thaw.account_served AS turn ON turn.account_id = candidate.account_id
        WHERE quota.quota > 0) AS placed
    WHERE placed.place <= placed.amount;
END;
$$;
CREATE FUNCTION thaw.plan_part(p_tick_at timestamp with time zone, p_size integer, OUT after_id bigint, OUT until_id bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    parts bigint;
    part  bigint;
BEGIN
    SELECT greatest(ceil(greatest(c.reltuples, 1) / p_size), 1) INTO parts FROM pg_class AS c WHERE c.oid = 'thaw.waiting_totals'::regclass;
    SELECT floor(extract(epoch FROM p_tick_at) / extract(epoch FROM s.tick))::bigint % parts INTO part FROM thaw.settings AS s;
    SELECT coalesce(max(t.account_id), 0) * part / parts INTO after_id FROM thaw.waiting_totals AS t;
    SELECT max(next.account_id) INTO until_id FROM (
        SELECT t.account_id FROM thaw.waiting_totals AS t WHERE t.account_id > after_id ORDER BY t.account_id LIMIT p_size) AS next;
    until_id := coalesce(until_id, after_id);
END;
$$;
CREATE FUNCTION thaw.plan_workspaces(p_tick_at timestamp with time zone, p_quota integer, p_after bigint DEFAULT '-1'::integer, p_until bigint DEFAULT '9223372036854775807'::bigint) RETURNS TABLE(workspace_id bigint, demand integer, served_at timestamp with time zone, total_waiting bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT wanted.workspace_id, wanted.demand, turn.tick_at, wanted.total_waiting
    FROM (
        SELECT candidate.workspace_id,
            least(sum(least(candidate.waiting, coalesce(charged.cap - charged.used, candidate.cap))), 2147483647)::integer AS demand,
            (sum(sum(candidate.waiting)) OVER ())::bigint AS total_waiting
        FROM (
            SELECT p.account_id, p.workspace_id, p.cap, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until
            GROUP BY p.account_id, p.workspace_id, p.cap
            HAVING sum(p.waiting) > 0) AS candidate
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        GROUP BY candidate.workspace_id) AS wanted
    LEFT JOIN thaw.workspace_served AS turn ON turn.workspace_id = wanted.workspace_id
    ORDER BY wanted.demand > 0 DESC, turn.tick_at NULLS FIRST, wanted.workspace_id
    LIMIT p_quota;
END;
$$;
CREATE FUNCTION thaw.preview_heal(p_heal_id bigint, OUT resumable bigint, OUT accounts bigint, OUT cap integer, OUT rate integer, OUT waiting bigint, OUT ticks bigint, OUT tick_seconds integer, OUT movable bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal     thaw.heals;
    settings thaw.settings := (SELECT s FROM thaw.settings AS s);
    each     bigint[];
    caps     integer[];
    share    integer;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    cap := heal.cap;
    rate := heal.rate;
    tick_seconds := extract(epoch FROM settings.tick);
    waiting := thaw.heal_bound(heal);
    SELECT coalesce(array_agg(target.waiting), '{}'), array_agg(thaw.account_cap(workspace, settings)),
        coalesce(sum(target.waiting), 0), count(*)
    INTO each, caps, resumable, accounts
    FROM (
        SELECT scope.target_id, sum(scope.waiting)::bigint AS waiting
        FROM thaw.heal_scope(heal.id) AS scope GROUP BY scope.target_id) AS target
    JOIN thaw.accounts AS account ON account.id = target.target_id
    JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id;
    movable := (SELECT count(*) FROM thaw.heal_movable(heal, 100000));
    share := thaw.fair_share(each, heal.cap);
    ticks := (
        SELECT coalesce(greatest(ceil(sum(line.remaining) / settings.fleet_cap), max(ceil(line.remaining::numeric / line.cap))), 0)
        FROM (
            SELECT one.waiting - least(one.waiting, share) AS remaining, one.cap
            FROM unnest(each, caps) AS one (waiting, cap)) AS line);
END;
$$;
CREATE FUNCTION thaw.preview_undo(p_action_id bigint, OUT refusal text, OUT hint text, OUT enrollments bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action thaw.manual_actions;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no action %', p_action_id USING ERRCODE = 'no_data_found', HINT = 'The audit log lists the actions.';
    END IF;
    hint := thaw.instead_of_undo(action.what);
    IF hint IS NOT NULL THEN
        refusal := format('action %s (%s) cannot be undone', action.id, replace(action.what, '_', ' '));
        RETURN;
    END IF;
    hint := 'Look at the history for what happened since.';
    IF action.campaign_id IS NOT NULL THEN
        IF (SELECT event.action_id FROM thaw.campaign_events AS event WHERE event.campaign_id = action.campaign_id ORDER BY event.id DESC LIMIT 1)
            IS DISTINCT FROM action.id
        THEN
            refusal := format('action %s cannot be undone: the campaign has changed since', action.id);
        END IF;
    ELSIF action.what IN ('paused', 'resumed') THEN
        SELECT count(*) INTO enrollments FROM thaw.undoable(action.id, 0, 2147483647);
        IF enrollments = 0 THEN
            refusal := CASE
                WHEN action.enrollments > 0 THEN format('action %s cannot be undone: all of its %s prospects have changed since', action.id, action.enrollments)
                ELSE format('action %s cannot be undone: it changed no prospects', action.id) END;
        END IF;
    ELSIF EXISTS (
        SELECT FROM thaw.manual_actions AS later
        LEFT JOIN thaw.manual_actions AS undone ON undone.id = later.undoes
        WHERE later.id > action.id
            AND CASE WHEN action.account_id IS NOT NULL THEN later.account_id = action.account_id ELSE later.workspace_id = action.workspace_id END
            AND left(coalesce(undone.what, later.what), 6) IN (left(action.what, 6), CASE WHEN action.what IN ('held', 'hold_corrected') THEN 'held' END,
                CASE WHEN action.what IN ('held', 'hold_corrected') THEN 'hold_c' END))
    THEN
        refusal := format('action %s cannot be undone: a later action has replaced it', action.id);
    END IF;
    IF refusal IS NULL THEN
        hint := NULL;
    END IF;
END;
$$;
CREATE FUNCTION thaw.proof_of(p_state thaw.action_state) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_state WHEN 'sent'::thaw.action_state THEN 3 WHEN 'already'::thaw.action_state THEN 3 WHEN 'unknown'::thaw.action_state THEN 2 WHEN 'started'::thaw.action_state THEN 1 ELSE 0 END;
CREATE FUNCTION thaw.prospect_key(p_url text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    url   text := btrim(p_url, E' \t\r\n');
    mail  text := substring(url FROM '(?i)^(?:mailto:)?([^[:space:]"(),:;<>@\[\]\\/]+@[^[:space:]@:/?#]+\.[^[:space:]@:/?#]+)(?:\?.*)?$');
    parts text[];
    host  text;
    path  text;
    slug  text;
BEGIN
    IF mail IS NOT NULL THEN
        RETURN lower(mail COLLATE "default");
    END IF;
    parts := regexp_match(url, '^(?:(?:https?:)?//)?([^/?#@[:space:]]+)([^?#]*)(\?[^#]*)?(?:#.*)?$', 'i');
    host := regexp_replace(lower(parts[1] COLLATE "C"), '\.*(?::(?:80|443))?$', '');
    path := rtrim(parts[2], '/');
    IF parts IS NULL OR position('.' IN host) = 0 OR parts[2] ~ '%(?![[:xdigit:]]{2})' THEN
        RETURN url;
    ELSIF host !~ '^(?:(?:www|m|mobile|touch|[a-z]{2})\.)?linkedin\.com$' THEN
        RETURN 'https://' || host || path || coalesce(nullif(parts[3], '?'), '');
    END IF;
    -- The path alone identifies the person.
    slug := substring(path FROM '(?i)^/+in/+([^/]+)');
    IF slug LIKE '%\%%' THEN
        BEGIN
            slug := (
                SELECT convert_from(string_agg(
                    CASE WHEN part.text[1] ~ '^%[[:xdigit:]]{2}$' THEN decode(substr(part.text[1], 2), 'hex') ELSE convert_to(part.text[1], 'UTF8') END,
                    ''::bytea ORDER BY part.n), 'UTF8')
                FROM regexp_matches(slug, '%[[:xdigit:]]{2}|[^%]+|%', 'g') WITH ORDINALITY AS part (text, n));
        EXCEPTION WHEN data_exception THEN
            NULL; -- not text: it stays as it is
        END;
    END IF;
    RETURN 'https://www.linkedin.com' || coalesce('/in/' || lower(slug COLLATE "default"), path);
END;
$_$;
CREATE FUNCTION thaw.prune_actions(p_after bigint, p_to bigint) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    removed integer;
    senders bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM thaw.actions AS a
        WHERE a.ctid = ANY (ARRAY(
            SELECT old.ctid
            FROM thaw.actions AS old
            WHERE old.id > p_after AND old.id <= p_to AND old.lease_until IS NULL
                AND old.used_at < thaw.now() - interval '8 days'
                AND (EXISTS (SELECT FROM thaw.workspaces AS w WHERE w.id = old.workspace_id) AND (
                    old.state = 'unknown'
                    OR old.kind = 'invite' AND (old.is_used OR old.state = 'already') AND coalesce(old.closed_as, 'accepted') = 'accepted'
                    OR old.closed_as = 'withdrawn' AND old.closed_at > thaw.now() - interval '21 days'
                    OR (old.is_used OR old.state = 'already') AND EXISTS (
                        SELECT FROM thaw.enrollments AS e WHERE e.id = old.enrollment_id AND e.step <= old.step))) IS NOT TRUE
            FOR UPDATE OF old SKIP LOCKED))
        RETURNING a.sender_id
    )
    SELECT count(*), array_agg(DISTINCT gone.sender_id) INTO removed, senders FROM gone;
    PERFORM thaw.remove_unused_senders(senders);
    RETURN removed;
END;
$$;
CREATE FUNCTION thaw.prune_batch(p_size integer, OUT verdict text, OUT removed integer) RETURNS record
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    settings thaw.settings;
    walk     thaw.retention;
    before   timestamptz;
    to_id    bigint;
    to_tick  timestamptz;
    done     boolean;
BEGIN
    removed := 0;
    -- A row lock and not an advisory lock: any role with CONNECT could hold an advisory lock and
    -- keep the tables growing.
    PERFORM FROM thaw.retention AS r
    WHERE r.turn = (SELECT min(first.turn) FROM thaw.retention AS first)
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        verdict := 'busy';
        RETURN;
    END IF;
    SELECT s.* INTO settings FROM thaw.settings AS s;
    verdict := 'more';
    FOR walk IN SELECT r.* FROM thaw.retention AS r ORDER BY r.turn LOOP
        before := thaw.now() - CASE
            WHEN walk.part IN ('account_signals', 'outbox') THEN settings.keep_signals ELSE settings.keep_history END;
        to_id := NULL;
        to_tick := NULL;
        IF walk.part IN ('allocations', 'sweeps', 'account_quotas', 'fleet_quotas', 'backlog_samples') THEN
            SELECT step.reached, step.removed INTO to_tick, removed
            FROM thaw.prune_ticks(walk.part, walk.walk_tick, before, p_size) AS step;
        ELSE
            to_id := thaw.advance_walk(walk, before, p_size);
            IF walk.part = 'heals' THEN
                SELECT step.done, step.removed INTO done, removed
                FROM thaw.prune_heals(walk.walk_id, to_id, before, p_size) AS step;
            ELSE
                done := true;
                removed := thaw.prune_ids(walk.part, walk.walk_id, to_id);
            END IF;
        END IF;
        IF to_id IS NOT NULL OR to_tick IS NOT NULL THEN
            UPDATE thaw.retention AS r SET
                kept_since = greatest(r.kept_since, before),
                passed_id = greatest(r.passed_id, to_id),
                walk_id = CASE WHEN done THEN coalesce(to_id, r.walk_id) ELSE r.walk_id END,
                walk_tick = coalesce(to_tick, r.walk_tick)
            WHERE r.part = walk.part;
            -- A batch that is lost in a server crash runs again.
            SET LOCAL synchronous_commit = off;
            RETURN;
        ELSIF walk.walk_began < thaw.now() - interval '30 days' THEN
            UPDATE thaw.retention AS r SET walk_id = 0, walk_tick = '-infinity', walk_began = thaw.now()
            WHERE r.part = walk.part;
        END IF;
    END LOOP;
    verdict := 'done';
END;
$$;
COMMENT ON FUNCTION thaw.prune_batch(p_size integer, OUT verdict text, OUT removed integer) IS 'Removes rows that are older than settings.keep_history or keep_signals and no longer needed, p_size at a time. Called by the job prune.';
CREATE FUNCTION thaw.prune_heals(p_after bigint, p_to bigint, p_before timestamp with time zone, p_size integer, OUT done boolean, OUT removed integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    old bigint[] := ARRAY(
        SELECT h.id FROM thaw.heals AS h WHERE h.id > p_after AND h.id <= p_to AND h.finished_at < p_before);
BEGIN
    DELETE FROM thaw.heal_enrollments AS listed
    WHERE listed.ctid = ANY (ARRAY(
        SELECT line.ctid FROM thaw.heal_enrollments AS line WHERE line.heal_id = ANY (old) LIMIT p_size));
    GET DIAGNOSTICS removed = ROW_COUNT;
    done := removed = 0;
    IF done THEN
        DELETE FROM thaw.heals AS h WHERE h.id = ANY (old);
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
END;
$$;
CREATE FUNCTION thaw.prune_ids(p_part text, p_after bigint, p_to bigint) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    removed integer;
BEGIN
    IF to_regprocedure(format('thaw.%I(bigint, bigint)', 'prune_' || p_part)) IS NULL THEN
        RETURN thaw.prune_ids_core(p_part, p_after, p_to);
    END IF;
    EXECUTE format('SELECT thaw.%I($1, $2)', 'prune_' || p_part) INTO removed USING p_after, p_to;
    RETURN removed;
END;
$_$;
CREATE FUNCTION thaw.prune_ids_core(p_part text, p_after bigint, p_to bigint) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    removed integer;
BEGIN
    CASE p_part
        -- Keeps the events of a pause that has not ended: they explain why the prospect is paused.
        WHEN 'enrollment_events' THEN
            DELETE FROM thaw.enrollment_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT e.paused_at = event.paused_at FROM thaw.enrollments AS e
                     WHERE e.id = event.enrollment_id AND e.status = 'paused') IS NOT TRUE;
        WHEN 'campaign_events' THEN
            DELETE FROM thaw.campaign_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT c.paused_at <= event.at FROM thaw.campaigns AS c
                     WHERE c.id = event.campaign_id AND c.status = 'paused') IS NOT TRUE;
        -- Keeps the newest event of an account: since when it has its status.
        WHEN 'account_events' THEN
            DELETE FROM thaw.account_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND EXISTS (
                    SELECT FROM thaw.account_events AS newer
                    WHERE newer.account_id = event.account_id AND newer.id > event.id);
        -- Keeps the newest applied signal of an account, and a signal whose job is not done.
        -- Signals of unknown accounts are not kept beyond their age: an account that appears later
        -- starts without them.
        WHEN 'account_signals' THEN
            DELETE FROM thaw.account_signals AS s
            WHERE s.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.account_signals AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND CASE old.outcome
                        WHEN 'applied' THEN
                            EXISTS (
                                SELECT FROM thaw.account_signals AS newer
                                WHERE newer.provider = old.provider
                                    AND newer.provider_account_id = old.provider_account_id
                                    AND newer.outcome = 'applied' AND newer.id > old.id)
                            AND (old.finished_at IS NOT NULL OR NOT thaw.is_enqueued(
                                CASE WHEN old.status = 'connected' OR old.kind = 'unlock' THEN 'resume_account' ELSE 'pause_account' END,
                                jsonb_build_object('account_id', old.account_id, 'signal_id', old.id)))
                        ELSE true
                    END
                FOR UPDATE OF old SKIP LOCKED));
        -- Keeps messages that are still open or not yet delivered.
        WHEN 'outbox' THEN
            DELETE FROM thaw.outbox AS message
            WHERE message.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.outbox AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND NOT old.is_open
                    AND NOT EXISTS (
                        SELECT FROM thaw.webhook_deliveries AS d
                        WHERE d.outbox_id = old.id AND d.state = 'waiting' AND thaw.is_enqueued(
                            'deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', old.message_id)))
                FOR UPDATE OF old SKIP LOCKED));
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END;
$$;
CREATE FUNCTION thaw.prune_ticks(p_part text, p_from timestamp with time zone, p_before timestamp with time zone, p_size integer, OUT reached timestamp with time zone, OUT removed integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    EXECUTE format('
        WITH gone AS (
            DELETE FROM thaw.%1$I AS line
            WHERE line.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.%1$I AS old
                WHERE old.tick_at >= $1 AND old.tick_at < $2 AND %2$s
                ORDER BY old.tick_at LIMIT $3
                FOR UPDATE OF old SKIP LOCKED))
            RETURNING line.tick_at
        )
        SELECT max(gone.tick_at), count(*) FROM gone',
        p_part,
        CASE p_part
            WHEN 'allocations' THEN
                '(SELECT s.finished_at IS NOT NULL FROM thaw.sweeps AS s WHERE s.tick_at = old.tick_at)'
            WHEN 'sweeps' THEN
                'old.finished_at IS NOT NULL
                AND (SELECT g.tick_at FROM thaw.allocations AS g WHERE g.tick_at = old.tick_at LIMIT 1) IS NULL'
            ELSE 'true'
        END)
    INTO reached, removed
    USING p_from, p_before, p_size;
END;
$_$;
CREATE FUNCTION thaw.publish(p_type text, p_workspace_id bigint DEFAULT NULL::bigint, p_account_id bigint DEFAULT NULL::bigint, p_data jsonb DEFAULT '{}'::jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    message record;
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN NULL;
    END IF;
    INSERT INTO thaw.outbox AS o (type, workspace_id, account_id, data)
    VALUES (p_type, p_workspace_id, p_account_id,
        thaw.subject(p_workspace_id, p_account_id) || jsonb_strip_nulls(p_data))
    RETURNING o.id, o.message_id INTO message;
    PERFORM thaw.deliver(message.id);
    RETURN message.message_id;
END;
$$;
COMMENT ON FUNCTION thaw.publish(p_type text, p_workspace_id bigint, p_account_id bigint, p_data jsonb) IS 'Writes a message to the platform, in the transaction of the event that it reports: p_data and the names of workspace and account. Returns the id of the message. Null: no endpoint is enabled, and nothing is written.';
CREATE FUNCTION thaw.publish_each(p_type text, p_account_ids bigint[], p_data jsonb[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    endpoint bigint;
    places   bigint[];
    messages text[];
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    WITH written AS (
        INSERT INTO thaw.outbox (type, account_id, data)
        SELECT p_type, given.account_id, thaw.subject(NULL, given.account_id) || jsonb_strip_nulls(given.data)
        FROM unnest(p_account_ids, p_data) WITH ORDINALITY AS given (account_id, data, place)
        ORDER BY given.place
        RETURNING id, message_id
    )
    SELECT array_agg(written.id ORDER BY written.id), array_agg(written.message_id ORDER BY written.id) INTO places, messages FROM written;
    FOR endpoint IN SELECT e.id FROM thaw.webhook_endpoints AS e WHERE e.disabled_at IS NULL ORDER BY e.id FOR KEY SHARE OF e LOOP
        INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id) SELECT written.id, endpoint FROM unnest(places) AS written (id);
        PERFORM thaw.enqueue_many('deliver', 'webhooks_' || endpoint, 2::smallint, ARRAY(
            SELECT jsonb_build_object('endpoint_id', endpoint, 'message_id', message.id)
            FROM unnest(messages) WITH ORDINALITY AS message (id, place) ORDER BY message.place));
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.publish_moved(p_account thaw.accounts, p_lane thaw.lane, p_tick_at timestamp with time zone, p_signal_id bigint, p_heal_id bigint, p_moved integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.publish('enrollments.moved', p_account.workspace_id, p_account.id, jsonb_build_object(
        'lane', p_lane, 'tick_at', thaw.rfc3339(p_tick_at), 'signal_id', p_signal_id, 'heal_id', p_heal_id, 'moved', p_moved));
END;
$$;
CREATE FUNCTION thaw.publish_needs_reconnect(p_account thaw.accounts) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_account.needs_reconnect_at IS NOT NULL OR p_account.status IN ('connected', 'restricted') OR NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    UPDATE thaw.accounts AS a SET needs_reconnect_at = thaw.now() WHERE a.id = p_account.id;
    PERFORM thaw.publish('account.needs_reconnect', p_account.workspace_id, p_account.id, jsonb_build_object(
        'status', p_account.status, 'reason', p_account.last_error,
        'advice', (SELECT words.owner_advice FROM thaw.words_for(p_account.provider, p_account.status, p_account.last_error) AS words),
        'since', thaw.rfc3339(coalesce(p_account.disconnected_at, p_account.status_at)),
        'paused', (SELECT count(*) FROM thaw.enrollments AS e
                   WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = p_account.id)));
END;
$$;
CREATE FUNCTION thaw.publish_paused(p_account thaw.accounts, p_reason thaw.pause_reason, p_tick_at timestamp with time zone, p_signal_id bigint, p_paused integer, p_campaigns_paused integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_paused + p_campaigns_paused = 0 OR NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    INSERT INTO thaw.outbox AS o (type, workspace_id, account_id, is_open, data)
    VALUES ('enrollments.paused', p_account.workspace_id, p_account.id, true,
        thaw.subject(p_account.workspace_id, p_account.id) || jsonb_strip_nulls(jsonb_build_object(
            'status', p_account.status, 'reason', p_reason, 'signal_id', p_signal_id, 'tick_at', thaw.rfc3339(p_tick_at),
            'paused', p_paused, 'campaigns_paused', p_campaigns_paused)))
    ON CONFLICT (account_id) WHERE is_open DO UPDATE SET
        at = excluded.at,
        data = excluded.data || jsonb_build_object(
            'paused', (o.data ->> 'paused')::integer + p_paused,
            'campaigns_paused', (o.data ->> 'campaigns_paused')::integer + p_campaigns_paused);
END;
$$;
CREATE FUNCTION thaw.publish_recovered() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.accounts AS a SET needs_reconnect_at = NULL
    WHERE a.id IN (
        SELECT calm.id FROM thaw.accounts AS calm
        WHERE calm.needs_reconnect_at IS NOT NULL AND calm.status = 'connected'
            AND (calm.resume_after IS NULL OR calm.resume_after <= thaw.now())
        ORDER BY calm.id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED);
END;
$$;
CREATE FUNCTION thaw.publish_resumed(p_account thaw.accounts, p_lane thaw.lane, p_even_if_off boolean, p_tick_at timestamp with time zone, p_signal_id bigint, p_heal_id bigint, p_resumed integer, p_moved integer, p_campaigns_resumed integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    pass jsonb;
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    -- If a pause was in progress, its message comes first.
    PERFORM thaw.close_pause(p_account.id);
    pass := jsonb_build_object(
        'lane', p_lane, 'tick_at', thaw.rfc3339(p_tick_at), 'signal_id', p_signal_id, 'heal_id', p_heal_id);
    PERFORM thaw.publish('enrollments.resumed', p_account.workspace_id, p_account.id, pass || jsonb_build_object(
        'resumed', p_resumed, 'moved', p_moved, 'campaigns_resumed', p_campaigns_resumed));
    IF NOT EXISTS (
        SELECT FROM thaw.resumable(thaw.sources_of(p_account.id), p_even_if_off) AS line WHERE line.target_id = p_account.id)
    THEN
        PERFORM thaw.publish('account.drained', p_account.workspace_id, p_account.id, pass);
    END IF;
END;
$$;
CREATE FUNCTION thaw.publish_unknown(p_action_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.publish_each('actions.unknown', array_agg(unsettled.account_id ORDER BY unsettled.account_id),
        array_agg(jsonb_build_object('actions', unsettled.actions) ORDER BY unsettled.account_id))
    FROM (
        SELECT a.account_id, jsonb_agg(jsonb_build_object('reservation', a.id, 'kind', a.kind, 'prospect_url', a.prospect_url, 'started_at', thaw.rfc3339(a.started_at)) ORDER BY a.id) AS actions
        FROM thaw.actions AS a WHERE a.id = ANY (p_action_ids) GROUP BY a.account_id) AS unsettled
    HAVING count(*) > 0;
END;
$$;
CREATE FUNCTION thaw.push_actions(p_limit integer, OUT looked integer, OUT reserved integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    given   bigint[];
    allowed integer;
BEGIN
    looked := 0;
    reserved := 0;
    IF NOT thaw.is_pushing() THEN
        RETURN;
    END IF;
    allowed := thaw.may_push(p_limit);
    IF allowed = 0 THEN
        RETURN;
    END IF;
    SELECT b.looked, b.action_ids INTO looked, given FROM thaw.schedule_batch(allowed, thaw.checked_lease(NULL), 'schedule') AS b;
    reserved := coalesce(cardinality(given), 0);
    PERFORM thaw.publish_each('action.due', array_agg(due.account_id ORDER BY due.id), array_agg(due.data ORDER BY due.id))
    FROM (
        SELECT a.id, a.account_id, jsonb_build_object(
            'reservation', a.id, 'lease_until', thaw.rfc3339(a.lease_until), 'kind', a.kind, 'step', a.step, 'campaign', campaign.key,
            'campaign_external_id', campaign.external_id, 'enrollment', a.enrollment_id, 'enrollment_external_id', e.external_id,
            'prospect_url', a.prospect_url) AS data
        FROM thaw.actions AS a
        JOIN thaw.campaigns AS campaign ON campaign.id = a.campaign_id
        JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
        WHERE a.id = ANY (given)) AS due
    HAVING count(*) > 0;
    IF reserved > 0 THEN
        UPDATE thaw.pushing SET watched = given, watched_at = thaw.now() WHERE watched = '{}';
    END IF;
END;
$$;
CREATE FUNCTION thaw.queue_changes(p_kind text, p_ids bigint[], p_from text, p_cause text, p_at timestamp with time zone DEFAULT thaw.now()) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
BEGIN
    IF p_ids IS NULL OR NOT thaw.is_adopted() THEN
        RETURN;
    END IF;
    INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause, at)
    SELECT p_kind, subject.id, p_from, p_cause, p_at
    FROM (
        SELECT a.id, a.workspace_id FROM thaw.accounts AS a WHERE p_kind = 'account' AND a.id = ANY (p_ids) AND a.external_id IS NOT NULL
        UNION ALL
        SELECT c.id, c.workspace_id FROM thaw.campaigns AS c WHERE p_kind = 'campaign' AND c.id = ANY (p_ids) AND c.external_id IS NOT NULL
        UNION ALL
        SELECT e.id, e.workspace_id FROM thaw.enrollments AS e WHERE p_kind = 'enrollment' AND e.id = ANY (p_ids) AND e.external_id IS NOT NULL) AS subject
    JOIN thaw.workspaces AS w ON w.id = subject.workspace_id AND NOT w.shadow
    ORDER BY subject.id;
END;
$$;
CREATE FUNCTION thaw.ramp_week(p_started_at timestamp with time zone, p_at timestamp with time zone) RETURNS smallint
    LANGUAGE sql IMMUTABLE
    RETURN LEAST(GREATEST((floor((EXTRACT(epoch FROM (p_at - p_started_at)) / (604800)::numeric)) + (1)::numeric), (1)::numeric), (6)::numeric);
CREATE FUNCTION thaw.ramp_at(p_started_at timestamp with time zone, p_last_started_at timestamp with time zone, p_restricted_at timestamp with time zone, p_restriction_seen_at timestamp with time zone, p_at timestamp with time zone) RETURNS TABLE(started_at timestamp with time zone, week smallint)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
 SELECT ramp.started_at,
     thaw.ramp_week(ramp.started_at, ramp_at.p_at) AS ramp_week
    FROM (( SELECT
                 CASE
                     WHEN ((ramp_at.p_last_started_at < (ramp_at.p_at - '30 days'::interval)) AND (ramp_at.p_last_started_at >= ramp_at.p_started_at)) THEN (ramp_at.p_at - (((GREATEST((thaw.ramp_week(ramp_at.p_started_at, ramp_at.p_last_started_at) - 1), 1) - 1))::double precision * '168:00:00'::interval))
                     ELSE ramp_at.p_started_at
                 END AS p_started_at) idle(started_at)
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN ((ramp_at.p_restricted_at > COALESCE(ramp_at.p_restriction_seen_at, '-infinity'::timestamp with time zone)) AND (idle.started_at IS NOT NULL)) THEN (ramp_at.p_at - (((GREATEST((thaw.ramp_week(idle.started_at,
                     CASE
                         WHEN (idle.started_at = ramp_at.p_started_at) THEN LEAST(ramp_at.p_at, ramp_at.p_restricted_at)
                         ELSE ramp_at.p_at
                     END) / 2), 1) - 1))::double precision * '168:00:00'::interval))
                     ELSE idle.started_at
                 END AS started_at) ramp(started_at));
END;
CREATE FUNCTION thaw.ramp_grows_at(p_started_at timestamp with time zone, p_week smallint) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN CASE WHEN (p_week < 6) THEN (p_started_at + ((p_week)::double precision * '168:00:00'::interval)) ELSE NULL::timestamp with time zone END;
CREATE FUNCTION thaw.receive_signal(p_provider text, p_provider_account_id text, p_raw_status text, p_status text, p_occurred_at timestamp with time zone, p_member_id text, p_delivery_key text, p_just_created boolean, p_body jsonb, p_product text DEFAULT NULL::text, p_v1_account_id text DEFAULT NULL::text) RETURNS thaw.signal_outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    account  thaw.accounts;
    known    thaw.account_status;
    its_kind thaw.signal_kind;
    is_known boolean;
    original bigint;
    signal   thaw.account_signals;
    result   thaw.signal_outcome;
BEGIN
    PERFORM thaw.require_text('provider', p_provider), thaw.require_text('provider_account_id', p_provider_account_id),
        thaw.require_text('status', p_raw_status), thaw.require_text('member_id', p_member_id),
        thaw.require_text('v1_account_id', p_v1_account_id), thaw.require_text('product', p_product),
        thaw.require_text('delivery_key', p_delivery_key);
    IF p_occurred_at < '2000-01-01 00:00:00+00' OR p_occurred_at >= '2100-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at is %', p_occurred_at
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Send a time from 2000 to 2099, or omit it.';
    END IF;
    p_status := thaw.meaning_of(p_provider, p_status);
    its_kind := CASE p_status WHEN 'reconnected' THEN 'login' WHEN 'locked' THEN 'lock' WHEN 'unlocked' THEN 'unlock'
        ELSE CASE WHEN p_just_created THEN 'login' ELSE 'status' END END;
    -- Locks and logins apply to the whole account.
    p_product := CASE WHEN its_kind = 'status' THEN p_product END;
    SELECT word.status INTO known FROM unnest(enum_range(NULL::thaw.account_status)) AS word (status)
    WHERE word.status::text = CASE p_status WHEN 'reconnected' THEN 'connecting' ELSE p_status END;
    is_known := known IS NOT NULL OR its_kind IN ('lock', 'unlock');
    SELECT a.* INTO account FROM thaw.accounts AS a
    WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
    FOR NO KEY UPDATE;
    -- Inserted with the most likely outcome: it is indexed, so a correction costs another entry in
    -- every index. The body is kept for reference only; that of a status is well below a kilobyte.
    INSERT INTO thaw.account_signals AS s (
        provider, provider_account_id, account_id, delivery_key, raw_status, status, kind, just_created, product, member_id,
        v1_account_id, occurred_at, outcome, body)
    VALUES (
        p_provider, p_provider_account_id, account.id, p_delivery_key, p_raw_status, known, its_kind, p_just_created, p_product,
        p_member_id, p_v1_account_id, p_occurred_at,
        CASE WHEN NOT is_known THEN 'ignored' WHEN account.id IS NULL THEN 'unknown_account' ELSE 'applied' END::thaw.signal_outcome,
        CASE WHEN length(p_body::text) <= 8192 THEN p_body END)
    ON CONFLICT (delivery_key) DO NOTHING
    RETURNING s.* INTO signal;
    IF signal.id IS NULL THEN
        SELECT s.id INTO original FROM thaw.account_signals AS s WHERE s.delivery_key = p_delivery_key;
        INSERT INTO thaw.account_signals (
            provider, provider_account_id, account_id, duplicate_of, raw_status, status, kind, just_created, product, member_id,
            v1_account_id, occurred_at, outcome, body)
        VALUES (
            p_provider, p_provider_account_id, account.id, original, p_raw_status, known, its_kind, p_just_created, p_product,
            p_member_id, p_v1_account_id, p_occurred_at, 'duplicate', CASE WHEN length(p_body::text) <= 8192 THEN p_body END);
        RETURN 'duplicate';
    ELSIF NOT is_known THEN
        RETURN 'ignored';
    ELSIF account.id IS NULL THEN
        -- The newest 20 are enough to derive status, lock and products when the row is inserted.
        DELETE FROM thaw.account_signals AS s
        WHERE s.ctid = ANY (ARRAY(
            SELECT old.ctid FROM thaw.account_signals AS old
            WHERE old.provider = p_provider AND old.provider_account_id = p_provider_account_id AND old.outcome = 'unknown_account'
            ORDER BY old.id DESC OFFSET 20 FOR UPDATE SKIP LOCKED));
        RETURN 'unknown_account';
    END IF;
    result := thaw.apply_signal(account, signal, false);
    IF result <> 'applied' THEN
        UPDATE thaw.account_signals AS s SET outcome = result WHERE s.id = signal.id;
    END IF;
    RETURN result;
END;
$$;
COMMENT ON FUNCTION thaw.receive_signal(p_provider text, p_provider_account_id text, p_raw_status text, p_status text, p_occurred_at timestamp with time zone, p_member_id text, p_delivery_key text, p_just_created boolean, p_body jsonb, p_product text, p_v1_account_id text) IS 'Records one delivery from a provider and applies it. Called by the webhooks.';
CREATE FUNCTION thaw.record_heal(p_what text, p_heal thaw.heals, p_reason text, p_actor text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, heal_id)
    VALUES (p_what, p_actor, p_reason,
        coalesce(p_heal.workspace_id, (SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.id = p_heal.account_id)),
        p_heal.account_id, p_heal.id);
END;
$$;
CREATE FUNCTION thaw.record_plan(p_tick_at timestamp with time zone, p_started_at timestamp with time zone, p_account_cap integer, p_fleet_cap integer, p_account_ids bigint[], p_workspace_ids bigint[], p_planned integer[], p_backlog integer, p_is_partial boolean, p_looked_to bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    tick text := thaw.job_time(p_tick_at);
BEGIN
    INSERT INTO thaw.sweeps (
        tick_at, account_cap, fleet_cap, accounts_planned, planned, remaining, is_partial, looked_to, started_at, finished_at)
    SELECT p_tick_at, p_account_cap, p_fleet_cap, cardinality(p_account_ids),
        (SELECT coalesce(sum(line.planned), 0) FROM unnest(p_planned) AS line (planned)),
        p_backlog, p_is_partial, p_looked_to, p_started_at,
        CASE WHEN cardinality(p_account_ids) = 0 THEN thaw.now() END
    WHERE thaw.tick() = p_tick_at
    ON CONFLICT (tick_at) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
    SELECT p_tick_at, line.account_id, line.workspace_id, line.planned
    FROM unnest(p_account_ids, p_workspace_ids, p_planned) AS line (account_id, workspace_id, planned);
    INSERT INTO thaw.account_served AS t (account_id, tick_at)
    SELECT line.account_id, p_tick_at
    FROM unnest(p_account_ids, p_planned) AS line (account_id, planned) WHERE line.planned > 0
    ON CONFLICT (account_id) DO UPDATE SET tick_at = excluded.tick_at;
    INSERT INTO thaw.workspace_served AS t (workspace_id, tick_at)
    SELECT DISTINCT line.workspace_id, p_tick_at
    FROM unnest(p_workspace_ids, p_planned) AS line (workspace_id, planned) WHERE line.planned > 0
    ON CONFLICT (workspace_id) DO UPDATE SET tick_at = excluded.tick_at;
    PERFORM thaw.enqueue_many('resume_account', 'tick', 3::smallint, ARRAY(
        SELECT jsonb_build_object('account_id', line.account_id, 'tick_at', tick) FROM unnest(p_account_ids) AS line (account_id)));
    IF NOT EXISTS (
        SELECT FROM thaw.sweeps AS earlier
        WHERE earlier.tick_at >= date_bin('1 hour', p_tick_at, '2000-01-01 00:00:00+00') AND earlier.tick_at < p_tick_at)
    THEN
        PERFORM thaw.enqueue('prune', 'sweep', 4::smallint, jsonb_build_object('tick_at', tick), '0', B'11110101');
    END IF;
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.recount(p_accounts integer DEFAULT NULL::integer, p_rows integer DEFAULT 200000, OUT accounts integer, OUT corrected integer) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    state thaw.count_state;
    lo    bigint := -1;
    hi    bigint;
    first bigint;
BEGIN
    accounts := 0;
    corrected := 0;
    IF p_accounts IS NULL THEN
        SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE;
        SELECT count(*) INTO accounts FROM thaw.accounts;
    ELSE
        SELECT s.* INTO state FROM thaw.count_state AS s FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        lo := state.recounted_to;
        SELECT count(*), max(slice.id) INTO accounts, hi FROM (
            SELECT a.id FROM thaw.accounts AS a WHERE a.id > lo ORDER BY a.id LIMIT p_accounts) AS slice;
        IF accounts < p_accounts THEN
            hi := NULL;
        END IF;
        -- The account that exceeds p_rows starts the next slice, unless it is the first of this
        -- one.
        SELECT least(
            (SELECT e.account_id FROM thaw.enrollments AS e
             WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > lo
             ORDER BY e.account_id OFFSET p_rows LIMIT 1),
            (SELECT e.account_id FROM thaw.enrollments AS e
             WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id > lo
             ORDER BY e.account_id OFFSET p_rows LIMIT 1)) - 1 INTO first;
        IF first IS NOT NULL THEN
            hi := least(hi, greatest(first, (SELECT min(a.id) FROM thaw.accounts AS a WHERE a.id > lo)));
        END IF;
    END IF;
    INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
    SELECT account_id, campaign_id, reason, waits_for_account, coalesce(rows.paused, 0) - coalesce(known.paused, 0)
    FROM (
        SELECT e.account_id, e.campaign_id, e.paused_reason AS reason, e.waits_for_account, count(*) AS paused
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id > lo AND (hi IS NULL OR e.account_id <= hi)
        GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account
        UNION ALL
        SELECT e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account, count(*)
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id > lo AND (hi IS NULL OR e.account_id <= hi)
        GROUP BY e.account_id, e.campaign_id, e.paused_reason, e.waits_for_account) AS rows
    FULL JOIN (
        SELECT p.account_id, p.campaign_id, p.reason, p.waits_for_account, sum(p.paused) AS paused
        FROM thaw.paused_parts AS p
        WHERE p.account_id > lo AND (hi IS NULL OR p.account_id <= hi)
        GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account) AS known
        USING (account_id, campaign_id, reason, waits_for_account)
    WHERE coalesce(rows.paused, 0) <> coalesce(known.paused, 0);
    GET DIAGNOSTICS corrected = ROW_COUNT;
    -- The totals are sums of the counts. Only a fold writes either, and the lock keeps it from
    -- running now.
    INSERT INTO thaw.waiting_totals AS t (account_id, waiting)
    SELECT c.account_id, sum(c.paused) FROM thaw.paused_counts AS c
    WHERE c.waits_for_account AND c.account_id > lo AND (hi IS NULL OR c.account_id <= hi)
    GROUP BY c.account_id
    ON CONFLICT (account_id) DO UPDATE SET waiting = excluded.waiting WHERE t.waiting <> excluded.waiting;
    DELETE FROM thaw.waiting_totals AS t
    WHERE t.account_id > lo AND (hi IS NULL OR t.account_id <= hi) AND NOT EXISTS (
        SELECT FROM thaw.paused_counts AS c WHERE c.waits_for_account AND c.account_id = t.account_id);
    UPDATE thaw.count_state AS s SET recounted_to = coalesce(hi, 0);
END;
$$;
COMMENT ON FUNCTION thaw.recount(p_accounts integer, p_rows integer, OUT accounts integer, OUT corrected integer) IS 'Compares the counts of paused enrollments with the rows and corrects them; without arguments, for all accounts. Returns how many accounts were checked and how many counts were corrected.';
CREATE FUNCTION thaw.refresh_zones() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed integer;
BEGIN
    WITH server AS MATERIALIZED (
        SELECT lower(z.name) AS key, min(z.name) AS name
        FROM pg_catalog.pg_timezone_names AS z
        WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('Factory', 'localtime', 'posixrules')
        GROUP BY lower(z.name)
    ), gone AS (
        DELETE FROM thaw.zones AS z WHERE NOT EXISTS (SELECT FROM server WHERE server.key = z.key)
        RETURNING z.key
    ), new AS (
        INSERT INTO thaw.zones (key, name)
        SELECT server.key, server.name FROM server
        WHERE NOT EXISTS (SELECT FROM thaw.zones AS z WHERE z.key = server.key)
        ORDER BY server.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM new) INTO changed;
    RETURN changed;
END;
$$;
COMMENT ON FUNCTION thaw.refresh_zones() IS 'Reads the time zones of the server again and returns how many were added or removed.';
CREATE FUNCTION thaw.refuse_in_safety_mode(p_heal thaw.heals) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    safety thaw.safety := (SELECT s FROM thaw.safety AS s);
BEGIN
    IF safety.since IS NOT NULL THEN
        RAISE EXCEPTION 'safety mode has been on since % (%), and % prospects wait: a heal would resume none of them',
            thaw.job_time(safety.since), safety.reason, to_char(thaw.heal_bound(p_heal), 'FM999,999,999,999')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Exit safety mode first, then start or continue the heal. Without a heal, the sweeps resume these prospects after safety mode, within the caps.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.refuse_in_shadow(p_workspace_ids bigint[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    shadow text := (SELECT min(w.key) FROM thaw.workspaces AS w WHERE w.id = ANY (p_workspace_ids) AND w.shadow);
BEGIN
    IF shadow IS NOT NULL THEN
        RAISE EXCEPTION 'workspace "%" is in shadow mode: Thaw changes nothing in it', shadow
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = format('Make the change on the platform, or take the workspace live first: thaw adopt live --workspace %s', shadow);
    END IF;
END;
$$;
CREATE FUNCTION thaw.register_worker(p_client_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    key bigint := ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;
BEGIN
    PERFORM pg_advisory_lock(key);
    INSERT INTO thaw.workers AS w (client_id, lock_key, pid) VALUES (p_client_id, key, pg_backend_pid())
    ON CONFLICT (client_id) DO UPDATE
        SET lock_key = excluded.lock_key, pid = excluded.pid, registered_at = excluded.registered_at, lost_at = NULL;
END;
$$;
CREATE FUNCTION thaw.release_actions(p_ids bigint[], p_code text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_ids <> '{}' THEN
        UPDATE thaw.actions AS a SET state = 'released', lease_until = NULL, settled_at = greatest(thaw.now(), a.reserved_at), error_code = p_code
        WHERE a.id = ANY (p_ids);
    END IF;
END;
$$;
CREATE TABLE thaw.workspace_removals (
    workspace_id bigint NOT NULL,
    action_id bigint NOT NULL,
    phase text DEFAULT 'messages'::text NOT NULL,
    at_id bigint DEFAULT 0 NOT NULL,
    at_tick timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    found bigint NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    restarts integer DEFAULT 0 NOT NULL,
    began_at timestamp with time zone DEFAULT thaw.now() NOT NULL
);
COMMENT ON TABLE thaw.workspace_removals IS 'Workspaces that are being removed, and how far the removal is.';
CREATE FUNCTION thaw.remove_actions(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    gone  constant bigint := p_removal.workspace_id;
    to_id bigint;
BEGIN
    to_id := (SELECT max(next.id) FROM (SELECT a.id FROM thaw.actions AS a WHERE a.id > p_removal.at_id ORDER BY a.id LIMIT 10 * p_size) AS next);
    -- What a person used in the last 168 hours stays used, because the person may send for other
    -- workspaces too. These rows lose everything else, and retention removes them.
    DELETE FROM thaw.actions AS a
    WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone
        AND NOT (a.state IN ('started', 'sent', 'unknown') AND a.used_at > thaw.now() - interval '8 days');
    UPDATE thaw.actions AS a SET
        prospect_url = '[removed ' || a.id || ']', member_id = NULL, actor = '[removed]', error_code = NULL,
        provider_ref = CASE WHEN a.provider_ref IS NOT NULL THEN '[removed]' END,
        state = CASE a.state WHEN 'started' THEN 'unknown' ELSE a.state END, lease_until = NULL, settled_at = coalesce(a.settled_at, thaw.now())
    WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone;
    is_over := to_id IS NULL;
    p_removal.at_id := coalesce(to_id, 0);
END;
$$;
CREATE FUNCTION thaw.remove_endpoint(p_endpoint_id bigint, p_shown text, p_reason text, p_actor text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    DELETE FROM thaw.webhook_endpoints AS e WHERE e.id = p_endpoint_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM thaw.drop_jobs('webhooks_' || p_endpoint_id);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('endpoint_removed', p_actor, p_reason, p_shown);
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.remove_part(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    registered thaw.removal_phases;
    following  name;
    part       record;
BEGIN
    SELECT p.* INTO registered FROM thaw.removal_phases AS p WHERE p.phase = p_removal.phase;
    EXECUTE format('SELECT * FROM thaw.%I($1, $2)', CASE WHEN registered.phase IS NULL THEN 'remove_part_core' ELSE 'remove_' || registered.phase END)
    INTO part USING p_removal, p_size;
    p_removal := part.p_removal;
    is_over := part.is_over;
    IF NOT is_over THEN
        RETURN;
    END IF;
    following := (SELECT p.phase FROM thaw.removal_phases AS p WHERE p.follows = p_removal.phase);
    IF following IS NOT NULL THEN
        is_over := false;
        p_removal.phase := following;
        p_removal.at_id := 0;
        p_removal.at_tick := '-infinity';
        RETURN;
    END IF;
    WHILE registered.phase IS NOT NULL LOOP
        p_removal.phase := registered.follows;
        SELECT p.* INTO registered FROM thaw.removal_phases AS p WHERE p.phase = p_removal.phase;
    END LOOP;
END;
$_$;
CREATE FUNCTION thaw.remove_part_core(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    gone     constant bigint := p_removal.workspace_id;
    seats    constant bigint[] := ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone);
    pages    bigint;
    to_id    bigint;
    to_tick  timestamptz;
    ids      bigint[];
    events   thaw.enrollment_events[];
    n        bigint;
BEGIN
    is_over := false;
    CASE p_removal.phase
        WHEN 'messages' THEN
            to_id := (SELECT max(next.id) FROM (SELECT o.id FROM thaw.outbox AS o WHERE o.id > p_removal.at_id ORDER BY o.id LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.outbox AS o WHERE o.id > p_removal.at_id AND o.id <= to_id AND (o.workspace_id = gone OR o.account_id = ANY (seats));
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'enrollments' THEN
            pages := greatest(1, p_size / 20);
            ids := ARRAY(
                SELECT e.id FROM thaw.enrollments AS e
                WHERE e.ctid >= format('(%s,0)', p_removal.at_id)::tid AND e.ctid < format('(%s,0)', p_removal.at_id + pages)::tid
                    AND e.workspace_id = gone
                FOR UPDATE SKIP LOCKED);
            WITH forgotten AS (
                DELETE FROM thaw.enrollment_events AS event WHERE event.enrollment_id = ANY (ids) RETURNING event)
            SELECT array_agg(forgotten.event) INTO events FROM forgotten;
            PERFORM thaw.forget_events(events);
            DELETE FROM thaw.adopt_errors AS x
            USING thaw.enrollments AS e
            WHERE e.id = ANY (ids) AND x.kind = 'enrollment' AND x.external_id = e.external_id AND thaw.is_kept_of(x, gone);
            DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            p_removal.at_id := p_removal.at_id + pages;
            is_over := p_removal.at_id >= pg_relation_size('thaw.enrollments') / current_setting('block_size')::bigint;
        WHEN 'events' THEN
            to_id := (SELECT max(next.id) FROM (SELECT event.id FROM thaw.enrollment_events AS event WHERE event.id > p_removal.at_id ORDER BY event.id LIMIT 10 * p_size) AS next);
            WITH forgotten AS (
                DELETE FROM thaw.enrollment_events AS event
                WHERE event.id > p_removal.at_id AND event.id <= to_id AND (event.from_account_id = ANY (seats) OR event.to_account_id = ANY (seats))
                RETURNING event)
            SELECT array_agg(forgotten.event) INTO events FROM forgotten;
            PERFORM thaw.forget_events(events);
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'kept' THEN
            to_id := (SELECT max(next.id) FROM (SELECT x.id FROM thaw.adopt_errors AS x WHERE x.id > p_removal.at_id ORDER BY x.id LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.adopt_errors AS x WHERE x.id > p_removal.at_id AND x.id <= to_id AND thaw.is_kept_of(x, gone);
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'changes' THEN
            -- By now the rows are gone, so that no other change of theirs can be queued.
            to_id := (
                SELECT max(next.generation) FROM (
                    SELECT q.generation FROM thaw.changes_queue AS q WHERE q.generation > p_removal.at_id ORDER BY q.generation LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.changes_queue AS q
            WHERE q.generation > p_removal.at_id AND q.generation <= to_id AND CASE q.kind
                WHEN 'account' THEN NOT EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = q.row_id)
                WHEN 'campaign' THEN NOT EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = q.row_id)
                ELSE NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = q.row_id) END;
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'accounts' THEN
            ids := ARRAY(
                SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone AND a.id > p_removal.at_id
                ORDER BY a.id LIMIT greatest(1, p_size / 100) FOR NO KEY UPDATE);
            DELETE FROM thaw.account_events AS event WHERE event.account_id = ANY (ids);
            DELETE FROM thaw.account_signals AS s USING thaw.accounts AS a
            WHERE a.id = ANY (ids) AND s.provider = a.provider AND s.provider_account_id = a.provider_account_id;
            DELETE FROM thaw.account_served AS s WHERE s.account_id = ANY (ids);
            is_over := ids = '{}';
            p_removal.at_id := coalesce(ids[cardinality(ids)], 0);
        WHEN 'plans' THEN
            to_tick := (SELECT max(next.tick_at) FROM (SELECT g.tick_at FROM thaw.allocations AS g WHERE g.tick_at > p_removal.at_tick ORDER BY g.tick_at LIMIT 10 * p_size) AS next);
            WITH forgotten AS (
                DELETE FROM thaw.allocations AS g WHERE g.tick_at > p_removal.at_tick AND g.tick_at <= to_tick AND g.workspace_id = gone RETURNING g.*)
            UPDATE thaw.sweeps AS s SET accounts_planned = s.accounts_planned - line.accounts, accounts_processed = s.accounts_processed - line.closed,
                planned = s.planned - line.planned, resumed = s.resumed - line.resumed,
                finished_at = CASE WHEN s.accounts_planned - line.accounts = s.accounts_processed - line.closed THEN coalesce(s.finished_at, thaw.now()) END
            FROM (
                SELECT forgotten.tick_at, count(*)::integer AS accounts, count(forgotten.finished_at)::integer AS closed,
                    sum(forgotten.planned)::integer AS planned, sum(forgotten.resumed)::integer AS resumed
                FROM forgotten GROUP BY forgotten.tick_at) AS line
            WHERE s.tick_at = line.tick_at;
            is_over := to_tick IS NULL;
            p_removal.at_tick := coalesce(to_tick, '-infinity');
        WHEN 'quotas' THEN
            to_tick := (SELECT max(next.tick_at) FROM (SELECT q.tick_at FROM thaw.account_quotas AS q WHERE q.tick_at > p_removal.at_tick ORDER BY q.tick_at LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.account_quotas AS q WHERE q.tick_at > p_removal.at_tick AND q.tick_at <= to_tick AND q.account_id = ANY (seats);
            is_over := to_tick IS NULL;
            p_removal.at_tick := coalesce(to_tick, '-infinity');
        WHEN 'campaigns' THEN
            -- Few at a time: Postgres looks for enrollments of each, without an index.
            ids := ARRAY(SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = gone ORDER BY c.id LIMIT greatest(1, p_size / 100));
            PERFORM FROM thaw.heals AS h
            WHERE h.id IN (SELECT event.heal_id FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids)) ORDER BY h.id FOR NO KEY UPDATE;
            PERFORM FROM thaw.campaigns AS c WHERE c.id = ANY (ids) ORDER BY c.id FOR UPDATE;
            PERFORM FROM thaw.sweeps AS s
            WHERE s.tick_at IN (SELECT event.tick_at FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids)) ORDER BY s.tick_at FOR NO KEY UPDATE;
            WITH forgotten AS (
                DELETE FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids) RETURNING event.*
            ), healed AS (
                UPDATE thaw.heals AS h SET campaigns_resumed = h.campaigns_resumed - line.n
                FROM (
                    SELECT forgotten.heal_id, count(*)::integer AS n FROM forgotten
                    WHERE forgotten.source = 'heal' AND forgotten.kind = 'resumed' GROUP BY forgotten.heal_id) AS line
                WHERE h.id = line.heal_id)
            UPDATE thaw.sweeps AS s SET campaigns_resumed = s.campaigns_resumed - line.n
            FROM (
                SELECT forgotten.tick_at, count(*)::integer AS n FROM forgotten
                WHERE forgotten.source = 'sweep' AND forgotten.kind = 'resumed' GROUP BY forgotten.tick_at) AS line
            WHERE s.tick_at = line.tick_at;
            DELETE FROM thaw.manual_actions AS d WHERE d.campaign_id = ANY (ids);
            DELETE FROM thaw.campaigns AS c WHERE c.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            is_over := ids = '{}';
        WHEN 'heals' THEN
            ids := ARRAY(
                SELECT h.id FROM thaw.heals AS h
                WHERE h.workspace_id = gone OR h.tenant_id = gone OR h.account_id = ANY (seats) ORDER BY h.id LIMIT p_size FOR UPDATE);
            DELETE FROM thaw.heals AS h WHERE h.id = ANY (ids);
            is_over := ids = '{}';
        WHEN 'seats' THEN
            ids := ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone ORDER BY a.id DESC LIMIT greatest(1, p_size / 100));
            PERFORM FROM thaw.accounts AS a
            WHERE (a.id = ANY (ids) OR a.link_id = ANY (ids)) AND a.workspace_id = gone ORDER BY a.id FOR UPDATE;
            UPDATE thaw.accounts AS a SET link_id = NULL WHERE a.link_id = ANY (ids) AND a.workspace_id = gone;
            DELETE FROM thaw.accounts AS a WHERE a.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            is_over := ids = '{}';
        ELSE
            WITH RECURSIVE tied AS (
                SELECT d.id FROM thaw.manual_actions AS d WHERE d.workspace_id = gone AND d.id <> p_removal.action_id
                UNION
                SELECT later.id FROM tied JOIN thaw.manual_actions AS later ON later.undoes = tied.id)
            DELETE FROM thaw.manual_actions AS d WHERE d.id IN (SELECT tied.id FROM tied);
            -- Actions on prospects name no workspace. Those of which neither the history nor an
            -- enrollment is left lose what they say about the prospect.
            UPDATE thaw.manual_actions AS d SET prospect_url = NULL, detail = NULL, reason = '[removed]'
            WHERE d.prospect_url IS NOT NULL
                AND NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.prospect_url = d.prospect_url)
                AND NOT EXISTS (SELECT FROM thaw.enrollment_events AS event WHERE event.action_id = d.id);
            DELETE FROM thaw.api_tokens AS t WHERE t.workspace_id = gone;
            DELETE FROM thaw.workspace_served AS s WHERE s.workspace_id = gone;
            DELETE FROM thaw.forecasts;
            DELETE FROM thaw.workspaces AS w WHERE w.id = gone;
            is_over := true;
    END CASE;
END;
$$;
CREATE FUNCTION thaw.remove_senders(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    ids constant bigint[] := ARRAY(SELECT s.id FROM thaw.senders AS s WHERE s.id > p_removal.at_id ORDER BY s.id LIMIT p_size);
BEGIN
    PERFORM thaw.remove_unused_senders(ids);
    is_over := ids = '{}';
    p_removal.at_id := coalesce(ids[cardinality(ids)], 0);
END;
$$;
CREATE FUNCTION thaw.remove_unused_senders(p_senders bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM thaw.senders AS s
    WHERE s.id = ANY (p_senders) AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS sending WHERE sending.sender_id = s.id)
        AND NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.sender_id = s.id);
END;
$$;
CREATE FUNCTION thaw.remove_workspace(workspace_key text, reason text, actor text DEFAULT CURRENT_USER, size integer DEFAULT 1000, OUT phase text, OUT removed bigint, OUT remaining bigint, OUT done boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    phases    constant text[] := '{messages,enrollments,events,kept,accounts,plans,quotas,heals,campaigns,seats,changes,rest}';
    workspace thaw.workspaces;
    removal   thaw.workspace_removals;
    part      record;
    found     bigint;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    workspace.id := thaw.find_workspace(remove_workspace.workspace_key);
    SELECT r.* INTO removal FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id;
    IF removal.workspace_id IS NULL THEN
        -- Before the workspace is locked: this reads all enrollments.
        found := (SELECT count(*) FROM thaw.enrollments AS e WHERE e.workspace_id = workspace.id)
            + (SELECT count(*) FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id)
            + (SELECT count(*) FROM thaw.campaigns AS c WHERE c.workspace_id = workspace.id);
    END IF;
    -- The workspace first: that is the lock order. Only its deletion needs the stronger lock, which
    -- would block inserts of the platform.
    IF removal.phase = 'rest' THEN
        SELECT w.* INTO workspace FROM thaw.workspaces AS w WHERE w.id = workspace.id FOR UPDATE;
    ELSE
        SELECT w.* INTO workspace FROM thaw.workspaces AS w WHERE w.id = workspace.id FOR NO KEY UPDATE;
    END IF;
    IF workspace.id IS NULL THEN
        PERFORM thaw.find_workspace(remove_workspace.workspace_key); -- another call has removed it meanwhile
    END IF;
    SELECT r.* INTO removal FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id FOR NO KEY UPDATE;
    IF removal.workspace_id IS NULL THEN
        INSERT INTO thaw.manual_actions AS d (what, actor, reason, detail)
        VALUES ('workspace_removed', remove_workspace.actor, remove_workspace.reason, workspace.key) RETURNING d.id INTO removal.action_id;
        INSERT INTO thaw.workspace_removals AS r (workspace_id, action_id, found)
        VALUES (workspace.id, removal.action_id, coalesce(found, 0))
        RETURNING r.* INTO removal;
        PERFORM FROM thaw.heals AS h
        WHERE h.status = 'running' AND (h.workspace_id = workspace.id OR h.tenant_id = workspace.id
            OR h.account_id IN (SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id))
        ORDER BY h.id FOR NO KEY UPDATE;
        UPDATE thaw.heals AS h SET status = 'stopped', stopped_at = thaw.now(), stopped_reason = 'the workspace is being removed'
        WHERE h.status = 'running' AND (h.workspace_id = workspace.id OR h.tenant_id = workspace.id
            OR h.account_id IN (SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id));
    END IF;
    -- The platform may have turned it on again.
    UPDATE thaw.workspaces AS w SET auto_resume = false, auto_resume_reason = 'the workspace is being removed',
        auto_resume_changed_at = thaw.now(), auto_resume_changed_by = remove_workspace.actor
    WHERE w.id = workspace.id AND w.auto_resume;
    BEGIN
        part := thaw.remove_part(removal, greatest(1, least(size, 100000)));
        removal := part.p_removal;
        IF part.is_over THEN
            removal.phase := phases[array_position(phases, removal.phase) + 1];
            removal.at_id := 0;
            removal.at_tick := '-infinity';
        END IF;
    EXCEPTION
    WHEN deadlock_detected THEN
        NULL; -- this batch changed nothing, and the next call tries it again
    WHEN foreign_key_violation THEN
        -- Rows that another transaction held, or that were inserted since the walk passed.
        IF removal.restarts >= 5 THEN
            RAISE EXCEPTION 'workspace "%" still gets new rows', workspace.key
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Stop the platform''s writes to this workspace, then continue the removal.';
        END IF;
        removal.restarts := removal.restarts + 1;
        removal.phase := 'messages';
        removal.at_id := 0;
        removal.at_tick := '-infinity';
    END;
    done := removal.phase IS NULL;
    phase := coalesce(removal.phase, 'done');
    removed := removal.removed;
    remaining := CASE WHEN done THEN 0 ELSE greatest(removal.found - removal.removed, 1) END;
    IF done THEN
        DELETE FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id;
        UPDATE thaw.manual_actions AS d SET enrollments = least(removal.removed, 2147483647) WHERE d.id = removal.action_id;
    ELSE
        UPDATE thaw.workspace_removals AS r SET phase = removal.phase, at_id = removal.at_id, at_tick = removal.at_tick,
            removed = removal.removed, restarts = removal.restarts
        WHERE r.workspace_id = workspace.id;
        SET LOCAL synchronous_commit = off;
    END IF;
END;
$$;
COMMENT ON FUNCTION thaw.remove_workspace(workspace_key text, reason text, actor text, size integer, OUT phase text, OUT removed bigint, OUT remaining bigint, OUT done boolean) IS 'Removes a workspace with everything that belongs to it, one batch per call, until done: enrollments, accounts, campaigns, history, signals, plans, heals, messages, tokens, manual actions, and changes of an adoption that wait. Call it in a transaction of its own. Cannot be undone. thaw workspace remove calls it. For the owner of the schema and roles that were granted it.';
CREATE FUNCTION thaw.replay(p_message_id text, p_since timestamp with time zone, p_failed boolean, p_before bigint, p_size integer, OUT messages bigint, OUT deliveries bigint, OUT next_before bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    page bigint[];
BEGIN
    -- Ids rise with time, so finding the newest needs no index on time.
    IF p_message_id IS NOT NULL THEN
        page := ARRAY(SELECT o.id FROM thaw.outbox AS o WHERE o.message_id = p_message_id);
    ELSE
        page := ARRAY(
            SELECT o.id FROM thaw.outbox AS o WHERE p_before IS NULL OR o.id < p_before ORDER BY o.id DESC LIMIT p_size);
        SELECT min(o.id) INTO next_before
        FROM thaw.outbox AS o WHERE o.id = ANY (page) HAVING max(o.at) >= p_since AND count(*) = p_size;
    END IF;
    SELECT count(*) FILTER (WHERE sent.given > 0), coalesce(sum(sent.given), 0) INTO messages, deliveries
    FROM (
        SELECT thaw.deliver(o.id, p_failed) AS given
        FROM thaw.outbox AS o
        WHERE o.id = ANY (page) AND NOT o.is_open AND coalesce(thaw.ends_in(o.type, o.data) > '0', true)
            AND (p_message_id IS NOT NULL OR o.at >= p_since)) AS sent;
    -- A delivery whose next attempt may be hours away is attempted now.
    PERFORM thaw.expedite('deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', o.message_id))
    FROM thaw.outbox AS o
    JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
    WHERE o.id = ANY (page) AND d.state = 'waiting' AND d.attempts = 0;
END;
$$;
CREATE FUNCTION thaw.request_schedule(p_period interval DEFAULT '00:01:00'::interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN thaw.is_pushing() AND thaw.enqueue_many('schedule', 'schedule', 2::smallint,
        ARRAY[jsonb_build_object('at', thaw.job_time(date_bin(p_period, thaw.now(), '2000-01-01 00:00:00+00')))], B'11110101') > 0;
END;
$$;
COMMENT ON FUNCTION thaw.request_schedule(p_period interval) IS 'Enqueues the job schedule of the current minute, if due actions are sent to the platform (settings.push_actions). Every process calls it once a minute.';
CREATE FUNCTION thaw.request_watch() RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    minute timestamptz := date_bin('1 minute', thaw.now(), '2000-01-01 00:00:00+00');
BEGIN
    PERFORM thaw.enqueue('watch', 'sweep', 1::smallint,
        jsonb_build_object('minute_at', thaw.job_time(minute)), '0', B'11110101');
    RETURN minute;
END;
$$;
COMMENT ON FUNCTION thaw.request_watch() IS 'Enqueues the job watch of the current minute, unless it is enqueued or done already, and returns the minute. Every process calls it once a minute.';
CREATE TABLE thaw.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE FUNCTION thaw.requested_controls(p_client_id text, p_job_ids bigint[]) RETURNS TABLE(action text, queue text, job_id bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
(
          SELECT
                 CASE
                     WHEN (q.paused_at IS NULL) THEN 'resume'::text
                     ELSE 'pause'::text
                 END AS action,
             q.name AS queue,
             (0)::bigint AS job_id
            FROM thaw.river_queue q
         UNION ALL
          SELECT 'cancel'::text AS action,
             job.queue,
             job.id
            FROM thaw.river_job job
           WHERE ((job.state = 'running'::thaw.river_job_state) AND (job.metadata ? 'cancel_attempted_at'::text) AND (job.attempted_by[cardinality(job.attempted_by)] = requested_controls.p_client_id))
         UNION ALL
          SELECT 'resigned'::text AS action,
             ''::text AS queue,
             (0)::bigint AS job_id
           WHERE (NOT (EXISTS ( SELECT
                    FROM thaw.river_leader leader
                   WHERE ((leader.expires_at >= now()) OR (leader.leader_id = requested_controls.p_client_id)))))
 ) UNION
  SELECT 'cancel'::text AS action,
     job.queue,
     job.id
    FROM thaw.river_job job
   WHERE ((job.id = ANY (requested_controls.p_job_ids)) AND (job.metadata ? 'cancel_attempted_at'::text));
END;
CREATE FUNCTION thaw.requeue_lost_jobs() RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    gone text[];
BEGIN
    UPDATE thaw.workers AS w SET lost_at = pg_catalog.clock_timestamp()
    WHERE w.client_id IN (
        SELECT seen.client_id FROM thaw.workers AS seen
        WHERE seen.lost_at IS NULL AND seen.client_id IN (SELECT thaw.lost_workers())
        FOR UPDATE SKIP LOCKED);
    SELECT array_agg(lost.client_id) INTO gone
    FROM (
        SELECT seen.client_id FROM thaw.workers AS seen
        WHERE seen.lost_at < pg_catalog.clock_timestamp() - interval '0.7 seconds'
            AND seen.client_id IN (SELECT thaw.lost_workers())
        FOR UPDATE SKIP LOCKED) AS lost;
    IF gone IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH requeued AS (
        UPDATE "thaw".river_job AS job SET
            state = CASE WHEN job.metadata ? 'cancel_attempted_at' THEN 'cancelled' ELSE 'available' END
                ::"thaw".river_job_state,
            finalized_at = CASE WHEN job.metadata ? 'cancel_attempted_at' THEN pg_catalog.now() END,
            scheduled_at = pg_catalog.now(),
            errors = array_append(job.errors, jsonb_build_object('at', pg_catalog.now(), 'attempt', job.attempt,
                'error', 'the process that ran this job is gone', 'trace', ''))
        -- A job that the last transaction of its process is still completing is left to the next
        -- check.
        WHERE job.id IN (
            SELECT held.id FROM "thaw".river_job AS held
            WHERE held.state = 'running' AND held.attempted_by[cardinality(held.attempted_by)] = ANY (gone)
            FOR UPDATE SKIP LOCKED)
        RETURNING job.queue)
    SELECT DISTINCT requeued.queue FROM requeued;
    -- Its leadership would last up to 15 more seconds. This sends one NOTIFY per dead leader.
    DELETE FROM "thaw".river_leader AS leader WHERE leader.leader_id = ANY (gone);
    IF FOUND THEN
        PERFORM pg_notify('thaw.river_leadership', '{"leader_id": "", "action": "resigned"}');
    END IF;
    -- A fetch in progress may still commit, but not two minutes later.
    DELETE FROM thaw.workers AS w
    WHERE w.client_id = ANY (gone) AND w.lost_at < pg_catalog.clock_timestamp() - interval '2 minutes';
END;
$$;
CREATE FUNCTION thaw.requeue_pauses(p_tick_at timestamp with time zone, p_size integer DEFAULT 20000, p_with_late boolean DEFAULT true) RETURNS integer
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    late bigint[];
BEGIN
    WITH stranded AS (
        SELECT a.id FROM thaw.accounts AS a
        WHERE p_with_late AND thaw.is_gone(a.status) AND a.pause_after IS NULL
            -- ORDER BY matches the index, as in thaw.blocked_campaigns.
            AND (SELECT e.id FROM thaw.enrollments AS e
                WHERE e.status = 'active' AND e.account_id = a.id
                ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
            AND (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = a.id LIMIT 1) IS NOT NULL
        ORDER BY a.id LIMIT p_size
        FOR NO KEY UPDATE OF a SKIP LOCKED
    ), due AS (
        UPDATE thaw.accounts AS a SET pause_after = thaw.now() FROM stranded WHERE a.id = stranded.id RETURNING a.id
    )
    SELECT array_agg(due.id) INTO late FROM due;
    RETURN thaw.enqueue_many('pause_account', 'resume', 3::smallint, ARRAY(
        SELECT jsonb_build_object(
            'account_id', a.id, 'tick_at', thaw.job_time(p_tick_at))
        FROM thaw.accounts AS a
        WHERE a.pause_after < thaw.now() - interval '1 minute' OR a.id = ANY (late)
        ORDER BY a.pause_after LIMIT p_size));
END;
$$;
CREATE FUNCTION thaw.requeue_taken(p_enrollment_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    of_workspace record;
    action_id    bigint;
BEGIN
    FOR of_workspace IN
        SELECT e.workspace_id, array_agg(e.id ORDER BY e.id) AS ids, CASE WHEN count(*) = 1 THEN min(e.prospect_url) END AS prospect_url
        FROM thaw.enrollments AS e WHERE e.id = ANY (p_enrollment_ids) GROUP BY e.workspace_id ORDER BY e.workspace_id
    LOOP
        INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, prospect_url, enrollments)
        VALUES ('resumed', session_user, 'resumed on the platform', of_workspace.workspace_id, of_workspace.prospect_url, 0)
        RETURNING d.id INTO action_id;
        PERFORM thaw.apply_action(action_id, of_workspace.ids);
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.require_actor(p_actor text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_text('actor', p_actor);
    IF coalesce(btrim(p_actor), '') = '' THEN
        RAISE EXCEPTION 'no actor was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the sender. The name is stored in the ledger.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.require_kind(p_kind text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_kind IS NULL OR NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = p_kind) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', coalesce(left(p_kind, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value',
                HINT = format('Use one of: %s.', (SELECT string_agg(k.kind, ', ' ORDER BY k.kind) FROM thaw.action_kinds AS k));
    END IF;
END;
$$;
CREATE FUNCTION thaw.require_reason(p_reason text, p_actor text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'no reason was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a reason. It is stored in the audit log.';
    ELSIF coalesce(btrim(p_actor), '') = '' THEN
        RAISE EXCEPTION 'no actor was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the person who takes this action. The name is stored in the audit log.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.require_sending_reason(p_reason text, p_actor text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor), thaw.require_actor(p_actor);
    IF length(p_reason) > 1000 THEN
        RAISE EXCEPTION 'the reason is % characters long', length(p_reason)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use at most 1,000 characters.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.require_short_transaction() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF clock_timestamp() - pg_catalog.now() > thaw.longest_reserving() THEN
        RAISE EXCEPTION 'this transaction began % seconds ago', round(extract(epoch FROM clock_timestamp() - pg_catalog.now()))
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Its clock is the time of its start. Reserve and start actions in short transactions of their own.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.require_text(p_name text, p_value text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF length(p_value) > 256 THEN
        RAISE EXCEPTION '% is % characters long', p_name, length(p_value)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Send at most 256 characters.';
    ELSIF p_value ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION '% contains control characters', p_name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove line breaks and other control characters.';
    END IF;
END;
$$;
CREATE FUNCTION thaw.reserve(enrollment bigint, action text DEFAULT NULL::text, lease interval DEFAULT NULL::interval, actor text DEFAULT CURRENT_USER) RETURNS thaw.reservation
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    result  thaw.reservation;
    found_account  bigint;
    found_campaign bigint;
    given   record;
BEGIN
    PERFORM thaw.require_actor(reserve.actor);
    lease := thaw.checked_lease(reserve.lease);
    IF reserve.action IS NOT NULL AND NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = reserve.action) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', left(reserve.action, 100)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a kind of thaw.action_kinds, or null for the next kind of the enrollment.';
    END IF;
    SELECT e.account_id, e.campaign_id INTO found_account, found_campaign FROM thaw.enrollments AS e WHERE e.id = reserve.enrollment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no enrollment %', coalesce(reserve.enrollment::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments. thaw.find_enrollment returns it for an ID of the platform.';
    END IF;
    IF found_account IS NULL THEN
        result.code := 'no_account';
        RETURN result;
    END IF;
    PERFORM thaw.lock_sender(found_account);
    PERFORM thaw.lock_campaign_caps(ARRAY[found_campaign]);
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = reserve.enrollment AND e.account_id = found_account FOR NO KEY UPDATE;
    -- It moved to another account while this transaction waited for the first one. The lock of the
    -- other account comes before those that are held now, so it cannot be waited for.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the enrollment % has just moved to another account', reserve.enrollment
            USING ERRCODE = 'serialization_failure', HINT = 'Reserve it again.';
    END IF;
    SELECT r.* INTO given FROM thaw.reserve_rows(ARRAY[reserve.enrollment], ARRAY[reserve.action], reserve.lease, reserve.actor) AS r;
    IF given.action_id IS NULL AND given.code IS NULL THEN
        RAISE EXCEPTION 'the person behind the account of enrollment % has just changed', reserve.enrollment
            USING ERRCODE = 'serialization_failure', HINT = 'Reserve it again.';
    ELSIF given.action_id IS NULL THEN
        result.code := given.code;
        result.opens_at := given.opens_at;
    ELSE
        result.id := given.action_id;
        result.kind := given.kind;
        result.step := given.step;
        result.lease_until := thaw.now() + reserve.lease;
    END IF;
    RETURN result;
END;
$$;
COMMENT ON FUNCTION thaw.reserve(enrollment bigint, action text, lease interval, actor text) IS 'Reserves the next action of an enrollment, if all gates are open: id is the reservation. Otherwise code is the closed gate, and opens_at when to ask again (null: not at a known time); nothing changes. action is the kind, such as invite (null: that of the next step). The reservation ends after lease (null: settings.action_lease) unless thaw.start is called. Commit soon: the account is locked until then.';
CREATE FUNCTION thaw.reserve_rows(p_enrollment_ids bigint[], p_kinds text[], p_lease interval, p_actor text) RETURNS TABLE(enrollment_id bigint, account_id bigint, campaign_id bigint, kind text, step integer, action_id bigint, code text, opens_at timestamp with time zone, next_allowed_at timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := thaw.now();
    settings thaw.settings;
BEGIN
    PERFORM thaw.require_short_transaction();
    SELECT s.* INTO settings FROM thaw.settings AS s;
    RETURN QUERY
    WITH gate AS MATERIALIZED (
        -- Only in the name of the person that is locked: another one may have become known since.
        SELECT g.*, CASE WHEN g.code IS NULL AND (SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = g.account_id) = g.sender_id
            THEN row_number() OVER (PARTITION BY g.account_id, g.code IS NULL ORDER BY asked.place) = 1 END AS is_first
        FROM thaw.action_gates(p_enrollment_ids, p_kinds) AS g
        JOIN unnest(p_enrollment_ids) WITH ORDINALITY AS asked (id, place) ON asked.id = g.enrollment_id
    ), pick AS MATERIALIZED (
        -- Several accounts may ask for one campaign at once: its cap allows the first ones.
        SELECT gate.*, row_number() OVER (PARTITION BY gate.campaign_id, gate.kind, gate.day ORDER BY gate.enrollment_id) AS turn,
            settings.action_gap_from + (settings.action_gap_to - settings.action_gap_from) * thaw.draw(format('gap %s %s', gate.enrollment_id, gate.step)) AS gap,
            gate.gap_from + (gate.gap_to - gate.gap_from) * thaw.draw(format('kind gap %s %s', gate.enrollment_id, gate.step)) AS kind_gap
        FROM gate
        WHERE gate.is_first
    ), reserved AS (
        INSERT INTO thaw.actions (
            workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, member_id, prospect_url, step, kind, actor, reserved_at,
            lease_until, used_at, local_day, timezone, gap, next_of_kind_at)
        SELECT pick.workspace_id, pick.account_id, pick.sender_id, pick.campaign_id, pick.enrollment_id, pick.provider, pick.member_id,
            pick.prospect_url, pick.step, pick.kind, p_actor, at, at + p_lease, at, pick.day, pick.timezone, pick.gap, at + pick.kind_gap
        FROM pick
        WHERE pick.campaign_remaining IS NULL OR pick.turn <= pick.campaign_remaining
        RETURNING id, enrollment_id
    ), paced AS (
        UPDATE thaw.senders AS s SET
            day = pick.day, day_began_at = pick.day_began_at,
            day_timezone = CASE WHEN s.day = pick.day THEN s.day_timezone ELSE pick.timezone END, next_allowed_at = at + pick.gap
        FROM reserved
        JOIN pick ON pick.enrollment_id = reserved.enrollment_id
        WHERE s.id = pick.sender_id
    )
    SELECT gate.enrollment_id, gate.account_id, gate.campaign_id, gate.kind, gate.step, reserved.id,
        CASE WHEN gate.is_first AND reserved.id IS NULL THEN 'campaign_cap' ELSE gate.code END,
        -- Those that were first may still be refused at their start.
        CASE WHEN gate.is_first AND reserved.id IS NULL THEN at + interval '1 minute' ELSE gate.opens_at END,
        CASE WHEN reserved.id IS NOT NULL THEN at + pick.gap END
    FROM gate
    LEFT JOIN pick ON pick.enrollment_id = gate.enrollment_id
    LEFT JOIN reserved ON reserved.enrollment_id = gate.enrollment_id;
END;
$$;
CREATE FUNCTION thaw.waiting_campaigns(p_account_id bigint) RETURNS TABLE(campaign_id bigint)
    LANGUAGE sql STABLE ROWS 10
    BEGIN ATOMIC
 WITH RECURSIVE loose AS (
         ( SELECT e.campaign_id
            FROM thaw.enrollments e
           WHERE ((e.status = 'paused'::thaw.enrollment_status) AND e.waits_for_account AND (e.account_id = waiting_campaigns.p_account_id))
           ORDER BY e.campaign_id
          LIMIT 1)
         UNION ALL
          SELECT ( SELECT e.campaign_id
                    FROM thaw.enrollments e
                   WHERE ((e.status = 'paused'::thaw.enrollment_status) AND e.waits_for_account AND (e.account_id = waiting_campaigns.p_account_id) AND (e.campaign_id > loose_1.campaign_id))
                   ORDER BY e.campaign_id
                  LIMIT 1) AS campaign_id
            FROM loose loose_1
           WHERE (loose_1.campaign_id IS NOT NULL)
         )
  SELECT loose.campaign_id
    FROM loose
   WHERE (loose.campaign_id IS NOT NULL);
END;
CREATE VIEW thaw.resume_targets AS
 SELECT source.id AS source_id,
    source.id AS target_id
   FROM thaw.accounts source
  WHERE (source.status = 'connected'::thaw.account_status)
UNION ALL
 SELECT moved.source_id,
    moved.target_id
   FROM thaw.sibling_targets moved;
COMMENT ON VIEW thaw.resume_targets IS 'The account through which the prospects of an account resume. No row: there is none.';
CREATE FUNCTION thaw.resumable(p_source_ids bigint[], p_even_if_off boolean DEFAULT false) RETURNS TABLE(workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT target.workspace_id,
     target.id,
     source.id,
     campaign.id
    FROM (((unnest(resumable.p_source_ids) source(id)
      JOIN thaw.accounts target ON ((target.id = ( SELECT resume.target_id
            FROM thaw.resume_targets resume
           WHERE (resume.source_id = source.id)))))
      CROSS JOIN LATERAL thaw.waiting_campaigns(source.id) waiting(campaign_id))
      CROSS JOIN LATERAL ( SELECT c.id
            FROM thaw.campaigns c
           WHERE ((c.id = waiting.campaign_id) AND thaw.allows_resume(c.status, c.waits_for_account))
          LIMIT 1) campaign)
   WHERE (thaw.blocked_by(target.*, resumable.p_even_if_off) IS NULL);
END;
COMMENT ON FUNCTION thaw.resumable(p_source_ids bigint[], p_even_if_off boolean) IS 'Source account, campaign and target account of the prospects of the given accounts that may resume now. One row per source account and campaign.';
CREATE FUNCTION thaw.resumable_lines() RETURNS TABLE(workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    BEGIN ATOMIC
 SELECT target.workspace_id,
     target.id,
     part.account_id,
     campaign.id,
     sum(part.paused) AS sum
    FROM (((((thaw.paused_parts part
      JOIN thaw.resume_targets resume ON ((resume.source_id = part.account_id)))
      JOIN thaw.accounts target ON ((target.id = resume.target_id)))
      JOIN thaw.workspaces workspace ON ((workspace.id = target.workspace_id)))
      JOIN thaw.campaigns campaign ON ((campaign.id = part.campaign_id)))
      CROSS JOIN thaw.safety)
   WHERE (part.waits_for_account AND thaw.allows_resume(campaign.status, campaign.waits_for_account) AND (thaw.block_reason(target.*, (safety.since IS NOT NULL), workspace.auto_resume, workspace.shadow) IS NULL))
   GROUP BY target.workspace_id, target.id, part.account_id, campaign.id
  HAVING (sum(part.paused) > 0);
END;
COMMENT ON FUNCTION thaw.resumable_lines() IS 'How many prospects may resume now, by source account, campaign and target account. Uses counts.';
CREATE FUNCTION thaw.resumable_since() RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET work_mem TO '32MB'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    candidate record;
    since     timestamptz;
    looked_at integer := 0;
BEGIN
    FOR candidate IN
        SELECT target.id, coalesce(greatest(target.connected_at, target.hold_until, workspace.auto_resume_changed_at, safety.ended_at),
            '-infinity') AS free_since
        FROM thaw.resumable_accounts AS waiting
        JOIN thaw.accounts AS target ON target.id = waiting.account_id
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        CROSS JOIN thaw.safety
        ORDER BY free_since, target.id
    LOOP
        EXIT WHEN candidate.free_since >= since;
        looked_at := looked_at + 1;
        IF looked_at > 100 THEN
            RETURN least(since, (
                SELECT min(greatest(oldest.paused_at, target.connected_at, target.hold_until, workspace.auto_resume_changed_at,
                    safety.ended_at))
                FROM thaw.resumable_lines() AS line
                JOIN thaw.accounts AS target ON target.id = line.target_id
                JOIN thaw.workspaces AS workspace ON workspace.id = line.workspace_id
                CROSS JOIN thaw.safety
                CROSS JOIN LATERAL (
                    SELECT e.paused_at FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                    ORDER BY e.paused_at, e.id LIMIT 1) AS oldest));
        END IF;
        since := least(since, (
            SELECT greatest(min(oldest.paused_at), candidate.free_since)
            FROM thaw.resumable(thaw.sources_of(candidate.id)) AS line (workspace_id, target_id, source_id, campaign_id)
            CROSS JOIN LATERAL (
                SELECT e.paused_at FROM thaw.enrollments AS e
                WHERE e.status = 'paused' AND e.waits_for_account
                    AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                ORDER BY e.paused_at, e.id LIMIT 1) AS oldest
            HAVING count(*) > 0));
    END LOOP;
    RETURN since;
END;
$$;
CREATE FUNCTION thaw.resume_account(account text, reason text, actor text DEFAULT CURRENT_USER, even_by_user boolean DEFAULT false, provider text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN thaw.apply_action_batch(thaw.start_action('resumed', account, provider, reason, actor), 2147483647, even_by_user);
END;
$$;
COMMENT ON FUNCTION thaw.resume_account(account text, reason text, actor text, even_by_user boolean, provider text) IS 'Requeues the prospects of an account that a restriction paused; the next sweeps resume them within the caps. even_by_user: also those that a person paused. Returns how many.';
CREATE FUNCTION thaw.resume_campaign(workspace_key text, campaign text, reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (thaw.act_on_campaign('resumed'::text, workspace_key, campaign, reason, actor) IS NOT NULL);
COMMENT ON FUNCTION thaw.resume_campaign(workspace_key text, campaign text, reason text, actor text) IS 'Starts a paused campaign again, unless it is paused for billing. The next sweeps resume its waiting prospects within the caps. Returns false if it is running already.';
CREATE FUNCTION thaw.resume_heal(heal_id bigint, reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal    thaw.heals;
    running bigint;
BEGIN
    PERFORM thaw.require_reason(resume_heal.reason, resume_heal.actor);
    heal := thaw.lock_heal(resume_heal.heal_id);
    IF thaw.heal_state(heal) <> 'stopped' THEN
        RETURN false;
    END IF;
    PERFORM thaw.refuse_in_safety_mode(heal);
    SELECT h.id INTO running FROM thaw.heals AS h WHERE h.target = heal.target AND h.status = 'running' AND h.id <> heal.id;
    IF running IS NOT NULL THEN
        RAISE EXCEPTION 'heal % is running on the same target', running
            USING ERRCODE = 'unique_violation', HINT = 'Wait until it is done.';
    END IF;
    -- It also retries what it has passed over.
    UPDATE thaw.heals AS h SET status = 'running', stopped_reason = NULL, stopped_at = NULL, round = 1,
        job_id = thaw.enqueue('heal', 'heal', 2::smallint, jsonb_build_object('heal_id', h.id))
    WHERE h.id = heal.id;
    PERFORM thaw.record_heal('heal_resumed', heal, resume_heal.reason, resume_heal.actor);
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.resume_heal(heal_id bigint, reason text, actor text) IS 'Continues a stopped heal where it stopped. Returns false if it is running already.';
CREATE FUNCTION thaw.resume_pass(p_lane thaw.lane, p_account_id bigint, p_job_id bigint, p_tick_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_signal_id bigint DEFAULT NULL::bigint, OUT verdict text, OUT resumed integer, OUT moved integer, OUT campaigns_resumed integer, OUT tick_finished boolean) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    tick        timestamptz;
    account     thaw.accounts;
    account_cap integer;
    lane_cap    integer;
    is_closed   boolean;
    allowed     integer;
    cause       thaw.cause;
    -- The accounts whose prospects resume through this account.
    sources     bigint[];
    -- The pending prospects that move to it, and how many were moved.
    pending     record;
    followed    integer := 0;
    -- The lines that resume through this account, as arrays of equal length.
    source_ids   bigint[];
    campaign_ids bigint[];
BEGIN
    resumed := 0;
    moved := 0;
    campaigns_resumed := 0;
    tick_finished := false;
    -- 1. Lock the account, read the idempotency record, and decide.
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    tick := thaw.tick();
    SELECT thaw.account_cap(workspace, settings), thaw.lane_cap(p_lane, settings) INTO account_cap, lane_cap
    FROM thaw.workspaces AS workspace CROSS JOIN thaw.settings AS settings
    WHERE workspace.id = account.workspace_id;
    SELECT record.is_closed, record.allowed INTO is_closed, allowed
    FROM thaw.open_record(p_lane, p_account_id, p_tick_at, p_signal_id, account_cap) AS record;
    IF account.id IS NULL OR is_closed IS NULL THEN
        verdict := 'not_found';
        RETURN;
    ELSIF is_closed THEN
        verdict := 'already_done';
        RETURN;
    END IF;
    verdict := CASE
        WHEN p_lane = 'sweep' AND p_tick_at <> tick THEN 'stale_tick'
        ELSE coalesce(thaw.blocked_by(account), 'resumed')
    END;
    IF verdict = 'resumed' THEN
        cause := ROW(p_lane::text, tick, p_signal_id, NULL, p_job_id);
        sources := thaw.sources_of(account.id);
        -- 2. Find the lines: source accounts and campaigns.
        SELECT array_agg(line.source_id), array_agg(line.campaign_id) INTO source_ids, campaign_ids
        FROM thaw.resumable(sources) AS line
        WHERE line.target_id = account.id;
        pending := thaw.movable(sources);
        -- 3. Start campaigns. Their events have a tick only in the sweep lane.
        campaigns_resumed := thaw.open_campaigns(
            ROW(p_lane::text, p_tick_at, p_signal_id, NULL, p_job_id)::thaw.cause, account.id,
            campaign_ids || pending.campaign_ids);
        -- 4. Move pending prospects, before the quotas are locked.
        IF pending.places IS NOT NULL THEN
            followed := thaw.move_rows(
                cause, pending.places, pending.source_ids, array_fill(account.id, ARRAY[cardinality(pending.places)]));
        END IF;
        -- 5. Resume the longest-paused prospects.
        SELECT pass.resumed, pass.moved INTO resumed, moved
        FROM thaw.resume_within_quota(
            cause, p_lane, account.id, source_ids, campaign_ids, allowed, account_cap, lane_cap) AS pass;
    END IF;
    -- 6. Close the idempotency record.
    tick_finished := thaw.close_record(
        p_lane, account.id, p_tick_at, p_signal_id, verdict, resumed, moved + followed, campaigns_resumed);
    -- 7. Publish the messages for the platform.
    IF followed > 0 THEN
        PERFORM thaw.publish_moved(account, p_lane, p_tick_at, p_signal_id, NULL, followed);
    END IF;
    IF resumed > 0 THEN
        PERFORM thaw.publish_resumed(account, p_lane, false, p_tick_at, p_signal_id, NULL, resumed, moved,
            campaigns_resumed);
    END IF;
    moved := moved + followed;
END;
$$;
COMMENT ON FUNCTION thaw.resume_pass(p_lane thaw.lane, p_account_id bigint, p_job_id bigint, p_tick_at timestamp with time zone, p_signal_id bigint, OUT verdict text, OUT resumed integer, OUT moved integer, OUT campaigns_resumed integer, OUT tick_finished boolean) IS 'Resumes prospects through one account, once: the whole pass of a lane, including the row that closes it.';
CREATE FUNCTION thaw.resume_prospect(prospect_url text, reason text, actor text DEFAULT CURRENT_USER, workspace_key text DEFAULT NULL::text, campaign text DEFAULT NULL::text) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (thaw.act_on_prospect('resumed'::text, prospect_url, workspace_key, campaign, reason, actor)).changed;
COMMENT ON FUNCTION thaw.resume_prospect(prospect_url text, reason text, actor text, workspace_key text, campaign text) IS 'Requeues a prospect that a person or a restriction paused, in all of its campaigns or in those given, and returns in how many. The next sweeps resume it within the caps.';
CREATE FUNCTION thaw.resume_rows(p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[], OUT resumed integer, OUT moved integer, OUT target_ids bigint[], OUT each_resumed integer[], OUT each_moved integer[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    jitter interval := (SELECT s.jitter FROM thaw.settings AS s);
    scheduled_jitter constant interval := least(jitter, interval '4 minutes');
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH claimed AS MATERIALIZED (
        SELECT e.ctid, e.id, e.paused_reason, e.paused_at, e.account_id AS from_account_id, place.target_id,
            e.next_kind IS NOT NULL AS is_scheduled, e.next_kind IS NOT NULL AND e.next_action_at > thaw.now() AS is_later
        FROM unnest(p_places, p_source_ids, p_target_ids) AS place (ctid, source_id, target_id)
        JOIN thaw.enrollments AS e ON e.ctid = place.ctid AND e.account_id = place.source_id AND e.waits_for_account
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ), slots AS (
        SELECT claimed.*, row_number() OVER account AS i, count(*) OVER account AS n
        FROM claimed
        WINDOW account AS (
            PARTITION BY claimed.target_id, claimed.is_scheduled ORDER BY claimed.is_later, claimed.paused_at, claimed.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'active', paused_reason = NULL, paused_at = NULL, account_id = slots.target_id,
            next_action_at = greatest(e.next_action_at, thaw.now() + CASE
                WHEN NOT slots.is_scheduled THEN thaw.spread(slots.i, slots.n, jitter)
                WHEN slots.i > 1 THEN thaw.spread(slots.i, slots.n, scheduled_jitter)
                ELSE interval '0' END)
        FROM slots
        WHERE e.ctid = slots.ctid
        RETURNING e.id, e.step, slots.from_account_id, slots.target_id, slots.paused_reason, slots.paused_at
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, tick_at, heal_id, signal_id, job_id, from_account_id, to_account_id, step, kind, source,
            from_status, to_status, reason, paused_at)
        SELECT change.id, thaw.now(), p_cause.tick_at, p_cause.heal_id, p_cause.signal_id, p_cause.job_id,
            change.from_account_id, change.target_id, change.step, change.kind, p_cause.source, change.from_status, 'active',
            change.paused_reason, change.paused_at
        FROM (
            SELECT changed.*, 'resumed'::thaw.event_kind AS kind, 'paused'::thaw.enrollment_status AS from_status FROM changed
            UNION ALL
            SELECT changed.*, 'moved', 'active' FROM changed WHERE changed.from_account_id <> changed.target_id) AS change
    )
    SELECT coalesce(sum(through.n), 0), coalesce(sum(through.moved), 0),
        array_agg(through.target_id), array_agg(through.n), array_agg(through.moved)
    INTO resumed, moved, target_ids, each_resumed, each_moved
    FROM (
        SELECT changed.target_id, count(*)::integer AS n,
            (count(*) FILTER (WHERE changed.from_account_id <> changed.target_id))::integer AS moved
        FROM changed
        GROUP BY changed.target_id
        ORDER BY changed.target_id) AS through;
    PERFORM set_config('thaw.counts_by_statement', '', true);
END;
$$;
CREATE FUNCTION thaw.resume_within_quota(p_cause thaw.cause, p_lane thaw.lane, p_account_id bigint, p_source_ids bigint[], p_campaign_ids bigint[], p_allowed integer, p_account_cap integer, p_lane_cap integer, OUT resumed integer, OUT moved integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    size    integer;
    places  tid[];
    sources bigint[];
BEGIN
    LOOP
        resumed := 0;
        moved := 0;
        -- Read without a lock; thaw.charge_quota decides.
        size := least(p_allowed,
            coalesce((
                SELECT b.cap - b.used FROM thaw.account_quotas AS b
                WHERE b.tick_at = p_cause.tick_at AND b.account_id = p_account_id), p_account_cap),
            coalesce((
                SELECT b.cap - b.used FROM thaw.fleet_quotas AS b
                WHERE b.tick_at = p_cause.tick_at AND b.lane = p_lane), p_lane_cap));
        BEGIN
            SELECT array_agg(candidate.ctid), array_agg(candidate.source_id) INTO places, sources FROM (
                SELECT next.ctid, line.source_id
                FROM unnest(p_source_ids, p_campaign_ids) AS line (source_id, campaign_id)
                JOIN thaw.campaigns AS c ON c.id = line.campaign_id AND c.status = 'running'
                CROSS JOIN LATERAL (
                    SELECT e.ctid, e.id, e.paused_at
                    FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                    ORDER BY e.paused_at, e.id
                    LIMIT size) AS next
                ORDER BY next.paused_at, next.id
                LIMIT size) AS candidate;
            IF places IS NOT NULL THEN
                SELECT r.resumed, r.moved INTO resumed, moved
                FROM thaw.resume_rows(p_cause, places, sources, array_fill(p_account_id, ARRAY[cardinality(places)])) AS r;
            END IF;
            IF resumed > 0 AND NOT thaw.charge_quota(
                p_cause.tick_at, p_lane, p_account_id, p_account_cap, p_lane_cap, resumed)
            THEN
                RAISE EXCEPTION 'another pass took from the quota' USING ERRCODE = 'TH001';
            END IF;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'TH001' THEN
            PERFORM b.used FROM thaw.fleet_quotas AS b
            WHERE b.tick_at = p_cause.tick_at AND b.lane = p_lane FOR NO KEY UPDATE;
        END;
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.retry_adoption(size integer DEFAULT 1000, everything boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    SET jit TO 'off'
    AS $$
DECLARE
    its_kind text;
    due      jsonb;
    failed   integer := 0;
BEGIN
    IF NOT everything AND NOT EXISTS (SELECT FROM thaw.adopt_errors AS x WHERE x.next_at <= thaw.now()) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('thaw.taking', 'on', true);
    PERFORM set_config('thaw.retrying', 'on', true);
    FOREACH its_kind IN ARRAY '{workspace,account,campaign,enrollment}'::text[] LOOP
        SELECT jsonb_agg(DISTINCT jsonb_build_object('id', one.external_id)) INTO due FROM (
            SELECT x.external_id FROM thaw.adopt_errors AS x
            WHERE x.kind = its_kind AND x.external_id IS NOT NULL AND (everything OR x.next_at <= thaw.now())
            ORDER BY x.next_at LIMIT size) AS one;
        IF due IS NOT NULL THEN
            failed := failed + thaw.take(its_kind, due, false);
        END IF;
    END LOOP;
    PERFORM set_config('thaw.taking', '', true);
    PERFORM set_config('thaw.retrying', '', true);
    RETURN failed;
END;
$$;
COMMENT ON FUNCTION thaw.retry_adoption(size integer, everything boolean) IS 'Applies changes of the platform''s rows that could not be applied before. everything: also those that wait for a person. Returns how many could not be applied again.';
CREATE FUNCTION thaw.revoke_token(p_token_id bigint, p_reason text, p_actor text, OUT name text, OUT is_changed boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    token thaw.api_tokens;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT t.* INTO token FROM thaw.api_tokens AS t WHERE t.id = p_token_id FOR NO KEY UPDATE;
    name := token.name;
    is_changed := token.id IS NOT NULL AND token.revoked_at IS NULL;
    IF is_changed THEN
        UPDATE thaw.api_tokens AS t SET revoked_at = thaw.now() WHERE t.id = token.id;
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id)
        VALUES ('token_revoked', p_actor, p_reason, format('token %s (%s)', token.id, token.name), token.workspace_id);
    END IF;
END;
$$;
CREATE FUNCTION thaw.rfc3339(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text);
CREATE FUNCTION thaw.ring_actions() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.sending_accounts AS s WHERE s.next_at <= thaw.now() AND s.next_at < 'infinity') THEN
        RETURN false;
    END IF;
    SET LOCAL synchronous_commit = off;
    PERFORM pg_notify('thaw_actions', ''), thaw.request_schedule('10 seconds');
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.ring_actions() IS 'Notifies listeners on thaw_actions if an account may have something to send now. Returns whether it did.';
CREATE FUNCTION thaw.ring_changes() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.changes_queue) THEN
        RETURN false;
    END IF;
    SET LOCAL synchronous_commit = off;
    PERFORM pg_notify('thaw.changes', '');
    RETURN true;
END;
$$;
CREATE FUNCTION thaw.safety_enter(reason text, actor text DEFAULT CURRENT_USER, manual_exit boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    RETURN thaw.enter_safety_mode(reason, actor, manual_exit);
END;
$$;
COMMENT ON FUNCTION thaw.safety_enter(reason text, actor text, manual_exit boolean) IS 'Enters safety mode: nothing is resumed and nothing is sent. It ends by itself after a calm period (settings.safety_calm); with manual_exit, only thaw.safety_exit ends it. Returns false if it was on already; then nothing changes.';
CREATE FUNCTION thaw.safety_exit(reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    RETURN thaw.exit_safety_mode(reason, actor);
END;
$$;
COMMENT ON FUNCTION thaw.safety_exit(reason text, actor text) IS 'Exits safety mode. The next sweep resumes prospects again, within its caps. Returns false if it was off already.';
CREATE FUNCTION thaw.sample_backlog() RETURNS boolean
    LANGUAGE plpgsql
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    tick  timestamptz := thaw.tick();
    began timestamptz := clock_timestamp();
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT s.tick_at, s.took FROM thaw.backlog_samples AS s ORDER BY s.tick_at DESC LIMIT 1) AS newest
        WHERE newest.tick_at >= tick OR newest.tick_at + newest.took * 1000 > thaw.now())
    THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.backlog_samples (tick_at, paused, waiting, took)
    SELECT tick, coalesce(sum(p.paused), 0), coalesce(sum(p.paused) FILTER (WHERE p.waits_for_account), 0), clock_timestamp() - began
    FROM thaw.paused_parts AS p
    ON CONFLICT (tick_at) DO NOTHING;
    RETURN FOUND;
END;
$$;
CREATE FUNCTION thaw.schedule_batch(p_limit integer, p_lease interval, p_actor text, p_workspace_id bigint DEFAULT NULL::bigint, OUT looked integer, OUT action_ids bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    at       timestamptz := thaw.now();
    accounts bigint[];
    senders  bigint[];
    turns    bigint[];
    -- The campaigns and kinds of the accounts with due actions, and their places in the turn of the
    -- account.
    owners    bigint[];
    campaigns bigint[];
    kinds     text[];
    places    bigint[];
    -- The first due action of these, and those of them that no other transaction has locked.
    heads    bigint[];
    free     bigint[];
    live     bigint[]; -- not in shadow mode
    -- What one round reserved, and the accounts for which the next round tries something else.
    reserved bigint[];
    others   bigint[];
BEGIN
    looked := 0;
    action_ids := '{}';
    -- Of twice as many, so that several callers find work at the same time.
    SELECT array_agg(l.id) INTO accounts FROM (
        SELECT a.id
        FROM thaw.accounts_to_look_at(2 * p_limit, p_workspace_id) AS due
        JOIN thaw.accounts AS a ON a.id = due.account_id
        ORDER BY due.place LIMIT p_limit FOR NO KEY UPDATE OF a SKIP LOCKED) AS l;
    IF accounts IS NULL THEN
        RETURN;
    END IF;
    IF thaw.are_persons_unknown() THEN
        RETURN;
    END IF;
    PERFORM thaw.follow_persons(), thaw.ensure_senders(accounts);
    SELECT array_agg(l.id) INTO senders FROM (
        SELECT s.id FROM thaw.senders AS s
        WHERE s.id = ANY (ARRAY(SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = ANY (accounts)))
        ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED) AS l;
    -- In the order of thaw.take_nudges, which locks the same rows without the accounts. Another
    -- transaction may have served an account while this one waited. One account per sender, because
    -- its accounts share one pace. IS TRUE: the list of senders is hashed.
    SELECT array_agg(one.account_id), array_agg(one.turn) INTO accounts, turns FROM (
        SELECT DISTINCT ON (l.sender_id) l.account_id, coalesce(l.served_campaign_id, 0) AS turn
        FROM (
            SELECT sending.* FROM thaw.sending_accounts AS sending
            WHERE sending.account_id = ANY (accounts) ORDER BY sending.account_id FOR NO KEY UPDATE) AS l
        WHERE (l.sender_id IN (SELECT unnest(senders))) IS TRUE AND l.next_at <= at
        ORDER BY l.sender_id, l.served_at NULLS FIRST, l.account_id) AS one;
    looked := coalesce(cardinality(accounts), 0);
    IF looked = 0 THEN
        RETURN;
    END IF;
    live := thaw.park_shadow(accounts);
    SELECT array_agg(a.id), array_agg(a.turn) INTO accounts, turns
    FROM unnest(accounts, turns) AS a (id, turn) WHERE a.id IN (SELECT unnest(live));
    SELECT array_agg(turn.account_id), array_agg(turn.campaign_id), array_agg(turn.kind), array_agg(turn.place)
    INTO owners, campaigns, kinds, places
    FROM (
        SELECT line.*, row_number() OVER (
            PARTITION BY line.account_id
            ORDER BY line.due_at > at, line.campaign_id <= account.turn, line.campaign_id, line.due_at, line.kind) AS place
        FROM thaw.due_lines(accounts) AS line
        JOIN unnest(accounts, turns) AS account (id, turn) ON account.id = line.account_id) AS turn;
    PERFORM thaw.lock_campaign_caps(campaigns);
    others := accounts;
    -- First what is next in the turn of each account. If it is held up, one of the others may go.
    FOR round IN 1..2 LOOP
        heads := ARRAY(
            SELECT head.id
            FROM unnest(owners, campaigns, kinds, places) AS line (account_id, campaign_id, kind, place)
            CROSS JOIN LATERAL thaw.first_due(line.account_id, line.campaign_id, line.kind, 1) AS head
            -- In an expression, a list of accounts is hashed. In a join, each line may scan it.
            WHERE CASE round WHEN 1 THEN line.place = 1 ELSE line.place > 1 AND line.account_id IN (SELECT unnest(others)) END
            ORDER BY line.place);
        -- Rows that the platform has locked are left to the next look.
        free := ARRAY(
            SELECT l.id FROM (
                -- One that has moved since belongs to an account that is not locked.
                SELECT e.id FROM thaw.enrollments AS e
                WHERE e.id = ANY (heads) AND (e.account_id IN (SELECT unnest(accounts))) IS TRUE
                ORDER BY e.id FOR NO KEY UPDATE SKIP LOCKED) AS l);
        WITH result AS MATERIALIZED (
            SELECT r.*, thaw.is_passed(r.code) AS is_passed
            FROM thaw.reserve_rows(ARRAY(
                SELECT head.id FROM unnest(heads) WITH ORDINALITY AS head (id, place) JOIN unnest(free) AS unlocked (id) ON unlocked.id = head.id
                ORDER BY head.place), NULL, p_lease, p_actor) AS r
        ), deferred AS (
            -- A prospect who has an invite already does not hold up those behind. The next look
            -- decides again: the invite may be withdrawn by then.
            UPDATE thaw.enrollments AS e SET next_action_at = coalesce(result.opens_at, at + interval '1 day')
            FROM result WHERE e.id = result.enrollment_id AND result.is_passed
        ), behind AS MATERIALIZED (
            -- So do the next hundred behind, or a list of known prospects would take as many looks.
            -- One whose own invite is unknown is not known: it is due if that did not arrive.
            SELECT l.id FROM thaw.enrollments AS l
            WHERE l.id = ANY (ARRAY(
                SELECT next.id
                FROM (SELECT DISTINCT r.account_id, r.campaign_id FROM result AS r WHERE r.is_passed) AS line
                JOIN thaw.sending_accounts AS sending ON sending.account_id = line.account_id
                CROSS JOIN LATERAL (
                    SELECT e.id, e.prospect_url FROM thaw.enrollments AS e
                    WHERE e.account_id = line.account_id AND e.campaign_id = line.campaign_id AND e.next_kind = 'invite' AND e.due_at <= at
                    ORDER BY e.due_at, e.id LIMIT 100) AS next
                WHERE NOT next.id = ANY (heads) AND (
                    SELECT true FROM thaw.actions AS x
                    WHERE x.kind = 'invite' AND x.sender_id = sending.sender_id AND thaw.prospect_key(x.prospect_url) = thaw.prospect_key(next.prospect_url)
                        AND x.enrollment_id <> next.id
                        AND (x.is_used OR x.state = 'already') AND (x.closed_as IS NULL OR x.closed_as = 'accepted') LIMIT 1)))
            FOR NO KEY UPDATE SKIP LOCKED
        ), deferred_behind AS (
            UPDATE thaw.enrollments AS e SET next_action_at = at + interval '1 day' FROM behind WHERE e.id = behind.id
        ), look AS MATERIALIZED (
            -- When to look again: after the gap, or when the first gate opens.
            SELECT DISTINCT ON (account.id) account.id, result.action_id, result.campaign_id, result.code,
                CASE
                    WHEN result.action_id IS NOT NULL THEN result.next_allowed_at
                    WHEN result.is_passed THEN at + interval '1 second'
                    WHEN result.enrollment_id IS NOT NULL THEN coalesce(result.opens_at, at + interval '1 hour')
                    -- It may have been a row of this account.
                    WHEN cardinality(free) < cardinality(heads) THEN at + interval '1 minute'
                    -- Everything is under way or unknown, or nothing is due at all.
                    WHEN account.id IN (SELECT unnest(owners)) THEN at + interval '1 hour'
                    ELSE 'infinity'
                END AS next_at
            FROM unnest(others) AS account (id)
            LEFT JOIN result ON result.account_id = account.id
            ORDER BY account.id, result.action_id, next_at
        ), noted AS (
            UPDATE thaw.sending_accounts AS s SET
                next_at = look.next_at, code = look.code,
                served_at = CASE WHEN look.action_id IS NULL THEN s.served_at ELSE at END,
                served_campaign_id = CASE WHEN look.action_id IS NULL THEN s.served_campaign_id ELSE look.campaign_id END
            FROM look WHERE s.account_id = look.id AND (round = 1 OR look.action_id IS NOT NULL OR look.next_at < s.next_at)
        )
        SELECT array_agg(look.action_id) FILTER (WHERE look.action_id IS NOT NULL), array_agg(look.id) FILTER (
            WHERE look.action_id IS NULL
                AND look.id IN (SELECT line.account_id FROM unnest(owners, places) AS line (account_id, place) WHERE line.place > 1))
        INTO reserved, others FROM look;
        action_ids := action_ids || coalesce(reserved, '{}');
        EXIT WHEN others IS NULL;
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.search_key(text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN btrim(regexp_replace(regexp_replace(replace(replace(replace(translate(lower(NORMALIZE("left"(text, 400), NFKD)), ((((((chr(322) || chr(321)) || chr(248)) || chr(216)) || chr(273)) || chr(272)) || chr(305)), ('lloodd'::text || 'i'::text)), chr(223), 'ss'::text), chr(230), 'ae'::text), chr(339), 'oe'::text), '[''`\u00b4\u0300-\u036f\u02b9-\u02bc\u2018-\u201b\u2032\u200b-\u200f\u00ad\ufeff]+'::text, ''::text, 'g'::text), '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+'::text, ' '::text, 'g'::text));
CREATE FUNCTION thaw.search_query(text text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT (string_agg((quote_literal(w.word) || ':*'::text), ' & '::text))::tsquery AS string_agg FROM unnest(string_to_array(thaw.search_key(search_query.text), ' '::text)) w(word) WHERE (w.word <> ''::text));
CREATE FUNCTION thaw.search_words(key text, name text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_to_tsvector(string_to_array(btrim(((thaw.search_key(key) || ' '::text) || thaw.search_key(name))), ' '::text));
CREATE FUNCTION thaw.sending_held_by(account text, provider text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT COALESCE(( SELECT max(COALESCE(thaw.account_gate(a.*, thaw.is_safety_on()), ''::text)) AS max
            FROM thaw.accounts a
           WHERE (((lower(a.provider_account_id) COLLATE "C") = (lower(sending_held_by.account) COLLATE "C")) AND (a.provider_account_id = sending_held_by.account) AND ((sending_held_by.provider IS NULL) OR (a.provider = sending_held_by.provider)))), ( SELECT
                 CASE count(*)
                     WHEN 1 THEN max(COALESCE(thaw.account_gate(a.*, thaw.is_safety_on()), ''::text))
                     ELSE NULL::text
                 END AS "case"
            FROM thaw.accounts a
           WHERE ((a.external_id = sending_held_by.account) AND ((sending_held_by.provider IS NULL) OR (a.provider = sending_held_by.provider)))), 'unknown_account'::text) AS "coalesce";
END;
COMMENT ON FUNCTION thaw.sending_held_by(account text, provider text) IS 'Why nothing may be sent through an account now: account_not_connected, account_locked, account_parked, account_on_hold, safety_mode, account_flapping or unknown_account. Empty: sending is allowed.';
CREATE FUNCTION thaw.set_action_ceiling(kind text, per_day integer DEFAULT NULL::integer, per_week integer DEFAULT NULL::integer, gap_from interval DEFAULT NULL::interval, reason text DEFAULT NULL::text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    ceiling thaw.action_ceilings;
BEGIN
    PERFORM thaw.require_sending_reason(set_action_ceiling.reason, set_action_ceiling.actor), thaw.require_kind(set_action_ceiling.kind);
    IF num_nonnulls(per_day, per_week, gap_from) = 0 THEN
        RAISE EXCEPTION 'no ceiling was given' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a cap per day, a cap per 7 days, or a gap.';
    ELSIF per_day NOT BETWEEN 0 AND 100000 OR per_week NOT BETWEEN 0 AND 1000000 OR gap_from NOT BETWEEN '0' AND '1 day' THEN
        RAISE EXCEPTION 'the ceiling is out of range: %', thaw.limit_text(set_action_ceiling.kind, per_day, per_week, gap_from, NULL)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 100,000 per day, 0 to 1,000,000 per 7 days, and a gap of 0 to 1 day.';
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_ceiling.kind FOR NO KEY UPDATE;
    IF ceiling.kind IS NULL AND per_day IS NULL THEN
        RAISE EXCEPTION 'the kind % has no ceiling yet', set_action_ceiling.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give its cap per day too.';
    END IF;
    INSERT INTO thaw.action_ceilings AS c (kind, per_day, per_week, gap_from)
    VALUES (set_action_ceiling.kind, coalesce(set_action_ceiling.per_day, ceiling.per_day), coalesce(set_action_ceiling.per_week, ceiling.per_week),
        coalesce(set_action_ceiling.gap_from, ceiling.gap_from, '0'))
    ON CONFLICT ON CONSTRAINT action_ceilings_pkey DO UPDATE SET
        per_day = excluded.per_day, per_week = excluded.per_week, gap_from = excluded.gap_from, changed_at = thaw.now()
    WHERE (c.per_day, c.per_week, c.gap_from) IS DISTINCT FROM (excluded.per_day, excluded.per_week, excluded.gap_from);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_ceiling.kind;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail)
    VALUES ('ceiling_set', set_action_ceiling.actor, set_action_ceiling.reason,
        thaw.limit_text(ceiling.kind, ceiling.per_day, ceiling.per_week, ceiling.gap_from, NULL));
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.set_action_ceiling(kind text, per_day integer, per_week integer, gap_from interval, reason text, actor text) IS 'Sets the most that any limit of a kind may allow in the fleet, and the shortest gap. A null value stays as it is. Limits above the ceiling are cut to it. Only the owner of the schema may call it. Returns false if nothing changed.';
CREATE FUNCTION thaw.set_action_limit(workspace text, kind text, per_day integer DEFAULT NULL::integer, per_week integer DEFAULT NULL::integer, gap_from interval DEFAULT NULL::interval, gap_to interval DEFAULT NULL::interval, account text DEFAULT NULL::text, campaign text DEFAULT NULL::text, reason text DEFAULT NULL::text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    of_workspace bigint;
    of_account   bigint;
    of_campaign  bigint;
    ceiling      thaw.action_ceilings;
    is_changed   boolean;
BEGIN
    PERFORM thaw.require_sending_reason(set_action_limit.reason, set_action_limit.actor), thaw.require_kind(set_action_limit.kind);
    of_workspace := thaw.find_workspace(set_action_limit.workspace);
    IF set_action_limit.account IS NOT NULL AND set_action_limit.campaign IS NOT NULL THEN
        RAISE EXCEPTION 'a limit is of an account or of a campaign, not of both'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Set two limits.';
    ELSIF set_action_limit.account IS NOT NULL THEN
        of_account := thaw.find_account(set_action_limit.account, set_action_limit.provider, of_workspace);
    ELSIF set_action_limit.campaign IS NOT NULL THEN
        of_campaign := thaw.find_campaign(set_action_limit.workspace, set_action_limit.campaign);
    END IF;
    SELECT c.* INTO ceiling FROM thaw.action_ceilings AS c WHERE c.kind = set_action_limit.kind;
    IF (gap_from IS NULL) <> (gap_to IS NULL) OR gap_from > gap_to OR gap_from < '0' OR gap_to > '1 day' THEN
        RAISE EXCEPTION 'the gap is from % to %', coalesce(gap_from::text, 'null'), coalesce(gap_to::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give both ends, the shorter one first, from 0 to 1 day.';
    ELSIF of_campaign IS NOT NULL AND num_nonnulls(per_week, gap_from) > 0 THEN
        RAISE EXCEPTION 'a campaign has a cap per day only'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Set the others for its accounts or for the workspace.';
    ELSIF per_day NOT BETWEEN 0 AND 100000 OR per_week NOT BETWEEN 0 AND 1000000 THEN
        RAISE EXCEPTION 'a cap is out of range: %', thaw.limit_text(set_action_limit.kind, per_day, per_week, NULL, NULL)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 100,000 per day and 0 to 1,000,000 per 7 days.';
    ELSIF of_campaign IS NULL AND (per_day > ceiling.per_day OR per_week > ceiling.per_week OR gap_from < ceiling.gap_from) THEN
        RAISE EXCEPTION 'the limit is above the ceiling of the fleet (%)',
                thaw.limit_text(ceiling.kind, ceiling.per_day, ceiling.per_week, ceiling.gap_from, NULL)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Stay below it. An operator can raise it with thaw limits clamp or thaw.set_action_ceiling.';
    END IF;
    IF num_nonnulls(per_day, per_week, gap_from) = 0 THEN
        DELETE FROM thaw.action_overrides AS o
        WHERE o.workspace_id = of_workspace AND o.account_id IS NOT DISTINCT FROM of_account
            AND o.campaign_id IS NOT DISTINCT FROM of_campaign AND o.kind = set_action_limit.kind;
    ELSE
        INSERT INTO thaw.action_overrides AS o (workspace_id, account_id, campaign_id, kind, per_day, per_week, gap_from, gap_to, reason, actor)
        VALUES (of_workspace, of_account, of_campaign, set_action_limit.kind, set_action_limit.per_day, set_action_limit.per_week,
            set_action_limit.gap_from, set_action_limit.gap_to, set_action_limit.reason, set_action_limit.actor)
        ON CONFLICT ON CONSTRAINT action_overrides_of_one DO UPDATE SET
            per_day = excluded.per_day, per_week = excluded.per_week, gap_from = excluded.gap_from, gap_to = excluded.gap_to,
            reason = excluded.reason, actor = excluded.actor, changed_at = thaw.now()
        WHERE (o.per_day, o.per_week, o.gap_from, o.gap_to)
            IS DISTINCT FROM (excluded.per_day, excluded.per_week, excluded.gap_from, excluded.gap_to);
    END IF;
    is_changed := FOUND;
    IF is_changed THEN
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id, campaign_id)
        VALUES ('limit_set', set_action_limit.actor, set_action_limit.reason,
            thaw.limit_text(set_action_limit.kind, per_day, per_week, gap_from, gap_to), of_workspace, of_account, of_campaign);
    END IF;
    RETURN is_changed;
END;
$$;
COMMENT ON FUNCTION thaw.set_action_limit(workspace text, kind text, per_day integer, per_week integer, gap_from interval, gap_to interval, account text, campaign text, reason text, actor text, provider text) IS 'Sets what limits a kind of action of a workspace, or of one of its accounts or campaigns, in place of the default limits (thaw.action_limits). A null cap or gap keeps the default; all null removes the limit. Caps above the ceiling of the fleet are refused. A campaign has a cap per day only. Returns false if nothing changed.';
CREATE FUNCTION thaw.set_adopt_column_types(types jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET column_types = set_adopt_column_types.types;
END;
$$;
CREATE FUNCTION thaw.set_adopt_phase(phase text, progress jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET phase = set_adopt_phase.phase, progress = coalesce(set_adopt_phase.progress, s.progress);
END;
$$;
CREATE FUNCTION thaw.set_aside(p_taken thaw.taken[], p_locked bigint[]) RETURNS thaw.taken[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (SELECT count(*) FROM unnest(p_taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL) = cardinality(p_locked) THEN
        RETURN p_taken;
    END IF;
    RETURN ARRAY(
        SELECT CASE WHEN t.row_id IS NULL OR t.code IS NOT NULL OR t.row_id IN (SELECT unnest(p_locked)) THEN t
            ELSE ROW(t.external_id, t.change, t.kept_ids, t.was_parked, t.row_id, t.workspace_id, t.campaign_id, t.account_id, t.is_shadow,
                '55P03', 'another transaction holds the row')::thaw.taken END
        FROM unnest(p_taken) AS t);
END;
$$;
CREATE FUNCTION thaw.set_auto_resume(workspace_key text, enabled boolean, reason text DEFAULT NULL::text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    workspace thaw.workspaces;
BEGIN
    SELECT w.* INTO workspace FROM thaw.workspaces AS w
    WHERE w.id = thaw.find_workspace(set_auto_resume.workspace_key) FOR NO KEY UPDATE;
    IF workspace.auto_resume = set_auto_resume.enabled AND coalesce(btrim(set_auto_resume.reason), '') = '' THEN
        -- A call without a reason does not remove the reason that is stored.
        RETURN false;
    END IF;
    UPDATE thaw.workspaces AS w SET
        auto_resume = set_auto_resume.enabled, auto_resume_reason = set_auto_resume.reason,
        auto_resume_changed_at = thaw.now(), auto_resume_changed_by = set_auto_resume.actor
    WHERE w.id = workspace.id;
    RETURN workspace.auto_resume <> set_auto_resume.enabled;
END;
$$;
COMMENT ON FUNCTION thaw.set_auto_resume(workspace_key text, enabled boolean, reason text, actor text) IS 'Switches auto-resume of a workspace on or off. The reason is optional. Returns false if auto-resume was already in this state. If a reason is given, it then replaces the stored one, and the audit log has both.';
CREATE FUNCTION thaw.set_campaign_steps(workspace text, campaign text, steps jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    of_campaign bigint := thaw.find_campaign(set_campaign_steps.workspace, set_campaign_steps.campaign);
    of_workspace bigint;
    given       record;
    delay       interval;
    kinds       text[] := '{}';
    delays      interval[] := '{}';
    changed     integer := 0;
    give_up_at  constant timestamptz := clock_timestamp() + interval '30 seconds';
BEGIN
    IF jsonb_typeof(set_campaign_steps.steps) IS DISTINCT FROM 'array' OR jsonb_array_length(set_campaign_steps.steps) > 200 THEN
        RAISE EXCEPTION 'the steps are not a list of at most 200 steps'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use for example [{"kind": "invite"}, {"kind": "message", "delay": "2 days"}].';
    END IF;
    FOR given IN SELECT s.value, s.n FROM jsonb_array_elements(set_campaign_steps.steps) WITH ORDINALITY AS s (value, n) LOOP
        IF jsonb_typeof(given.value) <> 'object' OR given.value - '{kind,delay}'::text[] <> '{}' THEN
            RAISE EXCEPTION 'step % is not an object with kind and delay', given.n - 1
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove other fields. delay may be left out.';
        END IF;
        PERFORM thaw.require_kind(given.value ->> 'kind');
        BEGIN
            delay := coalesce(given.value ->> 'delay', '0');
        EXCEPTION WHEN data_exception THEN
            delay := '-1 day';
        END;
        -- A number without a unit would be seconds.
        IF delay NOT BETWEEN interval '0' AND interval '365 days' OR delay <> '0' AND given.value ->> 'delay' !~ '[[:alpha:]:]' THEN
            RAISE EXCEPTION 'step % has an invalid delay: %', given.n - 1, left(given.value ->> 'delay', 100)
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 0 to 365 days, for example "2 days" or "4 hours".';
        END IF;
        kinds := kinds || (given.value ->> 'kind');
        delays := delays || delay;
    END LOOP;
    SELECT c.workspace_id INTO of_workspace FROM thaw.campaigns AS c WHERE c.id = of_campaign;
    -- A writer of the platform locks a prospect before the campaign, so nothing is waited for while
    -- other locks are held: the locks are released, and tried again a moment later.
    LOOP
        BEGIN
            PERFORM a.id FROM thaw.accounts AS a
            WHERE a.id IN (SELECT e.account_id FROM thaw.open_enrollments(of_workspace, of_campaign) AS e)
            ORDER BY a.id FOR NO KEY UPDATE;
            -- A prospect that is inserted now waits (enrollments_note_next_kind). One that another
            -- transaction has inserted already holds this lock.
            PERFORM c.id FROM thaw.campaigns AS c WHERE c.id = of_campaign FOR UPDATE NOWAIT;
            -- Also those whose kind stays: a settlement that is under way may be about to move them
            -- to the old kind of their next step.
            PERFORM e.id FROM thaw.enrollments AS e
            WHERE e.id = ANY (ARRAY(SELECT open.id FROM thaw.open_enrollments(of_workspace, of_campaign) AS open))
            ORDER BY e.id FOR NO KEY UPDATE NOWAIT;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > give_up_at THEN
                RAISE EXCEPTION 'other transactions hold prospects of this campaign'
                    USING ERRCODE = 'lock_not_available', HINT = 'Try again in a few seconds.';
            END IF;
        END;
        PERFORM pg_sleep(0.01 + 0.04 * random());
    END LOOP;
    DELETE FROM thaw.campaign_steps AS s WHERE s.campaign_id = of_campaign;
    INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay)
    SELECT of_campaign, s.n - 1, s.kind, s.delay FROM unnest(kinds, delays) WITH ORDINALITY AS s (kind, delay, n);
    IF cardinality(kinds) > 0 THEN
        UPDATE thaw.enrollments AS e SET next_kind = kinds[e.step + 1]
        WHERE e.id = ANY (ARRAY(SELECT open.id FROM thaw.open_enrollments(of_workspace, of_campaign) AS open))
            AND e.next_kind IS DISTINCT FROM kinds[e.step + 1];
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    RETURN changed;
END;
$$;
COMMENT ON FUNCTION thaw.set_campaign_steps(workspace text, campaign text, steps jsonb) IS 'Replaces the steps of a linear campaign: [{"kind": "invite"}, {"kind": "message", "delay": "2 days"}], at most 200. The first is step 0; delay is the time after the previous step. The kind of the next action of the prospects follows. An empty list is for a campaign with branches: the platform passes the next kind and time when it settles an action. Returns of how many prospects the next kind changed.';
CREATE FUNCTION thaw.set_heal_cap(workspace_key text, heal_cap integer, reason text, actor text DEFAULT CURRENT_USER) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    workspace thaw.workspaces;
BEGIN
    PERFORM thaw.require_reason(set_heal_cap.reason, set_heal_cap.actor);
    SELECT w.* INTO workspace FROM thaw.workspaces AS w
    WHERE w.id = thaw.find_workspace(set_heal_cap.workspace_key) FOR NO KEY UPDATE;
    UPDATE thaw.workspaces AS w SET heal_cap = set_heal_cap.heal_cap WHERE w.id = workspace.id;
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, enrollments, before)
    VALUES (CASE WHEN set_heal_cap.heal_cap IS NULL THEN 'heal_cap_removed' ELSE 'heal_cap_set' END,
        set_heal_cap.actor, set_heal_cap.reason, workspace.id, set_heal_cap.heal_cap,
        jsonb_build_object('heal_cap', workspace.heal_cap));
END;
$$;
COMMENT ON FUNCTION thaw.set_heal_cap(workspace_key text, heal_cap integer, reason text, actor text) IS 'Sets how many prospects per tick the heals that a tenant starts with its API token may resume, regardless of the cap per account. Null: these heals keep the caps of the tick.';
CREATE FUNCTION thaw.set_hold(p_what text, p_account thaw.accounts, p_until timestamp with time zone, p_reason text, p_actor text) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, until, before)
    VALUES (p_what, p_actor, p_reason, p_account.workspace_id, p_account.id, p_until, thaw.hold_of(p_account));
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    UPDATE thaw.accounts AS a SET hold_until = p_until, hold_reason = CASE WHEN p_until IS NOT NULL THEN p_reason END
    WHERE a.id = p_account.id;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN p_until;
END;
$$;
CREATE FUNCTION thaw.set_ramp(account text, started_on date, reason text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    ramped     thaw.accounts;
    starts_at  timestamptz;
BEGIN
    PERFORM thaw.require_sending_reason(set_ramp.reason, set_ramp.actor);
    SELECT a.* INTO ramped FROM thaw.accounts AS a WHERE a.id = thaw.find_account(set_ramp.account, set_ramp.provider) FOR NO KEY UPDATE;
    IF isfinite(set_ramp.started_on) THEN
        starts_at := thaw.day_start(coalesce(thaw.zone_named(ramped.timezone), 'UTC'), set_ramp.started_on);
    END IF;
    IF NOT isfinite(set_ramp.started_on) OR starts_at > thaw.now() OR set_ramp.started_on < '2000-01-01' THEN
        RAISE EXCEPTION 'the ramp cannot have started on %', set_ramp.started_on
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a date between the year 2000 and today, or null: it then starts with the next action.';
    END IF;
    PERFORM thaw.ensure_senders(ARRAY[ramped.id]);
    -- The date is set with an earlier restriction or idle month in mind, so they do not set the
    -- ramp back again.
    UPDATE thaw.senders AS s SET
        ramp_started_at = starts_at, restriction_seen_at = thaw.now(),
        last_started_at = CASE WHEN s.last_started_at < thaw.now() - interval '30 days' THEN NULL ELSE s.last_started_at END
    WHERE s.id = (SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = ramped.id);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('ramp_set', set_ramp.actor, set_ramp.reason, coalesce('started on ' || set_ramp.started_on, 'starts with the next action'),
        ramped.workspace_id, ramped.id);
    PERFORM thaw.nudge(ramped.id, thaw.now());
    RETURN (SELECT g.ramp_week FROM thaw.kind_gates(ARRAY[ramped.id]) AS g LIMIT 1);
END;
$$;
COMMENT ON FUNCTION thaw.set_ramp(account text, started_on date, reason text, actor text, provider text) IS 'Sets the date on which ramp week 1 of the person behind an account began, for an account that sent before it came to Thaw. Null: the ramp starts with the next action that is sent. Returns the ramp week now; 6 is the sixth and all later weeks.';
CREATE FUNCTION thaw.set_sending_windows(workspace text, windows jsonb, account text DEFAULT NULL::text, reason text DEFAULT NULL::text, actor text DEFAULT CURRENT_USER, provider text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    of_workspace bigint;
    of_account   bigint;
    added        integer;
    detail       text;
BEGIN
    PERFORM thaw.require_sending_reason(set_sending_windows.reason, set_sending_windows.actor);
    IF set_sending_windows.workspace IS NOT NULL THEN
        of_workspace := thaw.find_workspace(set_sending_windows.workspace);
    END IF;
    IF set_sending_windows.account IS NOT NULL THEN
        of_account := thaw.find_account(set_sending_windows.account, set_sending_windows.provider, of_workspace);
        of_workspace := (SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.id = of_account);
    ELSIF of_workspace IS NULL AND set_sending_windows.windows = '[]' THEN
        RAISE EXCEPTION 'the windows of the fleet cannot be removed'
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Accounts without windows of their own would send nothing. Set other windows, or put the accounts on hold.';
    END IF;
    -- Two calls would otherwise each remove the old windows and add their own.
    LOCK TABLE thaw.sending_windows IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM thaw.sending_windows AS w
    WHERE w.workspace_id IS NOT DISTINCT FROM of_workspace AND w.account_id IS NOT DISTINCT FROM of_account;
    WITH added AS (
        INSERT INTO thaw.sending_windows (workspace_id, account_id, weekdays, opens, closes, timezone)
        SELECT of_workspace, of_account, w.weekdays, w.opens, w.closes, w.timezone FROM thaw.windows_of(set_sending_windows.windows) AS w
        RETURNING id, weekdays, opens, closes, timezone
    )
    SELECT count(*), string_agg(format('weekdays %s %s to %s%s', array_to_string(a.weekdays, ','), to_char(a.opens, 'HH24:MI'),
        CASE WHEN a.closes = '24:00' THEN '24:00' ELSE to_char(a.closes, 'HH24:MI') END, ' ' || a.timezone), '; ' ORDER BY a.id)
    INTO added, detail FROM added AS a;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id)
    VALUES ('windows_set', set_sending_windows.actor, set_sending_windows.reason, coalesce(detail, 'no windows of its own'), of_workspace, of_account);
    RETURN added;
END;
$$;
COMMENT ON FUNCTION thaw.set_sending_windows(workspace text, windows jsonb, account text, reason text, actor text, provider text) IS 'Replaces the sending windows of an account, of a workspace (account null), or of the fleet (both null): [{"weekdays": [1, 2], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Berlin"}], at most 50. Weekdays are ISO numbers, 1 is Monday. timezone may be left out: that of each account applies. An empty list removes them, so that those of the workspace or the fleet apply. Returns how many there are now.';
CREATE FUNCTION thaw.set_shadow(p_workspace_key text, p_shadow boolean, p_reason text, p_actor text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    the_id    bigint := CASE WHEN p_workspace_key IS NOT NULL THEN thaw.find_workspace(p_workspace_key) END;
    workspace thaw.workspaces;
    changed   integer := 0;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    IF p_workspace_key IS NULL THEN
        UPDATE thaw.adopt_state AS s SET shadow_by_default = p_shadow;
    END IF;
    FOR workspace IN
        SELECT w.* FROM thaw.workspaces AS w
        WHERE w.shadow <> p_shadow AND (w.id = the_id OR the_id IS NULL AND (w.external_id IS NOT NULL OR w.shadow))
        ORDER BY w.id FOR NO KEY UPDATE
    LOOP
        UPDATE thaw.workspaces AS w SET shadow = p_shadow WHERE w.id = workspace.id;
        INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, before)
        VALUES (CASE WHEN p_shadow THEN 'shadow_on' ELSE 'shadow_off' END, p_actor, p_reason, workspace.id, jsonb_build_object('shadow', workspace.shadow));
        IF NOT p_shadow THEN
            PERFORM thaw.queue_changes('account', ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id), 'unknown', 'person');
        END IF;
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END;
$$;
CREATE FUNCTION thaw.settings_carry_quotas() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    old_tick timestamptz := date_bin(OLD.tick, thaw.now(), '2000-01-01 00:00:00+00');
    new_tick timestamptz := date_bin(NEW.tick, thaw.now(), '2000-01-01 00:00:00+00');
BEGIN
    IF old_tick <> new_tick THEN
        INSERT INTO thaw.fleet_quotas AS b (tick_at, lane, cap, used)
        VALUES (old_tick, 'sweep', 0, 0), (old_tick, 'signal', 0, 0)
        ON CONFLICT (tick_at, lane) DO UPDATE SET cap = b.used;
    END IF;
    -- A tick overlaps the new one if it ends after the start of the new one. What the old tick had
    -- carried over counts too.
    INSERT INTO thaw.fleet_quotas AS b (tick_at, lane, cap, used, carried)
    SELECT new_tick, spent.lane, lane.cap, least(spent.used, lane.cap), least(spent.used, lane.cap)
    FROM (
        SELECT o.lane,
            greatest(sum(o.used - o.carried), max(o.used) FILTER (WHERE o.tick_at = old_tick))::integer AS used
        FROM thaw.fleet_quotas AS o
        WHERE o.tick_at > new_tick - OLD.tick AND o.tick_at <= thaw.now() AND o.tick_at <> new_tick
        GROUP BY o.lane) AS spent
    CROSS JOIN LATERAL (SELECT thaw.lane_cap(spent.lane, NEW) AS cap) AS lane
    WHERE spent.used > 0
    ON CONFLICT (tick_at, lane) DO UPDATE SET
        carried = greatest(b.carried, least(excluded.carried, b.cap - b.used + b.carried)),
        used = b.used - b.carried + greatest(b.carried, least(excluded.carried, b.cap - b.used + b.carried));
    INSERT INTO thaw.account_quotas AS b (tick_at, account_id, cap, used, carried)
    SELECT new_tick, spent.account_id, account.cap, least(spent.used, account.cap), least(spent.used, account.cap)
    FROM (
        SELECT o.account_id,
            greatest(sum(o.used - o.carried), max(o.used) FILTER (WHERE o.tick_at = old_tick))::integer AS used
        FROM thaw.account_quotas AS o
        WHERE o.tick_at > new_tick - OLD.tick AND o.tick_at <= thaw.now() AND o.tick_at <> new_tick
        GROUP BY o.account_id) AS spent
    CROSS JOIN LATERAL (
        SELECT thaw.account_cap(workspace, NEW) AS cap
        FROM thaw.accounts AS a JOIN thaw.workspaces AS workspace ON workspace.id = a.workspace_id
        WHERE a.id = spent.account_id) AS account
    WHERE spent.used > 0
    ORDER BY spent.account_id
    ON CONFLICT (tick_at, account_id) DO UPDATE SET
        carried = greatest(b.carried, least(excluded.carried, b.cap - b.used + b.carried)),
        used = b.used - b.carried + greatest(b.carried, least(excluded.carried, b.cap - b.used + b.carried));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.settings_write_history() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason)
    SELECT 'settings_changed',
        CASE WHEN NEW.changed_at = thaw.now() THEN coalesce(NEW.changed_by, session_user) ELSE session_user END,
        string_agg(format('%s %s -> %s', after.key, before.value, after.value), ', ' ORDER BY after.key)
    FROM jsonb_each_text(to_jsonb(OLD)) AS before
    JOIN jsonb_each_text(to_jsonb(NEW)) AS after ON after.key = before.key
    WHERE after.value IS DISTINCT FROM before.value AND after.key NOT IN ('changed_at', 'changed_by')
    HAVING count(*) > 0;
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.settle(reservation bigint, outcome text, provider_ref text DEFAULT NULL::text, error_code text DEFAULT NULL::text, until timestamp with time zone DEFAULT NULL::timestamp with time zone, next_kind text DEFAULT NULL::text, next_at timestamp with time zone DEFAULT NULL::timestamp with time zone, if_refused text DEFAULT 'fail'::text, actor text DEFAULT CURRENT_USER) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF settle.outcome IN ('verified_sent', 'verified_absent') THEN
        RAISE EXCEPTION '% is not an outcome that a sender reports', settle.outcome
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Look at the provider, then use thaw.verify_action, thaw actions settle or the page of the action. Each needs a reason.';
    END IF;
    RETURN thaw.settle_action(settle.reservation, settle.outcome, settle.provider_ref, settle.error_code, settle.until, settle.next_kind,
        settle.next_at, settle.if_refused, settle.actor, NULL);
END;
$$;
COMMENT ON FUNCTION thaw.settle(reservation bigint, outcome text, provider_ref text, error_code text, until timestamp with time zone, next_kind text, next_at timestamp with time zone, if_refused text, actor text) IS 'Records what came of a started action: sent (with provider_ref), already, refused (the enrollment fails, if_refused: or skips the step, or keeps it), limited (the kind is on hold until), throttled (try again at until), account_lost, restricted, unknown; released ends a reservation that was not started. An unknown action is settled with thaw.verify_action. next_kind and next_at are for campaigns without steps. Returns the state. The same outcome again changes nothing; another one is an error.';
CREATE FUNCTION thaw.settle_action(reservation bigint, outcome text, provider_ref text, error_code text, until timestamp with time zone, next_kind text, next_at timestamp with time zone, if_refused text, actor text, reason text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    action   thaw.actions;
    account  thaw.accounts;
    at       timestamptz := thaw.now();
    result   thaw.action_outcome;
    new_state thaw.action_state;
    refusals integer;
    is_erased boolean;
BEGIN
    PERFORM thaw.require_actor(settle_action.actor), thaw.require_text('provider_ref', settle_action.provider_ref), thaw.require_text('error_code', settle_action.error_code);
    IF settle_action.outcome = ANY (enum_range(NULL::thaw.action_outcome)::text[]) THEN
        result := settle_action.outcome;
    END IF;
    IF result IS NULL THEN
        RAISE EXCEPTION 'the outcome "%" is unknown', coalesce(left(settle_action.outcome, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = format('Use one of: %s.', array_to_string(enum_range(NULL, 'released'::thaw.action_outcome), ', '));
    ELSIF settle_action.if_refused IS NULL OR settle_action.if_refused NOT IN ('fail', 'skip', 'keep') THEN
        RAISE EXCEPTION 'if_refused is "%"', coalesce(left(settle_action.if_refused, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use fail, skip or keep.';
    ELSIF settle_action.next_kind IS NOT NULL AND NOT EXISTS (SELECT FROM thaw.action_kinds AS k WHERE k.kind = settle_action.next_kind) THEN
        RAISE EXCEPTION 'the kind "%" is unknown', left(settle_action.next_kind, 100)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a kind of thaw.action_kinds.';
    ELSIF settle_action.until > at + interval '400 days' OR settle_action.next_at > at + interval '3660 days' THEN
        RAISE EXCEPTION 'a time is too far in the future' USING ERRCODE = 'invalid_parameter_value', HINT = 'until may be 400 days ahead, next_at ten years.';
    END IF;
    provider_ref := nullif(btrim(settle_action.provider_ref), '');
    -- A time that is over means now.
    until := CASE WHEN settle_action.until IS NOT NULL THEN greatest(settle_action.until, at) END;
    next_at := CASE WHEN settle_action.next_at IS NOT NULL THEN greatest(settle_action.next_at, at) END;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = settle_action.reservation;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(settle_action.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    END IF;
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    -- The sender may have changed before the account was locked.
    PERFORM s.id FROM thaw.senders AS s WHERE s.id = (SELECT a.sender_id FROM thaw.actions AS a WHERE a.id = action.id) FOR NO KEY UPDATE;
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = action.enrollment_id FOR NO KEY UPDATE;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = settle_action.reservation FOR NO KEY UPDATE;
    is_erased := action.prospect_url ~ '^\[(erased|removed) ';
    -- A delivery without the ID that the provider gives to each delivery is not proven, unless it
    -- was reported with its ID before.
    IF result = 'sent' AND settle_action.provider_ref IS NULL AND action.state <> 'sent' AND (SELECT k.has_provider_ref FROM thaw.action_kinds AS k WHERE k.kind = action.kind) THEN
        result := 'unknown';
    END IF;
    new_state := CASE
        WHEN result IN ('sent', 'verified_sent') THEN 'sent'
        WHEN result = 'already' THEN 'already'
        WHEN result = 'refused' THEN 'refused'
        WHEN result = 'unknown' THEN 'unknown'
        ELSE 'released' END::thaw.action_state;
    IF action.outcome = result AND action.state = new_state
        -- A pause, or the end of the lease, gave it back before.
        OR result = 'released' AND action.outcome IS NULL AND action.state IN ('released', 'expired')
    THEN
        RETURN action.state::text;
    END IF;
    IF NOT (CASE
        WHEN result = 'released' THEN action.state = 'reserved'
        WHEN result IN ('verified_sent', 'verified_absent') THEN action.state = 'unknown'
        -- The report may come after the lease: the sender was only slow.
        ELSE action.state = 'started' OR action.state = 'unknown' AND action.outcome IS NULL END)
    THEN
        RAISE EXCEPTION 'action % cannot be settled as %: it is %', action.id, result,
                action.state || coalesce(' (' || action.outcome || ')', '')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = CASE
                WHEN action.state = 'reserved' THEN 'Call thaw.start before the call to the provider, or settle it as released to give it back.'
                WHEN action.state = 'unknown' THEN 'Look at the provider, then settle it as verified_sent or verified_absent, with thaw.verify_action.'
                ELSE 'Nothing was changed. An action is settled once.' END;
    END IF;
    IF action.closed_as IN ('accepted', 'withdrawn') AND new_state NOT IN ('sent', 'already', 'unknown') THEN
        RAISE EXCEPTION 'action % cannot be settled as %: its invite was %, so the prospect had it', action.id, result, action.closed_as
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Settle it as sent, or as verified_sent. Nothing was changed.';
    END IF;
    UPDATE thaw.actions AS a SET
        state = new_state, outcome = result, lease_until = NULL, settled_at = greatest(at, a.started_at, a.reserved_at),
        -- The request may have been made at any time until now.
        used_at = CASE WHEN a.state = 'started' THEN at ELSE a.used_at END,
        -- Of a prospect that was erased meanwhile, nothing is stored that may name them.
        provider_ref = CASE WHEN settle_action.provider_ref IS NOT NULL AND is_erased THEN '[erased]' ELSE coalesce(settle_action.provider_ref, a.provider_ref) END,
        error_code = CASE WHEN NOT is_erased THEN coalesce(settle_action.error_code, a.error_code) END,
        -- An invite that did not reach the prospect has no end at the provider.
        closed_at = CASE WHEN new_state IN ('sent', 'already', 'unknown') THEN a.closed_at END,
        closed_as = CASE WHEN new_state IN ('sent', 'already', 'unknown') THEN a.closed_as END
    WHERE a.id = action.id;
    -- A prospect that the platform has moved to another step since keeps the time of that step.
    CASE
        WHEN new_state = 'sent' THEN
            UPDATE thaw.senders AS s SET ramp_started_at = coalesce(s.ramp_started_at, at), last_sent_at = greatest(s.last_sent_at, at)
            WHERE s.id = action.sender_id;
            PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
        WHEN new_state = 'already' THEN
            PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
        WHEN new_state = 'refused' THEN
            IF settle_action.if_refused = 'skip' THEN
                PERFORM thaw.advance(action, settle_action.next_kind, settle_action.next_at);
            ELSIF settle_action.if_refused = 'fail' THEN
                UPDATE thaw.enrollments AS e SET status = 'failed', paused_reason = NULL, paused_at = NULL
                WHERE e.id = action.enrollment_id AND e.step = action.step AND e.status IN ('active', 'paused');
            ELSE
                UPDATE thaw.enrollments AS e SET next_action_at = coalesce(settle_action.next_at, at + interval '1 day')
                WHERE e.id = action.enrollment_id AND e.step = action.step;
            END IF;
            SELECT count(DISTINCT thaw.prospect_key(a.prospect_url)) INTO refusals FROM thaw.actions AS a
            WHERE a.account_id = action.account_id AND a.kind = action.kind AND a.state = 'refused' AND a.settled_at > at - interval '24 hours';
            IF refusals >= 3 AND account.id IS NOT NULL THEN
                PERFORM thaw.hold_kind(action.account_id, action.kind, thaw.limit_ends(action.account_id, action.kind, NULL), 'refusals',
                    format('the provider refused %ss to %s prospects within a day', action.kind, refusals), settle_action.actor);
            END IF;
        WHEN account.id IS NULL AND result IN ('limited', 'account_lost', 'restricted') THEN
            NULL; -- the account was deleted since, and nothing is left to hold
        WHEN result = 'limited' THEN
            PERFORM thaw.hold_kind(action.account_id, action.kind,
                -- A time that is over says nothing about when the limit ends.
                CASE WHEN settle_action.until > at THEN settle_action.until ELSE thaw.limit_ends(action.account_id, action.kind, settle_action.error_code) END,
                coalesce(CASE WHEN settle_action.error_code ~ '^[a-z][a-z0-9_]{0,63}$' THEN settle_action.error_code END, 'limited'),
                'the provider reports a limit' || coalesce(': ' || settle_action.error_code, ''), settle_action.actor);
        WHEN result = 'throttled' THEN
            UPDATE thaw.enrollments AS e SET next_action_at = coalesce(settle_action.until, at + interval '5 minutes')
            WHERE e.id = action.enrollment_id AND e.step = action.step;
        WHEN result IN ('account_lost', 'restricted') THEN
            -- It was so when the request was made. The account may have connected again since.
            PERFORM thaw.receive_signal(account.provider, account.provider_account_id, result::text,
                CASE result WHEN 'restricted' THEN 'restricted' ELSE 'disconnected' END, action.started_at, NULL, 'action:' || action.id, false, NULL);
        WHEN new_state = 'unknown' THEN
            PERFORM thaw.publish_unknown(ARRAY[action.id]);
        ELSE NULL; -- released: it may be reserved again
    END CASE;
    IF result IN ('verified_sent', 'verified_absent') THEN
        INSERT INTO thaw.manual_actions (what, actor, reason, detail, workspace_id, account_id, campaign_id, prospect_url)
        VALUES ('action_settled', settle_action.actor, settle_action.reason, format('action %s: %s', action.id, result), action.workspace_id,
            action.account_id, action.campaign_id, action.prospect_url);
    END IF;
    -- Before the gap is over there is nothing to do. What is not used any more, another account of
    -- the person may use.
    PERFORM thaw.nudge(action.account_id, greatest(at, (SELECT s.next_allowed_at FROM thaw.senders AS s WHERE s.id = action.sender_id)));
    IF NOT thaw.counts_as_used(new_state) THEN
        PERFORM thaw.nudge_siblings(action.sender_id, action.account_id);
    END IF;
    RETURN new_state::text;
END;
$_$;
CREATE FUNCTION thaw.settle_taken(p_kind text, p_taken thaw.taken[], p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    deferred thaw.taken[];
    parked   thaw.taken[];
    done     bigint[];
    failed   integer := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(p_taken) AS t WHERE t.code IS NOT NULL OR t.kept_ids IS NOT NULL) THEN
        RETURN 0;
    END IF;
    deferred := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code = '55P03');
    parked := ARRAY(SELECT t FROM unnest(p_taken) AS t WHERE t.code <> '55P03');
    done := ARRAY(SELECT unnest(t.kept_ids) FROM unnest(p_taken) AS t WHERE t.code IS NULL);
    IF done <> '{}' THEN
        DELETE FROM thaw.adopt_errors AS x WHERE x.id = ANY (done);
    END IF;
    IF deferred <> '{}' THEN
        failed := failed + thaw.keep_taken(p_kind, deferred, '55P03', 'another transaction holds the row', true, p_is_backfill);
    END IF;
    IF parked <> '{}' THEN
        failed := failed + thaw.keep_taken(p_kind, parked, 'unknown', 'unknown', false, p_is_backfill);
    END IF;
    RETURN failed;
END;
$$;
CREATE FUNCTION thaw.signal(provider text, provider_account_id text, status text, occurred_at timestamp with time zone DEFAULT NULL::timestamp with time zone, member_id text DEFAULT NULL::text, delivery_key text DEFAULT NULL::text, v1_account_id text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (thaw.receive_signal(provider, provider_account_id, status, status, occurred_at, member_id, ('sql:'::text || delivery_key), false, NULL::jsonb, NULL::text, v1_account_id))::text;
COMMENT ON FUNCTION thaw.signal(provider text, provider_account_id text, status text, occurred_at timestamp with time zone, member_id text, delivery_key text, v1_account_id text) IS 'Applies an account signal and enqueues its job in the caller''s transaction, by the same rules as the webhooks. status is an account status, reconnected, locked, unlocked, or a word of the provider that means one of these (thaw.provider_words). occurred_at null: signals are ordered by receipt. A repeated delivery_key changes nothing. v1_account_id is the ID of the account in the provider''s v1 API. Returns applied, duplicate, stale, unknown_account or ignored.';
CREATE FUNCTION thaw.signal_time(p_signal thaw.account_signals) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN least(coalesce(p_signal.occurred_at, p_signal.received_at), p_signal.received_at + interval '5 minutes');
END;
$$;
CREATE FUNCTION thaw.snapshots() RETURNS TABLE(holder text, name text, role text, application text, state text, since timestamp with time zone, age interval, transactions integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    SELECT 'session', s.pid::text, s.usename::text, s.application_name, s.state,
        s.xact_start, pg_catalog.now() - s.xact_start,
        greatest(pg_catalog.age(s.backend_xmin), pg_catalog.age(s.backend_xid))
    FROM pg_catalog.pg_stat_activity AS s
    WHERE (s.backend_xmin IS NOT NULL OR s.backend_xid IS NOT NULL)
        -- The snapshot of a standby holds for all databases. Vacuum ignores snapshots of vacuum.
        AND (s.datname = pg_catalog.current_database() OR s.backend_type = 'walsender')
        AND s.backend_type IS DISTINCT FROM 'autovacuum worker'
        AND s.pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT 'prepared transaction', p.gid, p.owner::text, '', 'prepared', p.prepared, pg_catalog.now() - p.prepared,
        pg_catalog.age(p.transaction)
    FROM pg_catalog.pg_prepared_xacts AS p
    WHERE p.database = pg_catalog.current_database()
    UNION ALL
    SELECT 'replication slot', r.slot_name::text, '', '', CASE WHEN r.active THEN 'active' ELSE 'inactive' END, NULL, NULL,
        pg_catalog.age(r.xmin)
    FROM pg_catalog.pg_replication_slots AS r
    WHERE r.xmin IS NOT NULL;
END;
$$;
COMMENT ON FUNCTION thaw.snapshots() IS 'What keeps Postgres from removing dead rows of this database: sessions, prepared transactions and replication slots with a snapshot.';
CREATE FUNCTION thaw.sources_of(p_target_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT array_agg(family.id ORDER BY family.id)
        FROM (
            SELECT target.id
            FROM thaw.accounts AS target
            WHERE target.id = p_target_id
            UNION
            SELECT siblings.sibling_id
            FROM thaw.siblings AS siblings
            WHERE siblings.account_id = p_target_id) AS family
        WHERE (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = family.id) = p_target_id);
END;
$$;
CREATE FUNCTION thaw.spread(i bigint, n bigint, jitter interval) RETURNS interval
    LANGUAGE sql
    RETURN (jitter * ((((i - 1))::double precision + random()) / (n)::double precision));
CREATE FUNCTION thaw.start(reservation bigint) RETURNS thaw.reservation
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    result thaw.reservation;
    action thaw.actions;
    gate   record;
    at     timestamptz := thaw.now();
    lease  interval := (SELECT s.action_lease FROM thaw.settings AS s);
    sender bigint;
BEGIN
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = start.reservation;
    IF action.id IS NULL THEN
        RAISE EXCEPTION 'there is no reservation %', coalesce(start.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the id that thaw.reserve or thaw.claim_actions returned.';
    END IF;
    -- The account is gone if its workspace was removed. What was used by then is kept.
    IF EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = action.account_id) THEN
        sender := thaw.lock_sender(action.account_id);
    END IF;
    PERFORM thaw.lock_campaign_caps(ARRAY[action.campaign_id]);
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = action.enrollment_id FOR NO KEY UPDATE;
    SELECT a.* INTO action FROM thaw.actions AS a WHERE a.id = start.reservation FOR NO KEY UPDATE;
    PERFORM thaw.require_short_transaction(); -- it may have waited for the locks
    result.kind := action.kind;
    result.step := action.step;
    IF action.state <> 'reserved' THEN
        result.code := CASE action.state WHEN 'started' THEN 'already_started' WHEN 'sent' THEN 'already_sent' WHEN 'already' THEN 'already_sent'
            WHEN 'unknown' THEN 'already_unknown' WHEN 'expired' THEN 'lease_expired' ELSE 'released' END;
        RETURN result;
    ELSIF action.lease_until <= at THEN
        UPDATE thaw.actions AS a SET state = 'expired', lease_until = NULL, settled_at = greatest(at, a.reserved_at) WHERE a.id = action.id;
        result.code := 'lease_expired';
        RETURN result;
    END IF;
    SELECT g.* INTO gate FROM thaw.action_gates(ARRAY[action.enrollment_id], ARRAY[action.kind], ARRAY[action.id]) AS g;
    IF gate.account_id = action.account_id AND gate.sender_id IS DISTINCT FROM sender THEN
        RAISE EXCEPTION 'the person behind the account of action % has just changed', action.id
            USING ERRCODE = 'serialization_failure', HINT = 'Start it again.';
    END IF;
    -- The enrollment may have moved to another account or step since, or be gone.
    IF gate.enrollment_id IS NULL OR gate.account_id IS DISTINCT FROM action.account_id THEN
        result.code := 'not_active';
    ELSIF gate.step <> action.step THEN
        result.code := 'no_such_step';
    ELSE
        result.code := gate.code;
        result.opens_at := gate.opens_at;
    END IF;
    IF result.code = 'cooldown' AND result.opens_at < action.lease_until THEN
        result.id := action.id;
        result.lease_until := action.lease_until;
        RETURN result;
    ELSIF result.code IS NOT NULL THEN
        UPDATE thaw.actions AS a SET state = 'released', lease_until = NULL, settled_at = greatest(at, a.reserved_at), error_code = result.code
        WHERE a.id = action.id;
        RETURN result;
    END IF;
    UPDATE thaw.actions AS a SET
        state = 'started', started_at = greatest(at, a.reserved_at), used_at = at, lease_until = at + lease, local_day = gate.day, timezone = gate.timezone,
        next_of_kind_at = greatest(a.next_of_kind_at, at + gate.gap_from)
    WHERE a.id = action.id;
    UPDATE thaw.senders AS s SET
        last_started_at = at, next_allowed_at = greatest(s.next_allowed_at, at + action.gap), day = gate.day, day_began_at = gate.day_began_at,
        day_timezone = CASE WHEN s.day = gate.day THEN s.day_timezone ELSE gate.timezone END,
        ramp_started_at = gate.ramp_started_at, restriction_seen_at = greatest(s.restriction_seen_at, gate.restricted_at)
    WHERE s.id = action.sender_id;
    result.id := action.id;
    result.lease_until := at + lease;
    RETURN result;
END;
$$;
COMMENT ON FUNCTION thaw.start(reservation bigint) IS 'The last look in the moment before the call. code null: go, and settle the action before lease_until. Commit before you call the provider. Otherwise do not call: code says why. After cooldown, if id is set, the reservation is kept: call start again at opens_at. Otherwise it is released.';
CREATE FUNCTION thaw.start_action(p_what text, p_account text, p_provider text, p_reason text, p_actor text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, account_id, enrollments)
    SELECT p_what, p_actor, p_reason, a.workspace_id, a.id, 0
    FROM thaw.accounts AS a WHERE a.id = thaw.find_account(p_account, p_provider)
    RETURNING d.id INTO action_id;
    RETURN action_id;
END;
$$;
CREATE FUNCTION thaw.start_adoption(mapping text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET mapping = start_adoption.mapping, started_at = coalesce(s.started_at, thaw.now()),
        phase = CASE s.phase WHEN 'off' THEN 'installing' ELSE s.phase END;
END;
$$;
COMMENT ON FUNCTION thaw.start_adoption(mapping text) IS 'Records that Thaw copies the platform''s tables, with this mapping. Called by thaw adopt apply.';
CREATE FUNCTION thaw.start_campaigns(p_cause thaw.cause, p_campaign_ids bigint[], p_account_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    started_for bigint[];
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH started AS (
        UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL
        FROM thaw.campaigns AS before
        WHERE before.id = c.id AND c.id = ANY (p_campaign_ids) AND c.waits_for_account
        RETURNING c.id, before.paused_reason
    ), written AS (
        INSERT INTO thaw.campaign_events (
            campaign_id, at, account_id, tick_at, heal_id, signal_id, job_id, kind, source, from_status, to_status, reason)
        SELECT started.id, thaw.now(), p_account_ids[array_position(p_campaign_ids, started.id)], p_cause.tick_at,
            p_cause.heal_id, p_cause.signal_id, p_cause.job_id, 'resumed', p_cause.source, 'paused', 'running',
            started.paused_reason
        FROM started
        RETURNING account_id
    )
    SELECT array_agg(written.account_id) INTO started_for FROM written;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN started_for;
END;
$$;
CREATE FUNCTION thaw.start_replay(p_which text, p_reason text, p_actor text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, detail) VALUES ('messages_replayed', p_actor, p_reason, p_which)
    RETURNING d.id INTO action_id;
    RETURN action_id;
END;
$$;
CREATE FUNCTION thaw.start_undo(p_action_id bigint, p_reason text, p_actor text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    action  thaw.manual_actions;
    preview record;
    undo_id bigint;
    ends    timestamptz;
    event   thaw.campaign_events;
    was     thaw.campaigns;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    -- What the action is about is locked first: its account, campaign or workspace.
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    PERFORM a.id FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    SELECT c.* INTO was FROM thaw.campaigns AS c WHERE c.id = action.campaign_id FOR NO KEY UPDATE;
    IF action.before IS NOT NULL AND action.account_id IS NULL THEN
        PERFORM w.id FROM thaw.workspaces AS w WHERE w.id = action.workspace_id FOR NO KEY UPDATE;
    END IF;
    preview := thaw.preview_undo(p_action_id);
    IF preview.refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', preview.refusal USING ERRCODE = 'object_not_in_prerequisite_state', HINT = preview.hint;
    END IF;
    IF action.what IN ('held', 'hold_corrected') THEN
        -- A hold that has ended in the meantime is not restored.
        ends := (action.before ->> 'hold_until')::timestamptz;
        ends := CASE WHEN ends > thaw.now() THEN ends END;
    END IF;
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, account_id, campaign_id, prospect_url, until, enrollments, undoes)
    VALUES ('undone', p_actor, p_reason, action.workspace_id, action.account_id, action.campaign_id, action.prospect_url, ends,
        CASE WHEN preview.enrollments IS NOT NULL THEN 0 END, action.id)
    RETURNING d.id INTO undo_id;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    IF action.what IN ('held', 'hold_corrected') THEN
        UPDATE thaw.accounts AS a SET hold_until = ends, hold_reason = CASE WHEN ends IS NOT NULL THEN action.before ->> 'hold_reason' END
        WHERE a.id = action.account_id;
    ELSIF action.what IN ('auto_resume_on', 'auto_resume_off') THEN
        UPDATE thaw.workspaces AS w SET auto_resume = (action.before ->> 'auto_resume')::boolean,
            auto_resume_reason = action.before ->> 'auto_resume_reason', auto_resume_changed_at = thaw.now(), auto_resume_changed_by = p_actor
        WHERE w.id = action.workspace_id;
    ELSIF action.what IN ('shadow_on', 'shadow_off') THEN
        UPDATE thaw.workspaces AS w SET shadow = (action.before ->> 'shadow')::boolean WHERE w.id = action.workspace_id;
    ELSIF action.what IN ('heal_cap_set', 'heal_cap_removed') THEN
        UPDATE thaw.workspaces AS w SET heal_cap = (action.before ->> 'heal_cap')::integer WHERE w.id = action.workspace_id;
    ELSIF action.campaign_id IS NOT NULL THEN
        SELECT e.* INTO event FROM thaw.campaign_events AS e WHERE e.campaign_id = action.campaign_id ORDER BY e.id DESC LIMIT 1;
        UPDATE thaw.campaigns AS c SET status = event.from_status, paused_reason = event.from_reason,
            paused_at = CASE WHEN event.from_status = 'paused' THEN coalesce(c.paused_at, thaw.now()) END
        WHERE c.id = action.campaign_id;
        INSERT INTO thaw.campaign_events (
            campaign_id, at, kind, source, from_status, to_status, reason, detail, action_id, from_reason)
        VALUES (action.campaign_id, thaw.now(),
            CASE event.from_status WHEN 'paused' THEN 'paused' ELSE 'resumed' END::thaw.event_kind, 'operator', was.status, event.from_status,
            coalesce(event.from_reason, was.paused_reason), format('%s: %s', p_actor, p_reason), undo_id, was.paused_reason);
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN undo_id;
END;
$$;
CREATE FUNCTION thaw.status_before(p_kind text, p_external_id text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN coalesce(CASE p_kind
        WHEN 'campaign' THEN (
            SELECT jsonb_build_object('status', c.status, 'reason', c.paused_reason) FROM thaw.campaigns AS c
            WHERE c.external_id = p_external_id LIMIT 1)
        WHEN 'enrollment' THEN (
            SELECT jsonb_build_object('status', e.status, 'reason', e.paused_reason, 'own_reason', e.own_reason) FROM thaw.enrollments AS e
            WHERE e.external_id = p_external_id LIMIT 1) END, '{}');
END;
$$;
CREATE FUNCTION thaw.stop_adoption() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET started_at = NULL, phase = 'off', mapping = NULL, progress = '{}', shadow_by_default = true,
        checked_at = NULL, rows_checked = NULL, drift_rows = NULL, drift_detail = NULL, column_types = '{}', problems = '{}', check_due_at = NULL,
        consumer = NULL, consumer_error = NULL, consumer_error_at = NULL, consumer_error_ended_at = NULL;
    DELETE FROM thaw.changes_queue;
    DELETE FROM thaw.adopt_errors;
    UPDATE thaw.accounts AS a SET parked_reason = NULL WHERE a.parked_reason IS NOT NULL;
END;
$$;
COMMENT ON FUNCTION thaw.stop_adoption() IS 'Records that Thaw no longer copies the platform''s tables. Called by thaw adopt remove.';
CREATE FUNCTION thaw.stop_heal(heal_id bigint, reason text, actor text DEFAULT CURRENT_USER) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    heal thaw.heals;
BEGIN
    PERFORM thaw.require_reason(stop_heal.reason, stop_heal.actor);
    heal := thaw.lock_heal(stop_heal.heal_id);
    IF heal.status = 'stopped' THEN
        RETURN false;
    END IF;
    UPDATE thaw.heals AS h SET status = 'stopped', stopped_at = thaw.now(), stopped_reason = format('%s: %s', stop_heal.actor, stop_heal.reason)
    WHERE h.id = heal.id;
    PERFORM thaw.record_heal('heal_stopped', heal, stop_heal.reason, stop_heal.actor);
    RETURN true;
END;
$$;
COMMENT ON FUNCTION thaw.stop_heal(heal_id bigint, reason text, actor text) IS 'Stops a running heal after its current batch. What it has resumed stays resumed; thaw.resume_heal continues it. Returns false if it was stopped already.';
CREATE FUNCTION thaw.store_current_reason() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.paused_reason := thaw.current_reason(NEW.paused_reason);
    RETURN NEW;
END;
$$;
CREATE FUNCTION thaw.subject(p_workspace_id bigint, p_account_id bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'workspace', workspace.key, 'provider', account.provider, 'account', account.provider_account_id,
            'workspace_external_id', workspace.external_id, 'account_external_id', account.external_id))
        FROM (VALUES (p_account_id)) AS given (account_id)
        LEFT JOIN thaw.accounts AS account ON account.id = given.account_id
        LEFT JOIN thaw.workspaces AS workspace ON workspace.id = coalesce(p_workspace_id, account.workspace_id));
END;
$$;
CREATE FUNCTION thaw.supersedes(p_status thaw.account_status, p_status_at timestamp with time zone, p_new_status thaw.account_status, p_kind thaw.signal_kind, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF p_at IS NOT NULL AND date_trunc('second', p_at) < date_trunc('second', p_status_at) THEN
        RETURN false;
    END IF;
    RETURN NOT (p_status = 'connected' AND p_new_status = 'connecting'
        AND (p_kind = 'login' OR p_at IS NULL OR date_trunc('second', p_at) = date_trunc('second', p_status_at)));
END;
$$;
CREATE FUNCTION thaw.sweep() RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    tick timestamptz := thaw.tick();
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.sweeps AS s WHERE s.tick_at = tick) THEN
        PERFORM thaw.enqueue('sweep', 'sweep', 2::smallint,
            jsonb_build_object('tick_at', thaw.job_time(tick)), '0', B'11110101');
    END IF;
    RETURN tick;
END;
$$;
COMMENT ON FUNCTION thaw.sweep() IS 'Enqueues the sweep of the current tick, unless it is enqueued or done already, and returns the tick. Repeated calls in one tick cause one sweep.';
CREATE FUNCTION thaw.take(p_kind text, p_rows jsonb, p_is_backfill boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    size    integer;
    half    integer;
    code    text;
    problem text;
    is_deferred boolean;
BEGIN
    IF jsonb_typeof(p_rows) IS DISTINCT FROM 'array' THEN
        RETURN thaw.note_adopt_failure(p_kind, '22023', 'the rows are not a JSON array');
    END IF;
    size := jsonb_array_length(p_rows);
    IF size = 0 THEN
        RETURN 0;
    ELSIF size > 10000 THEN
        RETURN thaw.note_adopt_failure(p_kind, '54000', format('%s rows in one call; at most 10000 are taken', size));
    END IF;
    BEGIN
        RETURN CASE p_kind
            WHEN 'workspace' THEN thaw.apply_workspaces(p_rows, p_is_backfill)
            WHEN 'account' THEN thaw.apply_accounts(p_rows, p_is_backfill)
            WHEN 'campaign' THEN thaw.apply_campaigns(p_rows, p_is_backfill)
            ELSE thaw.apply_enrollments(p_rows, p_is_backfill) END;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
    END;
    -- Another transaction or the server is in the way: the rows are not at fault, and half of them
    -- would fail in the same way.
    is_deferred := left(code, 2) IN ('40', '53', '55', '57', '58');
    IF is_deferred OR size = 1 THEN
        IF size = 1 AND coalesce(p_rows -> 0 ->> 'id', '') = '' THEN
            RETURN thaw.note_adopt_failure(p_kind, code, problem);
        END IF;
        RETURN thaw.keep_taken(p_kind, ARRAY(
            SELECT ROW(r.element ->> 'id', r.element, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken
            FROM jsonb_array_elements(p_rows) AS r (element) WHERE r.element ->> 'id' <> ''), code, problem, is_deferred, p_is_backfill);
    END IF;
    half := size / 2;
    RETURN thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[0 to $upper]', jsonb_build_object('upper', half - 1)), p_is_backfill)
        + thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[$lower to last]', jsonb_build_object('lower', half)), p_is_backfill);
EXCEPTION WHEN OTHERS THEN
    -- Not even the failure could be kept. A comparison finds the difference.
    RAISE WARNING 'thaw: % rows of the platform were not copied: %', p_kind, SQLERRM;
    RETURN coalesce(size, 0);
END;
$_$;
CREATE FUNCTION thaw.take_accounts(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
DECLARE
    failed integer;
BEGIN
    -- A status that the platform has is not told to the platform.
    PERFORM set_config('thaw.taking', 'on', true);
    failed := thaw.take('account', rows, is_backfill);
    PERFORM set_config('thaw.taking', '', true);
    RETURN failed;
END;
$$;
COMMENT ON FUNCTION thaw.take_accounts(rows jsonb, is_backfill boolean) IS 'Copies changes of the platform''s accounts: an array of objects with id, workspace and the changed ones of provider, provider_account_id, member_id, name, timezone, tier, ramp_started_on, status (or unknown: a status that is not mapped), deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
CREATE FUNCTION thaw.take_campaigns(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
BEGIN
    RETURN thaw.take('campaign', rows, is_backfill);
END;
$$;
COMMENT ON FUNCTION thaw.take_campaigns(rows jsonb, is_backfill boolean) IS 'Copies changes of the platform''s campaigns: an array of objects with id, workspace and the changed ones of key, name, status (or unknown), reason, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
CREATE FUNCTION thaw.take_changes(consumer text, n integer DEFAULT 500) RETURNS TABLE(kind text, workspace text, account text, campaign text, enrollment text, from_status text, to_status text, reason text, next_action_at timestamp with time zone, moved_from text, cause text, generation bigint, at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    kinds text[];
    rows  bigint[];
BEGIN
    IF coalesce(btrim(take_changes.consumer), '') = '' OR length(take_changes.consumer) > 256 THEN
        RAISE EXCEPTION 'the consumer has no name' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name it, with at most 256 characters.';
    ELSIF coalesce(take_changes.n, 0) NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'n is %', coalesce(take_changes.n::text, 'null') USING ERRCODE = 'invalid_parameter_value', HINT = 'Take 1 to 10000 rows per call.';
    END IF;
    SELECT array_agg(first.kind), array_agg(first.row_id) INTO kinds, rows
    FROM (
        SELECT q.kind, q.row_id
        FROM thaw.changes_queue AS q
        WHERE NOT EXISTS (
                SELECT FROM thaw.changes_queue AS older
                WHERE older.kind = q.kind AND older.row_id = q.row_id AND older.generation < q.generation)
            AND (q.kind <> 'enrollment' OR NOT EXISTS (
                SELECT FROM thaw.enrollments AS e
                JOIN thaw.adopt_errors AS x ON x.kind = 'enrollment' AND x.external_id = e.external_id
                WHERE e.id = q.row_id))
        ORDER BY q.generation
        LIMIT take_changes.n
        FOR UPDATE OF q SKIP LOCKED) AS first;
    -- For thaw.confirm_changes: what it puts back has waited since then.
    PERFORM set_config('thaw.taken_since', coalesce((
        SELECT min(q.at)::text FROM thaw.changes_queue AS q JOIN unnest(kinds, rows) AS first (kind, row_id) ON q.kind = first.kind AND q.row_id = first.row_id), ''), true);
    RETURN QUERY
    WITH taken AS MATERIALIZED (
        DELETE FROM thaw.changes_queue AS q
        USING unnest(kinds, rows) AS first (kind, row_id)
        WHERE q.kind = first.kind AND q.row_id = first.row_id
        RETURNING q.*
    ), change AS MATERIALIZED (
        SELECT t.kind, t.row_id, max(t.generation) AS generation, (array_agg(t.from_status ORDER BY t.generation))[1] AS from_status,
            (array_agg(t.from_account_id ORDER BY t.generation) FILTER (WHERE t.from_account_id IS NOT NULL))[1] AS from_account_id,
            (array_agg(t.cause ORDER BY t.generation DESC))[1] AS cause, min(t.at) AS at
        FROM taken AS t GROUP BY t.kind, t.row_id
    ), now AS (
        SELECT 1 AS place, c.*, w.external_id AS workspace, a.external_id AS account, NULL AS campaign, NULL AS enrollment,
            a.status::text AS to_status, NULL AS reason, NULL::timestamptz AS next_action_at, NULL AS moved_from, a.external_id AS id
        FROM change AS c
        JOIN thaw.accounts AS a ON a.id = c.row_id
        JOIN thaw.workspaces AS w ON w.id = a.workspace_id
        WHERE c.kind = 'account'
        UNION ALL
        SELECT 2, c.*, w.external_id, NULL, g.external_id, NULL, g.status::text, g.paused_reason::text, NULL, NULL, g.external_id
        FROM change AS c
        JOIN thaw.campaigns AS g ON g.id = c.row_id
        JOIN thaw.workspaces AS w ON w.id = g.workspace_id
        WHERE c.kind = 'campaign' AND g.status IN ('running', 'paused')
        UNION ALL
        SELECT 3, c.*, w.external_id, a.external_id, g.external_id, e.external_id, e.status::text, e.paused_reason::text, e.next_action_at,
            was.external_id, e.external_id
        FROM change AS c
        JOIN thaw.enrollments AS e ON e.id = c.row_id
        JOIN thaw.campaigns AS g ON g.id = e.campaign_id
        JOIN thaw.workspaces AS w ON w.id = e.workspace_id
        LEFT JOIN thaw.accounts AS a ON a.id = e.account_id
        LEFT JOIN thaw.accounts AS was ON was.id = c.from_account_id AND was.id <> e.account_id
        -- A prospect that has finished since is the platform's. One that seems to be as it was
        -- before is returned: the platform may have changed it in between.
        WHERE c.kind = 'enrollment' AND e.status IN ('pending', 'active', 'paused')
    )
    SELECT now.kind, now.workspace, now.account, now.campaign, now.enrollment, now.from_status, now.to_status, now.reason,
        now.next_action_at, now.moved_from, now.cause, now.generation, now.at
    FROM now
    WHERE now.id IS NOT NULL
    ORDER BY now.place, length(now.id), now.id COLLATE "C";
END;
$$;
COMMENT ON FUNCTION thaw.take_changes(consumer text, n integer) IS 'Returns and removes, in the caller''s transaction, what Thaw changed: the platform''s IDs, the status before and now, the reason of a pause, the time of the next action, the account that a prospect was moved from, the cause (signal, sweep, heal, person, import), a number that rises with every change of a row, and since when the change waits. Call it in READ COMMITTED, lock the platform''s rows in the order of the result, and write. At most n rows, the longest-waiting ones.';
CREATE FUNCTION thaw.take_enrollments(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
BEGIN
    RETURN thaw.take('enrollment', rows, is_backfill);
END;
$$;
COMMENT ON FUNCTION thaw.take_enrollments(rows jsonb, is_backfill boolean) IS 'Copies changes of the platform''s prospects: an array of objects with id, campaign and the changed ones of account, prospect_url, status (or unknown), reason, own_reason, step, next_action_at, next_kind, paused_at, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
CREATE FUNCTION thaw.take_nudges(p_size integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    accounts bigint[];
    times    timestamptz[];
    ready    bigint[];
    kept     integer;
    taken    integer;
BEGIN
    WITH gone AS (
        DELETE FROM thaw.nudges AS n
        WHERE n.id = ANY (ARRAY(SELECT oldest.id FROM thaw.nudges AS oldest ORDER BY oldest.id LIMIT p_size FOR UPDATE SKIP LOCKED))
        RETURNING n.account_id, n.at
    ), first AS (
        SELECT gone.account_id, min(gone.at) AS at, count(*) AS n FROM gone GROUP BY gone.account_id
    )
    SELECT array_agg(first.account_id ORDER BY first.account_id), array_agg(first.at ORDER BY first.account_id), coalesce(sum(first.n), 0)
    INTO accounts, times, taken FROM first;
    IF taken > 0 THEN
        -- Accounts and rows that another transaction has locked are not waited for, or it would
        -- hold up all other accounts: their nudges are kept for the next call. Changes of the
        -- person are left to the scheduler, which has locked the account.
        PERFORM thaw.ensure_senders(ARRAY(
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.id = ANY (accounts) AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS known WHERE known.account_id = a.id)
            ORDER BY a.id FOR KEY SHARE SKIP LOCKED));
        -- Every row is locked, also one that seems to be due: the scheduler may be about to note a
        -- later time.
        ready := ARRAY(
            SELECT s.account_id FROM thaw.sending_accounts AS s
            WHERE s.account_id = ANY (accounts) ORDER BY s.account_id FOR NO KEY UPDATE SKIP LOCKED);
        -- IS TRUE: the list of accounts is hashed.
        UPDATE thaw.sending_accounts AS s SET next_at = first.at
        FROM unnest(accounts, times) AS first (account_id, at)
        WHERE s.account_id = first.account_id AND (first.account_id IN (SELECT unnest(ready))) IS TRUE AND s.next_at > first.at;
        INSERT INTO thaw.nudges (account_id, at)
        SELECT first.account_id, first.at
        FROM unnest(accounts, times) AS first (account_id, at)
        JOIN thaw.accounts AS a ON a.id = first.account_id
        WHERE (first.account_id IN (SELECT unnest(ready))) IS NOT TRUE;
        GET DIAGNOSTICS kept = ROW_COUNT;
        taken := taken - kept;
    END IF;
    RETURN taken;
END;
$$;
COMMENT ON FUNCTION thaw.take_nudges(p_size integer) IS 'Notes which accounts may have something to send sooner. Every worker process calls it once a second.';
CREATE FUNCTION thaw.take_workspaces(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
BEGIN
    RETURN thaw.take('workspace', rows, is_backfill);
END;
$$;
COMMENT ON FUNCTION thaw.take_workspaces(rows jsonb, is_backfill boolean) IS 'Copies changes of the platform''s workspaces: an array of objects with id and the changed ones of key, name. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
CREATE FUNCTION thaw.taken_campaign(p_old thaw.campaigns, p_change jsonb, p_is_shadow boolean, p_was_parked boolean, OUT new thaw.campaigns, OUT verdict text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    status thaw.campaign_status := CASE WHEN (p_change ->> 'deleted')::boolean THEN 'completed' ELSE p_change ->> 'status' END;
    reason thaw.pause_reason := p_change ->> 'reason';
    -- Whether the pause is Thaw's.
    is_kept boolean := coalesce(p_old.waits_for_account, false) AND NOT p_is_shadow AND NOT p_was_parked;
BEGIN
    new := p_old;
    new.key := coalesce(p_change ->> 'key', new.key);
    new.name := CASE WHEN p_change ? 'name' THEN coalesce(p_change ->> 'name', '') ELSE new.name END;
    IF status IS NULL AND p_old.status = 'paused' AND p_change ? 'reason' THEN
        status := 'paused';
    END IF;
    IF status IS NULL THEN
        RETURN;
    ELSIF status = 'paused' THEN
        reason := coalesce(reason, 'paused_by_user');
        IF NOT (is_kept AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, (p_change ->> 'paused_at')::timestamptz, thaw.now());
        END IF;
    ELSIF status = 'running' AND is_kept THEN
        verdict := 'keep';
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
    END IF;
END;
$$;
CREATE FUNCTION thaw.taken_enrollment(p_old thaw.enrollments, p_taken thaw.taken, p_usable_ids bigint[], OUT new thaw.enrollments, OUT verdict text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    change  jsonb := p_taken.change;
    status  thaw.enrollment_status := CASE WHEN (change ->> 'deleted')::boolean THEN 'removed' ELSE change ->> 'status' END;
    reason  thaw.pause_reason := change ->> 'reason';
    own     text := left(nullif(change ->> 'own_reason', ''), 1000);
    -- Whether a resume is Thaw's to decide.
    is_held boolean := coalesce(p_old.status = 'paused', false) AND NOT p_taken.is_shadow AND NOT p_taken.was_parked;
BEGIN
    new := p_old;
    new.external_id := p_taken.external_id;
    new.workspace_id := coalesce(p_old.workspace_id, p_taken.workspace_id);
    new.campaign_id := coalesce(p_taken.campaign_id, p_old.campaign_id);
    IF change ? 'account' THEN
        new.account_id := p_taken.account_id;
    END IF;
    IF change ? 'prospect_url' THEN
        new.prospect_url := change ->> 'prospect_url';
    END IF;
    IF status IS NULL AND p_old.status = 'paused' AND (change ? 'reason' OR change ? 'own_reason') THEN
        -- The same pause with another reason.
        status := 'paused';
        reason := CASE WHEN change ? 'reason' THEN coalesce(reason, 'paused_by_user') ELSE p_old.paused_reason END;
        own := CASE WHEN change ? 'own_reason' THEN own ELSE p_old.own_reason END;
    ELSIF status IS NULL AND reason IS NOT NULL AND NOT thaw.waits_for_account(reason) AND p_old.status IN ('pending', 'active') THEN
        -- The platform has not heard yet that Thaw resumed the prospect. A person pauses it.
        status := 'paused';
    END IF;
    CASE
    WHEN status IS NULL THEN
        NULL;
    WHEN status = 'paused' THEN
        IF thaw.is_of_campaigns(reason) THEN
            own := coalesce(own, reason::text);
            reason := 'paused_by_user';
        END IF;
        reason := coalesce(reason, 'paused_by_user');
        -- Which account reason it is, and since when, is Thaw's to say.
        IF NOT (is_held AND p_old.waits_for_account AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, thaw.new_paused_at(p_old.id, (change ->> 'paused_at')::timestamptz));
            new.own_reason := CASE WHEN reason = 'paused_by_user' THEN own END;
        END IF;
    WHEN status IN ('active', 'pending') AND is_held AND (status = 'active' OR p_old.waits_for_account)
        AND NOT (p_old.paused_reason = 'paused_by_user' AND coalesce(new.account_id = ANY (p_usable_ids), false)
            AND EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = new.campaign_id AND c.status = 'running'))
    THEN
        verdict := CASE WHEN p_old.waits_for_account THEN 'keep' ELSE 'requeue' END;
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
        new.own_reason := NULL;
    END CASE;
    -- The step and the time of the next action of a running prospect are not copied, unless Thaw
    -- schedules it: its kind comes with them then. A change of status takes them along.
    IF new.status <> 'active' OR p_old.status IS DISTINCT FROM 'active' OR change ? 'next_kind' THEN
        IF change ? 'step' THEN
            new.step := coalesce((change ->> 'step')::integer, 0);
        END IF;
        IF change ? 'next_action_at' THEN
            new.next_action_at := (change ->> 'next_action_at')::timestamptz;
        END IF;
        IF change ? 'next_kind' THEN
            new.next_kind := change ->> 'next_kind';
        END IF;
    END IF;
END;
$$;
CREATE FUNCTION thaw.text_columns() RETURNS TABLE(table_name text, column_name text, type_name text, is_name boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL),
        a.attname IN ('key', 'external_id', 'provider_account_id', 'member_id', 'v1_account_id', 'delivery_key')
            OR c.relname = 'enrollments' AND a.attname = 'prospect_url'
            OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'goose%'
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text[]'::regtype,
            'varchar[]'::regtype, 'jsonb[]'::regtype)
    ORDER BY c.relname, a.attnum;
END;
$$;
CREATE FUNCTION thaw.this_database(OUT system_identifier bigint, OUT database_name text, OUT database_oid oid) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    SELECT d.datname, d.oid INTO database_name, database_oid FROM pg_database AS d WHERE d.datname = current_database();
    system_identifier := (SELECT c.system_identifier FROM pg_control_system() AS c);
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
    SELECT 0, d.datname, d.oid INTO system_identifier, database_name, database_oid
    FROM pg_database AS d WHERE d.datname = current_database();
END;
$$;
CREATE FUNCTION thaw.this_timeline() RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported OR object_not_in_prerequisite_state THEN
    RETURN 0;
END;
$$;
CREATE FUNCTION thaw.undo(action_id bigint, reason text, actor text DEFAULT CURRENT_USER) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    undo_id bigint := thaw.start_undo(undo.action_id, undo.reason, undo.actor);
BEGIN
    PERFORM thaw.undo_batch(undo_id, 0, 2147483647);
    RETURN (SELECT coalesce(d.enrollments, 1) FROM thaw.manual_actions AS d WHERE d.id = undo_id);
END;
$$;
COMMENT ON FUNCTION thaw.undo(action_id bigint, reason text, actor text) IS 'For operators: undoes a manual action (an id of thaw.manual_actions). Anything that was changed again after the action is left as it is. Returns how many prospects it restored, or 1 if the action did not concern prospects. Fails if nothing is left to undo. Only the owner of the schema may call it.';
CREATE FUNCTION thaw.undo_batch(p_undo_id bigint, p_after bigint, p_size integer, OUT restored integer, OUT last_event_id bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    undo   thaw.manual_actions;
    events bigint[];
    wanted bigint[];
BEGIN
    SELECT d.* INTO undo FROM thaw.manual_actions AS d WHERE d.id = p_undo_id;
    restored := 0;
    SELECT array_agg(next.event_id), array_agg(next.enrollment_id), max(next.event_id) INTO events, wanted, last_event_id
    FROM thaw.undoable(undo.undoes, p_after, p_size) AS next;
    IF events IS NULL THEN
        RETURN;
    END IF;
    -- The accounts come first, as everywhere. Then the state is read again: a row that has changed
    -- since it was found is left alone.
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (SELECT e.account_id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted))
    ORDER BY a.id FOR NO KEY UPDATE;
    PERFORM e.id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted) ORDER BY e.id FOR NO KEY UPDATE;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH before AS (
        SELECT e.id, e.paused_reason, e.paused_at, event.from_status,
            -- An active prospect waits for its account, and the next sweeps resume it.
            CASE event.from_status WHEN 'paused' THEN event.from_reason WHEN 'active' THEN 'account_issue' END AS reason
        FROM thaw.undoable(undo.undoes, p_after, p_size) AS found
        JOIN thaw.enrollment_events AS event ON event.id = found.event_id
        JOIN thaw.enrollments AS e ON e.id = found.enrollment_id
        WHERE found.event_id = ANY (events)
    ), written AS (
        UPDATE thaw.enrollments AS e SET
            status = CASE WHEN before.reason IS NULL THEN before.from_status ELSE 'paused' END,
            paused_reason = before.reason,
            paused_at = CASE WHEN before.reason IS NOT NULL THEN e.paused_at END
        FROM before
        WHERE e.id = before.id
        RETURNING e.id, e.step, e.account_id, e.status, e.waits_for_account, before.paused_at, before.reason, before.paused_reason
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail,
        action_id, from_reason)
    SELECT written.id, thaw.now(), written.account_id, written.account_id, written.step,
        CASE WHEN written.reason IS NULL THEN 'changed' WHEN written.waits_for_account THEN 'released' ELSE 'paused' END::thaw.event_kind,
        'operator', 'paused', written.status,
        CASE WHEN written.reason IS NULL OR written.waits_for_account THEN written.paused_reason ELSE written.reason END,
        written.paused_at, format('%s: %s', undo.actor, undo.reason), p_undo_id, written.paused_reason
    FROM written;
    GET DIAGNOSTICS restored = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    UPDATE thaw.manual_actions AS d SET enrollments = d.enrollments + restored WHERE d.id = p_undo_id;
END;
$$;
CREATE FUNCTION thaw.undoable(p_action_id bigint, p_after bigint, p_size integer) RETURNS TABLE(event_id bigint, enrollment_id bigint, account_id bigint)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    SELECT event.id, e.id, e.account_id
    FROM thaw.enrollment_events AS event
    JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
    WHERE event.action_id = p_action_id AND event.id > p_after AND e.status = 'paused'
        AND NOT EXISTS (
            SELECT FROM thaw.enrollment_events AS later WHERE later.enrollment_id = event.enrollment_id AND later.id > event.id)
    ORDER BY event.id
    LIMIT p_size;
END;
$$;
CREATE FUNCTION thaw.unfit() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'the platform''s tables no longer fit the mapping: '::text;
CREATE FUNCTION thaw.usable_accounts(p_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.id = ANY (p_ids) AND thaw.blocked_by(a, true) IS NULL);
END;
$$;
CREATE FUNCTION thaw.utc_offset(p_zone text, p_at timestamp with time zone) RETURNS interval
    LANGUAGE sql STABLE
    RETURN ((p_at AT TIME ZONE p_zone) - (p_at AT TIME ZONE 'UTC'::text));
CREATE FUNCTION thaw.verify_action(reservation bigint, outcome text, reason text, actor text DEFAULT CURRENT_USER, provider_ref text DEFAULT NULL::text, next_kind text DEFAULT NULL::text, next_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.require_sending_reason(verify_action.reason, verify_action.actor);
    IF verify_action.outcome IS NULL OR verify_action.outcome NOT IN ('verified_sent', 'verified_absent') THEN
        RAISE EXCEPTION 'an unknown action is not settled as "%"', coalesce(left(verify_action.outcome, 100), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use verified_sent or verified_absent.';
    ELSIF verify_action.outcome = 'verified_absent' AND verify_action.provider_ref IS NOT NULL THEN
        RAISE EXCEPTION 'an action that was not delivered has no ID of the provider'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave out provider_ref, or use verified_sent.';
    ELSIF NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.id = verify_action.reservation) THEN
        RAISE EXCEPTION 'there is no action %', coalesce(verify_action.reservation::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use the ID of an unknown action: thaw actions --unknown lists them.';
    END IF;
    RETURN thaw.settle_action(verify_action.reservation, verify_action.outcome, verify_action.provider_ref, NULL, NULL,
        verify_action.next_kind, verify_action.next_at, 'fail', verify_action.actor, verify_action.reason);
END;
$$;
COMMENT ON FUNCTION thaw.verify_action(reservation bigint, outcome text, reason text, actor text, provider_ref text, next_kind text, next_at timestamp with time zone) IS 'Settles an action of which the outcome is unknown, by what the provider''s own list shows: verified_sent (with provider_ref, if known) or verified_absent. The latter gives the quota back, and the step may be done again. reason and actor are in the audit log. next_kind and next_at are for campaigns without steps. Returns the state.';
CREATE FUNCTION thaw.waiting_queues(p_queues text[]) RETURNS TABLE(queue text, waited interval)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT wanted.queue,
         CASE
             WHEN (EXISTS ( SELECT
                FROM (generate_series(1, 4) run_by(priority)
                  CROSS JOIN LATERAL ( SELECT
                        FROM thaw.river_job run
                       WHERE ((run.state = 'running'::thaw.river_job_state) AND (run.queue = wanted.queue) AND (run.priority = run_by.priority) AND (run.scheduled_at > (now() - '00:01:00'::interval)))
                       ORDER BY run.scheduled_at DESC
                      LIMIT 1) running))) THEN (now() - min(oldest.scheduled_at))
             ELSE '00:00:00'::interval
         END AS "case"
    FROM ((unnest(waiting_queues.p_queues) wanted(queue)
      CROSS JOIN generate_series(1, 4) by(priority))
      CROSS JOIN LATERAL ( SELECT job.scheduled_at
            FROM thaw.river_job job
           WHERE ((job.state = 'available'::thaw.river_job_state) AND (job.queue = wanted.queue) AND (job.priority = by.priority) AND ((job.scheduled_at >= (now() - '00:00:15'::interval)) AND (job.scheduled_at <= now())))
           ORDER BY job.scheduled_at
          LIMIT 1) oldest)
   GROUP BY wanted.queue;
END;
CREATE FUNCTION thaw.waits_for_person(p_reason thaw.pause_reason) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((p_reason IS NOT NULL) AND (p_reason = ANY (ARRAY['account_restricted'::thaw.pause_reason, 'paused_by_user'::thaw.pause_reason])));
CREATE FUNCTION thaw.watch() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    safety thaw.safety;
    calm   interval;
BEGIN
    PERFORM thaw.check_instance();
    PERFORM thaw.pick_up_signals('1 day');
    PERFORM thaw.mark_losses();
    PERFORM thaw.publish_recovered();
    PERFORM thaw.learn_silence();
    SELECT s.* INTO safety FROM thaw.safety AS s;
    SELECT s.safety_calm INTO calm FROM thaw.settings AS s;
    IF safety.since IS NULL THEN
        PERFORM thaw.enter_on_breach(thaw.losses());
        RETURN CASE WHEN (SELECT s.since IS NOT NULL FROM thaw.safety AS s) THEN 'entered' ELSE 'calm' END;
    ELSIF (thaw.losses()).is_breach THEN
        UPDATE thaw.safety AS s SET breached_at = thaw.now() WHERE s.since IS NOT NULL;
    ELSIF NOT safety.manual_exit AND greatest(safety.since, safety.breached_at) + calm <= thaw.now() THEN
        PERFORM thaw.exit_safety_mode(
            format('calm for %s minutes', ceil(extract(epoch FROM calm) / 60)), 'monitor');
        RETURN 'exited';
    END IF;
    RETURN 'on';
END;
$$;
CREATE FUNCTION thaw.why_copy() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT CASE
            WHEN recorded.system_identifier <> here.system_identifier OR recorded.database_oid <> here.database_oid
                    OR recorded.database_name <> here.database_name THEN
                format('this database is a copy: instance %s is database %s (oid %s, server %s), and this is database %s (oid %s, server %s)',
                    recorded.name, recorded.database_name, recorded.database_oid, recorded.system_identifier,
                    here.database_name, here.database_oid, here.system_identifier)
            ELSE recorded.doubt END
        FROM thaw.instance AS recorded CROSS JOIN thaw.this_database() AS here);
END;
$$;
CREATE FUNCTION thaw.window_at(p_zone text, p_weekdays smallint[], p_opens time without time zone, p_closes time without time zone, p_at timestamp with time zone, OUT is_open boolean, OUT opens_at timestamp with time zone, OUT closes_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    today     date := (p_at AT TIME ZONE p_zone)::date;
    overnight boolean := p_closes <= p_opens;
    day       date;
    began     timestamptz;
    ended     timestamptz;
BEGIN
    is_open := false;
    -- Two weeks: a change of the clock may leave nothing of the only window of a week.
    FOR n IN -1..15 LOOP
        day := today + n;
        CONTINUE WHEN extract(isodow FROM day) <> ALL (p_weekdays);
        began := (day + p_opens) AT TIME ZONE p_zone;
        -- What opened yesterday and closed yesterday is over.
        CONTINUE WHEN n = -1 AND NOT overnight AND began <= p_at;
        ended := thaw.closing(p_zone, day + p_closes + CASE WHEN overnight THEN interval '1 day' ELSE '0' END);
        -- A change of the clock may leave nothing of a window.
        CONTINUE WHEN began >= ended;
        IF began > p_at THEN
            opens_at := least(opens_at, began);
            EXIT WHEN n >= 0;
        ELSIF p_at < ended THEN
            is_open := true;
            closes_at := greatest(closes_at, ended);
        END IF;
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.window_from(p_account_id bigint, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    RETURN (
        SELECT min(CASE WHEN state.is_open THEN p_at ELSE state.opens_at END)
        FROM thaw.accounts AS a
        CROSS JOIN LATERAL thaw.applicable_windows(a.workspace_id, a.id, thaw.zone_named(a.timezone)) AS w
        CROSS JOIN LATERAL thaw.window_at(w.timezone, w.weekdays, w.opens, w.closes, p_at) AS state
        WHERE a.id = p_account_id AND w.timezone IS NOT NULL);
END;
$$;
CREATE FUNCTION thaw.windows_of(p_windows jsonb) RETURNS TABLE(weekdays smallint[], opens time without time zone, closes time without time zone, timezone text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    given record;
    place text;
BEGIN
    IF jsonb_typeof(p_windows) IS DISTINCT FROM 'array' OR jsonb_array_length(p_windows) > 50 THEN
        RAISE EXCEPTION 'the windows are not a list of at most 50 windows'
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Use for example [{"weekdays": [1, 2, 3, 4, 5], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Berlin"}].';
    END IF;
    FOR given IN SELECT w.value, w.n FROM jsonb_array_elements(p_windows) WITH ORDINALITY AS w (value, n) LOOP
        place := 'window ' || given.n;
        IF jsonb_typeof(given.value) <> 'object' OR given.value - '{weekdays,opens,closes,timezone}'::text[] <> '{}' THEN
            RAISE EXCEPTION '% is not an object with weekdays, opens, closes and timezone', place
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove other fields. timezone may be left out.';
        ELSIF jsonb_typeof(given.value -> 'weekdays') IS DISTINCT FROM 'array'
            OR jsonb_array_length(given.value -> 'weekdays') NOT BETWEEN 1 AND 7
            OR NOT given.value -> 'weekdays' <@ '[1, 2, 3, 4, 5, 6, 7]'
        THEN
            RAISE EXCEPTION '% has no valid weekdays', place
                USING ERRCODE = 'invalid_parameter_value', HINT = 'List ISO weekdays: 1 is Monday, 7 is Sunday.';
        ELSIF coalesce(given.value ->> 'opens' !~ '^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$', true)
            OR coalesce(given.value ->> 'closes' !~ '^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|24:00)$', true)
            OR (given.value ->> 'opens')::time = (given.value ->> 'closes')::time
        THEN
            RAISE EXCEPTION '% opens at % and closes at %', place, coalesce(left(given.value ->> 'opens', 20), 'null'),
                    coalesce(left(given.value ->> 'closes', 20), 'null')
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'Use two different times such as 09:00 and 17:00. A window that closes at or before it opens closes on the next day.';
        ELSIF given.value ->> 'timezone' IS NOT NULL AND thaw.zone_named(given.value ->> 'timezone') IS NULL THEN
            RAISE EXCEPTION '% has an unknown time zone: "%"', place, left(given.value ->> 'timezone', 64)
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'Use an IANA name such as Europe/Berlin, or leave it out: the zone of each account applies then.';
        END IF;
        weekdays := ARRAY(SELECT DISTINCT d.day::numeric::smallint FROM jsonb_array_elements_text(given.value -> 'weekdays') AS d (day) ORDER BY 1);
        opens := given.value ->> 'opens';
        closes := given.value ->> 'closes';
        timezone := thaw.zone_named(given.value ->> 'timezone');
        RETURN NEXT;
    END LOOP;
END;
$_$;
CREATE FUNCTION thaw.with_kept(p_kind text, p_rows jsonb, p_is_backfill boolean) RETURNS thaw.taken[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    is_retry boolean := coalesce(current_setting('thaw.retrying', true), '') = 'on';
    given    thaw.taken[];
    ids      text[];
BEGIN
    SELECT array_agg(ROW(one.id, one.change, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken), array_agg(one.id)
    INTO given, ids
    FROM (
        SELECT g.element ->> 'id' AS id, thaw.merged(array_agg(g.element ORDER BY g.n)) AS change
        FROM jsonb_array_elements(p_rows) WITH ORDINALITY AS g (element, n)
        WHERE g.element ->> 'id' <> ''
        GROUP BY g.element ->> 'id') AS one;
    IF NOT is_retry AND NOT EXISTS (SELECT FROM thaw.adopt_errors AS x WHERE x.kind = p_kind AND x.external_id = ANY (ids)) THEN
        RETURN given;
    END IF;
    RETURN (
        SELECT array_agg(ROW(g.external_id,
            CASE WHEN kept.is_claimed IS NOT TRUE THEN g.change WHEN p_is_backfill THEN thaw.merge_change(g.change, kept.change)
                ELSE thaw.merge_change(kept.change, g.change) END,
            CASE WHEN kept.is_claimed THEN kept.ids END, coalesce(kept.was_parked, false), NULL, NULL, NULL, NULL, NULL,
            CASE WHEN NOT kept.is_claimed THEN '55P03' END,
            CASE WHEN NOT kept.is_claimed THEN 'another transaction applies an earlier change of the row' END)::thaw.taken)
        FROM unnest(given) AS g
        LEFT JOIN thaw.claim_kept(p_kind, ids) AS kept ON kept.external_id = g.external_id
        WHERE NOT is_retry OR kept.is_claimed);
END;
$$;
CREATE TABLE thaw.provider_words (
    provider text NOT NULL,
    word text NOT NULL,
    means text NOT NULL,
    says text,
    advice text,
    owner_advice text,
    CONSTRAINT provider_words_advice_check CHECK (((advice ~~ '%.'::text) AND (length(advice) <= 400))),
    CONSTRAINT provider_words_means_check CHECK ((means = ANY (ARRAY['connecting'::text, 'connected'::text, 'needs_verification'::text, 'disconnected'::text, 'restricted'::text, 'error'::text, 'removed'::text, 'reconnected'::text, 'locked'::text, 'unlocked'::text]))),
    CONSTRAINT provider_words_owner_advice_check CHECK (((owner_advice ~~ '%.'::text) AND (length(owner_advice) <= 400))),
    CONSTRAINT provider_words_says_check CHECK (((says <> ''::text) AND (length(says) <= 200))),
    CONSTRAINT provider_words_statuses_mean_themselves CHECK (((means = word) OR (word <> ALL (ARRAY['connecting'::text, 'connected'::text, 'needs_verification'::text, 'disconnected'::text, 'restricted'::text, 'error'::text, 'removed'::text, 'reconnected'::text, 'locked'::text, 'unlocked'::text])))),
    CONSTRAINT provider_words_word_check CHECK ((((length(word) >= 1) AND (length(word) <= 256)) AND (word !~ '[[:cntrl:]]'::text)))
);
COMMENT ON TABLE thaw.provider_words IS 'What a word of a provider means, and what Thaw says about an account with this status. A row whose word is a status applies to all words that mean it. A sentence that is null is taken from that row, then from the provider ''''.';
COMMENT ON COLUMN thaw.provider_words.word IS 'A status word as the provider sends it.';
COMMENT ON COLUMN thaw.provider_words.means IS 'An account status, or reconnected, locked or unlocked.';
COMMENT ON COLUMN thaw.provider_words.says IS 'Completes a sentence that begins with the account, such as "is disconnected".';
COMMENT ON COLUMN thaw.provider_words.advice IS 'What gets the account connected again, for those who look at one of its prospects. "It" is the account.';
COMMENT ON COLUMN thaw.provider_words.owner_advice IS 'The same for those who look at the account.';
CREATE TABLE thaw.providers (
    provider text NOT NULL,
    name text NOT NULL,
    account text NOT NULL,
    CONSTRAINT providers_account_check CHECK ((account ~ '^[a-z][a-z -]{0,49}$'::text)),
    CONSTRAINT providers_name_check CHECK (((name <> ''::text) AND (length(name) <= 100))),
    CONSTRAINT providers_provider_check CHECK ((length(provider) <= 256))
);
COMMENT ON TABLE thaw.providers IS 'How sentences name a provider and its accounts. The row '''' is for every provider without a row.';
COMMENT ON COLUMN thaw.providers.provider IS 'The provider of accounts and signals: accounts.provider.';
COMMENT ON COLUMN thaw.providers.account IS 'What an account of the provider is called within a sentence, such as mailbox.';
CREATE FUNCTION thaw.words_for(p_provider text, p_status thaw.account_status, p_last_error text) RETURNS TABLE(provider_name text, account_noun text, says text, advice text, owner_advice text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT COALESCE(known.name, words_for.p_provider, other.name) AS "coalesce",
     COALESCE(known.account, other.account) AS "coalesce",
     COALESCE(own.says, usual.says, rest.says) AS "coalesce",
     COALESCE(own.advice, usual.advice, rest.advice) AS "coalesce",
     COALESCE(own.owner_advice, usual.owner_advice, rest.owner_advice) AS "coalesce"
    FROM ((((thaw.providers other
      LEFT JOIN thaw.providers known ON ((known.provider = words_for.p_provider)))
      LEFT JOIN thaw.provider_words own ON (((own.provider = words_for.p_provider) AND (own.word = words_for.p_last_error) AND (own.means = (words_for.p_status)::text))))
      LEFT JOIN thaw.provider_words usual ON (((usual.provider = words_for.p_provider) AND (usual.word = (words_for.p_status)::text))))
      LEFT JOIN thaw.provider_words rest ON (((rest.provider = other.provider) AND (rest.word = (words_for.p_status)::text))))
   WHERE (other.provider = ''::text);
END;
CREATE FUNCTION thaw.workers_alive() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN greatest(
        (SELECT count(*) FROM thaw.workers) - (SELECT count(*) FROM thaw.lost_workers()),
        thaw.has_leader()::integer);
END;
$$;
COMMENT ON FUNCTION thaw.workers_alive() IS 'How many worker processes are alive. 0: prospects are neither paused nor resumed. Processes with --poll-only are counted as one at most.';
CREATE FUNCTION thaw.workspaces_named(p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT '9223372036854775807'::bigint) RETURNS TABLE(id bigint)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
 SELECT w.id
    FROM thaw.workspaces w
   WHERE ((w.key = workspaces_named.p_name) AND ((w.id >= workspaces_named.p_first_workspace) AND (w.id <= workspaces_named.p_last_workspace)))
 UNION ALL
  SELECT w.id
    FROM thaw.workspaces w
   WHERE ((w.external_id = workspaces_named.p_name) AND ((w.id >= workspaces_named.p_first_workspace) AND (w.id <= workspaces_named.p_last_workspace)) AND (NOT (EXISTS ( SELECT
            FROM thaw.workspaces k
           WHERE ((k.key = workspaces_named.p_name) AND ((k.id >= workspaces_named.p_first_workspace) AND (k.id <= workspaces_named.p_last_workspace)))))));
END;
CREATE FUNCTION thaw.workspaces_nudge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NEW.id);
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.workspaces_write_history() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, before)
    VALUES (CASE WHEN NEW.auto_resume THEN 'auto_resume_on' ELSE 'auto_resume_off' END,
        CASE WHEN NEW.auto_resume_changed_at = thaw.now() THEN coalesce(NEW.auto_resume_changed_by, session_user) ELSE session_user END,
        nullif(NEW.auto_resume_reason, ''), NEW.id,
        jsonb_build_object('auto_resume', OLD.auto_resume, 'auto_resume_reason', OLD.auto_resume_reason));
    RETURN NULL;
END;
$$;
CREATE FUNCTION thaw.yield_to_writers(p_campaign_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    FOR look IN 1..400 LOOP
        -- The first transaction in the wait queue of a row holds its tuple lock.
        EXIT WHEN NOT EXISTS (
            SELECT FROM pg_catalog.pg_locks AS l
            WHERE l.locktype = 'tuple' AND l.relation = 'thaw.campaigns'::regclass
                AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
                AND EXISTS (
                    SELECT FROM thaw.campaigns AS c
                    WHERE c.id = ANY (p_campaign_ids) AND c.ctid = format('(%s,%s)', l.page, l.tuple)::tid));
        PERFORM pg_sleep(0.005);
    END LOOP;
END;
$$;
CREATE FUNCTION thaw.zone_named(p_name text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    RETURN (SELECT z.name FROM thaw.zones AS z WHERE z.key = lower(p_name) COLLATE "C");
END;
$$;
CREATE TABLE thaw.account_events (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    from_status thaw.account_status NOT NULL,
    to_status thaw.account_status NOT NULL,
    last_error text,
    enrollments integer,
    CONSTRAINT account_events_change_something CHECK ((from_status <> to_status))
);
COMMENT ON TABLE thaw.account_events IS 'The history of account statuses, for all writers.';
ALTER TABLE thaw.account_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.account_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.account_products (
    account_id bigint NOT NULL,
    product text NOT NULL,
    status thaw.account_status NOT NULL,
    raw_status text NOT NULL,
    status_at timestamp with time zone NOT NULL,
    down_since timestamp with time zone,
    CONSTRAINT account_products_is_down CHECK (((down_since IS NULL) = (status = 'connected'::thaw.account_status))),
    CONSTRAINT account_products_product_check CHECK ((product ~ '^[a-z0-9_]{1,64}$'::text))
);
COMMENT ON TABLE thaw.account_products IS 'The newest status of each product for which the provider reports a separate status.';
COMMENT ON COLUMN thaw.account_products.down_since IS 'When the product stopped working: the time of the first such signal since it was last connected. Later signals do not change it.';
ALTER TABLE thaw.account_signals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.account_signals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.action_ceilings (
    kind text NOT NULL COLLATE pg_catalog."C",
    per_day integer NOT NULL,
    per_week integer,
    gap_from interval DEFAULT '00:00:00'::interval NOT NULL,
    changed_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    CONSTRAINT action_ceilings_gap_from_check CHECK (((gap_from >= '00:00:00'::interval) AND (gap_from <= '1 day'::interval))),
    CONSTRAINT action_ceilings_per_day_check CHECK (((per_day >= 0) AND (per_day <= 100000))),
    CONSTRAINT action_ceilings_per_week_check CHECK (((per_week >= 0) AND (per_week <= 1000000)))
);
COMMENT ON TABLE thaw.action_ceilings IS 'Fleet-wide ceilings: no override allows more, and no gap is shorter than gap_from. Only an operator changes them, with a reason (thaw.set_action_ceiling).';
CREATE TABLE thaw.action_holds (
    account_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    sender_id bigint,
    until timestamp with time zone NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    CONSTRAINT action_holds_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT action_holds_code_check CHECK ((code ~ '^[a-z][a-z0-9_]{0,63}$'::text)),
    CONSTRAINT action_holds_reason_check CHECK (((reason <> ''::text) AND (length(reason) <= 1000)))
);
COMMENT ON TABLE thaw.action_holds IS 'Kinds of actions that an account does not do until a set time; other kinds go on. The hold applies to all accounts of the same sender.';
COMMENT ON COLUMN thaw.action_holds.code IS 'What caused the hold: the error code of the provider, refusals, or person.';
CREATE TABLE thaw.action_hour_changes (
    id bigint NOT NULL,
    hour timestamp with time zone NOT NULL
);
COMMENT ON TABLE thaw.action_hour_changes IS 'Hours of which settled actions have changed since. They are counted again for thaw.action_hours within minutes, and removed here.';
ALTER TABLE thaw.action_hour_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.action_hour_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.action_hours (
    hour timestamp with time zone NOT NULL,
    sent bigint NOT NULL,
    unknown bigint NOT NULL,
    undelivered bigint NOT NULL
);
COMMENT ON TABLE thaw.action_hours IS 'How many started actions were settled per hour, for the chart of the fleet: the last 31 days. An hour without any has no row.';
COMMENT ON COLUMN thaw.action_hours.unknown IS 'Those that are still unknown. One that is verified later counts in the hour of the verification instead.';
COMMENT ON COLUMN thaw.action_hours.undelivered IS 'Those that the provider rejected, that were not needed, or that a limit of the provider prevented.';
CREATE TABLE thaw.action_kinds (
    kind text NOT NULL COLLATE pg_catalog."C",
    has_provider_ref boolean NOT NULL,
    CONSTRAINT action_kinds_kind_check CHECK ((kind ~ '^[a-z][a-z0-9_]{0,63}$'::text))
);
COMMENT ON TABLE thaw.action_kinds IS 'The kinds of actions. To add one, insert a row here and its limits into thaw.action_limits.';
COMMENT ON COLUMN thaw.action_kinds.has_provider_ref IS 'Whether the provider answers a delivery with an ID. If so, an action counts as sent only with that ID: without it, its outcome is unknown.';
CREATE TABLE thaw.action_limits (
    tier thaw.account_tier NOT NULL,
    ramp_week smallint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    per_day integer NOT NULL,
    per_week integer,
    gap_from interval DEFAULT '00:00:00'::interval NOT NULL,
    gap_to interval DEFAULT '00:00:00'::interval NOT NULL,
    changed_at timestamp with time zone,
    CONSTRAINT action_limits_gap_from_check CHECK (((gap_from >= '00:00:00'::interval) AND (gap_from <= '1 day'::interval))),
    CONSTRAINT action_limits_gap_is_a_range CHECK (((gap_to >= gap_from) AND (gap_to <= '1 day'::interval))),
    CONSTRAINT action_limits_per_day_check CHECK (((per_day >= 0) AND (per_day <= 100000))),
    CONSTRAINT action_limits_per_week_check CHECK (((per_week >= 0) AND (per_week <= 1000000))),
    CONSTRAINT action_limits_ramp_week_check CHECK (((ramp_week >= 1) AND (ramp_week <= 6)))
);
COMMENT ON TABLE thaw.action_limits IS 'The default caps and gaps, by tier, ramp week and kind. Ramp week 6 is the sixth and all later weeks.';
COMMENT ON COLUMN thaw.action_limits.per_week IS 'Cap of the last 168 hours. Null: only the cap of the day applies.';
COMMENT ON COLUMN thaw.action_limits.gap_from IS 'The gap to the next action of the same kind is drawn between gap_from and gap_to. settings.action_gap_from applies between any two actions.';
COMMENT ON COLUMN thaw.action_limits.changed_at IS 'When a cap of the row last changed. Null: never. thaw verify compares later actions with it.';
CREATE TABLE thaw.action_overrides (
    id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    account_id bigint,
    campaign_id bigint,
    kind text NOT NULL COLLATE pg_catalog."C",
    per_day integer,
    per_week integer,
    gap_from interval,
    gap_to interval,
    reason text NOT NULL,
    actor text NOT NULL,
    changed_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    CONSTRAINT action_overrides_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT action_overrides_campaign_has_a_daily_cap CHECK (((campaign_id IS NULL) OR ((account_id IS NULL) AND (per_day IS NOT NULL) AND (num_nonnulls(per_week, gap_from) = 0)))),
    CONSTRAINT action_overrides_gap_from_check CHECK (((gap_from >= '00:00:00'::interval) AND (gap_from <= '1 day'::interval))),
    CONSTRAINT action_overrides_gap_is_a_range CHECK ((((gap_from IS NULL) = (gap_to IS NULL)) AND (gap_to >= gap_from))),
    CONSTRAINT action_overrides_gap_to_check CHECK (((gap_to >= '00:00:00'::interval) AND (gap_to <= '1 day'::interval))),
    CONSTRAINT action_overrides_limit_something CHECK ((num_nonnulls(per_day, per_week, gap_from) > 0)),
    CONSTRAINT action_overrides_per_day_check CHECK (((per_day >= 0) AND (per_day <= 100000))),
    CONSTRAINT action_overrides_per_week_check CHECK (((per_week >= 0) AND (per_week <= 1000000))),
    CONSTRAINT action_overrides_reason_check CHECK (((reason <> ''::text) AND (length(reason) <= 1000)))
);
COMMENT ON TABLE thaw.action_overrides IS 'Limits of a workspace, an account or a campaign that replace the defaults, up to the ceiling. In the ramp weeks 1 to 5 an override can only lower a cap. That of an account takes precedence over that of its workspace; the cap of a campaign is an additional limit.';
ALTER TABLE thaw.action_overrides ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.action_overrides_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.actions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.actions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.adopt_errors ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.adopt_errors_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.adopt_state (
    only_row boolean DEFAULT true NOT NULL,
    started_at timestamp with time zone,
    phase text DEFAULT 'off'::text NOT NULL,
    mapping text,
    progress jsonb DEFAULT '{}'::jsonb NOT NULL,
    shadow_by_default boolean DEFAULT true NOT NULL,
    checked_at timestamp with time zone,
    rows_checked bigint,
    drift_rows bigint,
    drift_detail text,
    drift_limit_rows integer DEFAULT 100 NOT NULL,
    drift_limit_percent integer DEFAULT 1 NOT NULL,
    column_types jsonb DEFAULT '{}'::jsonb NOT NULL,
    problems text[] DEFAULT '{}'::text[] NOT NULL,
    check_due_at timestamp with time zone,
    consumer text,
    consumer_error text,
    consumer_error_at timestamp with time zone,
    consumer_error_ended_at timestamp with time zone,
    CONSTRAINT adopt_state_drift_limit_percent_check CHECK (((drift_limit_percent >= 0) AND (drift_limit_percent <= 100))),
    CONSTRAINT adopt_state_drift_limit_rows_check CHECK ((drift_limit_rows >= 0)),
    CONSTRAINT adopt_state_drift_rows_check CHECK ((drift_rows >= 0)),
    CONSTRAINT adopt_state_only_row_check CHECK (only_row),
    CONSTRAINT adopt_state_phase_check CHECK ((phase = ANY (ARRAY['off'::text, 'installing'::text, 'backfilling'::text, 'running'::text]))),
    CONSTRAINT adopt_state_phase_is_started CHECK (((started_at IS NULL) = (phase = 'off'::text)))
);
COMMENT ON TABLE thaw.adopt_state IS 'One row: whether Thaw copies the platform''s own tables (started_at), and what the last comparison found.';
COMMENT ON COLUMN thaw.adopt_state.mapping IS 'The mapping file as it was applied.';
COMMENT ON COLUMN thaw.adopt_state.progress IS 'How far the backfill is, by table.';
COMMENT ON COLUMN thaw.adopt_state.shadow_by_default IS 'Whether a new workspace of the platform starts in shadow mode.';
COMMENT ON COLUMN thaw.adopt_state.drift_rows IS 'How many rows of the copy differed in the last comparison. Null: there was none.';
COMMENT ON COLUMN thaw.adopt_state.drift_limit_rows IS 'A comparison that finds more rows than this, and more than drift_limit_percent of all, enters safety mode.';
COMMENT ON COLUMN thaw.adopt_state.column_types IS 'The types of the mapped columns when the mapping was applied, by schema.table.column.';
COMMENT ON COLUMN thaw.adopt_state.problems IS 'What no longer fits the mapping (tables, columns, triggers, rights), by the last look at the catalog.';
COMMENT ON COLUMN thaw.adopt_state.check_due_at IS 'Since when the copy of some rows may be wrong because of a problem. Null: it is not, or a check found no difference since.';
COMMENT ON COLUMN thaw.adopt_state.consumer_error IS 'The last error of a consumer (thaw adopt run) that could not write a batch. Null: there was none.';
COMMENT ON COLUMN thaw.adopt_state.consumer_error_ended_at IS 'When a batch succeeded after the last error. Null: none has.';
CREATE TABLE thaw.changes_queue (
    generation bigint NOT NULL,
    kind text NOT NULL,
    row_id bigint NOT NULL,
    from_status text NOT NULL,
    from_account_id bigint,
    cause text NOT NULL,
    at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    CONSTRAINT changes_queue_cause_check CHECK ((cause <> ''::text)),
    CONSTRAINT changes_queue_from_status_check CHECK ((from_status <> ''::text)),
    CONSTRAINT changes_queue_kind_check CHECK ((kind = ANY (ARRAY['account'::text, 'campaign'::text, 'enrollment'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');
COMMENT ON TABLE thaw.changes_queue IS 'Changes of Thaw that the platform has not taken yet (thaw.take_changes). Empty without thaw adopt.';
COMMENT ON COLUMN thaw.changes_queue.generation IS 'Rises with every change of a row: it is drawn while the row is locked.';
COMMENT ON COLUMN thaw.changes_queue.from_account_id IS 'The account that the prospect was moved from. Null: it was not moved.';
CREATE VIEW thaw.adopt_summary AS
 SELECT (s.started_at IS NOT NULL) AS is_adopted,
    s.phase,
    s.checked_at,
    s.drift_rows,
    s.rows_checked,
    s.drift_detail,
    ((s.drift_rows > s.drift_limit_rows) AND ((s.drift_rows * 100) > (s.rows_checked * s.drift_limit_percent))) AS is_over_limit,
    ( SELECT count(*) AS count
           FROM ( SELECT
                   FROM thaw.adopt_errors x
                  WHERE (x.external_id IS NULL)
                 LIMIT 100000) lost) AS failed_statements,
    ( SELECT count(DISTINCT ROW(kept.kind, kept.external_id)) AS count
           FROM ( SELECT x.kind,
                    x.external_id
                   FROM thaw.adopt_errors x
                  WHERE ((x.external_id IS NOT NULL) AND (NOT x.is_deferred))
                 LIMIT 100000) kept) AS parked,
    ( SELECT count(DISTINCT ROW(kept.kind, kept.external_id)) AS count
           FROM ( SELECT x.kind,
                    x.external_id
                   FROM thaw.adopt_errors x
                  WHERE x.is_deferred
                 LIMIT 100000) kept) AS deferred,
    ( SELECT count(*) AS count
           FROM ( SELECT
                   FROM thaw.changes_queue
                 LIMIT 100000) waiting) AS changes,
    ( SELECT min(waiting.at) AS min
           FROM ( SELECT q.at
                   FROM thaw.changes_queue q
                  ORDER BY q.generation
                 LIMIT 100000) waiting) AS oldest_change_at,
    ( SELECT count(*) AS count
           FROM thaw.workspaces w
          WHERE w.shadow) AS shadow_workspaces,
    s.problems,
    s.check_due_at,
    ( SELECT count(*) AS count
           FROM thaw.accounts a
          WHERE ((a.parked_reason IS NOT NULL) AND starts_with(a.parked_reason, thaw.unfit()))) AS held_accounts
   FROM thaw.adopt_state s;
COMMENT ON VIEW thaw.adopt_summary IS 'One row: the state of the copy of the platform''s tables. parked and deferred count rows whose change could not be applied. Every count but held_accounts stops at 100,000. problems, check_due_at and held_accounts: see thaw.note_adopt_problems.';
CREATE TABLE thaw.allocations (
    tick_at timestamp with time zone NOT NULL,
    account_id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    planned integer NOT NULL,
    resumed integer DEFAULT 0 NOT NULL,
    verdict text,
    finished_at timestamp with time zone,
    CONSTRAINT allocations_closed_has_a_verdict CHECK (((finished_at IS NULL) = (verdict IS NULL))),
    CONSTRAINT allocations_planned_check CHECK ((planned >= 0)),
    CONSTRAINT allocations_resumed_is_planned CHECK (((resumed >= 0) AND (resumed <= planned)))
)
WITH (fillfactor='80');
COMMENT ON TABLE thaw.allocations IS 'The plan of a tick: how many enrollments may resume through an account. With 0, the pass only starts campaigns.';
CREATE TABLE thaw.api_tokens (
    id bigint NOT NULL,
    workspace_id bigint,
    name text NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    created_by text NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    can_only_send boolean DEFAULT false NOT NULL,
    CONSTRAINT api_tokens_expires_after_it_was_made CHECK ((expires_at > created_at)),
    CONSTRAINT api_tokens_hash_check CHECK ((octet_length(hash) = 32)),
    CONSTRAINT api_tokens_name_check CHECK ((name <> ''::text)),
    CONSTRAINT api_tokens_times_are_in_range CHECK (((expires_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (expires_at <= '2200-01-01 00:00:00+00'::timestamp with time zone)))
);
COMMENT ON TABLE thaw.api_tokens IS 'Bearer tokens of the JSON API. A token is shown once, when it is created; only its SHA-256 hash is stored.';
COMMENT ON COLUMN thaw.api_tokens.workspace_id IS 'The only workspace that the token gives access to. Null: all workspaces, as for an operator.';
COMMENT ON COLUMN thaw.api_tokens.last_used_at IS 'When the token was last used, accurate to five minutes. Null: never.';
COMMENT ON COLUMN thaw.api_tokens.can_only_send IS 'Whether the token is for a sender: it may reserve, start, settle and list actions, of its workspace or of all, and nothing else.';
ALTER TABLE thaw.api_tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.api_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW thaw.backlog AS
 SELECT workspace.key AS workspace,
    account.provider_account_id AS account,
    account.status,
    paused.total AS paused,
    COALESCE(waiting.total, (0)::bigint) AS resumable,
    paused.by_reason,
    account.id AS account_id,
    waiting.target_id
   FROM (((( SELECT r.account_id,
            (sum(r.rows))::bigint AS total,
            jsonb_object_agg(r.reason, r.rows) AS by_reason
           FROM ( SELECT p.account_id,
                    p.reason,
                    sum(p.paused) AS rows
                   FROM thaw.paused_parts p
                  GROUP BY p.account_id, p.reason
                 HAVING (sum(p.paused) > 0)) r
          GROUP BY r.account_id) paused
     JOIN thaw.accounts account ON ((account.id = paused.account_id)))
     JOIN thaw.workspaces workspace ON ((workspace.id = account.workspace_id)))
     LEFT JOIN ( SELECT line.source_id,
            line.target_id,
            (sum(line.waiting))::bigint AS total
           FROM thaw.resumable_lines() line(workspace_id, target_id, source_id, campaign_id, waiting)
          GROUP BY line.source_id, line.target_id) waiting ON ((waiting.source_id = account.id)));
COMMENT ON VIEW thaw.backlog IS 'One row per account with paused enrollments: how many are paused, how many of those may resume now, and how many are paused for each reason.';
CREATE TABLE thaw.backlog_samples (
    tick_at timestamp with time zone NOT NULL,
    paused bigint NOT NULL,
    waiting bigint NOT NULL,
    took interval NOT NULL,
    CONSTRAINT backlog_samples_paused_check CHECK ((paused >= 0)),
    CONSTRAINT backlog_samples_waiting_are_paused CHECK (((waiting >= 0) AND (waiting <= paused)))
);
COMMENT ON TABLE thaw.backlog_samples IS 'How many enrollments were paused in a tick, and how many of those were waiting for an account.';
CREATE TABLE thaw.campaign_events (
    id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    account_id bigint,
    tick_at timestamp with time zone,
    heal_id bigint,
    signal_id bigint,
    job_id bigint,
    kind thaw.event_kind NOT NULL,
    source thaw.event_source NOT NULL,
    from_status thaw.campaign_status NOT NULL,
    to_status thaw.campaign_status NOT NULL,
    reason thaw.pause_reason,
    detail text,
    action_id bigint,
    from_reason thaw.pause_reason
);
COMMENT ON TABLE thaw.campaign_events IS 'The history of campaigns, as thaw.enrollment_events.';
ALTER TABLE thaw.campaign_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.campaign_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.campaign_steps (
    campaign_id bigint NOT NULL,
    "position" integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    delay interval DEFAULT '00:00:00'::interval NOT NULL,
    CONSTRAINT campaign_steps_delay_check CHECK (((delay >= '00:00:00'::interval) AND (delay <= '365 days'::interval))),
    CONSTRAINT campaign_steps_position_check CHECK (("position" >= 0))
);
COMMENT ON TABLE thaw.campaign_steps IS 'The steps of a linear campaign. position is the value of enrollments.step at which the step is done. A campaign with branches has none: the platform passes the next kind and time when it settles an action.';
COMMENT ON COLUMN thaw.campaign_steps.delay IS 'How long after the previous step this one is due.';
ALTER TABLE thaw.campaigns ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.campaigns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.changes_queue ALTER COLUMN generation ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.changes_queue_generation_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.enrollment_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.enrollment_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.enrollments ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.enrollments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.fleet_quotas (
    tick_at timestamp with time zone NOT NULL,
    lane thaw.lane NOT NULL,
    cap integer NOT NULL,
    used integer DEFAULT 0 NOT NULL,
    carried integer DEFAULT 0 NOT NULL,
    CONSTRAINT fleet_quotas_carried_is_used CHECK (((carried >= 0) AND (carried <= GREATEST(used, 0)))),
    CONSTRAINT fleet_quotas_lane_check CHECK ((lane <> 'heal'::thaw.lane)),
    CONSTRAINT fleet_quotas_used_is_within_cap CHECK (((used >= 0) AND (used <= cap)))
);
COMMENT ON TABLE thaw.fleet_quotas IS 'How many enrollments a tick may resume in the whole fleet, by lane, and how many it has resumed.';
COMMENT ON COLUMN thaw.fleet_quotas.carried IS 'The part of used that was resumed before settings.tick changed, in overlapping ticks of the old length.';
CREATE TABLE thaw.forecasts (
    only_row boolean DEFAULT true NOT NULL,
    made_at timestamp with time zone NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT forecasts_only_row_check CHECK (only_row)
);
ALTER TABLE ONLY thaw.forecasts ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE thaw.forecasts IS 'At most one row: the newest forecast of a large fleet, for processes that have none yet.';
CREATE TABLE thaw.goose_db_version (
    id integer NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL,
    sha256 text
);
ALTER TABLE thaw.goose_db_version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME thaw.goose_db_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.heal_enrollments (
    heal_id bigint NOT NULL,
    last_id bigint NOT NULL,
    enrollment_ids bigint[] NOT NULL
);
COMMENT ON TABLE thaw.heal_enrollments IS 'The list of a heal of listed prospects: up to 200 enrollment ids per row, in ascending order.';
CREATE TABLE thaw.heal_order (
    heal_id bigint NOT NULL,
    last_place bigint NOT NULL,
    enrollment_ids bigint[] NOT NULL
);
COMMENT ON TABLE thaw.heal_order IS 'The order in which a running heal processes a long list: up to 200 enrollment ids per row.';
ALTER TABLE thaw.heals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.heals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW thaw.history AS
 SELECT workspace.key AS workspace,
    campaign.key AS campaign,
    e.prospect_url,
    event.at,
    event.kind,
    event.from_status,
    event.to_status,
    event.reason,
    event.source,
    event.tick_at,
    event.heal_id,
    event.signal_id,
    event.job_id,
    from_account.provider_account_id AS from_account,
    to_account.provider_account_id AS to_account,
    event.step,
    event.detail,
    event.enrollment_id,
    event.id AS event_id,
    e.external_id
   FROM (((((thaw.enrollment_events event
     JOIN thaw.enrollments e ON ((e.id = event.enrollment_id)))
     JOIN thaw.campaigns campaign ON ((campaign.id = e.campaign_id)))
     JOIN thaw.workspaces workspace ON ((workspace.id = e.workspace_id)))
     LEFT JOIN thaw.accounts from_account ON ((from_account.id = event.from_account_id)))
     LEFT JOIN thaw.accounts to_account ON ((to_account.id = event.to_account_id)));
COMMENT ON VIEW thaw.history IS 'The history of prospects: every pause, resume and move to a sibling account, with its cause.';
CREATE TABLE thaw.import_lock (
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT import_lock_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.import_lock IS 'One row: an import locks it until it ends, so that imports take turns.';
CREATE TABLE thaw.instance (
    only_row boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    system_identifier bigint NOT NULL,
    database_name text NOT NULL,
    database_oid oid NOT NULL,
    timeline integer NOT NULL,
    recorded_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    doubt text,
    CONSTRAINT instance_doubt_check CHECK ((doubt <> ''::text)),
    CONSTRAINT instance_name_is_plain CHECK ((name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'::text)),
    CONSTRAINT instance_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.instance IS 'At most one row: the instance that wrote this database, and the server and the database where it did. Empty until the first process starts.';
COMMENT ON COLUMN thaw.instance.id IS 'Random. An adopted copy gets a new one.';
COMMENT ON COLUMN thaw.instance.name IS 'The name in webhook messages and on pages. The name of the database at first; thaw instance adopt --as sets it.';
COMMENT ON COLUMN thaw.instance.system_identifier IS 'pg_control_system(); 0 if the server does not show it.';
COMMENT ON COLUMN thaw.instance.timeline IS 'The timeline of the server; 0 if the server does not show it.';
COMMENT ON COLUMN thaw.instance.seen_at IS 'When a process last found everything unchanged, to the minute.';
COMMENT ON COLUMN thaw.instance.doubt IS 'Why this may be a restored backup although the identity is the same. Null: there is no doubt.';
CREATE VIEW thaw.kept AS
 SELECT COALESCE(max(r.kept_since) FILTER (WHERE (r.part <> ALL (ARRAY['account_signals'::text, 'outbox'::text]))), '-infinity'::timestamp with time zone) AS history_since,
    COALESCE(max(r.passed_id) FILTER (WHERE (r.part = 'account_signals'::text)), (0)::bigint) AS signals_after
   FROM thaw.retention r;
COMMENT ON VIEW thaw.kept IS 'What is complete: history and records since history_since, and signals with an id after signals_after. Of anything earlier, only what is still needed was kept.';
CREATE SEQUENCE thaw.losses_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER TABLE thaw.manual_actions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.manual_actions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.nudges (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    at timestamp with time zone NOT NULL
);
COMMENT ON TABLE thaw.nudges IS 'Accounts to look at again from a given time. Removed within a second by the worker processes (thaw.take_nudges).';
ALTER TABLE thaw.nudges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.nudges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.outbox (
    id bigint NOT NULL,
    message_id text DEFAULT ('msg_'::text || replace((gen_random_uuid())::text, '-'::text, ''::text)) NOT NULL,
    at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    type text NOT NULL,
    workspace_id bigint,
    account_id bigint,
    data jsonb NOT NULL,
    is_open boolean DEFAULT false NOT NULL,
    CONSTRAINT outbox_open_is_of_an_account CHECK (((NOT is_open) OR (account_id IS NOT NULL))),
    CONSTRAINT outbox_type_check CHECK ((type <> ''::text))
);
COMMENT ON TABLE thaw.outbox IS 'Messages to the platform, written in the transaction of the event that they report.';
COMMENT ON COLUMN thaw.outbox.is_open IS 'Whether a pause in progress still adds to the message. It is delivered when the pause is done.';
ALTER TABLE thaw.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.paused_deltas ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.paused_deltas_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW thaw.paused_keys AS
 SELECT c.account_id,
    c.campaign_id,
    c.reason,
    c.waits_for_account
   FROM thaw.paused_counts c
UNION ALL
 SELECT fresh.account_id,
    fresh.campaign_id,
    fresh.reason,
    fresh.waits_for_account
   FROM ( SELECT DISTINCT d.account_id,
            d.campaign_id,
            d.reason,
            d.waits_for_account
           FROM thaw.paused_deltas d
          WHERE ((d.id > ( SELECT s.folded_to
                   FROM thaw.count_state s)) AND (NOT (EXISTS ( SELECT
                   FROM thaw.paused_counts c
                  WHERE ((c.account_id = d.account_id) AND (c.campaign_id = d.campaign_id) AND (c.reason = d.reason))))))) fresh;
CREATE VIEW thaw.paused_lines AS
 SELECT p.account_id,
    p.campaign_id,
    p.reason,
    p.waits_for_account,
    sum(p.paused) AS paused
   FROM thaw.paused_parts p
  GROUP BY p.account_id, p.campaign_id, p.reason, p.waits_for_account
 HAVING (sum(p.paused) > 0);
COMMENT ON VIEW thaw.paused_lines IS 'How many enrollments are paused, by account, campaign and reason. Exact in a snapshot, without reading enrollments.';
ALTER TABLE thaw.person_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.person_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.person_columns (
    table_name name NOT NULL,
    column_name name NOT NULL,
    named_by name NOT NULL
);
COMMENT ON TABLE thaw.person_columns IS 'Columns that identify a person although they are part of a key, or say nothing of the person themselves. An erasure replaces them by [erased ID].';
COMMENT ON COLUMN thaw.person_columns.named_by IS 'The column, often the same one, that mentions the person.';
CREATE TABLE thaw.signal_gaps (
    provider text NOT NULL,
    day date NOT NULL,
    longest interval NOT NULL
);
COMMENT ON TABLE thaw.signal_gaps IS 'The longest gap between signals of a provider per day, for the last 28 days.';
CREATE TABLE thaw.signal_sources (
    provider text NOT NULL,
    last_signal_at timestamp with time zone NOT NULL
);
COMMENT ON TABLE thaw.signal_sources IS 'The time of the last webhook signal of each provider.';
CREATE VIEW thaw.provider_silence AS
 SELECT source.provider,
    source.last_signal_at,
    (thaw.now() - source.last_signal_at) AS silent_for,
        CASE
            WHEN ((usual.days >= 7) AND (settings.silence_factor > 0)) THEN GREATEST((usual.longest * (settings.silence_factor)::double precision), '00:30:00'::interval)
            ELSE NULL::interval
        END AS silence_limit,
    COALESCE(((usual.days >= 7) AND (settings.silence_factor > 0) AND ((thaw.now() - source.last_signal_at) > GREATEST((usual.longest * (settings.silence_factor)::double precision), '00:30:00'::interval))), false) AS is_silent
   FROM ((thaw.signal_sources source
     CROSS JOIN thaw.settings)
     CROSS JOIN LATERAL ( SELECT count(*) AS days,
            percentile_disc((0.9)::double precision) WITHIN GROUP (ORDER BY g.longest) AS longest
           FROM thaw.signal_gaps g
          WHERE ((g.provider = source.provider) AND (g.day < ((thaw.now() AT TIME ZONE 'UTC'::text))::date))) usual);
COMMENT ON VIEW thaw.provider_silence IS 'How long each provider has sent no webhook signal (silent_for), and how long is unusual (silence_limit; null: not learned yet, or disabled).';
CREATE TABLE thaw.pushing (
    only_row boolean DEFAULT true NOT NULL,
    watched bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    watched_at timestamp with time zone,
    wait interval,
    paused_until timestamp with time zone,
    CONSTRAINT pushing_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.pushing IS 'One row: whether the platform starts the actions that are sent to it.';
COMMENT ON COLUMN thaw.pushing.watched IS 'Actions that were sent together at watched_at, until one of them is started or all have ended.';
COMMENT ON COLUMN thaw.pushing.wait IS 'How long sending pauses after actions that expired: twice as long each time, up to 10 minutes. Null: the last ones were taken.';
CREATE TABLE thaw.removal_phases (
    phase name NOT NULL,
    follows name NOT NULL
);
COMMENT ON TABLE thaw.removal_phases IS 'Phases of the removal of a workspace that thaw.remove_workspace does not list. thaw.remove_<phase> does a batch.';
COMMENT ON COLUMN thaw.removal_phases.follows IS 'The phase before, listed or not.';
CREATE SEQUENCE thaw.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE thaw.river_job_id_seq OWNED BY thaw.river_job.id;
CREATE TABLE thaw.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);
CREATE TABLE thaw.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);
CREATE SEQUENCE thaw.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE thaw.river_notification_id_seq OWNED BY thaw.river_notification.id;
CREATE TABLE thaw.safety_marks (
    at timestamp with time zone NOT NULL,
    losses bigint NOT NULL,
    accounts_connected integer NOT NULL
);
COMMENT ON TABLE thaw.safety_marks IS 'The recent marks of the safety monitor, one per minute: the number of the last loss, and how many accounts were connected.';
CREATE TABLE thaw.scheduler (
    only_row boolean DEFAULT true NOT NULL,
    finished_at timestamp with time zone,
    hours_counted_at timestamp with time zone,
    CONSTRAINT scheduler_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.scheduler IS 'One row: when the job schedule last finished.';
COMMENT ON COLUMN thaw.scheduler.hours_counted_at IS 'When thaw.action_hours was last counted. Null: never.';
CREATE TABLE thaw.senders (
    id bigint NOT NULL,
    provider text NOT NULL,
    key text NOT NULL,
    day date,
    day_began_at timestamp with time zone,
    day_timezone text,
    next_allowed_at timestamp with time zone,
    last_started_at timestamp with time zone,
    ramp_started_at timestamp with time zone,
    last_sent_at timestamp with time zone,
    restriction_seen_at timestamp with time zone,
    CONSTRAINT senders_day_is_whole CHECK ((num_nonnulls(day, day_began_at, day_timezone) = ANY (ARRAY[0, 3]))),
    CONSTRAINT senders_key_check CHECK ((key ~ '^(member|account):.'::text))
)
WITH (fillfactor='70');
COMMENT ON TABLE thaw.senders IS 'The persons in whose name accounts send: one row per member of a provider, or per account whose member is unknown.';
COMMENT ON COLUMN thaw.senders.key IS 'member: and the member ID, or account: and the ID of the account (of the first one of a linked group).';
COMMENT ON COLUMN thaw.senders.day IS 'The local day that the last action counted into; day_began_at is when it began in day_timezone. Null: there was no action yet.';
COMMENT ON COLUMN thaw.senders.next_allowed_at IS 'When the next action may be reserved. Drawn at random with each reservation.';
COMMENT ON COLUMN thaw.senders.ramp_started_at IS 'When ramp week 1 began: the first action that was sent, or the date that the platform gave. Null: nothing was sent yet.';
COMMENT ON COLUMN thaw.senders.restriction_seen_at IS 'The restriction (accounts.restricted_at) after which the ramp was last set back.';
ALTER TABLE thaw.senders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.senders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.sending_accounts (
    account_id bigint NOT NULL,
    workspace_id bigint NOT NULL,
    sender_id bigint NOT NULL,
    next_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    served_at timestamp with time zone,
    served_campaign_id bigint,
    code text
)
WITH (fillfactor='70');
COMMENT ON TABLE thaw.sending_accounts IS 'The accounts that Thaw schedules: their sender, and when an action may be due next.';
COMMENT ON COLUMN thaw.sending_accounts.served_at IS 'When the scheduler last gave out an action of this account. The accounts of one sender take turns.';
COMMENT ON COLUMN thaw.sending_accounts.served_campaign_id IS 'The campaign of that action. The campaigns of an account take turns in the order of their IDs.';
COMMENT ON COLUMN thaw.sending_accounts.code IS 'The gate that was closed at the last look. Null: none was.';
ALTER TABLE thaw.sending_windows ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.sending_windows_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE thaw.signal_walk (
    only_row boolean DEFAULT true NOT NULL,
    after_id bigint DEFAULT 0 NOT NULL,
    CONSTRAINT signal_walk_only_row_check CHECK (only_row)
);
COMMENT ON TABLE thaw.signal_walk IS 'One row: the last signal that thaw.learn_silence has processed.';
CREATE TABLE thaw.sweeps (
    tick_at timestamp with time zone NOT NULL,
    account_cap integer NOT NULL,
    fleet_cap integer NOT NULL,
    accounts_planned integer DEFAULT 0 NOT NULL,
    accounts_processed integer DEFAULT 0 NOT NULL,
    planned integer DEFAULT 0 NOT NULL,
    resumed integer DEFAULT 0 NOT NULL,
    moved integer DEFAULT 0 NOT NULL,
    campaigns_resumed integer DEFAULT 0 NOT NULL,
    remaining integer DEFAULT 0 NOT NULL,
    is_partial boolean DEFAULT false NOT NULL,
    looked_to bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT sweeps_processed_is_planned CHECK (((accounts_processed >= 0) AND (accounts_processed <= accounts_planned))),
    CONSTRAINT sweeps_resumed_is_planned CHECK ((((resumed >= 0) AND (resumed <= planned)) AND (planned <= fleet_cap)))
);
COMMENT ON TABLE thaw.sweeps IS 'One row per tick: what was planned, resumed, and remaining.';
COMMENT ON COLUMN thaw.sweeps.remaining IS 'The resumable enrollments that the tick found, minus those that it resumed.';
CREATE VIEW thaw.sweep_log AS
 SELECT s.tick_at,
    s.accounts_planned,
    s.accounts_processed,
    s.planned,
    s.resumed,
    s.moved,
    s.campaigns_resumed,
    s.remaining,
    s.started_at,
    s.finished_at,
    (EXTRACT(epoch FROM (s.finished_at - s.started_at)))::double precision AS seconds
   FROM thaw.sweeps s;
COMMENT ON VIEW thaw.sweep_log IS 'The result of each sweep, one row per tick. finished_at null: it is still running.';
CREATE TABLE thaw.webhook_deliveries (
    outbox_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    state thaw.delivery_state DEFAULT 'waiting'::thaw.delivery_state NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT thaw.now(),
    last_attempt_at timestamp with time zone,
    last_status integer,
    last_error text,
    delivered_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT webhook_deliveries_delivered_has_a_time CHECK (((state = 'delivered'::thaw.delivery_state) = (delivered_at IS NOT NULL))),
    CONSTRAINT webhook_deliveries_waiting_has_a_time CHECK (((state = 'waiting'::thaw.delivery_state) = (next_attempt_at IS NOT NULL)))
);
COMMENT ON TABLE thaw.webhook_deliveries IS 'One message to one endpoint, with the state of its delivery.';
COMMENT ON COLUMN thaw.webhook_deliveries.last_status IS 'HTTP status of the last response. Null: there was none.';
CREATE TABLE thaw.webhook_endpoints (
    id bigint NOT NULL,
    url text NOT NULL,
    created_at timestamp with time zone DEFAULT thaw.now() NOT NULL,
    disabled_at timestamp with time zone,
    disabled_reason text,
    CONSTRAINT webhook_endpoints_disabled_has_a_reason CHECK ((((disabled_at IS NULL) = (disabled_reason IS NULL)) AND (disabled_reason <> ''::text))),
    CONSTRAINT webhook_endpoints_url_check CHECK ((url <> ''::text))
);
COMMENT ON TABLE thaw.webhook_endpoints IS 'The endpoints that receive messages. The first process that is started with a URL writes its row.';
ALTER TABLE thaw.webhook_endpoints ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.webhook_endpoints_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE thaw.workspaces ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME thaw.workspaces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY thaw.river_job ALTER COLUMN id SET DEFAULT nextval('thaw.river_job_id_seq'::regclass);
ALTER TABLE ONLY thaw.river_notification ALTER COLUMN id SET DEFAULT nextval('thaw.river_notification_id_seq'::regclass);
ALTER TABLE ONLY thaw.account_events
    ADD CONSTRAINT account_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.account_products
    ADD CONSTRAINT account_products_pkey PRIMARY KEY (account_id, product);
ALTER TABLE ONLY thaw.account_quotas
    ADD CONSTRAINT account_quotas_pkey PRIMARY KEY (tick_at, account_id);
ALTER TABLE ONLY thaw.account_served
    ADD CONSTRAINT account_served_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY thaw.account_signals
    ADD CONSTRAINT account_signals_delivery_key_key UNIQUE (delivery_key);
ALTER TABLE ONLY thaw.account_signals
    ADD CONSTRAINT account_signals_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.accounts
    ADD CONSTRAINT accounts_provider_provider_account_id_key UNIQUE (provider, provider_account_id);
ALTER TABLE ONLY thaw.accounts
    ADD CONSTRAINT accounts_workspace_id_id_key UNIQUE (workspace_id, id);
ALTER TABLE ONLY thaw.action_ceilings
    ADD CONSTRAINT action_ceilings_pkey PRIMARY KEY (kind);
ALTER TABLE ONLY thaw.action_holds
    ADD CONSTRAINT action_holds_pkey PRIMARY KEY (account_id, kind);
ALTER TABLE ONLY thaw.action_hour_changes
    ADD CONSTRAINT action_hour_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.action_hours
    ADD CONSTRAINT action_hours_pkey PRIMARY KEY (hour);
ALTER TABLE ONLY thaw.action_kinds
    ADD CONSTRAINT action_kinds_pkey PRIMARY KEY (kind);
ALTER TABLE ONLY thaw.action_limits
    ADD CONSTRAINT action_limits_pkey PRIMARY KEY (tier, ramp_week, kind);
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_of_one UNIQUE NULLS NOT DISTINCT (workspace_id, account_id, campaign_id, kind);
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.adopt_errors
    ADD CONSTRAINT adopt_errors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.adopt_state
    ADD CONSTRAINT adopt_state_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.allocations
    ADD CONSTRAINT allocations_pkey PRIMARY KEY (tick_at, account_id);
ALTER TABLE ONLY thaw.api_tokens
    ADD CONSTRAINT api_tokens_hash_key UNIQUE (hash);
ALTER TABLE ONLY thaw.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.backlog_samples
    ADD CONSTRAINT backlog_samples_pkey PRIMARY KEY (tick_at);
ALTER TABLE ONLY thaw.campaign_events
    ADD CONSTRAINT campaign_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.campaign_steps
    ADD CONSTRAINT campaign_steps_pkey PRIMARY KEY (campaign_id, "position");
ALTER TABLE ONLY thaw.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.campaigns
    ADD CONSTRAINT campaigns_workspace_id_id_key UNIQUE (workspace_id, id);
ALTER TABLE ONLY thaw.campaigns
    ADD CONSTRAINT campaigns_workspace_id_key_key UNIQUE (workspace_id, key);
ALTER TABLE ONLY thaw.changes_queue
    ADD CONSTRAINT changes_queue_pkey PRIMARY KEY (generation);
ALTER TABLE ONLY thaw.count_state
    ADD CONSTRAINT count_state_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.enrollment_events
    ADD CONSTRAINT enrollment_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.enrollments
    ADD CONSTRAINT enrollments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.fleet_quotas
    ADD CONSTRAINT fleet_quotas_pkey PRIMARY KEY (tick_at, lane);
ALTER TABLE ONLY thaw.forecasts
    ADD CONSTRAINT forecasts_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.goose_db_version
    ADD CONSTRAINT goose_db_version_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.heal_enrollments
    ADD CONSTRAINT heal_enrollments_pkey PRIMARY KEY (heal_id, last_id);
ALTER TABLE ONLY thaw.heal_order
    ADD CONSTRAINT heal_order_pkey PRIMARY KEY (heal_id, last_place);
ALTER TABLE ONLY thaw.heals
    ADD CONSTRAINT heals_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.import_lock
    ADD CONSTRAINT import_lock_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.manual_actions
    ADD CONSTRAINT manual_actions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.nudges
    ADD CONSTRAINT nudges_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.outbox
    ADD CONSTRAINT outbox_message_id_key UNIQUE (message_id);
ALTER TABLE ONLY thaw.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.paused_counts
    ADD CONSTRAINT paused_counts_pkey PRIMARY KEY (account_id, campaign_id, reason);
ALTER TABLE ONLY thaw.paused_deltas
    ADD CONSTRAINT paused_deltas_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.person_changes
    ADD CONSTRAINT person_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.person_columns
    ADD CONSTRAINT person_columns_pkey PRIMARY KEY (table_name, column_name);
ALTER TABLE ONLY thaw.provider_words
    ADD CONSTRAINT provider_words_pkey PRIMARY KEY (provider, word);
ALTER TABLE ONLY thaw.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (provider);
ALTER TABLE ONLY thaw.pushing
    ADD CONSTRAINT pushing_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.removal_phases
    ADD CONSTRAINT removal_phases_follows_key UNIQUE (follows);
ALTER TABLE ONLY thaw.removal_phases
    ADD CONSTRAINT removal_phases_pkey PRIMARY KEY (phase);
ALTER TABLE ONLY thaw.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (part);
ALTER TABLE ONLY thaw.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);
ALTER TABLE ONLY thaw.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);
ALTER TABLE ONLY thaw.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);
ALTER TABLE ONLY thaw.safety_marks
    ADD CONSTRAINT safety_marks_pkey PRIMARY KEY (at);
ALTER TABLE ONLY thaw.safety
    ADD CONSTRAINT safety_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.scheduler
    ADD CONSTRAINT scheduler_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.senders
    ADD CONSTRAINT senders_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.senders
    ADD CONSTRAINT senders_provider_key_key UNIQUE (provider, key);
ALTER TABLE ONLY thaw.sending_accounts
    ADD CONSTRAINT sending_accounts_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY thaw.sending_windows
    ADD CONSTRAINT sending_windows_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.signal_gaps
    ADD CONSTRAINT signal_gaps_pkey PRIMARY KEY (provider, day);
ALTER TABLE ONLY thaw.signal_sources
    ADD CONSTRAINT signal_sources_pkey PRIMARY KEY (provider);
ALTER TABLE ONLY thaw.signal_walk
    ADD CONSTRAINT signal_walk_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY thaw.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (tick_at);
ALTER TABLE ONLY thaw.waiting_totals
    ADD CONSTRAINT waiting_totals_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY thaw.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (outbox_id, endpoint_id);
ALTER TABLE ONLY thaw.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_url_key UNIQUE (url);
ALTER TABLE ONLY thaw.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY thaw.workspace_removals
    ADD CONSTRAINT workspace_removals_pkey PRIMARY KEY (workspace_id);
ALTER TABLE ONLY thaw.workspace_served
    ADD CONSTRAINT workspace_served_pkey PRIMARY KEY (workspace_id);
ALTER TABLE ONLY thaw.workspaces
    ADD CONSTRAINT workspaces_key_key UNIQUE (key);
ALTER TABLE ONLY thaw.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);
ALTER TABLE ONLY thaw.zones
    ADD CONSTRAINT zones_pkey PRIMARY KEY (key);
CREATE INDEX account_events_history_idx ON thaw.account_events USING btree (account_id, id);
CREATE INDEX account_signals_account_idx ON thaw.account_signals USING btree (provider, provider_account_id, id DESC);
CREATE INDEX account_signals_kept_idx ON thaw.account_signals USING btree (received_at) WHERE (outcome = 'unknown_account'::thaw.signal_outcome);
CREATE INDEX account_signals_unknown_idx ON thaw.account_signals USING btree (provider, provider_account_id) WHERE (outcome = 'unknown_account'::thaw.signal_outcome);
CREATE INDEX accounts_connecting_idx ON thaw.accounts USING btree (COALESCE(status_at, created_at)) WHERE (status = 'connecting'::thaw.account_status);
CREATE UNIQUE INDEX accounts_external_id_key ON thaw.accounts USING btree (external_id, workspace_id) WHERE (external_id IS NOT NULL);
CREATE INDEX accounts_id_search_idx ON thaw.accounts USING btree (lower(provider_account_id) COLLATE "C");
CREATE INDEX accounts_link_idx ON thaw.accounts USING btree (link_id, workspace_id) WHERE (link_id IS NOT NULL);
CREATE INDEX accounts_lost_idx ON thaw.accounts USING btree (lost_at) WHERE (lost_at IS NOT NULL);
CREATE INDEX accounts_member_idx ON thaw.accounts USING btree (member_id, provider, workspace_id) WHERE (member_id IS NOT NULL);
CREATE INDEX accounts_parked_idx ON thaw.accounts USING btree (id) WHERE (parked_reason IS NOT NULL);
CREATE INDEX accounts_pause_due_idx ON thaw.accounts USING btree (pause_after) WHERE (pause_after IS NOT NULL);
CREATE INDEX accounts_recovering_idx ON thaw.accounts USING btree (resume_after) WHERE ((needs_reconnect_at IS NOT NULL) AND (status = 'connected'::thaw.account_status));
CREATE INDEX accounts_words_idx ON thaw.accounts USING gin (thaw.search_words(provider_account_id, display_name));
CREATE INDEX action_holds_refusals_idx ON thaw.action_holds USING btree (until) INCLUDE (account_id) WHERE (code = 'refusals'::text);
CREATE INDEX action_holds_sender_idx ON thaw.action_holds USING btree (sender_id, kind) WHERE (sender_id IS NOT NULL);
CREATE INDEX action_hour_changes_hour_idx ON thaw.action_hour_changes USING btree (hour);
CREATE INDEX action_overrides_account_idx ON thaw.action_overrides USING btree (account_id, kind) WHERE (account_id IS NOT NULL);
CREATE INDEX action_overrides_campaign_idx ON thaw.action_overrides USING btree (campaign_id, kind) WHERE (campaign_id IS NOT NULL);
CREATE INDEX actions_account_idx ON thaw.actions USING btree (account_id, campaign_id, id);
CREATE INDEX actions_campaign_idx ON thaw.actions USING btree (campaign_id, kind, local_day) WHERE is_used;
CREATE INDEX actions_enrollment_idx ON thaw.actions USING btree (enrollment_id, id);
CREATE UNIQUE INDEX actions_invite_key ON thaw.actions USING btree (sender_id, thaw.prospect_key(prospect_url)) WHERE ((kind = 'invite'::text) AND (is_used OR (state = 'already'::thaw.action_state)) AND ((closed_as IS NULL) OR (closed_as = 'accepted'::text)));
CREATE INDEX actions_lease_idx ON thaw.actions USING btree (lease_until) WHERE (lease_until IS NOT NULL);
CREATE INDEX actions_open_invites_idx ON thaw.actions USING btree (sender_id) INCLUDE (used_at) WHERE ((kind = 'invite'::text) AND is_used AND (closed_at IS NULL));
CREATE INDEX actions_refused_idx ON thaw.actions USING btree (account_id, kind, settled_at) WHERE (state = 'refused'::thaw.action_state);
CREATE INDEX actions_reserved_account_idx ON thaw.actions USING btree (account_id) WHERE (state = 'reserved'::thaw.action_state);
CREATE INDEX actions_reserved_campaign_idx ON thaw.actions USING btree (campaign_id) WHERE (state = 'reserved'::thaw.action_state);
CREATE INDEX actions_settled_idx ON thaw.actions USING brin (settled_at) WITH (pages_per_range='16', autosummarize='on');
CREATE UNIQUE INDEX actions_step_key ON thaw.actions USING btree (enrollment_id, step) WHERE (is_used OR (state = 'already'::thaw.action_state));
CREATE INDEX actions_unknown_idx ON thaw.actions USING btree (workspace_id, id) WHERE (state = 'unknown'::thaw.action_state);
CREATE INDEX actions_used_idx ON thaw.actions USING btree (sender_id, kind, used_at) INCLUDE (is_used, local_day, state, next_of_kind_at, started_at, id);
CREATE INDEX actions_withdrawn_idx ON thaw.actions USING btree (sender_id, thaw.prospect_key(prospect_url)) WHERE (closed_as = 'withdrawn'::text);
CREATE INDEX adopt_errors_next_idx ON thaw.adopt_errors USING btree (next_at) WHERE (next_at IS NOT NULL);
CREATE INDEX adopt_errors_row_idx ON thaw.adopt_errors USING btree (kind, external_id, id);
CREATE INDEX allocations_account_idx ON thaw.allocations USING btree (account_id, tick_at DESC) WHERE (planned > 0);
CREATE INDEX allocations_workspace_served_idx ON thaw.allocations USING btree (workspace_id, tick_at DESC) WHERE (planned > 0);
CREATE INDEX campaign_events_history_idx ON thaw.campaign_events USING btree (campaign_id, id);
CREATE UNIQUE INDEX campaigns_external_id_key ON thaw.campaigns USING btree (external_id, workspace_id) WHERE (external_id IS NOT NULL);
CREATE INDEX campaigns_key_search_idx ON thaw.campaigns USING btree (lower(key) COLLATE "C");
CREATE INDEX campaigns_waiting_idx ON thaw.campaigns USING btree (id) WHERE waits_for_account;
CREATE INDEX campaigns_words_idx ON thaw.campaigns USING gin (thaw.search_words(key, name));
CREATE INDEX changes_queue_row_idx ON thaw.changes_queue USING btree (kind, row_id, generation);
CREATE INDEX enrollment_events_action_idx ON thaw.enrollment_events USING btree (action_id, id) WHERE (action_id IS NOT NULL);
CREATE INDEX enrollment_events_history_idx ON thaw.enrollment_events USING btree (enrollment_id, id);
CREATE INDEX enrollments_active_idx ON thaw.enrollments USING btree (account_id, campaign_id, id) WHERE (status = 'active'::thaw.enrollment_status);
CREATE INDEX enrollments_due_idx ON thaw.enrollments USING btree (account_id, campaign_id, next_kind, due_at, id) WHERE (due_at IS NOT NULL);
CREATE UNIQUE INDEX enrollments_external_id_key ON thaw.enrollments USING btree (external_id, workspace_id) WHERE (external_id IS NOT NULL);
CREATE INDEX enrollments_paused_idx ON thaw.enrollments USING btree (waits_for_account, account_id, campaign_id, paused_at, id) INCLUDE (paused_reason) WHERE (status = 'paused'::thaw.enrollment_status);
CREATE INDEX enrollments_pending_idx ON thaw.enrollments USING btree (account_id, campaign_id, id) WHERE (status = 'pending'::thaw.enrollment_status);
CREATE INDEX enrollments_prospect_idx ON thaw.enrollments USING btree (prospect_url, campaign_id);
CREATE INDEX heals_account_idx ON thaw.heals USING btree (account_id, id) WHERE (account_id IS NOT NULL);
CREATE UNIQUE INDEX heals_one_running_per_target_key ON thaw.heals USING btree (target) WHERE (status = 'running'::thaw.heal_status);
CREATE INDEX heals_tenant_idx ON thaw.heals USING btree (tenant_id, requested_at) WHERE (tenant_id IS NOT NULL);
CREATE INDEX heals_workspace_idx ON thaw.heals USING btree (workspace_id, id) WHERE (workspace_id IS NOT NULL);
CREATE INDEX manual_actions_account_idx ON thaw.manual_actions USING btree (account_id, id) WHERE (account_id IS NOT NULL);
CREATE INDEX manual_actions_actor_idx ON thaw.manual_actions USING btree (actor, at, id);
CREATE INDEX manual_actions_at_idx ON thaw.manual_actions USING btree (at, id);
CREATE INDEX manual_actions_safety_idx ON thaw.manual_actions USING btree (id) WHERE (what = ANY (ARRAY['safety_entered'::text, 'safety_exited'::text]));
CREATE INDEX manual_actions_undoes_idx ON thaw.manual_actions USING btree (undoes) WHERE (undoes IS NOT NULL);
CREATE INDEX manual_actions_unlogged_idx ON thaw.manual_actions USING btree (id) WHERE (logged_at IS NULL);
CREATE INDEX manual_actions_what_idx ON thaw.manual_actions USING btree (what, at, id);
CREATE INDEX manual_actions_workspace_idx ON thaw.manual_actions USING btree (workspace_id, at, id) WHERE (workspace_id IS NOT NULL);
CREATE INDEX manual_actions_workspace_what_idx ON thaw.manual_actions USING btree (workspace_id, what, at, id) WHERE (workspace_id IS NOT NULL);
CREATE INDEX nudges_account_idx ON thaw.nudges USING btree (account_id, at);
CREATE UNIQUE INDEX outbox_one_open_per_account_key ON thaw.outbox USING btree (account_id) WHERE is_open;
CREATE INDEX paused_counts_campaign_idx ON thaw.paused_counts USING btree (campaign_id);
CREATE INDEX river_job_args_index ON thaw.river_job USING gin (args);
CREATE INDEX river_job_kind ON thaw.river_job USING btree (kind);
CREATE INDEX river_job_metadata_index ON thaw.river_job USING gin (metadata);
CREATE INDEX river_job_prioritized_fetching_index ON thaw.river_job USING btree (state, queue, priority, scheduled_at, id);
CREATE INDEX river_job_state_and_finalized_at_index ON thaw.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);
CREATE UNIQUE INDEX river_job_unique_idx ON thaw.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND thaw.river_job_state_in_bitmask(unique_states, state));
CREATE INDEX river_notification_created_at_idx ON thaw.river_notification USING btree (created_at);
CREATE INDEX river_notification_topic_id_idx ON thaw.river_notification USING btree (topic, id);
CREATE INDEX sending_accounts_next_idx ON thaw.sending_accounts USING btree (next_at) WHERE (next_at < 'infinity'::timestamp with time zone);
CREATE INDEX sending_accounts_sender_idx ON thaw.sending_accounts USING btree (sender_id);
CREATE INDEX sending_accounts_workspace_idx ON thaw.sending_accounts USING btree (workspace_id, next_at) WHERE (next_at < 'infinity'::timestamp with time zone);
CREATE INDEX sending_windows_owner_idx ON thaw.sending_windows USING btree (workspace_id, account_id);
CREATE INDEX sweeps_unfinished_idx ON thaw.sweeps USING btree (tick_at) WHERE (finished_at IS NULL);
CREATE INDEX webhook_deliveries_state_idx ON thaw.webhook_deliveries USING btree (endpoint_id, state, outbox_id);
CREATE UNIQUE INDEX workspaces_external_id_key ON thaw.workspaces USING btree (external_id) WHERE (external_id IS NOT NULL);
CREATE INDEX workspaces_key_search_idx ON thaw.workspaces USING btree (lower(key) COLLATE "C");
CREATE INDEX workspaces_words_idx ON thaw.workspaces USING gin (thaw.search_words(key, name));
CREATE TRIGGER account_events_queue AFTER INSERT ON thaw.account_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((current_setting('thaw.taking'::text, true) IS DISTINCT FROM 'on'::text)) EXECUTE FUNCTION thaw.account_events_queue();
CREATE TRIGGER accounts_apply_early_signals AFTER INSERT ON thaw.accounts REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION thaw.accounts_apply_early_signals();
CREATE TRIGGER accounts_assign_id BEFORE INSERT ON thaw.accounts FOR EACH ROW WHEN ((NOT thaw.is_trusted_writer())) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER accounts_bound_hold_insert BEFORE INSERT ON thaw.accounts FOR EACH ROW WHEN ((new.hold_until IS NOT NULL)) EXECUTE FUNCTION thaw.accounts_bound_hold();
CREATE TRIGGER accounts_bound_hold_update BEFORE UPDATE ON thaw.accounts FOR EACH ROW WHEN (((new.hold_until IS NOT NULL) AND (old.hold_until IS DISTINCT FROM new.hold_until) AND ((current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT thaw.is_trusted_writer())))) EXECUTE FUNCTION thaw.accounts_bound_hold();
CREATE TRIGGER accounts_keep_hold BEFORE UPDATE OF hold_until, hold_reason ON thaw.accounts FOR EACH ROW WHEN ((old.hold_until > thaw.now())) EXECUTE FUNCTION thaw.accounts_keep_hold();
CREATE TRIGGER accounts_keep_identity BEFORE UPDATE ON thaw.accounts FOR EACH ROW WHEN (((old.id <> new.id) OR (old.workspace_id <> new.workspace_id) OR (old.provider <> new.provider) OR (old.provider_account_id <> new.provider_account_id))) EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER accounts_note_connection_insert BEFORE INSERT ON thaw.accounts FOR EACH ROW WHEN ((new.status = 'connected'::thaw.account_status)) EXECUTE FUNCTION thaw.accounts_note_connection();
CREATE TRIGGER accounts_note_connection_update BEFORE UPDATE OF status ON thaw.accounts FOR EACH ROW WHEN (((new.status = 'connected'::thaw.account_status) AND (old.status <> 'connected'::thaw.account_status))) EXECUTE FUNCTION thaw.accounts_note_connection();
CREATE TRIGGER accounts_note_disconnection BEFORE UPDATE OF status ON thaw.accounts FOR EACH ROW WHEN (((old.status = 'connected'::thaw.account_status) AND (new.status <> 'connected'::thaw.account_status))) EXECUTE FUNCTION thaw.accounts_note_disconnection();
CREATE TRIGGER accounts_note_person_insert AFTER INSERT ON thaw.accounts FOR EACH ROW WHEN ((new.link_id IS NOT NULL)) EXECUTE FUNCTION thaw.accounts_note_person();
CREATE TRIGGER accounts_note_person_update AFTER UPDATE OF member_id, link_id ON thaw.accounts FOR EACH ROW WHEN (((old.member_id IS DISTINCT FROM new.member_id) OR (old.link_id IS DISTINCT FROM new.link_id))) EXECUTE FUNCTION thaw.accounts_note_person();
CREATE TRIGGER accounts_note_restriction BEFORE UPDATE OF status ON thaw.accounts FOR EACH ROW WHEN (((new.status = 'restricted'::thaw.account_status) AND (old.status <> 'restricted'::thaw.account_status))) EXECUTE FUNCTION thaw.accounts_note_restriction();
CREATE TRIGGER accounts_note_tier BEFORE UPDATE OF tier ON thaw.accounts FOR EACH ROW WHEN ((new.tier <> old.tier)) EXECUTE FUNCTION thaw.accounts_note_tier();
CREATE TRIGGER accounts_nudge AFTER UPDATE ON thaw.accounts FOR EACH ROW WHEN (((new.status = 'connected'::thaw.account_status) AND ((old.status <> 'connected'::thaw.account_status) OR ((old.locked_at IS NOT NULL) AND (new.locked_at IS NULL)) OR ((old.parked_reason IS NOT NULL) AND (new.parked_reason IS NULL)) OR (old.hold_until IS DISTINCT FROM new.hold_until) OR (old.timezone IS DISTINCT FROM new.timezone) OR (old.tier <> new.tier)))) EXECUTE FUNCTION thaw.accounts_nudge();
CREATE TRIGGER accounts_publish_flapping AFTER UPDATE ON thaw.accounts FOR EACH ROW WHEN (((new.resume_after IS NOT NULL) AND ((old.resume_after IS NULL) OR (old.resume_after < new.connected_at)))) EXECUTE FUNCTION thaw.accounts_publish_flapping();
CREATE TRIGGER accounts_publish_recovery AFTER UPDATE ON thaw.accounts FOR EACH ROW WHEN (((old.needs_reconnect_at IS NOT NULL) AND (new.needs_reconnect_at IS NULL) AND (new.status = 'connected'::thaw.account_status))) EXECUTE FUNCTION thaw.accounts_publish_recovery();
CREATE TRIGGER accounts_release_actions AFTER UPDATE OF status ON thaw.accounts FOR EACH ROW WHEN (((old.status = 'connected'::thaw.account_status) AND (new.status <> 'connected'::thaw.account_status))) EXECUTE FUNCTION thaw.accounts_release_actions();
CREATE TRIGGER accounts_write_history AFTER UPDATE OF status ON thaw.accounts FOR EACH ROW WHEN ((old.status <> new.status)) EXECUTE FUNCTION thaw.accounts_write_history();
CREATE TRIGGER accounts_write_hold AFTER UPDATE ON thaw.accounts FOR EACH ROW WHEN (((new.hold_until IS NOT NULL) AND (old.hold_until IS DISTINCT FROM new.hold_until) AND ((current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT thaw.is_trusted_writer())))) EXECUTE FUNCTION thaw.accounts_write_hold();
CREATE TRIGGER action_ceilings_nudge AFTER INSERT OR UPDATE ON thaw.action_ceilings FOR EACH STATEMENT EXECUTE FUNCTION thaw.nudge_all();
CREATE TRIGGER action_holds_keep BEFORE DELETE OR UPDATE OF until ON thaw.action_holds FOR EACH ROW WHEN ((old.until > thaw.now())) EXECUTE FUNCTION thaw.action_holds_keep();
CREATE TRIGGER action_holds_nudge AFTER DELETE OR UPDATE ON thaw.action_holds FOR EACH ROW EXECUTE FUNCTION thaw.action_holds_nudge();
CREATE TRIGGER action_limits_note_change BEFORE UPDATE OF per_day, per_week ON thaw.action_limits FOR EACH ROW WHEN (((old.per_day IS DISTINCT FROM new.per_day) OR (old.per_week IS DISTINCT FROM new.per_week))) EXECUTE FUNCTION thaw.action_limits_note_change();
CREATE TRIGGER action_limits_nudge AFTER INSERT OR UPDATE ON thaw.action_limits FOR EACH STATEMENT EXECUTE FUNCTION thaw.nudge_all();
CREATE TRIGGER action_overrides_nudge AFTER INSERT OR DELETE OR UPDATE ON thaw.action_overrides FOR EACH ROW EXECUTE FUNCTION thaw.nudge_owner();
CREATE TRIGGER actions_note_hours_delete AFTER DELETE ON thaw.actions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION thaw.actions_note_hours();
CREATE TRIGGER actions_note_hours_update AFTER UPDATE OF state, settled_at ON thaw.actions FOR EACH ROW WHEN (((old.started_at IS NOT NULL) AND (old.settled_at IS NOT NULL) AND ((old.state <> new.state) OR (old.settled_at IS DISTINCT FROM new.settled_at)))) EXECUTE FUNCTION thaw.actions_note_hours();
CREATE TRIGGER campaign_events_queue AFTER INSERT ON thaw.campaign_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION thaw.campaign_events_queue();
CREATE TRIGGER campaigns_assign_id BEFORE INSERT ON thaw.campaigns FOR EACH ROW WHEN ((NOT thaw.is_trusted_writer())) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER campaigns_keep_identity BEFORE UPDATE ON thaw.campaigns FOR EACH ROW WHEN (((old.id <> new.id) OR (old.workspace_id <> new.workspace_id))) EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER campaigns_nudge AFTER UPDATE OF status ON thaw.campaigns FOR EACH ROW WHEN (((new.status = 'running'::thaw.campaign_status) AND (old.status <> 'running'::thaw.campaign_status))) EXECUTE FUNCTION thaw.campaigns_nudge();
CREATE TRIGGER campaigns_release_actions AFTER UPDATE OF status ON thaw.campaigns FOR EACH ROW WHEN (((old.status = 'running'::thaw.campaign_status) AND (new.status <> 'running'::thaw.campaign_status))) EXECUTE FUNCTION thaw.campaigns_release_actions();
CREATE TRIGGER campaigns_store_current_reason BEFORE INSERT OR UPDATE OF paused_reason ON thaw.campaigns FOR EACH ROW WHEN ((new.paused_reason <> thaw.current_reason(new.paused_reason))) EXECUTE FUNCTION thaw.store_current_reason();
CREATE TRIGGER campaigns_write_history AFTER UPDATE ON thaw.campaigns FOR EACH ROW WHEN (((old.paused_reason IS DISTINCT FROM new.paused_reason) AND ((current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT thaw.is_trusted_writer())))) EXECUTE FUNCTION thaw.campaigns_write_history();
CREATE TRIGGER enrollment_events_queue AFTER INSERT ON thaw.enrollment_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION thaw.enrollment_events_queue();
CREATE TRIGGER enrollments_assign_id BEFORE INSERT ON thaw.enrollments FOR EACH ROW WHEN ((NOT thaw.is_trusted_writer())) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER enrollments_count_delete_row AFTER DELETE ON thaw.enrollments FOR EACH ROW WHEN (((old.paused_reason IS NOT NULL) AND (current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text))) EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_delete_set AFTER DELETE ON thaw.enrollments REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN ((current_setting('thaw.counts_by_statement'::text, true) = 'on'::text)) EXECUTE FUNCTION thaw.enrollments_count_delete();
CREATE TRIGGER enrollments_count_insert_row AFTER INSERT ON thaw.enrollments FOR EACH ROW WHEN (((new.paused_reason IS NOT NULL) AND (current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text))) EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_insert_set AFTER INSERT ON thaw.enrollments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((current_setting('thaw.counts_by_statement'::text, true) = 'on'::text)) EXECUTE FUNCTION thaw.enrollments_count_insert();
CREATE TRIGGER enrollments_count_truncate BEFORE TRUNCATE ON thaw.enrollments FOR EACH STATEMENT EXECUTE FUNCTION thaw.enrollments_count_truncate();
CREATE TRIGGER enrollments_count_update_row AFTER UPDATE ON thaw.enrollments FOR EACH ROW WHEN ((((old.paused_reason IS DISTINCT FROM new.paused_reason) OR ((new.paused_reason IS NOT NULL) AND ((old.account_id IS DISTINCT FROM new.account_id) OR (old.campaign_id <> new.campaign_id)))) AND (current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text))) EXECUTE FUNCTION thaw.enrollments_count_row();
CREATE TRIGGER enrollments_count_update_set AFTER UPDATE ON thaw.enrollments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((current_setting('thaw.counts_by_statement'::text, true) = 'on'::text)) EXECUTE FUNCTION thaw.enrollments_count_update();
CREATE TRIGGER enrollments_date_pause AFTER UPDATE ON thaw.enrollments FOR EACH ROW WHEN (((new.paused_at < thaw.now()) AND ((old.paused_at IS NULL) OR (new.paused_at < old.paused_at)))) EXECUTE FUNCTION thaw.enrollments_date_pause();
CREATE TRIGGER enrollments_end_own_reason BEFORE UPDATE ON thaw.enrollments FOR EACH ROW WHEN (((new.own_reason = old.own_reason) AND (new.paused_reason IS DISTINCT FROM old.paused_reason))) EXECUTE FUNCTION thaw.enrollments_end_own_reason();
CREATE TRIGGER enrollments_keep_identity BEFORE UPDATE ON thaw.enrollments FOR EACH ROW WHEN (((old.id <> new.id) OR (old.workspace_id <> new.workspace_id) OR (old.campaign_id <> new.campaign_id))) EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER enrollments_note_next_kind_insert BEFORE INSERT ON thaw.enrollments FOR EACH ROW WHEN ((new.next_kind IS NULL)) EXECUTE FUNCTION thaw.enrollments_note_next_kind();
CREATE TRIGGER enrollments_note_next_kind_update BEFORE UPDATE OF step, status ON thaw.enrollments FOR EACH ROW WHEN ((((new.step <> old.step) AND (new.next_kind = old.next_kind)) OR ((new.status = ANY (ARRAY['pending'::thaw.enrollment_status, 'active'::thaw.enrollment_status, 'paused'::thaw.enrollment_status])) AND (old.status <> ALL (ARRAY['pending'::thaw.enrollment_status, 'active'::thaw.enrollment_status, 'paused'::thaw.enrollment_status])) AND (NOT (new.next_kind IS DISTINCT FROM old.next_kind))))) EXECUTE FUNCTION thaw.enrollments_note_next_kind();
CREATE TRIGGER enrollments_nudge_insert AFTER INSERT ON thaw.enrollments FOR EACH ROW WHEN (((new.due_at IS NOT NULL) AND (new.account_id IS NOT NULL))) EXECUTE FUNCTION thaw.enrollments_nudge();
CREATE TRIGGER enrollments_nudge_update AFTER UPDATE ON thaw.enrollments FOR EACH ROW WHEN (((new.due_at IS NOT NULL) AND (new.account_id IS NOT NULL) AND ((old.due_at IS DISTINCT FROM new.due_at) OR (old.account_id IS DISTINCT FROM new.account_id) OR (old.next_kind IS DISTINCT FROM new.next_kind)))) EXECUTE FUNCTION thaw.enrollments_nudge();
CREATE TRIGGER enrollments_release_row AFTER UPDATE OF status ON thaw.enrollments FOR EACH ROW WHEN (((old.status = 'active'::thaw.enrollment_status) AND ((new.status = 'paused'::thaw.enrollment_status) OR ((new.status <> 'active'::thaw.enrollment_status) AND (new.next_kind IS NOT NULL))) AND (current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text))) EXECUTE FUNCTION thaw.enrollments_release_row();
CREATE TRIGGER enrollments_release_set AFTER UPDATE ON thaw.enrollments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((current_setting('thaw.counts_by_statement'::text, true) = 'on'::text)) EXECUTE FUNCTION thaw.enrollments_release_set();
CREATE TRIGGER enrollments_store_current_reason BEFORE INSERT OR UPDATE OF paused_reason ON thaw.enrollments FOR EACH ROW WHEN ((new.paused_reason <> thaw.current_reason(new.paused_reason))) EXECUTE FUNCTION thaw.store_current_reason();
CREATE TRIGGER enrollments_write_history AFTER UPDATE ON thaw.enrollments FOR EACH ROW WHEN ((((old.paused_reason IS DISTINCT FROM new.paused_reason) OR (old.account_id <> new.account_id)) AND ((current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT thaw.is_trusted_writer())))) EXECUTE FUNCTION thaw.enrollments_write_history();
CREATE TRIGGER enrollments_write_step AFTER UPDATE ON thaw.enrollments FOR EACH ROW WHEN (((old.step <> new.step) AND (old.status = 'paused'::thaw.enrollment_status) AND (new.status = 'paused'::thaw.enrollment_status) AND ((current_setting('thaw.counts_by_statement'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT thaw.is_trusted_writer())))) EXECUTE FUNCTION thaw.enrollments_write_step();
CREATE TRIGGER heals_publish_end AFTER UPDATE OF status ON thaw.heals FOR EACH ROW WHEN (((new.status = 'done'::thaw.heal_status) AND (old.status <> 'done'::thaw.heal_status))) EXECUTE FUNCTION thaw.heals_publish_end();
CREATE TRIGGER safety_nudge AFTER UPDATE OF since ON thaw.safety FOR EACH ROW WHEN (((old.since IS NOT NULL) AND (new.since IS NULL))) EXECUTE FUNCTION thaw.nudge_all();
CREATE TRIGGER sending_windows_nudge AFTER INSERT OR DELETE OR UPDATE ON thaw.sending_windows FOR EACH ROW EXECUTE FUNCTION thaw.nudge_owner();
CREATE TRIGGER settings_carry_quotas AFTER UPDATE OF tick ON thaw.settings FOR EACH ROW WHEN ((old.tick <> new.tick)) EXECUTE FUNCTION thaw.settings_carry_quotas();
CREATE TRIGGER settings_write_history AFTER UPDATE ON thaw.settings FOR EACH ROW EXECUTE FUNCTION thaw.settings_write_history();
CREATE TRIGGER workspaces_assign_id BEFORE INSERT ON thaw.workspaces FOR EACH ROW WHEN ((NOT thaw.is_trusted_writer())) EXECUTE FUNCTION thaw.assign_id();
CREATE TRIGGER workspaces_keep_identity BEFORE UPDATE ON thaw.workspaces FOR EACH ROW WHEN ((old.id <> new.id)) EXECUTE FUNCTION thaw.keep_identity();
CREATE TRIGGER workspaces_nudge AFTER UPDATE OF shadow ON thaw.workspaces FOR EACH ROW WHEN ((old.shadow AND (NOT new.shadow))) EXECUTE FUNCTION thaw.workspaces_nudge();
CREATE TRIGGER workspaces_write_history AFTER UPDATE OF auto_resume, auto_resume_reason ON thaw.workspaces FOR EACH ROW WHEN (((old.auto_resume <> new.auto_resume) OR (NULLIF(old.auto_resume_reason, ''::text) IS DISTINCT FROM NULLIF(new.auto_resume_reason, ''::text)))) EXECUTE FUNCTION thaw.workspaces_write_history();
ALTER TABLE ONLY thaw.account_products
    ADD CONSTRAINT account_products_account_id_fkey FOREIGN KEY (account_id) REFERENCES thaw.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.accounts
    ADD CONSTRAINT accounts_link_stays_in_its_workspace FOREIGN KEY (workspace_id, link_id) REFERENCES thaw.accounts(workspace_id, id);
ALTER TABLE ONLY thaw.accounts
    ADD CONSTRAINT accounts_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id);
ALTER TABLE ONLY thaw.action_ceilings
    ADD CONSTRAINT action_ceilings_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.action_holds
    ADD CONSTRAINT action_holds_account_id_fkey FOREIGN KEY (account_id) REFERENCES thaw.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.action_holds
    ADD CONSTRAINT action_holds_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.action_limits
    ADD CONSTRAINT action_limits_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_workspace_id_account_id_fkey FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts(workspace_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_workspace_id_campaign_id_fkey FOREIGN KEY (workspace_id, campaign_id) REFERENCES thaw.campaigns(workspace_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.action_overrides
    ADD CONSTRAINT action_overrides_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.actions
    ADD CONSTRAINT actions_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.allocations
    ADD CONSTRAINT allocations_tick_at_fkey FOREIGN KEY (tick_at) REFERENCES thaw.sweeps(tick_at);
ALTER TABLE ONLY thaw.allocations
    ADD CONSTRAINT allocations_workspace_id_account_id_fkey FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts(workspace_id, id);
ALTER TABLE ONLY thaw.api_tokens
    ADD CONSTRAINT api_tokens_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id);
ALTER TABLE ONLY thaw.campaign_steps
    ADD CONSTRAINT campaign_steps_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES thaw.campaigns(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.campaign_steps
    ADD CONSTRAINT campaign_steps_kind_fkey FOREIGN KEY (kind) REFERENCES thaw.action_kinds(kind);
ALTER TABLE ONLY thaw.campaigns
    ADD CONSTRAINT campaigns_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id);
ALTER TABLE ONLY thaw.enrollments
    ADD CONSTRAINT enrollments_workspace_id_account_id_fkey FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts(workspace_id, id);
ALTER TABLE ONLY thaw.enrollments
    ADD CONSTRAINT enrollments_workspace_id_campaign_id_fkey FOREIGN KEY (workspace_id, campaign_id) REFERENCES thaw.campaigns(workspace_id, id);
ALTER TABLE ONLY thaw.heal_enrollments
    ADD CONSTRAINT heal_enrollments_heal_id_fkey FOREIGN KEY (heal_id) REFERENCES thaw.heals(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.heal_order
    ADD CONSTRAINT heal_order_heal_id_fkey FOREIGN KEY (heal_id) REFERENCES thaw.heals(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.heals
    ADD CONSTRAINT heals_account_id_fkey FOREIGN KEY (account_id) REFERENCES thaw.accounts(id);
ALTER TABLE ONLY thaw.heals
    ADD CONSTRAINT heals_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES thaw.workspaces(id);
ALTER TABLE ONLY thaw.heals
    ADD CONSTRAINT heals_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id);
ALTER TABLE ONLY thaw.manual_actions
    ADD CONSTRAINT manual_actions_undoes_fkey FOREIGN KEY (undoes) REFERENCES thaw.manual_actions(id);
ALTER TABLE ONLY thaw.provider_words
    ADD CONSTRAINT provider_words_provider_fkey FOREIGN KEY (provider) REFERENCES thaw.providers(provider);
ALTER TABLE ONLY thaw.sending_accounts
    ADD CONSTRAINT sending_accounts_account_id_fkey FOREIGN KEY (account_id) REFERENCES thaw.accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.sending_accounts
    ADD CONSTRAINT sending_accounts_sender_id_fkey FOREIGN KEY (sender_id) REFERENCES thaw.senders(id);
ALTER TABLE ONLY thaw.sending_windows
    ADD CONSTRAINT sending_windows_workspace_id_account_id_fkey FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts(workspace_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.sending_windows
    ADD CONSTRAINT sending_windows_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES thaw.workspaces(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES thaw.webhook_endpoints(id) ON DELETE CASCADE;
ALTER TABLE ONLY thaw.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_outbox_id_fkey FOREIGN KEY (outbox_id) REFERENCES thaw.outbox(id) ON DELETE CASCADE;

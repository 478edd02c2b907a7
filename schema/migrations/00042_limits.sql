-- What limits sending: the kinds of actions, caps and gaps by tier and ramp week, overrides and
-- their ceilings, sending windows, holds of one kind, and the steps of campaigns. 00044_gates.sql
-- applies them. Whatever is missing is not allowed.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.accounts, thaw.settings, thaw.manual_actions, thaw.workspaces, thaw.campaigns, thaw.enrollments IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.accounts, thaw.settings, thaw.manual_actions IN ACCESS EXCLUSIVE MODE;
LOCK TABLE thaw.workspaces, thaw.campaigns, thaw.enrollments IN SHARE ROW EXCLUSIVE MODE;

CREATE TYPE thaw.account_tier AS ENUM ('free', 'premium', 'sales_navigator', 'recruiter');

ALTER TABLE thaw.accounts
    ADD COLUMN tier thaw.account_tier NOT NULL DEFAULT 'free',
    ADD COLUMN tier_changed_at timestamptz,
    ADD COLUMN restricted_at timestamptz;
COMMENT ON COLUMN thaw.accounts.tier IS 'The subscription of the account at the provider. It selects the caps of thaw.action_limits. The default has the lowest.';
COMMENT ON COLUMN thaw.accounts.tier_changed_at IS 'When tier last changed. Null: never. thaw verify compares later actions with it.';
COMMENT ON COLUMN thaw.accounts.restricted_at IS 'When the provider last restricted the account. Null: never. The ramp starts again at half its week then.';

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_note_restriction() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.restricted_at := thaw.now();
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_note_restriction BEFORE UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (NEW.status = 'restricted' AND OLD.status <> 'restricted') EXECUTE FUNCTION thaw.accounts_note_restriction();

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_note_tier() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.tier_changed_at := thaw.now();
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_note_tier BEFORE UPDATE OF tier ON thaw.accounts
    FOR EACH ROW WHEN (NEW.tier <> OLD.tier) EXECUTE FUNCTION thaw.accounts_note_tier();

CREATE TABLE thaw.action_kinds (
    kind             text COLLATE "C" PRIMARY KEY CHECK (kind ~ '^[a-z][a-z0-9_]{0,63}$'),
    has_provider_ref boolean NOT NULL
);
COMMENT ON TABLE thaw.action_kinds IS 'The kinds of actions. To add one, insert a row here and its limits into thaw.action_limits.';
COMMENT ON COLUMN thaw.action_kinds.has_provider_ref IS
    'Whether the provider answers a delivery with an ID. If so, an action counts as sent only with that ID: without it, its outcome is unknown.';
INSERT INTO thaw.action_kinds (kind, has_provider_ref)
VALUES ('invite', true), ('message', true), ('inmail', true), ('view', false), ('email', true);

CREATE TABLE thaw.action_limits (
    tier       thaw.account_tier NOT NULL,
    ramp_week  smallint NOT NULL CHECK (ramp_week BETWEEN 1 AND 6),
    kind       text COLLATE "C" NOT NULL REFERENCES thaw.action_kinds (kind),
    per_day    integer NOT NULL CHECK (per_day BETWEEN 0 AND 100000),
    per_week   integer CHECK (per_week BETWEEN 0 AND 1000000),
    gap_from   interval NOT NULL DEFAULT '0' CHECK (gap_from BETWEEN '0' AND '1 day'),
    gap_to     interval NOT NULL DEFAULT '0',
    changed_at timestamptz,
    PRIMARY KEY (tier, ramp_week, kind),
    CONSTRAINT action_limits_gap_is_a_range CHECK (gap_to BETWEEN gap_from AND '1 day')
);
COMMENT ON TABLE thaw.action_limits IS 'The default caps and gaps, by tier, ramp week and kind. Ramp week 6 is the sixth and all later weeks.';
COMMENT ON COLUMN thaw.action_limits.per_week IS 'Cap of the last 168 hours. Null: only the cap of the day applies.';
COMMENT ON COLUMN thaw.action_limits.gap_from IS
    'The gap to the next action of the same kind is drawn between gap_from and gap_to. settings.action_gap_from applies between any two actions.';
COMMENT ON COLUMN thaw.action_limits.changed_at IS 'When a cap of the row last changed. Null: never. thaw verify compares later actions with it.';

-- +goose StatementBegin
CREATE FUNCTION thaw.action_limits_note_change() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.changed_at := thaw.now();
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER action_limits_note_change BEFORE UPDATE OF per_day, per_week ON thaw.action_limits
    FOR EACH ROW WHEN ((OLD.per_day, OLD.per_week) IS DISTINCT FROM (NEW.per_day, NEW.per_week))
    EXECUTE FUNCTION thaw.action_limits_note_change();

WITH ramp (ramp_week, kind, per_day, per_week) AS (
    VALUES (1, 'invite', 5, 25), (2, 'invite', 10, 45), (3, 'invite', 15, 65), (4, 'invite', 20, 80), (5, 'invite', 25, 90),
        (1, 'message', 10, NULL), (2, 'message', 20, NULL), (3, 'message', 30, NULL), (4, 'message', 40, NULL), (5, 'message', 50, NULL),
        (1, 'inmail', 2, NULL), (2, 'inmail', 5, NULL), (3, 'inmail', 8, NULL), (4, 'inmail', 12, NULL), (5, 'inmail', 16, NULL),
        (1, 'view', 20, NULL), (2, 'view', 35, NULL), (3, 'view', 50, NULL), (4, 'view', 60, NULL), (5, 'view', 70, NULL),
        (1, 'email', 10, NULL), (2, 'email', 20, NULL), (3, 'email', 30, NULL), (4, 'email', 40, NULL), (5, 'email', 45, NULL)
), full_cap (tier, kind, per_day, per_week) AS (
    VALUES ('free'::thaw.account_tier, 'invite', 30, 100), ('premium', 'invite', 30, 150), ('sales_navigator', 'invite', 30, 180), ('recruiter', 'invite', 30, 180),
        ('free', 'message', 60, NULL), ('premium', 'message', 70, NULL), ('sales_navigator', 'message', 80, NULL), ('recruiter', 'message', 80, NULL),
        ('free', 'inmail', 0, NULL), ('premium', 'inmail', 10, NULL), ('sales_navigator', 'inmail', 30, NULL), ('recruiter', 'inmail', 30, NULL),
        ('free', 'view', 80, NULL), ('premium', 'view', 80, NULL), ('sales_navigator', 'view', 80, NULL), ('recruiter', 'view', 80, NULL),
        ('free', 'email', 50, NULL), ('premium', 'email', 50, NULL), ('sales_navigator', 'email', 50, NULL), ('recruiter', 'email', 50, NULL)
)
INSERT INTO thaw.action_limits (tier, ramp_week, kind, per_day, per_week, gap_from, gap_to)
SELECT full_cap.tier, week, full_cap.kind, least(ramp.per_day, full_cap.per_day), least(ramp.per_week, full_cap.per_week),
    CASE full_cap.kind WHEN 'invite' THEN interval '3 minutes' ELSE '0' END,
    CASE full_cap.kind WHEN 'invite' THEN interval '8 minutes' ELSE '0' END
FROM full_cap
CROSS JOIN generate_series(1, 6) AS week
LEFT JOIN ramp ON ramp.ramp_week = week AND ramp.kind = full_cap.kind;

-- The most that any override may allow.
CREATE TABLE thaw.action_ceilings (
    kind       text COLLATE "C" PRIMARY KEY REFERENCES thaw.action_kinds (kind),
    per_day    integer NOT NULL CHECK (per_day BETWEEN 0 AND 100000),
    per_week   integer CHECK (per_week BETWEEN 0 AND 1000000),
    gap_from   interval NOT NULL DEFAULT '0' CHECK (gap_from BETWEEN '0' AND '1 day'),
    changed_at timestamptz NOT NULL DEFAULT thaw.now()
);
COMMENT ON TABLE thaw.action_ceilings IS
    'Fleet-wide ceilings: no override allows more, and no gap is shorter than gap_from. Only an operator changes them, with a reason (thaw.set_action_ceiling).';
INSERT INTO thaw.action_ceilings (kind, per_day, per_week, gap_from)
VALUES ('invite', 80, 200, '1 minute'), ('message', 120, NULL, '0'), ('inmail', 50, NULL, '0'), ('view', 100, NULL, '0'), ('email', 200, NULL, '0');

CREATE TABLE thaw.action_overrides (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id bigint NOT NULL REFERENCES thaw.workspaces (id) ON DELETE CASCADE,
    account_id   bigint,
    campaign_id  bigint,
    kind         text COLLATE "C" NOT NULL REFERENCES thaw.action_kinds (kind),
    per_day      integer CHECK (per_day BETWEEN 0 AND 100000),
    per_week     integer CHECK (per_week BETWEEN 0 AND 1000000),
    gap_from     interval CHECK (gap_from BETWEEN '0' AND '1 day'),
    gap_to       interval CHECK (gap_to BETWEEN '0' AND '1 day'),
    reason       text NOT NULL CHECK (reason <> '' AND length(reason) <= 1000),
    actor        text NOT NULL CHECK (actor <> ''),
    changed_at   timestamptz NOT NULL DEFAULT thaw.now(),
    FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, campaign_id) REFERENCES thaw.campaigns (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT action_overrides_of_one UNIQUE NULLS NOT DISTINCT (workspace_id, account_id, campaign_id, kind),
    CONSTRAINT action_overrides_limit_something CHECK (num_nonnulls(per_day, per_week, gap_from) > 0),
    CONSTRAINT action_overrides_gap_is_a_range CHECK ((gap_from IS NULL) = (gap_to IS NULL) AND gap_to >= gap_from),
    -- A campaign sends through many accounts, so only its own cap of the day makes sense.
    CONSTRAINT action_overrides_campaign_has_a_daily_cap CHECK (
        campaign_id IS NULL OR account_id IS NULL AND per_day IS NOT NULL AND num_nonnulls(per_week, gap_from) = 0)
);
COMMENT ON TABLE thaw.action_overrides IS
    'Limits of a workspace, an account or a campaign that replace the defaults, up to the ceiling. In the ramp weeks 1 to 5 an override can only lower a cap. That of an account takes precedence over that of its workspace; the cap of a campaign is an additional limit.';
CREATE INDEX action_overrides_account_idx ON thaw.action_overrides (account_id, kind) WHERE account_id IS NOT NULL;
CREATE INDEX action_overrides_campaign_idx ON thaw.action_overrides (campaign_id, kind) WHERE campaign_id IS NOT NULL;

CREATE TABLE thaw.sending_windows (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id bigint REFERENCES thaw.workspaces (id) ON DELETE CASCADE,
    account_id   bigint,
    weekdays     smallint[] NOT NULL CHECK (weekdays <@ '{1,2,3,4,5,6,7}' AND cardinality(weekdays) BETWEEN 1 AND 7),
    opens        time NOT NULL CHECK (opens < '24:00'),
    closes       time NOT NULL,
    timezone     text CHECK (timezone <> '' AND length(timezone) <= 64),
    FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT sending_windows_account_is_of_its_workspace CHECK (account_id IS NULL OR workspace_id IS NOT NULL),
    CONSTRAINT sending_windows_have_a_length CHECK (opens <> closes)
);
COMMENT ON TABLE thaw.sending_windows IS
    'When accounts send. The windows of an account replace those of its workspace, and these replace those of the fleet (workspace_id null). A window that closes at or before it opens closes on the next day.';
COMMENT ON COLUMN thaw.sending_windows.weekdays IS 'ISO weekdays on which the window opens: 1 is Monday.';
COMMENT ON COLUMN thaw.sending_windows.timezone IS 'IANA time zone of the window. Null: the time zone of the account. An account for which neither is known sends nothing.';
CREATE INDEX sending_windows_owner_idx ON thaw.sending_windows (workspace_id, account_id);
INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5}', '09:00', '17:00');

CREATE TABLE thaw.action_holds (
    account_id bigint NOT NULL REFERENCES thaw.accounts (id) ON DELETE CASCADE,
    kind       text COLLATE "C" NOT NULL REFERENCES thaw.action_kinds (kind),
    sender_id  bigint,
    until      timestamptz NOT NULL,
    code       text NOT NULL CHECK (code ~ '^[a-z][a-z0-9_]{0,63}$'),
    reason     text NOT NULL CHECK (reason <> '' AND length(reason) <= 1000),
    actor      text NOT NULL CHECK (actor <> ''),
    at         timestamptz NOT NULL DEFAULT thaw.now(),
    PRIMARY KEY (account_id, kind)
);
COMMENT ON TABLE thaw.action_holds IS
    'Kinds of actions that an account does not do until a set time; other kinds go on. The hold applies to all accounts of the same sender.';
COMMENT ON COLUMN thaw.action_holds.code IS 'What caused the hold: the error code of the provider, refusals, or person.';
-- Counts the accounts that need attention, and lists them.
CREATE INDEX action_holds_refusals_idx ON thaw.action_holds (until) INCLUDE (account_id) WHERE code = 'refusals';
CREATE INDEX action_holds_sender_idx ON thaw.action_holds (sender_id, kind) WHERE sender_id IS NOT NULL;

-- Every writer can extend a hold of a kind; only thaw.correct_action_hold shortens one.
-- +goose StatementBegin
CREATE FUNCTION thaw.action_holds_keep() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
CREATE TRIGGER action_holds_keep BEFORE UPDATE OF until OR DELETE ON thaw.action_holds
    FOR EACH ROW WHEN (OLD.until > thaw.now()) EXECUTE FUNCTION thaw.action_holds_keep();

CREATE TABLE thaw.campaign_steps (
    campaign_id bigint NOT NULL REFERENCES thaw.campaigns (id) ON DELETE CASCADE,
    position    integer NOT NULL CHECK (position >= 0),
    kind        text COLLATE "C" NOT NULL REFERENCES thaw.action_kinds (kind),
    delay       interval NOT NULL DEFAULT '0' CHECK (delay BETWEEN '0' AND '365 days'),
    PRIMARY KEY (campaign_id, position)
);
COMMENT ON TABLE thaw.campaign_steps IS
    'The steps of a linear campaign. position is the value of enrollments.step at which the step is done. A campaign with branches has none: the platform passes the next kind and time when it settles an action.';
COMMENT ON COLUMN thaw.campaign_steps.delay IS 'How long after the previous step this one is due.';

-- The kind of the next action follows the step, for every writer of the step, and for one that
-- activates a prospect again who had ended. The statement may set the kind itself. A prospect
-- without a kind, which Thaw does not schedule, calls no trigger with each step.
--
-- The steps may be changing: see thaw.set_campaign_steps. It locks the rows of the prospects, but
-- not those that it cannot see yet, or that had ended. These wait for its lock on the campaign.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_note_next_kind() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
CREATE TRIGGER enrollments_note_next_kind_insert BEFORE INSERT ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.next_kind IS NULL) EXECUTE FUNCTION thaw.enrollments_note_next_kind();
CREATE TRIGGER enrollments_note_next_kind_update BEFORE UPDATE OF step, status ON thaw.enrollments
    FOR EACH ROW WHEN (
        NEW.step <> OLD.step AND NEW.next_kind = OLD.next_kind
        OR NEW.status IN ('pending', 'active', 'paused') AND OLD.status NOT IN ('pending', 'active', 'paused')
            AND NEW.next_kind IS NOT DISTINCT FROM OLD.next_kind)
    EXECUTE FUNCTION thaw.enrollments_note_next_kind();

ALTER TABLE thaw.settings
    ADD COLUMN action_gap_from interval NOT NULL DEFAULT '60 seconds' CHECK (action_gap_from BETWEEN '0' AND '1 day'),
    ADD COLUMN action_gap_to   interval NOT NULL DEFAULT '180 seconds',
    ADD COLUMN action_lease    interval NOT NULL DEFAULT '10 minutes' CHECK (action_lease BETWEEN '10 seconds' AND '1 day'),
    ADD COLUMN pending_invites integer NOT NULL DEFAULT 500 CHECK (pending_invites BETWEEN 0 AND 100000),
    ADD COLUMN push_actions    boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT settings_action_gap_is_a_range CHECK (action_gap_to BETWEEN action_gap_from AND '1 day');
COMMENT ON COLUMN thaw.settings.action_gap_from IS 'The gap between any two actions of a sender is drawn between action_gap_from and action_gap_to.';
COMMENT ON COLUMN thaw.settings.action_lease IS 'How long a reservation lasts if it is not started, and how long a started action may take until its outcome counts as unknown.';
COMMENT ON COLUMN thaw.settings.pending_invites IS 'How many invites of a sender may be open: sent within 180 days, and neither accepted nor withdrawn.';
COMMENT ON COLUMN thaw.settings.push_actions IS 'Whether the job schedule reserves due actions and sends them as webhook action.due. If not, senders claim them (thaw.claim_actions).';

ALTER TABLE thaw.manual_actions DROP CONSTRAINT manual_actions_what_check;
ALTER TABLE thaw.manual_actions ADD CONSTRAINT manual_actions_what_check CHECK (what IN (
    'safety_entered', 'safety_exited', 'held', 'hold_corrected', 'paused', 'resumed', 'auto_resume_off', 'auto_resume_on',
    'settings_changed', 'linked', 'heal_cap_set', 'heal_cap_removed', 'heal_started', 'heal_stopped', 'heal_resumed',
    'imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'endpoint_enabled', 'endpoint_removed', 'messages_replayed',
    'token_created', 'token_revoked', 'jobs_changed', 'undone', 'instance_adopted', 'server_changed', 'shadow_on', 'shadow_off',
    'prospect_erased', 'workspace_removed', 'adopted', 'adoption_fixed', 'adoption_removed',
    'limit_set', 'ceiling_set', 'windows_set', 'kind_held', 'kind_hold_corrected', 'action_settled', 'ramp_set')) NOT VALID;
ALTER TABLE thaw.manual_actions VALIDATE CONSTRAINT manual_actions_what_check;

REVOKE ALL ON FUNCTION thaw.accounts_note_restriction(), thaw.accounts_note_tier(), thaw.action_limits_note_change(), thaw.action_holds_keep(), thaw.enrollments_note_next_kind() FROM PUBLIC;

-- +goose Down
ALTER TABLE thaw.manual_actions DROP CONSTRAINT manual_actions_what_check;
DELETE FROM thaw.manual_actions WHERE what IN ('limit_set', 'ceiling_set', 'windows_set', 'kind_held', 'kind_hold_corrected', 'action_settled', 'ramp_set');
ALTER TABLE thaw.manual_actions ADD CONSTRAINT manual_actions_what_check CHECK (what IN (
    'safety_entered', 'safety_exited', 'held', 'hold_corrected', 'paused', 'resumed', 'auto_resume_off', 'auto_resume_on',
    'settings_changed', 'linked', 'heal_cap_set', 'heal_cap_removed', 'heal_started', 'heal_stopped', 'heal_resumed',
    'imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'endpoint_enabled', 'endpoint_removed', 'messages_replayed',
    'token_created', 'token_revoked', 'jobs_changed', 'undone', 'instance_adopted', 'server_changed', 'shadow_on', 'shadow_off',
    'prospect_erased', 'workspace_removed', 'adopted', 'adoption_fixed', 'adoption_removed'));
ALTER TABLE thaw.settings
    DROP COLUMN push_actions, DROP COLUMN pending_invites, DROP COLUMN action_lease, DROP COLUMN action_gap_to, DROP COLUMN action_gap_from;
DROP TRIGGER enrollments_note_next_kind_update ON thaw.enrollments;
DROP TRIGGER enrollments_note_next_kind_insert ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_note_next_kind();
DROP TABLE thaw.campaign_steps, thaw.action_holds, thaw.sending_windows, thaw.action_overrides, thaw.action_ceilings, thaw.action_limits, thaw.action_kinds;
DROP FUNCTION thaw.action_holds_keep();
DROP FUNCTION thaw.action_limits_note_change();
DROP TRIGGER accounts_note_tier ON thaw.accounts;
DROP FUNCTION thaw.accounts_note_tier();
DROP TRIGGER accounts_note_restriction ON thaw.accounts;
DROP FUNCTION thaw.accounts_note_restriction();
ALTER TABLE thaw.accounts DROP COLUMN restricted_at, DROP COLUMN tier_changed_at, DROP COLUMN tier;
DROP TYPE thaw.account_tier;

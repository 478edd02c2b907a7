-- The fleet: the tables that the platform writes and in which Thaw pauses and resumes rows.
-- docs/design.md defines the terms.

-- +goose Up

-- Whether a name is free of invisible characters: it has no control characters, line separators or
-- format characters, and no space of any kind at either end. A trailing no-break space from a
-- spreadsheet would turn "acc_1" into another account, and the signals of the real one would never
-- find it. The two joiners that some scripts and emoji need are allowed inside a name.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_visible(text text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_visible.text !~ $re$[\u0001-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|^[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]|[ \u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]$$re$;
-- +goose StatementEnd

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
    timezone            text,
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
COMMENT ON COLUMN thaw.accounts.timezone IS
    'The IANA time zone of the person behind the account, such as Europe/Berlin. Null: unknown. There is no default: with a wrong zone, the account would send at night.';
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

-- The platform's own IDs. Lookups without a workspace start with the ID, so it is the first column.
CREATE UNIQUE INDEX workspaces_external_id_key ON thaw.workspaces (external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX accounts_external_id_key ON thaw.accounts (external_id, workspace_id) WHERE external_id IS NOT NULL;

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
    next_kind         text COLLATE "C" CHECK (next_kind ~ '^[a-z][a-z0-9_]{0,63}$'),
    -- A column of its own, so that the step of a prospect that Thaw does not schedule moves on
    -- without a change of an indexed column.
    due_at            timestamptz GENERATED ALWAYS AS (
        CASE WHEN status = 'active' AND next_kind IS NOT NULL THEN next_action_at END) STORED,
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
COMMENT ON COLUMN thaw.enrollments.next_kind IS
    'The kind of the next action, such as invite or message. Null: the platform decides it, and Thaw does not schedule the action.';
COMMENT ON COLUMN thaw.enrollments.due_at IS
    'When Thaw may give out the next action: next_action_at of an active enrollment with a next_kind. Null for all others.';
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
-- Finds the next action of each kind and campaign of an account.
CREATE INDEX enrollments_due_idx ON thaw.enrollments (account_id, campaign_id, next_kind, due_at, id) WHERE due_at IS NOT NULL;
-- Finds the prospects that have not started and move away from an account that is gone.
CREATE INDEX enrollments_pending_idx ON thaw.enrollments (account_id, campaign_id, id) WHERE status = 'pending';

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
DROP TABLE thaw.enrollments, thaw.campaigns, thaw.account_products, thaw.accounts, thaw.workspaces;
DROP FUNCTION thaw.store_current_reason();
DROP FUNCTION thaw.enrollments_end_own_reason();
DROP FUNCTION thaw.accounts_keep_hold();
DROP FUNCTION thaw.accounts_note_disconnection();
DROP FUNCTION thaw.accounts_note_connection();
DROP FUNCTION thaw.is_flapping(timestamptz[]);
DROP SEQUENCE thaw.losses_seq;
DROP FUNCTION thaw.is_visible(text);

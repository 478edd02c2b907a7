-- The records: signal deliveries, plans, quotas, heals, and the history of every transition.
--
-- History rows have no foreign keys to the fleet tables: only functions of this schema write them,
-- and they outlive an enrollment that the platform deletes.

-- +goose Up

CREATE TYPE thaw.signal_outcome AS ENUM ('applied', 'duplicate', 'stale', 'unknown_account', 'ignored');
-- 'released': a person requeued a prospect, and a later sweep resumes it. 'changed': the platform
-- moved it from paused to a status other than active. 'settled': an action that was under way was
-- completed after the pause, so the step moved on.
CREATE TYPE thaw.event_kind AS ENUM ('paused', 'resumed', 'moved', 'imported', 'released', 'changed', 'settled');
-- 'platform': a plain UPDATE, by any role.
CREATE TYPE thaw.event_source AS ENUM ('signal', 'sweep', 'heal', 'operator', 'scheduler', 'import', 'platform');
-- What a signal reports: a status, a login that the provider has yet to confirm, or a change of the
-- lock, which is independent of the status.
CREATE TYPE thaw.signal_kind AS ENUM ('status', 'login', 'lock', 'unlock');
-- Which quota a resume draws from. The heal lane has no row in fleet_quotas: each heal has its
-- own cap.
CREATE TYPE thaw.lane AS ENUM ('sweep', 'signal', 'heal');

CREATE TABLE thaw.account_signals (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider            text NOT NULL,
    provider_account_id text NOT NULL,
    account_id          bigint,
    delivery_key        text UNIQUE,
    duplicate_of        bigint,
    raw_status          text NOT NULL,
    status              thaw.account_status,
    kind                thaw.signal_kind NOT NULL DEFAULT 'status',
    just_created        boolean NOT NULL DEFAULT false,
    product             text,
    member_id           text,
    v1_account_id       text,
    occurred_at         timestamptz,
    received_at         timestamptz NOT NULL DEFAULT thaw.now(),
    outcome             thaw.signal_outcome NOT NULL,
    body                jsonb,
    -- The idempotency record of the resume pass for this signal.
    verdict             text,
    resumed             integer,
    finished_at         timestamptz,
    CONSTRAINT account_signals_duplicate_names_its_original CHECK ((outcome = 'duplicate') = (duplicate_of IS NOT NULL)),
    CONSTRAINT account_signals_applied_has_an_account CHECK (
        outcome <> 'applied' OR (account_id IS NOT NULL AND (status IS NOT NULL OR kind IN ('lock', 'unlock')))),
    -- Enforced for every writer: these texts are shown on pages and indexed.
    CONSTRAINT account_signals_text_is_bounded CHECK (
        length(raw_status) BETWEEN 1 AND 256 AND raw_status !~ '[[:cntrl:]]' AND length(provider) <= 256
        AND length(provider_account_id) <= 256 AND length(member_id) <= 256 AND length(v1_account_id) <= 256
        AND length(delivery_key) <= 512 AND length(product) <= 64),
    CONSTRAINT account_signals_occurred_at_is_bounded CHECK (occurred_at >= '2000-01-01 00:00:00+00' AND occurred_at < '2100-01-01 00:00:00+00'),
    CONSTRAINT account_signals_pass_is_closed_once CHECK (
        (finished_at IS NULL) = (resumed IS NULL) AND (finished_at IS NULL) = (verdict IS NULL) AND resumed >= 0)
);
COMMENT ON TABLE thaw.account_signals IS 'Every delivery of an account-status message, with its outcome.';
COMMENT ON COLUMN thaw.account_signals.delivery_key IS
    'The key that identifies a repeated delivery. Null: the provider sends no such key.';
COMMENT ON COLUMN thaw.account_signals.product IS
    'The product that the status is about; the status of the account does not change. Null: the signal is about the account.';
COMMENT ON COLUMN thaw.account_signals.v1_account_id IS
    'The ID of the same account in the provider''s v1 API. The two accounts are linked.';
COMMENT ON COLUMN thaw.account_signals.just_created IS
    'Whether the provider has just created the account. Such an account has nothing to pause yet.';

CREATE INDEX account_signals_account_idx ON thaw.account_signals (provider, provider_account_id, id DESC);
-- Deliveries for accounts without a row. They are applied when the row is inserted.
CREATE INDEX account_signals_unknown_idx ON thaw.account_signals (provider, provider_account_id)
    WHERE outcome = 'unknown_account';
CREATE INDEX account_signals_kept_idx ON thaw.account_signals (received_at) WHERE outcome = 'unknown_account';

-- One summary row per tick. The primary key makes a tick swept once.
CREATE TABLE thaw.sweeps (
    tick_at            timestamptz PRIMARY KEY,
    account_cap        integer NOT NULL,
    fleet_cap          integer NOT NULL,
    accounts_planned   integer NOT NULL DEFAULT 0,
    accounts_processed integer NOT NULL DEFAULT 0,
    planned            integer NOT NULL DEFAULT 0,
    resumed            integer NOT NULL DEFAULT 0,
    moved              integer NOT NULL DEFAULT 0,
    campaigns_resumed  integer NOT NULL DEFAULT 0,
    remaining          integer NOT NULL DEFAULT 0,
    -- Whether planning took too long, so that only a part of the accounts were candidates.
    is_partial         boolean NOT NULL DEFAULT false,
    -- The last campaign that was checked for blocked prospects. 0: all were checked.
    looked_to          bigint NOT NULL DEFAULT 0,
    started_at         timestamptz NOT NULL DEFAULT thaw.now(),
    finished_at        timestamptz,
    CONSTRAINT sweeps_processed_is_planned CHECK (accounts_processed BETWEEN 0 AND accounts_planned),
    CONSTRAINT sweeps_resumed_is_planned CHECK (resumed BETWEEN 0 AND planned AND planned <= fleet_cap)
);
COMMENT ON TABLE thaw.sweeps IS 'One row per tick: what was planned, resumed, and remaining.';
COMMENT ON COLUMN thaw.sweeps.remaining IS
    'The resumable enrollments that the tick found, minus those that it resumed.';
CREATE INDEX sweeps_unfinished_idx ON thaw.sweeps (tick_at) WHERE finished_at IS NULL;

-- The plan of a tick. A row is also the idempotency record of its pass, whose job may run more than
-- once.
CREATE TABLE thaw.allocations (
    tick_at      timestamptz NOT NULL REFERENCES thaw.sweeps (tick_at),
    account_id   bigint NOT NULL,
    workspace_id bigint NOT NULL,
    planned      integer NOT NULL CHECK (planned >= 0),
    resumed      integer NOT NULL DEFAULT 0,
    verdict      text,
    finished_at  timestamptz,
    PRIMARY KEY (tick_at, account_id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES thaw.accounts (workspace_id, id),
    CONSTRAINT allocations_resumed_is_planned CHECK (resumed BETWEEN 0 AND planned),
    CONSTRAINT allocations_closed_has_a_verdict CHECK ((finished_at IS NULL) = (verdict IS NULL))
-- Thousands of rows are inserted in one statement and then closed one by one: with free space in
-- the page, closing one is a HOT update.
) WITH (fillfactor = 80);
CREATE INDEX allocations_workspace_served_idx ON thaw.allocations (workspace_id, tick_at DESC) WHERE planned > 0;
-- The timeline of an account. At most fleet_cap rows per tick are planned.
CREATE INDEX allocations_account_idx ON thaw.allocations (account_id, tick_at DESC) WHERE planned > 0;
COMMENT ON TABLE thaw.allocations IS 'The plan of a tick: how many enrollments may resume through an account. With 0, the pass only starts campaigns.';

CREATE TABLE thaw.fleet_quotas (
    tick_at timestamptz NOT NULL,
    lane    thaw.lane NOT NULL CHECK (lane <> 'heal'),
    cap     integer NOT NULL,
    used    integer NOT NULL DEFAULT 0,
    carried integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tick_at, lane),
    CONSTRAINT fleet_quotas_used_is_within_cap CHECK (used BETWEEN 0 AND cap),
    CONSTRAINT fleet_quotas_carried_is_used CHECK (carried BETWEEN 0 AND greatest(used, 0))
);
COMMENT ON TABLE thaw.fleet_quotas IS 'How many enrollments a tick may resume in the whole fleet, by lane, and how many it has resumed.';
COMMENT ON COLUMN thaw.fleet_quotas.carried IS
    'The part of used that was resumed before settings.tick changed, in overlapping ticks of the old length.';

-- Shared by the sweep and the signal lane: an account whose connection flaps within a tick does not
-- get its cap twice.
CREATE TABLE thaw.account_quotas (
    tick_at    timestamptz NOT NULL,
    account_id bigint NOT NULL,
    cap        integer NOT NULL,
    used       integer NOT NULL,
    carried    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tick_at, account_id),
    CONSTRAINT account_quotas_used_is_within_cap CHECK (used BETWEEN 0 AND cap),
    CONSTRAINT account_quotas_carried_is_used CHECK (carried BETWEEN 0 AND greatest(used, 0))
) WITH (fillfactor = 90);
COMMENT ON TABLE thaw.account_quotas IS 'How many enrollments were resumed through an account in a tick, by sweep and signals together.';
COMMENT ON COLUMN thaw.account_quotas.carried IS 'As in thaw.fleet_quotas.carried.';

-- How many prospects a lane may resume per tick, fleet-wide. Null: a heal has its own cap.
-- +goose StatementBegin
CREATE FUNCTION thaw.lane_cap(p_lane thaw.lane, p_settings thaw.settings) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE p_lane WHEN 'sweep' THEN p_settings.fleet_cap WHEN 'signal' THEN p_settings.signal_cap END;
-- +goose StatementEnd

-- The backlog by tick. Counting it costs time in proportion to the backlog and not to the work of a
-- tick, so the sweep does not do it. The job "watch" does, and spends at most a thousandth of its
-- time on it.
CREATE TABLE thaw.backlog_samples (
    tick_at timestamptz PRIMARY KEY,
    paused  bigint NOT NULL CHECK (paused >= 0),
    waiting bigint NOT NULL,
    took    interval NOT NULL,
    CONSTRAINT backlog_samples_waiting_are_paused CHECK (waiting BETWEEN 0 AND paused)
);
COMMENT ON TABLE thaw.backlog_samples IS 'How many enrollments were paused in a tick, and how many of those were waiting for an account.';

CREATE TYPE thaw.heal_status AS ENUM ('running', 'done', 'stopped');

CREATE TABLE thaw.heals (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id      bigint REFERENCES thaw.workspaces (id),
    account_id        bigint REFERENCES thaw.accounts (id),
    -- A heal of the whole fleet.
    is_fleet          boolean NOT NULL DEFAULT false,
    target            text NOT NULL CHECK (target <> ''),
    cap               integer NOT NULL CHECK (cap >= 1),
    -- At most this many prospects per minute. Null: as fast as possible.
    rate              integer CHECK (rate BETWEEN 1 AND 1000000),
    even_if_off       boolean NOT NULL DEFAULT false,
    -- The workspace whose API token started the heal. Null: an operator started it. If the
    -- workspace has no heal cap, the heal keeps the cap per account and tick, which it shares with
    -- the sweep and signals.
    tenant_id         bigint REFERENCES thaw.workspaces (id),
    keeps_caps        boolean NOT NULL DEFAULT false,
    status            thaw.heal_status NOT NULL DEFAULT 'running',
    resumed           integer NOT NULL DEFAULT 0,
    moved             integer NOT NULL DEFAULT 0,
    campaigns_resumed integer NOT NULL DEFAULT 0,
    -- How many prospects the heal found, and on how many accounts. Counted after the first batch,
    -- so that the first prospects do not wait for the count. Until then first_source_ids has the
    -- accounts of the first batch.
    found             integer,
    accounts          integer,
    first_source_ids  bigint[],
    -- Set by the first batch and never changed afterwards. True if the cap may be too small for all
    -- prospects: those of an account are then resumed by the time of their pause, regardless of
    -- campaign. If false, they are resumed by campaign, which reads no more rows than it resumes.
    oldest_first      boolean,
    -- Set by the count, for heals of a workspace only: true if every campaign with waiting
    -- prospects lets them resume.
    all_campaigns_open boolean NOT NULL DEFAULT false,
    -- If the cap is too small for all: how many prospects an account may resume in the current pass
    -- over the accounts (max-min fair shares; see thaw.fair_share). Null: no limit. A pass starts
    -- over at the first account with new shares, until the cap is used up or nothing more resumes.
    account_share     integer CHECK (account_share >= 1),
    pass              integer NOT NULL DEFAULT 1,
    pass_resumed      integer NOT NULL DEFAULT 0,
    -- How many prospects of the account at_account_id the current pass has chosen.
    at_account_chosen integer NOT NULL DEFAULT 0,
    -- Whether the heal has resumed what it may, and now moves pending prospects of its scope away
    -- from accounts that are gone (thaw.heal_movable).
    is_moving         boolean NOT NULL DEFAULT false,
    -- For a heal with a rate: when its next batch may run.
    next_batch_at     timestamptz,
    -- Progress: finished batches, finished accounts, and the last prospect of the last batch. A
    -- heal processes its prospects in a fixed order, by account, campaign and pause time, and the
    -- next batch continues after this prospect. The first batch of a list takes its prospects by id
    -- (at_enrollment_id); later batches take them in the order of heal_order (at_place).
    batch             integer NOT NULL DEFAULT 0,
    accounts_done     integer NOT NULL DEFAULT 0,
    at_account_id     bigint,
    at_campaign_id    bigint,
    at_paused_at      timestamptz,
    at_enrollment_id  bigint,
    at_place          bigint,
    -- The current round, from 1, and how many prospects this round passed over because other
    -- transactions held them. Another round retries these; the number of rounds is limited.
    round             integer NOT NULL DEFAULT 1,
    skipped           integer NOT NULL DEFAULT 0,
    remaining         integer,
    actor             text NOT NULL,
    reason            text CHECK (reason <> ''),
    -- The River job that runs the heal.
    job_id            bigint,
    requested_at      timestamptz NOT NULL DEFAULT thaw.now(),
    finished_at       timestamptz,
    -- Why and when a heal stopped before it was done. It can be continued: thaw.resume_heal.
    stopped_reason    text CHECK (stopped_reason <> ''),
    stopped_at        timestamptz,
    CONSTRAINT heals_stopped_has_a_reason CHECK (
        (status = 'stopped') = (stopped_reason IS NOT NULL) AND (status = 'stopped') = (stopped_at IS NOT NULL)),
    CONSTRAINT heals_resumed_is_within_cap CHECK (resumed BETWEEN 0 AND cap),
    CONSTRAINT heals_done_has_remaining CHECK (
        (status = 'done') = (finished_at IS NOT NULL) AND (status = 'done') = (remaining IS NOT NULL)),
    CONSTRAINT heals_have_at_most_one_scope CHECK (num_nonnulls(workspace_id, account_id) + is_fleet::integer <= 1),
    -- So that a heal of the fleet cannot send a burst.
    CONSTRAINT heals_of_the_fleet_have_a_rate CHECK (NOT is_fleet OR rate IS NOT NULL)
-- Updated once per batch: with free space in the page, that is a HOT update.
) WITH (fillfactor = 50);
COMMENT ON TABLE thaw.heals IS
    'One row per heal: of a workspace, of an account, of the whole fleet (is_fleet), or otherwise of the enrollments in thaw.heal_enrollments.';
COMMENT ON COLUMN thaw.heals.skipped IS
    'How many prospects the current round passed over because other transactions held them; for a finished heal, the last round. They are part of remaining.';
-- Finds the heals that a tenant started in a tick.
CREATE INDEX heals_tenant_idx ON thaw.heals (tenant_id, requested_at) WHERE tenant_id IS NOT NULL;
-- The timeline of an account.
CREATE INDEX heals_account_idx ON thaw.heals (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX heals_workspace_idx ON thaw.heals (workspace_id, id) WHERE workspace_id IS NOT NULL;
CREATE UNIQUE INDEX heals_one_running_per_target_key ON thaw.heals (target) WHERE status = 'running';

-- A list may have hundreds of thousands of prospects, and a row for each would cost as much as
-- resuming it. A row therefore has up to 200 ids in ascending order: it fits into its page without
-- TOAST, and a batch reads only the few rows that it needs.
CREATE TABLE thaw.heal_enrollments (
    heal_id        bigint NOT NULL REFERENCES thaw.heals (id) ON DELETE CASCADE,
    -- The last of enrollment_ids.
    last_id        bigint NOT NULL,
    enrollment_ids bigint[] NOT NULL,
    PRIMARY KEY (heal_id, last_id)
);
COMMENT ON TABLE thaw.heal_enrollments IS
    'The list of a heal of listed prospects: up to 200 enrollment ids per row, in ascending order.';

-- The same list ordered by account, campaign and id, as of the end of the first batch, so that each
-- batch touches few accounts. Only the order depends on it: a prospect that moves to another
-- account later is resumed through that one. heal_enrollments remains the original list, searchable
-- by id. Rows are written only if the heal needs more than one batch, and deleted when it is done.
CREATE TABLE thaw.heal_order (
    heal_id        bigint NOT NULL REFERENCES thaw.heals (id) ON DELETE CASCADE,
    -- The position of the last of enrollment_ids in the whole list.
    last_place     bigint NOT NULL,
    enrollment_ids bigint[] NOT NULL,
    PRIMARY KEY (heal_id, last_place)
);
COMMENT ON TABLE thaw.heal_order IS
    'The order in which a running heal processes a long list: up to 200 enrollment ids per row.';

CREATE TABLE thaw.enrollment_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enrollment_id   bigint NOT NULL,
    at              timestamptz NOT NULL,
    tick_at         timestamptz,
    heal_id         bigint,
    signal_id       bigint,
    job_id          bigint,
    from_account_id bigint,
    to_account_id   bigint,
    step            integer NOT NULL,
    kind            thaw.event_kind NOT NULL,
    source          thaw.event_source NOT NULL,
    from_status     thaw.enrollment_status NOT NULL,
    to_status       thaw.enrollment_status NOT NULL,
    reason          thaw.pause_reason,
    paused_at       timestamptz,
    detail          text,
    -- For a manual action: the action and, if the prospect was paused already, the reason of that
    -- pause, so that the action can be undone.
    action_id       bigint,
    from_reason     thaw.pause_reason,
    CONSTRAINT enrollment_events_pause_has_a_reason CHECK (kind <> 'paused' OR reason IS NOT NULL),
    CONSTRAINT enrollment_events_names_its_pause CHECK (
        kind NOT IN ('paused', 'resumed', 'released') OR paused_at IS NOT NULL),
    CONSTRAINT enrollment_events_names_its_pass CHECK (
        kind NOT IN ('resumed', 'moved')
        OR CASE source
               WHEN 'sweep' THEN tick_at IS NOT NULL
               WHEN 'signal' THEN tick_at IS NOT NULL AND signal_id IS NOT NULL
               WHEN 'heal' THEN heal_id IS NOT NULL
               ELSE true
           END)
-- Retention removes small parts of the table at a time. Vacuum starts after 2% has changed, so
-- that the space is reused.
) WITH (autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE thaw.enrollment_events IS 'The history of enrollments: one row per transition, written in the transaction that makes it.';
COMMENT ON COLUMN thaw.enrollment_events.reason IS 'For a pause: its reason. For a resume: the reason of the pause that it ended.';
COMMENT ON COLUMN thaw.enrollment_events.paused_at IS
    'The start of the pause that this event begins or ends. It identifies the pause: two resumes with the same value ended one pause twice, which must not happen.';
CREATE INDEX enrollment_events_history_idx ON thaw.enrollment_events (enrollment_id, id);
-- Finds what a manual action changed.
CREATE INDEX enrollment_events_action_idx ON thaw.enrollment_events (action_id, id) WHERE action_id IS NOT NULL;

CREATE TABLE thaw.campaign_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL,
    at          timestamptz NOT NULL,
    account_id  bigint,
    tick_at     timestamptz,
    heal_id     bigint,
    signal_id   bigint,
    job_id      bigint,
    kind        thaw.event_kind NOT NULL,
    source      thaw.event_source NOT NULL,
    from_status thaw.campaign_status NOT NULL,
    to_status   thaw.campaign_status NOT NULL,
    reason      thaw.pause_reason,
    detail      text,
    -- As in thaw.enrollment_events.
    action_id   bigint,
    from_reason thaw.pause_reason
);
COMMENT ON TABLE thaw.campaign_events IS 'The history of campaigns, as thaw.enrollment_events.';
CREATE INDEX campaign_events_history_idx ON thaw.campaign_events (campaign_id, id);

CREATE TABLE thaw.account_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  bigint NOT NULL,
    at          timestamptz NOT NULL,
    from_status thaw.account_status NOT NULL,
    to_status   thaw.account_status NOT NULL,
    last_error  text,
    -- How many prospects were paused because of this status. Null: none.
    enrollments integer,
    CONSTRAINT account_events_change_something CHECK (from_status <> to_status)
);
COMMENT ON TABLE thaw.account_events IS 'The history of account statuses, for all writers.';
CREATE INDEX account_events_history_idx ON thaw.account_events (account_id, id);

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.account_events (account_id, at, from_status, to_status, last_error)
    VALUES (NEW.id, thaw.now(), OLD.status, NEW.status, NEW.last_error);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_write_history AFTER UPDATE OF status ON thaw.accounts
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION thaw.accounts_write_history();

-- The audit log: actions of people, of the monitor of safety mode, and of the provider (links).
-- There are few rows, and they are never removed: an audit may ask for them years later.
CREATE TABLE thaw.manual_actions (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                 timestamptz NOT NULL DEFAULT thaw.now(),
    what               text NOT NULL CHECK (what IN (
        'safety_entered', 'safety_exited', 'held', 'hold_corrected', 'paused', 'resumed', 'auto_resume_off', 'auto_resume_on',
        'settings_changed', 'linked', 'heal_cap_set', 'heal_cap_removed', 'heal_started', 'heal_stopped', 'heal_resumed',
        'imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'endpoint_enabled', 'endpoint_removed', 'messages_replayed',
        'token_created', 'token_revoked', 'jobs_changed', 'undone', 'instance_adopted', 'server_changed', 'shadow_on', 'shadow_off',
        'prospect_erased', 'workspace_removed', 'adopted', 'adoption_fixed', 'adoption_removed')),
    actor              text NOT NULL CHECK (actor <> ''),
    -- The database role of the session. The caller can choose actor but not this.
    session_role       text NOT NULL DEFAULT session_user,
    reason             text CHECK (reason <> ''),
    -- What exactly, if no other column says it: the file of an import, the URL of an endpoint
    -- without its secrets, the name of a token.
    detail             text CHECK (detail <> ''),
    -- The subject; all null: the fleet. A prospect is identified by its URL, because it may be in
    -- several campaigns.
    workspace_id       bigint,
    account_id         bigint,
    campaign_id        bigint,
    prospect_url       text,
    heal_id            bigint,
    -- For 'undone': the action that was undone.
    undoes             bigint REFERENCES thaw.manual_actions (id),
    -- For a hold, auto-resume and the heal cap: the values that the action replaced, for an undo.
    before             jsonb,
    -- For a hold: its end. For a pause, a resume or an import: how many prospects it changed; null
    -- until the import ends. For the monitor: its counts.
    until              timestamptz,
    enrollments        integer,
    accounts_lost      integer,
    accounts_connected integer,
    -- When a worker process wrote the action to its log. Null: none has yet.
    logged_at          timestamptz,
    -- Auto-resume of a workspace may be switched, and a heal started, without a reason. A file or
    -- the name of a token says why enough, and River UI asks for no reason.
    CONSTRAINT manual_actions_have_a_reason CHECK (
        reason IS NOT NULL OR what IN ('auto_resume_off', 'auto_resume_on', 'heal_started')
        OR detail IS NOT NULL AND what IN ('imported', 'signals_replayed', 'reconciled', 'endpoint_added', 'token_created', 'jobs_changed', 'adoption_fixed')),
    -- hold_corrected and undone without an end: the hold was ended.
    CONSTRAINT manual_actions_hold_has_an_end CHECK (
        CASE WHEN what = 'held' THEN until IS NOT NULL WHEN what IN ('hold_corrected', 'undone') THEN true ELSE until IS NULL END),
    CONSTRAINT manual_actions_undone_names_its_action CHECK ((what = 'undone') = (undoes IS NOT NULL))
);
COMMENT ON TABLE thaw.manual_actions IS 'The audit log of manual actions, and of safety mode entered and exited by the monitor: who did what, when, to what, and why.';
CREATE INDEX manual_actions_account_idx ON thaw.manual_actions (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX manual_actions_workspace_idx ON thaw.manual_actions (workspace_id, at, id) WHERE workspace_id IS NOT NULL;
-- The page of the audit log, newest first: of a kind in a workspace, all, of an actor, of a kind.
CREATE INDEX manual_actions_workspace_what_idx ON thaw.manual_actions (workspace_id, what, at, id) WHERE workspace_id IS NOT NULL;
CREATE INDEX manual_actions_at_idx ON thaw.manual_actions (at, id);
CREATE INDEX manual_actions_actor_idx ON thaw.manual_actions (actor, at, id);
CREATE INDEX manual_actions_what_idx ON thaw.manual_actions (what, at, id);
-- Finds the actions that no process has logged yet, which are almost none.
CREATE INDEX manual_actions_unlogged_idx ON thaw.manual_actions (id) WHERE logged_at IS NULL;
-- Finds the undo of an action.
CREATE INDEX manual_actions_undoes_idx ON thaw.manual_actions (undoes) WHERE undoes IS NOT NULL;
-- Finds the few rows about safety mode among those about accounts.
CREATE INDEX manual_actions_safety_idx ON thaw.manual_actions (id) WHERE what IN ('safety_entered', 'safety_exited');

-- A trigger, because the platform may write auto_resume itself. A new reason is recorded too, so
-- that it does not hide the one before.
-- +goose StatementBegin
CREATE FUNCTION thaw.workspaces_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, before)
    VALUES (CASE WHEN NEW.auto_resume THEN 'auto_resume_on' ELSE 'auto_resume_off' END,
        CASE WHEN NEW.auto_resume_changed_at = thaw.now() THEN coalesce(NEW.auto_resume_changed_by, session_user) ELSE session_user END,
        nullif(NEW.auto_resume_reason, ''), NEW.id,
        jsonb_build_object('auto_resume', OLD.auto_resume, 'auto_resume_reason', OLD.auto_resume_reason));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER workspaces_write_history AFTER UPDATE OF auto_resume, auto_resume_reason ON thaw.workspaces
    FOR EACH ROW WHEN (OLD.auto_resume <> NEW.auto_resume
        OR nullif(OLD.auto_resume_reason, '') IS DISTINCT FROM nullif(NEW.auto_resume_reason, '')) EXECUTE FUNCTION thaw.workspaces_write_history();


-- The triggers on thaw.settings run for every writer: a process that is started with a flag, or a
-- plain UPDATE.

-- Every change is recorded as a manual action with the old and the new values. changed_by counts
-- only if changed_at was set in the same transaction.
-- +goose StatementBegin
CREATE FUNCTION thaw.settings_write_history() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
CREATE TRIGGER settings_write_history AFTER UPDATE ON thaw.settings
    FOR EACH ROW EXECUTE FUNCTION thaw.settings_write_history();

-- A tick of another length starts at another time and would get a full quota, although the tick
-- that it overlaps has already used its own. The new tick therefore starts with what overlapping
-- ticks have used, and the fleet quota of the old current tick is closed: a pass in progress that
-- still uses the old length finds no quota there and resumes nothing. The fleet rows are written
-- first. That waits for passes that have drawn from them, so that what they used is counted.
-- +goose StatementBegin
CREATE FUNCTION thaw.settings_carry_quotas() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
CREATE TRIGGER settings_carry_quotas AFTER UPDATE OF tick ON thaw.settings
    FOR EACH ROW WHEN (OLD.tick <> NEW.tick) EXECUTE FUNCTION thaw.settings_carry_quotas();

-- The start of a pause that a writer backdates: not before the last resume. Otherwise a pause that
-- has ended would seem to last on and could be ended twice. This happens when a file is loaded
-- again, or when an application keeps the old time.
-- +goose StatementBegin
CREATE FUNCTION thaw.pause_begins(p_enrollment_id bigint, p_paused_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(p_paused_at, (
        SELECT max(event.at) FROM thaw.enrollment_events AS event
        WHERE event.enrollment_id = p_enrollment_id AND event.kind = 'resumed'));
END;
$$;
-- +goose StatementEnd

-- AFTER UPDATE, because a BEFORE UPDATE trigger would make every update of the table lock its row
-- once more.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_date_pause() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.enrollments AS e SET paused_at = thaw.pause_begins(NEW.id, NEW.paused_at)
    WHERE e.id = NEW.id AND e.paused_at = NEW.paused_at AND e.paused_at < thaw.pause_begins(NEW.id, NEW.paused_at);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_date_pause AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.paused_at < thaw.now() AND (OLD.paused_at IS NULL OR NEW.paused_at < OLD.paused_at))
    EXECUTE FUNCTION thaw.enrollments_date_pause();

-- +goose Down
DROP TRIGGER enrollments_date_pause ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_date_pause();
DROP FUNCTION thaw.pause_begins(bigint, timestamptz);
DROP TRIGGER settings_carry_quotas ON thaw.settings;
DROP TRIGGER settings_write_history ON thaw.settings;
DROP FUNCTION thaw.settings_carry_quotas();
DROP FUNCTION thaw.settings_write_history();
DROP TRIGGER workspaces_write_history ON thaw.workspaces;
DROP TRIGGER accounts_write_history ON thaw.accounts;
DROP FUNCTION thaw.workspaces_write_history();
DROP FUNCTION thaw.accounts_write_history();
DROP FUNCTION thaw.lane_cap(thaw.lane, thaw.settings);
DROP TABLE thaw.manual_actions, thaw.account_events, thaw.campaign_events, thaw.enrollment_events, thaw.heal_order, thaw.heal_enrollments,
    thaw.heals, thaw.account_quotas,
    thaw.backlog_samples, thaw.fleet_quotas, thaw.allocations, thaw.sweeps,
    thaw.account_signals;
DROP TYPE thaw.heal_status, thaw.lane, thaw.event_source, thaw.event_kind, thaw.signal_kind, thaw.signal_outcome;

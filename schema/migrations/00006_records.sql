-- The records of Thaw's work: signal deliveries, plans, quotas, and heals.

-- +goose Up

CREATE TYPE thaw.signal_outcome AS ENUM ('applied', 'duplicate', 'stale', 'unknown_account', 'ignored');
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

-- Runs for every writer: a process that is started with a flag, or a plain UPDATE.
--
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

-- +goose Down
DROP TRIGGER settings_carry_quotas ON thaw.settings;
DROP FUNCTION thaw.settings_carry_quotas();
DROP FUNCTION thaw.lane_cap(thaw.lane, thaw.settings);
DROP TABLE thaw.heal_order, thaw.heal_enrollments, thaw.heals, thaw.account_quotas, thaw.backlog_samples,
    thaw.fleet_quotas, thaw.allocations, thaw.sweeps, thaw.account_signals;
DROP TYPE thaw.heal_status, thaw.lane, thaw.signal_kind, thaw.signal_outcome;

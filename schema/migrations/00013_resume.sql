-- The resume pass: the only code that resumes prospects. These steps serve every lane:
--
--   thaw.lock_campaigns   locks the campaigns, so that no pause stops one of them unnoticed
--   thaw.start_campaigns  starts campaigns that wait for an account
--   thaw.move_rows        moves pending prospects away from accounts that are gone
--   thaw.resume_rows      claims prospects, resumes them and writes their events
--
-- thaw.resume_pass (this file) combines them for one account: a pass of the sweep or of a signal.
-- thaw.heal_batch (00018_heal_batch.sql) combines them for prospects of many accounts at a time.
--
-- docs/design.md ("Locks and timeouts") has the lock order and its reasons.

-- +goose Up

-- What a pass writes into the history: its lane, and the row and the job that caused it.
CREATE TYPE thaw.cause AS (source thaw.event_source, tick_at timestamptz, signal_id bigint, heal_id bigint, job_id bigint);

-- The delay of the i-th of n rows: a random time within the i-th of n equal slices of the window.
-- +goose StatementBegin
CREATE FUNCTION thaw.spread(i bigint, n bigint, jitter interval) RETURNS interval LANGUAGE sql VOLATILE
RETURN jitter * ((spread.i - 1 + random()) / spread.n);
-- +goose StatementEnd

-- Lets a transaction go first that is waiting to change one of the campaigns. Postgres grants
-- another shared lock on a row that is already shared, ahead of transactions that wait to change
-- it, so overlapping passes could block an UPDATE of the platform forever. The writer proceeds when
-- the current holders are done, so the wait is short. It ends after two seconds anyway,
-- because the deadlock detector does not see it: the pass then queues for the lock.
-- +goose StatementBegin
CREATE FUNCTION thaw.yield_to_writers(p_campaign_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Locks the campaigns of a pass, including running ones: the pause of another account, or a person,
-- may stop one concurrently. Running campaigns are locked in shared mode; only a start needs an
-- exclusive lock. A lock is never upgraded, because two passes that share a campaign would
-- deadlock. So if a campaign was stopped while this pass waited for it, the shared locks are
-- released and all locks are taken again. Returns whether a campaign may have to be started.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_campaigns(p_campaign_ids bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Starts the given campaigns that wait for an account. The caller has locked them. p_account_ids
-- has, for each campaign, the account that it is started for. Returns the accounts of the started
-- campaigns; null: none was started.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_campaigns(p_cause thaw.cause, p_campaign_ids bigint[], p_account_ids bigint[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Moves the pending prospects at p_places that are still on their account in p_source_ids: each to
-- its account in p_target_ids. A next action that is overdue is spread over the jitter window, so
-- that the new account does not start with a burst; any other time stays. Rows locked by other
-- transactions are left to the next pass. Writes the history. The caller has locked the target
-- accounts. Returns how many were moved.
-- +goose StatementBegin
CREATE FUNCTION thaw.move_rows(p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[])
RETURNS integer LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Resumes the prospects at p_places that still wait for their account in p_source_ids: each through
-- its account in p_target_ids, at its current step, spread evenly over the jitter window of that
-- account. Rows locked by other transactions are left to the next pass. Writes the history. The
-- caller has locked the target accounts and the campaigns. Returns how many were resumed, how many
-- of them were moved to a sibling account, and both by target account.
--
-- A row address stays valid while the function that found it runs: its snapshot keeps the row
-- version from being removed.
-- +goose StatementBegin
CREATE FUNCTION thaw.resume_rows(
    p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[],
    OUT resumed integer, OUT moved integer, OUT target_ids bigint[], OUT each_resumed integer[],
    OUT each_moved integer[]
) LANGUAGE plpgsql AS $$
DECLARE
    jitter interval := (SELECT s.jitter FROM thaw.settings AS s);
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH claimed AS MATERIALIZED (
        SELECT e.ctid, e.id, e.paused_reason, e.paused_at, e.account_id AS from_account_id, place.target_id
        FROM unnest(p_places, p_source_ids, p_target_ids) AS place (ctid, source_id, target_id)
        JOIN thaw.enrollments AS e ON e.ctid = place.ctid AND e.account_id = place.source_id AND e.waits_for_account
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ), slots AS (
        SELECT claimed.*, row_number() OVER account AS i, count(*) OVER account AS n
        FROM claimed
        WINDOW account AS (
            PARTITION BY claimed.target_id ORDER BY claimed.paused_at, claimed.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'active', paused_reason = NULL, paused_at = NULL, account_id = slots.target_id,
            next_action_at = greatest(e.next_action_at, thaw.now() + thaw.spread(slots.i, slots.n, jitter))
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
-- +goose StatementEnd

-- The pass of one account, step by step. A lane differs from another only in its idempotency record
-- (thaw.open_record, thaw.close_record) and in its quota (thaw.lane_cap).

-- Reads the idempotency record of a pass: whether it is closed, and how many prospects it allows.
-- is_closed null: there is no such record. The caller has locked the account. An allocation is
-- locked too, because the next sweep closes it.
-- +goose StatementBegin
CREATE FUNCTION thaw.open_record(
    p_lane thaw.lane, p_account_id bigint, p_tick_at timestamptz, p_signal_id bigint, p_account_cap integer,
    OUT is_closed boolean, OUT allowed integer
) LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Locks the campaigns of a pass and starts those that wait for an account: the campaigns of its
-- prospects, and those in which the account has active or pending prospects, which the campaign
-- would otherwise block. Returns how many it started.
-- +goose StatementBegin
CREATE FUNCTION thaw.open_campaigns(p_cause thaw.cause, p_account_id bigint, p_campaign_ids bigint[])
RETURNS integer LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- The pending prospects of the given accounts that are gone, at most 2,000, as arrays of equal
-- length: row address and account; and the campaigns that they are in. The next pass moves the
-- others. A move draws from no quota: the prospects have not started, and the platform starts them
-- within the sending limits of their account.
-- +goose StatementBegin
CREATE FUNCTION thaw.movable(
    p_source_ids bigint[], OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[]
) LANGUAGE plpgsql STABLE AS $$
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
-- +goose StatementEnd

-- Charges resumed prospects to the quotas of the tick. All passes of a tick contend for the fleet
-- row, so it is locked last, for the shortest time. In the meantime another pass may have used the
-- quota that this one saw. Then the result is false, and the caller rolls back its work and repeats
-- it within the remaining quota.
-- +goose StatementBegin
CREATE FUNCTION thaw.charge_quota(
    p_tick timestamptz, p_lane thaw.lane, p_account_id bigint, p_account_cap integer, p_lane_cap integer, p_resumed integer
) RETURNS boolean LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Resumes the longest-paused prospects of the given lines, at most p_allowed and within the quotas
-- of the tick, and charges them to the quotas. If another pass has used the quota in the meantime,
-- the writes are undone and repeated with the lane's quota locked.
-- +goose StatementBegin
CREATE FUNCTION thaw.resume_within_quota(
    p_cause thaw.cause, p_lane thaw.lane, p_account_id bigint, p_source_ids bigint[], p_campaign_ids bigint[],
    p_allowed integer, p_account_cap integer, p_lane_cap integer, OUT resumed integer, OUT moved integer
) LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Closes the idempotency record of a pass. Returns whether it was the last pass of its tick.
-- +goose StatementBegin
CREATE FUNCTION thaw.close_record(
    p_lane thaw.lane, p_account_id bigint, p_tick_at timestamptz, p_signal_id bigint, p_verdict text, p_resumed integer,
    p_moved integer, p_campaigns_resumed integer
) RETURNS boolean LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- The pass of one account. Verdicts: resumed (possibly 0 prospects: none was waiting, or the quota
-- was used up), already_done (another attempt of the same job has closed the pass), stale_tick (the
-- tick of the allocation is over; the next one covers the account), not_found, or a result of
-- thaw.blocked_by. The verdict is stored in the row that closes the pass.
-- +goose StatementBegin
CREATE FUNCTION thaw.resume_pass(
    p_lane thaw.lane, p_account_id bigint, p_job_id bigint,
    p_tick_at timestamptz DEFAULT NULL, p_signal_id bigint DEFAULT NULL,
    OUT verdict text, OUT resumed integer, OUT moved integer, OUT campaigns_resumed integer, OUT tick_finished boolean
) LANGUAGE plpgsql
-- A pass touches few rows of large tables, whatever the statistics say. A generic plan, made once
-- per connection, uses indexes and row addresses. A custom plan would scan a small table
-- completely. This applies to the steps too.
SET plan_cache_mode = force_generic_plan SET jit = off
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
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_pass(thaw.lane, bigint, bigint, timestamptz, bigint) IS
    'Resumes prospects through one account, once: the whole pass of a lane, including the row that closes it.';

-- +goose Down
DROP FUNCTION thaw.resume_pass(thaw.lane, bigint, bigint, timestamptz, bigint);
DROP FUNCTION thaw.close_record(thaw.lane, bigint, timestamptz, bigint, text, integer, integer, integer);
DROP FUNCTION thaw.resume_within_quota(thaw.cause, thaw.lane, bigint, bigint[], bigint[], integer, integer, integer);
DROP FUNCTION thaw.movable(bigint[]);
DROP FUNCTION thaw.charge_quota(timestamptz, thaw.lane, bigint, integer, integer, integer);
DROP FUNCTION thaw.open_campaigns(thaw.cause, bigint, bigint[]);
DROP FUNCTION thaw.open_record(thaw.lane, bigint, timestamptz, bigint, integer);
DROP FUNCTION thaw.resume_rows(thaw.cause, tid[], bigint[], bigint[]);
DROP FUNCTION thaw.move_rows(thaw.cause, tid[], bigint[], bigint[]);
DROP FUNCTION thaw.start_campaigns(thaw.cause, bigint[], bigint[]);
DROP FUNCTION thaw.lock_campaigns(bigint[]);
DROP FUNCTION thaw.yield_to_writers(bigint[]);
DROP FUNCTION thaw.spread(bigint, bigint, interval);
DROP TYPE thaw.cause;

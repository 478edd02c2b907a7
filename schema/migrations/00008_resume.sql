-- The resume pass: the one way in which Thaw wakes anybody. Sweep, signal and heal differ in where they draw their budget
-- and in which row says that the pass was done; all else is the same code.
--
-- Locks, here and everywhere: account, grant, campaigns by id, enrollments, budget rows, river_job. The account comes first
-- because a webhook holds it while it inserts a job: whoever looks for rows after having waited for it sees all that the
-- webhook saw. The fleet's budget row comes last because all passes of a tick meet there.

-- +goose Up

-- Where in the window the i-th of n rows goes: at a random place in the i-th of n equal slices.
-- +goose StatementBegin
CREATE FUNCTION thaw.spread(i bigint, n bigint, jitter interval) RETURNS interval LANGUAGE sql VOLATILE
RETURN jitter * ((spread.i - 1 + random()) / spread.n);
-- +goose StatementEnd

-- Verdicts: resumed (possibly nobody: nobody was waiting, or the budget was used up), already_done (another attempt of the
-- same job was here before), stale_tick (the tick of its grant is over; the next one covers the account), not_found, or
-- what thaw.blocked_by says. Whatever it is stands in the row that closes the pass.
-- +goose StatementBegin
CREATE FUNCTION thaw.resume_pass(
    p_lane thaw.lane, p_account_id bigint, p_job_id bigint,
    p_tick_at timestamptz DEFAULT NULL, p_signal_id bigint DEFAULT NULL, p_heal_id bigint DEFAULT NULL,
    p_batch integer DEFAULT NULL, p_size integer DEFAULT NULL,
    OUT verdict text, OUT resumed integer, OUT repointed integer, OUT campaigns_resumed integer, OUT tick_finished boolean
) LANGUAGE plpgsql
-- A pass touches few rows of large tables, whatever their statistics say: one generic plan, made once a connection, that
-- goes by index and by row address. A plan made for the array at hand reads all of a small table instead.
SET plan_cache_mode = force_generic_plan SET jit = off SET thaw.set_based = 'on'
AS $$
DECLARE
    settings  thaw.settings;
    account   thaw.accounts;
    heal      thaw.heals;
    tick      timestamptz;
    is_closed boolean;
    room      integer;
    -- Of a heal: whether it has a list of its own, and whether it goes past a switched-off auto-resume.
    is_listed      boolean := false;
    even_if_off    boolean := false;
    sources        bigint[];
    -- The lines to take from, as two arrays of equal length: whose prospects, in which campaign.
    line_sources   bigint[];
    line_campaigns bigint[];
    campaigns      bigint[];
    -- A heal whose cap is enough for everybody goes through one line after the other.
    more_lines     boolean := false;
    -- Where the rows are, at first all that might be woken, then those that are locked; with what an event says of each.
    -- An address stays true for as long as this function runs: its snapshot keeps what it saw from being removed.
    places         tid[];
    from_accounts  bigint[];
    reasons        thaw.pause_reason[];
    paused_ats     timestamptz[];
    fleet_cap      integer;
    origin         thaw.event_source := p_lane::text;
BEGIN
    resumed := 0;
    repointed := 0;
    campaigns_resumed := 0;
    tick_finished := false;
    SELECT s.* INTO settings FROM thaw.settings AS s;
    fleet_cap := CASE p_lane WHEN 'sweep' THEN settings.fleet_cap ELSE settings.signal_cap END;

    -- 1. The account, then the row that says whether this pass was done. A grant is locked too: the next tick closes it.
    SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = p_account_id FOR NO KEY UPDATE;
    tick := thaw.tick();
    CASE p_lane
        WHEN 'sweep' THEN
            SELECT g.finished_at IS NOT NULL, g.planned INTO is_closed, room
            FROM thaw.grants AS g WHERE g.tick_at = p_tick_at AND g.account_id = p_account_id
            FOR NO KEY UPDATE;
        WHEN 'signal' THEN
            SELECT s.finished_at IS NOT NULL, settings.account_cap INTO is_closed, room
            FROM thaw.account_signals AS s WHERE s.id = p_signal_id;
        WHEN 'heal' THEN
            SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
            is_closed := heal.status = 'done' OR heal.batch >= p_batch;
            is_listed := heal.workspace_id IS NULL AND heal.account_id IS NULL;
            even_if_off := heal.even_if_off;
            room := least(p_size, heal.cap - heal.resumed);
    END CASE;
    IF account.id IS NULL OR is_closed IS NULL THEN
        verdict := 'not_found';
        RETURN;
    ELSIF is_closed THEN
        verdict := 'already_done';
        RETURN;
    END IF;
    verdict := CASE
        WHEN p_lane = 'sweep' AND p_tick_at <> tick THEN 'stale_tick'
        ELSE coalesce(thaw.blocked_by(account, even_if_off), 'resumed')
    END;

    IF verdict = 'resumed' THEN
        -- 2. Whose prospects wake through this account, and in which campaigns. A heal goes through the accounts that it
        --    found at its start; whoever wakes through another one by now is left to that one.
        sources := CASE
            WHEN heal.account_id <> account.id THEN ARRAY[heal.account_id]
            ELSE thaw.sources_of(account.id) END;
        SELECT array_agg(line.source_id), array_agg(line.campaign_id) INTO line_sources, line_campaigns
        FROM thaw.resumable(sources, even_if_off) AS line
        WHERE line.target_id = account.id
            AND (NOT is_listed OR EXISTS (
                SELECT FROM thaw.heal_enrollments AS listed
                JOIN thaw.enrollments AS e ON e.id = listed.enrollment_id
                WHERE listed.heal_id = heal.id
                    AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id AND e.waits_for_account));
        IF heal.found <= heal.cap AND NOT is_listed THEN
            more_lines := coalesce(cardinality(line_sources), 0) > 1;
            line_sources := line_sources[:1];
            line_campaigns := line_campaigns[:1];
        END IF;
        sources := line_sources;

        -- 3. Start campaigns that waited for an account. Outside of a heal those too in which this account has active
        --    prospects: a campaign must not block its own. All are locked, those that run as well: the pause of another
        --    account may stop one at this moment, or a person may.
        campaigns := line_campaigns || CASE WHEN heal.id IS NULL
            THEN ARRAY(SELECT active.campaign_id FROM thaw.active_campaigns(account.id) AS active) END;
        PERFORM c.id FROM thaw.campaigns AS c
        WHERE c.id = ANY (campaigns) AND (c.status = 'running' OR c.waits_for_account)
        ORDER BY c.id FOR NO KEY UPDATE;
        WITH started AS (
            UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL
            FROM thaw.campaigns AS before
            WHERE before.id = c.id AND c.id = ANY (campaigns) AND c.waits_for_account
            RETURNING c.id, before.paused_reason
        )
        INSERT INTO thaw.campaign_events (
            campaign_id, at, account_id, tick_at, heal_id, signal_id, job_id, kind, source, from_status, to_status, reason)
        SELECT started.id, thaw.now(), account.id, p_tick_at, p_heal_id, p_signal_id, p_job_id, 'resumed',
            origin, 'paused', 'running', started.paused_reason
        FROM started;
        GET DIAGNOSTICS campaigns_resumed = ROW_COUNT;

        LOOP
            -- 4. Claim those who have waited longest, no more than the budgets have room for. What somebody else is working on
            --    at this moment is left to the next pass.
            IF p_lane <> 'heal' THEN
                room := least(room,
                    coalesce((
                        SELECT b.cap - b.used FROM thaw.account_budgets AS b
                        WHERE b.tick_at = tick AND b.account_id = account.id), settings.account_cap),
                    coalesce((
                        SELECT b.cap - b.used FROM thaw.fleet_budgets AS b
                        WHERE b.tick_at = tick AND b.lane = p_lane), fleet_cap));
            END IF;
            BEGIN
                IF is_listed THEN
                    SELECT array_agg(candidate.ctid) INTO places FROM (
                        SELECT e.ctid
                        FROM thaw.heal_enrollments AS listed
                        JOIN thaw.enrollments AS e ON e.id = listed.enrollment_id
                        JOIN thaw.campaigns AS c ON c.id = e.campaign_id
                        WHERE listed.heal_id = heal.id
                            AND e.waits_for_account AND e.account_id = ANY (sources) AND c.status = 'running'
                        ORDER BY e.paused_at, e.id
                        LIMIT room) AS candidate;
                ELSE
                    SELECT array_agg(candidate.ctid) INTO places FROM (
                        SELECT next.ctid
                        FROM unnest(line_sources, line_campaigns) AS line (source_id, campaign_id)
                        JOIN thaw.campaigns AS c ON c.id = line.campaign_id AND c.status = 'running'
                        CROSS JOIN LATERAL (
                            SELECT e.ctid, e.id, e.paused_at
                            FROM thaw.enrollments AS e
                            WHERE e.status = 'paused' AND e.waits_for_account
                                AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                            ORDER BY e.paused_at, e.id
                            LIMIT room) AS next
                        ORDER BY next.paused_at, next.id
                        LIMIT room) AS candidate;
                END IF;
                SELECT array_agg(waiting.ctid), array_agg(waiting.account_id), array_agg(waiting.paused_reason),
                    array_agg(waiting.paused_at)
                INTO places, from_accounts, reasons, paused_ats
                FROM (
                    SELECT e.ctid, e.account_id, e.paused_reason, e.paused_at
                    FROM thaw.enrollments AS e
                    WHERE e.ctid = ANY (places) AND e.waits_for_account AND e.account_id = ANY (sources)
                    ORDER BY e.paused_at, e.id
                    FOR NO KEY UPDATE SKIP LOCKED) AS waiting;
                resumed := coalesce(cardinality(places), 0);

                -- 5. Wake them, at their step, evenly over the window; 6. and write it into their history.
                WITH woken AS (
                    UPDATE thaw.enrollments AS e SET
                        status = 'active', paused_reason = NULL, paused_at = NULL, account_id = account.id,
                        next_action_at = greatest(
                            e.next_action_at, thaw.now() + thaw.spread(line.i, resumed, settings.jitter))
                    FROM unnest(places, from_accounts, reasons, paused_ats)
                        WITH ORDINALITY AS line (ctid, from_account_id, reason, paused_at, i)
                    WHERE e.ctid = line.ctid
                    RETURNING e.id, e.step, line.from_account_id, line.reason, line.paused_at
                )
                INSERT INTO thaw.enrollment_events (
                    enrollment_id, at, tick_at, heal_id, signal_id, job_id, from_account_id, to_account_id, step, kind, source,
                    from_status, to_status, reason, paused_at)
                SELECT flip.id, thaw.now(), CASE WHEN p_lane <> 'heal' THEN tick END, p_heal_id, p_signal_id, p_job_id,
                    flip.from_account_id, account.id, flip.step, flip.kind, origin, flip.from_status, 'active', flip.reason,
                    flip.paused_at
                FROM (
                    SELECT woken.*, 'resumed'::thaw.event_kind AS kind, 'paused'::thaw.enrollment_status AS from_status FROM woken
                    UNION ALL
                    SELECT woken.*, 'repointed', 'active' FROM woken WHERE woken.from_account_id <> account.id) AS flip;
                GET DIAGNOSTICS repointed = ROW_COUNT;
                repointed := repointed - resumed;

                -- 7. Take them from the budgets. A heal's own row is its budget; its cap is in room already, its CHECK guards
                --    it. The fleet's row is what all passes of a tick meet at, so it is locked last, for the shortest time;
                --    the price is that somebody else may have taken what this pass saw. Then all of this is taken back, and
                --    done again with the row locked and no more than it has.
                IF p_lane <> 'heal' AND resumed > 0 THEN
                    INSERT INTO thaw.account_budgets AS b (tick_at, account_id, cap, used)
                    VALUES (tick, account.id, settings.account_cap, resumed)
                    ON CONFLICT (tick_at, account_id) DO UPDATE SET used = b.used + excluded.used;
                    INSERT INTO thaw.fleet_budgets AS b (tick_at, lane, cap, used) VALUES (tick, p_lane, fleet_cap, resumed)
                    ON CONFLICT (tick_at, lane) DO UPDATE SET used = b.used + excluded.used
                        WHERE b.used + excluded.used <= b.cap;
                    IF NOT FOUND THEN
                        RAISE EXCEPTION 'somebody else took from the budget' USING ERRCODE = 'TH001';
                    END IF;
                END IF;
                EXIT;
            EXCEPTION WHEN SQLSTATE 'TH001' THEN
                PERFORM b.used FROM thaw.fleet_budgets AS b WHERE b.tick_at = tick AND b.lane = p_lane FOR NO KEY UPDATE;
            END;
        END LOOP;
    END IF;

    -- 8. Close the pass.
    CASE p_lane
        WHEN 'sweep' THEN
            UPDATE thaw.grants AS g SET
                resumed = resume_pass.resumed, verdict = resume_pass.verdict, finished_at = thaw.now()
            WHERE g.tick_at = p_tick_at AND g.account_id = account.id;
            UPDATE thaw.sweeps AS s SET
                accounts_processed = s.accounts_processed + 1,
                resumed = s.resumed + resume_pass.resumed,
                repointed = s.repointed + resume_pass.repointed,
                campaigns_resumed = s.campaigns_resumed + resume_pass.campaigns_resumed,
                backlog_left = greatest(s.backlog_left - resume_pass.resumed, 0),
                finished_at = CASE WHEN s.accounts_processed + 1 = s.accounts_planned THEN thaw.now() END
            WHERE s.tick_at = p_tick_at
            RETURNING s.finished_at IS NOT NULL INTO tick_finished;
        WHEN 'signal' THEN
            UPDATE thaw.account_signals AS s SET
                resumed = resume_pass.resumed, verdict = resume_pass.verdict, finished_at = thaw.now()
            WHERE s.id = p_signal_id;
        WHEN 'heal' THEN
            UPDATE thaw.heals AS h SET
                resumed = h.resumed + resume_pass.resumed,
                repointed = h.repointed + resume_pass.repointed,
                campaigns_resumed = h.campaigns_resumed + resume_pass.campaigns_resumed,
                -- Less than there was room for: nobody is left who can be woken through this account.
                accounts_done = h.accounts_done + CASE WHEN resume_pass.resumed < room AND NOT more_lines THEN 1 ELSE 0 END,
                batch = h.batch + 1
            WHERE h.id = p_heal_id AND h.batch = p_batch - 1 AND h.status = 'running';
            IF NOT FOUND THEN
                RAISE EXCEPTION 'batch % of heal % was done by another attempt', p_batch, p_heal_id
                    USING ERRCODE = 'serialization_failure';
            END IF;
    END CASE;

    -- 9. Tell the platform.
    IF resumed > 0 THEN
        PERFORM thaw.publish_resumed(account, p_lane, even_if_off, p_tick_at, p_signal_id, p_heal_id, resumed, repointed,
            campaigns_resumed);
    END IF;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_pass(thaw.lane, bigint, bigint, timestamptz, bigint, bigint, integer, integer) IS
    'Wakes prospects through one account, once: the whole pass of a lane, its ledger row included.';

-- +goose Down
DROP FUNCTION thaw.resume_pass(thaw.lane, bigint, bigint, timestamptz, bigint, bigint, integer, integer);
DROP FUNCTION thaw.spread(bigint, bigint, interval);

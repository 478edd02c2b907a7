-- A batch of a heal: one transaction over as many accounts and campaigns as it takes to fill it.
-- The heal processes its prospects in a fixed order and stores its progress in its row.
--
--   1. thaw.heal_next (00017_heal_next.sql) chooses the prospects after those of the last batch,
--      without locks.
--   2. Their target accounts are locked by id and checked again under the lock, then the campaigns.
--   3. The steps of the resume pass (00013_resume.sql) resume the prospects.
--   4. The row of the heal is updated: batch number, counts, progress.
--
-- A batch with one target account waits for its locks, as a pass does. A batch with several never
-- waits while it holds accounts, because their signals would have to wait too: it passes over
-- prospects that other transactions hold and retries them in another round.

-- +goose Up

-- Locks the campaigns of a batch without waiting: exclusively those that wait for an account, the
-- others in shared mode. Returns the campaigns that other transactions hold.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_free_campaigns(p_campaign_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- One batch of the last part of a heal: moves at most p_size pending prospects away from accounts
-- that are gone, starts their campaigns that wait for an account, and publishes a message for the
-- platform per account. What other transactions hold, or may no longer move, is left to the sweeps.
-- is_done: there are no more, or the sweeps move the rest.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_move(
    p_heal thaw.heals, p_size integer, p_job_id bigint, OUT moved integer, OUT started integer, OUT is_done boolean
) LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- One batch of a heal: at most p_size prospects, of as many accounts as it takes. Verdicts: more
-- (call again), busy (other transactions hold the rest: call again after retry_in), paced (its rate
-- allows no more now: call again after retry_in), done, stopped, not_found.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_batch(
    p_heal_id bigint, p_size integer, p_job_id bigint,
    OUT verdict text, OUT resumed integer, OUT retry_in interval
) LANGUAGE plpgsql
-- As in thaw.resume_pass: few rows of large tables, by index and by row address.
SET plan_cache_mode = force_generic_plan SET jit = off
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
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.heal_batch(bigint, integer, bigint);
DROP FUNCTION thaw.heal_move(thaw.heals, integer, bigint);
DROP FUNCTION thaw.lock_free_campaigns(bigint[]);

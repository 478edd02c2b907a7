-- Heals: resume a large backlog once, under a separate cap, in many short transactions. This file
-- starts, counts and ends heals; 00010_heal_next.sql chooses the prospects of a batch, and
-- 00011_heal_batch.sql resumes them.
--
-- A heal counts its prospects after the first batch (thaw.count_heal), so that the first prospects
-- do not wait for the count of a large workspace. For a list, the same step stores the order by
-- account (thaw.order_heal).
--
-- If the cap is too small for all, it is shared among the accounts as the sweep shares its quota
-- (max-min: no account gets more while another one that has prospects got less). Such a heal counts
-- first, because the shares depend on the count, and goes over the accounts again until the cap is
-- used up.
--
-- A heal stops by thaw.stop_heal, when safety mode is entered, or when its job is cancelled or
-- discarded. thaw.resume_heal continues it where it stopped.

-- +goose Up

-- Whether a heal is of listed enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_listed(p_heal thaw.heals) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p_heal.workspace_id IS NULL AND p_heal.account_id IS NULL AND NOT p_heal.is_fleet;
-- +goose StatementEnd

-- The cap of a heal that does not name one.
-- +goose StatementBegin
CREATE FUNCTION thaw.default_heal_cap() RETURNS integer LANGUAGE sql IMMUTABLE
RETURN 5000;
-- +goose StatementEnd

-- The max-min fair share of a quota: the largest number such that all accounts together, each with
-- what it has but at most this number, stay within the quota. Null: the quota is enough for all. 0:
-- there are more accounts than the quota.
-- +goose StatementBegin
CREATE FUNCTION thaw.fair_share(p_waiting bigint[], p_quota bigint) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
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
-- +goose StatementEnd

-- Filters lines (source account, campaign, number of waiting prospects), given as arrays of equal
-- length: returns those that the heal may resume now, with their target accounts.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_open_lines(p_heal thaw.heals, p_account_ids bigint[], p_campaign_ids bigint[], p_counts bigint[])
RETURNS TABLE (target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
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
-- +goose StatementEnd

-- What a heal may resume now: the number of waiting prospects by source account, campaign and
-- target account. For a list the prospects are counted; otherwise the counts of 00018_counts.sql
-- are read.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_scope(p_heal_id bigint)
RETURNS TABLE (target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
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
-- +goose StatementEnd

-- running, done, or stopped. A heal whose job was cancelled or discarded is stopped too. Starting a
-- heal of the same target closes a stopped one.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_state(p_heal thaw.heals) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN p_heal.status = 'running'
            AND NOT thaw.is_enqueued('heal', jsonb_build_object('heal_id', p_heal.id)) THEN 'stopped'
        ELSE p_heal.status::text END;
END;
$$;
-- +goose StatementEnd

-- Of the given accounts, those that are gone and whose pending prospects a heal may move now, and
-- the accounts to which they move.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_moves(p_heal thaw.heals, p_source_ids bigint[])
RETURNS TABLE (source_id bigint, target_id bigint) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
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
-- +goose StatementEnd

-- At most p_size pending prospects in the scope of a heal that may move now from an account that is
-- gone to the connected account of the same person. They have not started, so they are not part of
-- the heal's cap and counts.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_movable(p_heal thaw.heals, p_size integer)
RETURNS TABLE (place tid, source_id bigint, target_id bigint, campaign_id bigint) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan SET jit = off AS $$
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
-- +goose StatementEnd

-- An upper bound of the prospects that a heal may resume: all that wait, including blocked ones; of
-- a list, its length. It reads one row per account and takes a tenth of the time of
-- thaw.heal_scope.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_bound(p_heal thaw.heals) RETURNS bigint LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
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
-- +goose StatementEnd

-- Ends a heal and stores how many prospects remain. It skips the count if none can remain: nothing
-- waits, or all counted prospects of a list were resumed. A heal that needed only one batch is
-- counted here.
-- +goose StatementBegin
CREATE FUNCTION thaw.finish_heal(p_heal_id bigint) RETURNS void LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- The shares of the next pass over the accounts of a heal, for what remains of its cap. Null: the
-- cap is enough for all. It shares among the accounts whose prospects wait.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_share(p_heal thaw.heals) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT greatest(thaw.fair_share(array_agg(source.waiting), p_heal.cap - p_heal.resumed),
            CASE WHEN sum(source.waiting) > p_heal.cap - p_heal.resumed THEN 1 END)
        FROM (
            SELECT sum(scope.waiting)::bigint AS waiting FROM thaw.heal_scope(p_heal.id) AS scope GROUP BY scope.source_id) AS source);
END;
$$;
-- +goose StatementEnd

-- Counts the prospects of a heal of a workspace, an account or the fleet, including those that the
-- first batch resumed.
-- +goose StatementBegin
CREATE FUNCTION thaw.count_heal(p_heal_id bigint) RETURNS void LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Counts the list of a heal and stores its order, in one scan. The prospects that the first batch
-- resumed are counted too. In ascending id order, a list that interleaves accounts would make each
-- batch lock most of its accounts and write a row of paused_deltas for each.
-- +goose StatementBegin
CREATE FUNCTION thaw.order_heal(p_heal_id bigint) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '128MB' AS $$
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
-- +goose StatementEnd

-- Refuses to start or continue a heal in safety mode, and says how many prospects wait.
-- +goose StatementBegin
CREATE FUNCTION thaw.refuse_in_safety_mode(p_heal thaw.heals) RETURNS void LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- Starts a heal of a workspace, of an account, of listed enrollments, or of the fleet. At most one
-- runs per target. Heals that a tenant starts (p_tenant_id) share a limit per tick: the tick's
-- caps, or the heal cap of the workspace. Without a cap, the heal of a tenant gets all of the
-- remaining limit, a heal of the fleet gets what waits, and any other thaw.default_heal_cap.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_heal(
    p_workspace_id bigint, p_account_id bigint, p_enrollment_ids bigint[], p_cap integer, p_even_if_off boolean,
    p_actor text, p_tenant_id bigint DEFAULT NULL, p_rate integer DEFAULT NULL, p_reason text DEFAULT NULL,
    p_is_fleet boolean DEFAULT false
-- Enough to sort a list of 1,000,000 in memory.
) RETURNS bigint LANGUAGE plpgsql SET work_mem = '128MB' AS $$
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
-- +goose StatementEnd

-- What a heal may resume now, on how many accounts, of all that wait in its scope (of a list: its
-- length); how many ticks the sweeps need, at least, for what its cap leaves; and how many pending
-- prospects it may move, counted up to 100,000.
-- +goose StatementBegin
CREATE FUNCTION thaw.preview_heal(
    p_heal_id bigint,
    OUT resumable bigint, OUT accounts bigint, OUT cap integer, OUT rate integer, OUT waiting bigint, OUT ticks bigint, OUT tick_seconds integer,
    OUT movable bigint
) LANGUAGE plpgsql STABLE AS $$
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
-- +goose StatementEnd

-- Records a manual action on a heal, in the history of its workspace and account.
-- +goose StatementBegin
CREATE FUNCTION thaw.record_heal(p_what text, p_heal thaw.heals, p_reason text, p_actor text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, heal_id)
    VALUES (p_what, p_actor, p_reason,
        coalesce(p_heal.workspace_id, (SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.id = p_heal.account_id)),
        p_heal.account_id, p_heal.id);
END;
$$;
-- +goose StatementEnd

-- Locks a heal for thaw.stop_heal or thaw.resume_heal.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_heal(p_heal_id bigint) RETURNS thaw.heals LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.stop_heal(heal_id bigint, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.stop_heal(bigint, text, text) IS
    'Stops a running heal after its current batch. What it has resumed stays resumed; thaw.resume_heal continues it. Returns false if it was stopped already.';

-- +goose StatementBegin
CREATE FUNCTION thaw.resume_heal(heal_id bigint, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_heal(bigint, text, text) IS
    'Continues a stopped heal where it stopped. Returns false if it is running already.';

-- +goose StatementBegin
CREATE FUNCTION thaw.heal(
    workspace_key text, account text DEFAULT NULL, cap integer DEFAULT NULL, actor text DEFAULT current_user,
    even_if_off boolean DEFAULT false, provider text DEFAULT NULL, rate integer DEFAULT NULL, reason text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.heal_fleet(
    rate integer, cap integer DEFAULT NULL, actor text DEFAULT current_user, reason text DEFAULT NULL
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN thaw.start_heal(NULL, NULL, NULL, cap, false, actor, NULL, rate, reason, true);
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.heal_fleet(integer, integer, text, text) IS
    'Starts a heal of the whole fleet, which resumes at most rate prospects per minute, and returns its id. Without a cap, it resumes up to as many prospects as wait now. Workspaces whose auto-resume is off are not included.';

-- +goose StatementBegin
CREATE FUNCTION thaw.set_heal_cap(
    workspace_key text, heal_cap integer, reason text, actor text DEFAULT current_user
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_heal_cap(text, integer, text, text) IS
    'Sets how many prospects per tick the heals that a tenant starts with its API token may resume, regardless of the cap per account. Null: these heals keep the caps of the tick.';
REVOKE ALL ON FUNCTION thaw.set_heal_cap(text, integer, text, text) FROM PUBLIC;

COMMENT ON FUNCTION thaw.heal(text, text, integer, text, boolean, text, integer, text) IS
    'Starts a heal of a workspace, or of one of its accounts, and returns its id. Workers run it. Fails if a heal is running on the same target, or in safety mode. even_if_off: resume prospects even if auto-resume is off. provider: needed if several providers use the account ID. rate: at most so many prospects per minute.';
REVOKE ALL ON FUNCTION thaw.heal_fleet(integer, integer, text, text), thaw.stop_heal(bigint, text, text),
    thaw.resume_heal(bigint, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.set_heal_cap(text, integer, text, text);
DROP FUNCTION thaw.heal_fleet(integer, integer, text, text);
DROP FUNCTION thaw.heal(text, text, integer, text, boolean, text, integer, text);
DROP FUNCTION thaw.resume_heal(bigint, text, text);
DROP FUNCTION thaw.stop_heal(bigint, text, text);
DROP FUNCTION thaw.lock_heal(bigint);
DROP FUNCTION thaw.record_heal(text, thaw.heals, text, text);
DROP FUNCTION thaw.preview_heal(bigint);
DROP FUNCTION thaw.start_heal(bigint, bigint, bigint[], integer, boolean, text, bigint, integer, text, boolean);
DROP FUNCTION thaw.refuse_in_safety_mode(thaw.heals);
DROP FUNCTION thaw.order_heal(bigint);
DROP FUNCTION thaw.count_heal(bigint);
DROP FUNCTION thaw.heal_share(thaw.heals);
DROP FUNCTION thaw.finish_heal(bigint);
DROP FUNCTION thaw.heal_bound(thaw.heals);
DROP FUNCTION thaw.heal_movable(thaw.heals, integer);
DROP FUNCTION thaw.heal_moves(thaw.heals, bigint[]);
DROP FUNCTION thaw.heal_state(thaw.heals);
DROP FUNCTION thaw.heal_scope(bigint);
DROP FUNCTION thaw.heal_open_lines(thaw.heals, bigint[], bigint[], bigint[]);
DROP FUNCTION thaw.fair_share(bigint[], bigint);
DROP FUNCTION thaw.default_heal_cap();
DROP FUNCTION thaw.is_listed(thaw.heals);

-- Heals: resume a large backlog once, under a separate cap, in many short transactions.
--
-- A heal processes its prospects in a fixed order and stores its progress in its row. A batch is
-- one transaction over as many accounts and campaigns as it takes to fill it:
--
--   1. thaw.heal_next chooses the prospects after those of the last batch, without locks.
--   2. Their target accounts are locked by id and checked again under the lock, then the campaigns.
--   3. The steps of the resume pass (00008_resume.sql) resume the prospects.
--   4. The row of the heal is updated: batch number, counts, progress.
--
-- A heal counts its prospects after the first batch (thaw.count_heal), so that the first prospects
-- do not wait for the count of a large workspace. For a list, the same step stores the order by
-- account (thaw.order_heal).
--
-- A batch with one target account waits for its locks, as a pass does. A batch with several never
-- waits while it holds accounts, because their signals would have to wait too: it passes over
-- prospects that other transactions hold and retries them in another round.

-- +goose Up

-- Filters lines (source account, campaign, number of waiting prospects), given as arrays of equal
-- length: returns those that the heal may resume now, with their target accounts.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_open_lines(p_heal thaw.heals, p_account_ids bigint[], p_campaign_ids bigint[], p_counts bigint[])
RETURNS TABLE (target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
DECLARE
    is_safe boolean := (SELECT safety.since IS NULL FROM thaw.safety);
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
                AND thaw.block_reason(target, NOT is_safe, p_heal.even_if_off OR workspace.auto_resume) IS NULL
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
-- target account. For a list the prospects are counted; otherwise the counts of 00016_counts.sql
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
    is_safe   boolean := (SELECT safety.since IS NULL FROM thaw.safety);
    -- For a heal of a list.
    account_ids  bigint[];
    campaign_ids bigint[];
    counts       bigint[];
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    IF heal.workspace_id IS NULL AND heal.account_id IS NULL THEN
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
        RETURN QUERY SELECT * FROM thaw.heal_open_lines(heal, account_ids, campaign_ids, counts);
        RETURN;
    ELSIF heal.account_id IS NOT NULL THEN
        sources := thaw.sources_of(heal.account_id) || heal.account_id;
    END IF;
    RETURN QUERY
    WITH waiting AS (
        SELECT part.account_id, part.campaign_id, sum(part.paused)::bigint AS total
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
    )
    SELECT target.id, waiting.account_id, waiting.campaign_id, waiting.total
    FROM waiting
    JOIN thaw.campaigns AS campaign ON campaign.id = waiting.campaign_id
    JOIN thaw.resume_targets AS resume ON resume.source_id = waiting.account_id
    JOIN thaw.accounts AS target ON target.id = resume.target_id
    JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
    WHERE thaw.allows_resume(campaign.status, campaign.waits_for_account)
        AND thaw.block_reason(target, NOT is_safe, heal.even_if_off OR workspace.auto_resume) IS NULL;
END;
$$;
-- +goose StatementEnd

-- running, done, or stopped. A heal is stopped if its job was cancelled or discarded; starting a
-- heal of the same target closes it.
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

-- An upper bound of the prospects that a heal of a workspace or an account may resume: all that
-- wait, including blocked ones. It reads one row per account and takes a tenth of the time of
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
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id AND h.status = 'running';
    IF (CASE WHEN heal.workspace_id IS NULL AND heal.account_id IS NULL THEN heal.resumed IS DISTINCT FROM heal.found
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
        accounts = heal.accounts, accounts_done = heal.accounts_done, first_source_ids = NULL
    WHERE h.id = heal.id AND h.status = 'running';
    DELETE FROM thaw.heal_order AS part WHERE part.heal_id = p_heal_id;
END;
$$;
-- +goose StatementEnd

-- Counts the prospects of a heal of a workspace or an account, including those that the first batch
-- resumed.
-- +goose StatementBegin
CREATE FUNCTION thaw.count_heal(p_heal_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    heal thaw.heals;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    UPDATE thaw.heals AS h SET found = heal.resumed + scope.waiting, accounts = scope.accounts, first_source_ids = NULL,
        all_campaigns_open = heal.workspace_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM thaw.campaigns AS campaign
            WHERE campaign.workspace_id = heal.workspace_id AND NOT thaw.allows_resume(campaign.status, campaign.waits_for_account)
                AND EXISTS (
                    SELECT FROM thaw.paused_counts AS line
                    WHERE line.campaign_id = campaign.id AND line.waits_for_account AND line.paused > 0))
    FROM (
        SELECT coalesce(sum(known.waiting), 0) AS waiting, count(DISTINCT known.source_id) AS accounts
        FROM (
            SELECT line.source_id, line.waiting FROM thaw.heal_scope(p_heal_id) AS line
            UNION ALL
            SELECT first.id, 0 FROM unnest(heal.first_source_ids) AS first (id)) AS known) AS scope
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
    account_ids  bigint[];
    campaign_ids bigint[];
    counts       bigint[];
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    WITH listed AS MATERIALIZED (
        SELECT e.id, e.account_id, e.campaign_id, e.waits_for_account,
            row_number() OVER (ORDER BY e.account_id, e.campaign_id, e.id) AS place
        FROM thaw.heal_enrollments AS part
        CROSS JOIN LATERAL (
            SELECT found.id, found.account_id, found.campaign_id, found.waits_for_account
            FROM thaw.enrollments AS found
            WHERE found.id = ANY (part.enrollment_ids)
            OFFSET 0) AS e
        WHERE part.heal_id = heal.id
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

-- Starts a heal of a workspace, of an account, or of listed enrollments. At most one runs per
-- target. Heals that a tenant starts (p_tenant_id) share a limit per tick: the tick's caps, or the
-- heal cap of the workspace. If a tenant passes no cap, the heal gets all of the remaining limit.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_heal(
    p_workspace_id bigint, p_account_id bigint, p_enrollment_ids bigint[], p_cap integer, p_even_if_off boolean,
    p_actor text, p_tenant_id bigint DEFAULT NULL
-- Enough to sort a list of 1,000,000 in memory.
) RETURNS bigint LANGUAGE plpgsql SET work_mem = '128MB' AS $$
DECLARE
    -- Sorted once, by the aggregate, which takes a fifth of the time that sorting rows takes.
    listed  bigint[] := (
        SELECT array_agg(DISTINCT given.id ORDER BY given.id)
        FROM (SELECT unnest(p_enrollment_ids) AS id) AS given
        WHERE given.id IS NOT NULL);
    wanted  text := CASE
        WHEN p_workspace_id IS NOT NULL THEN 'workspace:' || p_workspace_id
        WHEN p_account_id IS NOT NULL THEN 'account:' || p_account_id
        WHEN cardinality(listed) > 0 THEN 'prospects:' || encode(sha256(array_send(listed)), 'hex') END;
    settings   thaw.settings;
    tenant     thaw.workspaces;
    allowed integer;
    heal_cap   integer := p_cap;
    started    bigint;
    running    bigint;
BEGIN
    -- A heal whose job was cancelled or discarded ends here, with what it has resumed.
    PERFORM thaw.finish_heal(h.id) FROM thaw.heals AS h
    WHERE h.target = wanted AND h.status = 'running'
        AND NOT thaw.is_enqueued('heal', jsonb_build_object('heal_id', h.id));
    IF p_tenant_id IS NOT NULL THEN
        SELECT s.* INTO settings FROM thaw.settings AS s;
        -- Locked, so that of two concurrent starts the second sees the first.
        SELECT w.* INTO tenant FROM thaw.workspaces AS w WHERE w.id = p_tenant_id FOR NO KEY UPDATE;
        allowed := coalesce(tenant.heal_cap, settings.fleet_cap) - (
            SELECT coalesce(sum(CASE h.status WHEN 'done' THEN h.resumed ELSE h.cap END), 0)
            FROM thaw.heals AS h
            WHERE h.tenant_id = p_tenant_id AND h.requested_at >= thaw.tick());
        IF p_account_id IS NOT NULL AND tenant.heal_cap IS NULL THEN
            allowed := least(allowed, settings.account_cap);
        END IF;
        heal_cap := coalesce(p_cap, allowed);
        IF heal_cap > allowed OR allowed < 1 THEN
            RAISE EXCEPTION 'heals started by workspace "%" may resume % more prospects in this tick, not %', tenant.key,
                greatest(allowed, 0), coalesce(p_cap::text, 'more')
                USING ERRCODE = 'TH003', HINT = format(
                    'Use a lower cap, wait for the next tick, or ask an operator to raise the limit: thaw heal-cap set %s N.', tenant.key);
        END IF;
    END IF;
    IF heal_cap IS NULL OR heal_cap < 1 THEN
        RAISE EXCEPTION 'the cap of a heal must be at least 1, not %', coalesce(heal_cap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF wanted IS NULL THEN
        RAISE EXCEPTION 'a heal needs a workspace, an account, or at least one enrollment'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO thaw.heals AS h (workspace_id, account_id, target, cap, even_if_off, actor, tenant_id, keeps_caps)
    VALUES (p_workspace_id, p_account_id, wanted, heal_cap, p_even_if_off, p_actor, p_tenant_id,
        p_tenant_id IS NOT NULL AND tenant.heal_cap IS NULL)
    ON CONFLICT (target) WHERE status = 'running' DO NOTHING
    RETURNING h.id INTO started;
    IF started IS NULL THEN
        SELECT h.id INTO running FROM thaw.heals AS h WHERE h.target = wanted AND h.status = 'running';
        RAISE EXCEPTION 'heal % is running on the same target', running
            USING ERRCODE = 'unique_violation', HINT = 'Wait until it is done, then start another heal for the remaining prospects.';
    END IF;
    INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids)
    SELECT started, max(one.id), array_agg(one.id)
    FROM unnest(listed) WITH ORDINALITY AS one (id, place)
    GROUP BY (one.place - 1) / 200;
    PERFORM thaw.enqueue('heal', 'heal', 2::smallint, jsonb_build_object('heal_id', started), '0', B'11110101');
    RETURN started;
END;
$$;
-- +goose StatementEnd

-- The source accounts of a heal with waiting prospects, by id, from p_from on; for a heal of a
-- workspace at most p_limit.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_sources(p_heal thaw.heals, p_from bigint, p_limit integer) RETURNS bigint[] LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_heal.account_id IS NOT NULL THEN
        RETURN (
            SELECT array_agg(DISTINCT source.id)
            FROM unnest(thaw.sources_of(p_heal.account_id) || p_heal.account_id) AS source (id)
            WHERE source.id >= p_from);
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
-- +goose StatementEnd

-- Chooses the next prospects of a heal, at most p_quota, as arrays of equal length: row address,
-- source account, campaign and target account. p_heal is returned with the position of the last
-- one. at_end: there are no further prospects. Locks nothing and does not check whether a target is
-- blocked, because the batch has to check that under the lock.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_next(
    INOUT p_heal thaw.heals, p_quota integer,
    OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean
) LANGUAGE plpgsql AS $$
DECLARE
    by_time    boolean := p_heal.oldest_first;
    -- Reads the rows of an account in index order, regardless of campaign. The batch finds a
    -- campaign that was stopped after the count and passes over it; the next round looks up
    -- campaigns first.
    straight   boolean := p_heal.all_campaigns_open AND NOT by_time AND p_heal.round = 1;
    -- How many accounts to check at a time: about as many as fill the batch, then more. `most`
    -- limits the accounts per batch: where few can be resumed, a batch stays short.
    width      integer := greatest(20, least(p_quota,
        1.2 * p_quota * coalesce(p_heal.accounts, 1) / greatest(p_heal.found, 10)));
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
                    LIMIT p_quota - taken) AS next
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
    IF p_heal.round = 1 AND taken > 0 THEN
        p_heal.accounts_done := p_heal.accounts_done + (
            SELECT count(DISTINCT source.id)
            FROM unnest(source_ids || p_heal.at_account_id) AS source (id)
            WHERE source.id < source_ids[taken]);
    END IF;
    IF taken < p_quota AND NOT at_end THEN
        p_heal.at_account_id := next_id;
        p_heal.at_campaign_id := 0;
        p_heal.at_paused_at := '-infinity';
        p_heal.at_enrollment_id := 0;
    ELSIF taken > 0 THEN
        p_heal.at_account_id := source_ids[taken];
        p_heal.at_campaign_id := campaign_ids[taken];
        p_heal.at_paused_at := more_paused[cardinality(more_paused)];
        p_heal.at_enrollment_id := more_ids[cardinality(more_ids)];
    END IF;
END;
$$;
-- +goose StatementEnd

-- The same for a list: by id in the first batch, then by place in heal_order. Prospects are looked
-- up again, because their account or status may have changed since the list was made.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_next_listed(
    INOUT p_heal thaw.heals, p_quota integer,
    OUT places tid[], OUT source_ids bigint[], OUT campaign_ids bigint[], OUT target_ids bigint[], OUT at_end boolean
) LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

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

-- One batch of a heal: at most p_size prospects, of as many accounts as it takes. Verdicts: more
-- (call again), busy (other transactions hold the rest: call again after retry_in), done,
-- not_found.
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
    -- For a heal that keeps the caps of the tick.
    account_cap  integer := (SELECT s.account_cap FROM thaw.settings AS s);
    is_listed boolean;
    chosen    integer := 0;
    held      integer := 0;
BEGIN
    resumed := 0;
    -- The heal is first in the lock order: a second attempt of a batch continues after the first.
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id FOR NO KEY UPDATE;
    verdict := CASE WHEN heal.id IS NULL THEN 'not_found' WHEN heal.status = 'done' THEN 'done' END;
    IF verdict IS NOT NULL THEN
        RETURN;
    END IF;

    verdict := 'more';
    is_listed := heal.workspace_id IS NULL AND heal.account_id IS NULL;
    IF heal.found IS NULL AND heal.batch > 0 THEN
        -- The first batch was not enough.
        SET LOCAL synchronous_commit = off;
        IF is_listed THEN
            PERFORM thaw.order_heal(p_heal_id);
        ELSE
            PERFORM thaw.count_heal(p_heal_id);
        END IF;
        RETURN;
    ELSIF heal.oldest_first IS NULL THEN
        heal.oldest_first := NOT is_listed AND thaw.heal_bound(heal) > heal.cap;
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
        is_safety_on := (SELECT safety.since IS NOT NULL FROM thaw.safety);
        -- Materialized, so that the aggregates evaluate it once per account. LIMIT 1, here and
        -- elsewhere: a connected account is its own target, so its siblings are not looked up.
        WITH source AS MATERIALIZED (
            SELECT one.id, one.target_id,
                (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = one.id LIMIT 1) AS now_id,
                (SELECT thaw.block_reason(a, is_safety_on, heal.even_if_off OR w.auto_resume) IS NOT NULL
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
            SELECT array_agg(one.place ORDER BY one.n), array_agg(one.source_id ORDER BY one.n),
                array_agg(one.target_id ORDER BY one.n)
            INTO next.places, next.source_ids, next.target_ids
            FROM (
                SELECT chosen.*, row_number() OVER (PARTITION BY chosen.target_id ORDER BY chosen.n) AS of_account
                FROM unnest(next.places, next.source_ids, next.target_ids)
                    WITH ORDINALITY AS chosen (place, source_id, target_id, n)) AS one
            WHERE one.of_account <= coalesce((
                SELECT b.cap - b.used FROM thaw.account_quotas AS b
                WHERE b.tick_at = cause.tick_at AND b.account_id = one.target_id), account_cap);
        END IF;
        IF heal.found IS NULL THEN
            heal.first_source_ids := ARRAY(SELECT DISTINCT source.id FROM unnest(next.source_ids) AS source (id));
        END IF;
        SELECT rows.* INTO resumed, batch_moved, account_ids, each_resumed, each_moved
        FROM thaw.resume_rows(cause, next.places, next.source_ids, next.target_ids) AS rows;
        held := held + coalesce(cardinality(next.places), 0) - resumed;
        IF heal.keeps_caps THEN
            INSERT INTO thaw.account_quotas AS b (tick_at, account_id, cap, used)
            SELECT cause.tick_at, through.account_id, account_cap, through.resumed
            FROM unnest(account_ids, each_resumed) AS through (account_id, resumed)
            ON CONFLICT (tick_at, account_id) DO UPDATE SET used = b.used + excluded.used;
        END IF;
    END IF;
    heal.resumed := heal.resumed + resumed;
    heal.skipped := heal.skipped + held;

    -- 4. Continue after the last prospect or, at the end, start another round for the held ones.
    IF at_end AND heal.resumed < heal.cap AND heal.skipped > 0 AND heal.round < rounds THEN
        verdict := 'busy';
        retry_in := least(15, 2 ^ (heal.round - 1)) * interval '1 second';
        heal.round := heal.round + 1;
        heal.skipped := 0;
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
        round = heal.round, skipped = heal.skipped,
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

    -- 6. Finish.
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

-- +goose StatementBegin
CREATE FUNCTION thaw.heal(
    workspace_key text, account text DEFAULT NULL, cap integer DEFAULT 5000, actor text DEFAULT current_user,
    even_if_off boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    workspace_id bigint;
    account_id   bigint;
BEGIN
    SELECT w.id INTO workspace_id FROM thaw.workspaces AS w WHERE w.key = heal.workspace_key;
    IF workspace_id IS NULL THEN
        RAISE EXCEPTION 'there is no workspace "%"', heal.workspace_key
            USING ERRCODE = 'no_data_found', HINT = 'thaw.workspaces.key lists the workspaces.';
    END IF;
    IF heal.account IS NOT NULL THEN
        SELECT a.id INTO account_id FROM thaw.accounts AS a
        WHERE a.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.key = heal.workspace_key)
            AND a.provider_account_id = heal.account
        ORDER BY a.provider = 'linkedin' DESC, a.id LIMIT 1;
        IF account_id IS NULL THEN
            RAISE EXCEPTION 'workspace "%" has no account "%"', heal.workspace_key, heal.account
                USING ERRCODE = 'no_data_found', HINT = 'Use a provider account ID from thaw.accounts.provider_account_id.';
        END IF;
        workspace_id := NULL;
    END IF;
    RETURN thaw.start_heal(workspace_id, account_id, NULL, heal.cap, heal.even_if_off, heal.actor);
END;
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION thaw.set_heal_cap(
    workspace_key text, heal_cap integer, reason text, actor text DEFAULT current_user
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed_id bigint;
BEGIN
    PERFORM thaw.require_reason(set_heal_cap.reason, set_heal_cap.actor);
    UPDATE thaw.workspaces AS w SET heal_cap = set_heal_cap.heal_cap WHERE w.key = set_heal_cap.workspace_key
    RETURNING w.id INTO changed_id;
    IF changed_id IS NULL THEN
        RAISE EXCEPTION 'there is no workspace "%"', set_heal_cap.workspace_key
            USING ERRCODE = 'no_data_found', HINT = 'thaw.workspaces.key lists the workspaces.';
    END IF;
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, enrollments)
    VALUES (CASE WHEN set_heal_cap.heal_cap IS NULL THEN 'heal_cap_removed' ELSE 'heal_cap_set' END,
        set_heal_cap.actor, set_heal_cap.reason, changed_id, set_heal_cap.heal_cap);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_heal_cap(text, integer, text, text) IS
    'Sets how many prospects per tick the heals that a tenant starts with its API token may resume, regardless of the cap per account. Null: these heals keep the caps of the tick.';
REVOKE ALL ON FUNCTION thaw.set_heal_cap(text, integer, text, text) FROM PUBLIC;

COMMENT ON FUNCTION thaw.heal(text, text, integer, text, boolean) IS
    'Starts a heal of a workspace, or of one of its accounts, and returns its id. Workers run it. Fails if a heal is running on the same target. even_if_off: resume prospects even if auto-resume is off.';

-- +goose Down
DROP FUNCTION thaw.set_heal_cap(text, integer, text, text);
DROP FUNCTION thaw.heal(text, text, integer, text, boolean);
DROP FUNCTION thaw.heal_batch(bigint, integer, bigint);
DROP FUNCTION thaw.lock_free_campaigns(bigint[]);
DROP FUNCTION thaw.heal_next_listed(thaw.heals, integer);
DROP FUNCTION thaw.heal_next(thaw.heals, integer);
DROP FUNCTION thaw.heal_sources(thaw.heals, bigint, integer);
DROP FUNCTION thaw.start_heal(bigint, bigint, bigint[], integer, boolean, text, bigint);
DROP FUNCTION thaw.order_heal(bigint);
DROP FUNCTION thaw.count_heal(bigint);
DROP FUNCTION thaw.finish_heal(bigint);
DROP FUNCTION thaw.heal_bound(thaw.heals);
DROP FUNCTION thaw.heal_state(thaw.heals);
DROP FUNCTION thaw.heal_scope(bigint);
DROP FUNCTION thaw.heal_open_lines(thaw.heals, bigint[], bigint[], bigint[]);

-- Heals: resume a large backlog once, under a separate cap, in many short transactions. This file
-- starts, counts and ends heals; 00010_heal_next.sql chooses the prospects of a batch, and
-- 00011_heal_batch.sql resumes them.
--
-- A heal counts its prospects after the first batch (thaw.count_heal), so that the first prospects
-- do not wait for the count of a large workspace. For a list, the same step stores the order by
-- account (thaw.order_heal).

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
            HAVING sum(part.paused) > 0) AS line;
    END IF;
    RETURN QUERY SELECT * FROM thaw.heal_open_lines(heal, account_ids, campaign_ids, counts);
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
DROP FUNCTION thaw.start_heal(bigint, bigint, bigint[], integer, boolean, text, bigint);
DROP FUNCTION thaw.order_heal(bigint);
DROP FUNCTION thaw.count_heal(bigint);
DROP FUNCTION thaw.finish_heal(bigint);
DROP FUNCTION thaw.heal_bound(thaw.heals);
DROP FUNCTION thaw.heal_state(thaw.heals);
DROP FUNCTION thaw.heal_scope(bigint);
DROP FUNCTION thaw.heal_open_lines(thaw.heals, bigint[], bigint[], bigint[]);

-- Heals: resume a large backlog once, under a separate cap, in many short transactions. This file
-- starts, counts and ends heals. 00014_heal_scope.sql says what a heal may resume, and
-- 00016_heal_stop.sql stops and continues one. 00017_heal_next.sql chooses the prospects of a
-- batch, and 00018_heal_batch.sql resumes them.
--
-- A heal counts its prospects after the first batch (thaw.count_heal), so that the first prospects
-- do not wait for the count of a large workspace. For a list, the same step stores the order by
-- account (thaw.order_heal).

-- +goose Up

-- The cap of a heal that does not name one.
-- +goose StatementBegin
CREATE FUNCTION thaw.default_heal_cap() RETURNS integer LANGUAGE sql IMMUTABLE
RETURN 5000;
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
REVOKE ALL ON FUNCTION thaw.heal_fleet(integer, integer, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.set_heal_cap(text, integer, text, text);
DROP FUNCTION thaw.heal_fleet(integer, integer, text, text);
DROP FUNCTION thaw.heal(text, text, integer, text, boolean, text, integer, text);
DROP FUNCTION thaw.record_heal(text, thaw.heals, text, text);
DROP FUNCTION thaw.start_heal(bigint, bigint, bigint[], integer, boolean, text, bigint, integer, text, boolean);
DROP FUNCTION thaw.refuse_in_safety_mode(thaw.heals);
DROP FUNCTION thaw.order_heal(bigint);
DROP FUNCTION thaw.count_heal(bigint);
DROP FUNCTION thaw.finish_heal(bigint);
DROP FUNCTION thaw.heal_state(thaw.heals);
DROP FUNCTION thaw.default_heal_cap();

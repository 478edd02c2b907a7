-- What a heal may resume (thaw.heal_scope), which pending prospects it may move
-- (thaw.heal_movable), how its cap is shared among the accounts (thaw.heal_share), and the preview
-- that people see before they start one.
--
-- If the cap is too small for all, it is shared among the accounts as the sweep shares its quota
-- (max-min: no account gets more while another one that has prospects got less). Such a heal counts
-- first, because the shares depend on the count, and goes over the accounts again until the cap is
-- used up.

-- +goose Up

-- Whether a heal is of listed enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_listed(p_heal thaw.heals) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p_heal.workspace_id IS NULL AND p_heal.account_id IS NULL AND NOT p_heal.is_fleet;
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
-- target account. For a list the prospects are counted; otherwise the counts of 00026_counts.sql
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

-- +goose Down
DROP FUNCTION thaw.preview_heal(bigint);
DROP FUNCTION thaw.heal_share(thaw.heals);
DROP FUNCTION thaw.heal_bound(thaw.heals);
DROP FUNCTION thaw.heal_movable(thaw.heals, integer);
DROP FUNCTION thaw.heal_moves(thaw.heals, bigint[]);
DROP FUNCTION thaw.heal_scope(bigint);
DROP FUNCTION thaw.heal_open_lines(thaw.heals, bigint[], bigint[], bigint[]);
DROP FUNCTION thaw.fair_share(bigint[], bigint);
DROP FUNCTION thaw.is_listed(thaw.heals);

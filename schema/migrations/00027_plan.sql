-- What may resume now, by account and by campaign, from the counts of 00026_counts.sql; and the
-- plan of a tick, which divides the tick's quota among these accounts (package plan).
--
-- A sweep calls thaw.close_ticks, thaw.plan_workspaces, thaw.plan_accounts, thaw.blocked_campaigns
-- and thaw.record_plan, in this order. The forecast reads thaw.candidates.

-- +goose Up

-- How many prospects wait, by the account that they are on (source). Waiting prospects in campaigns
-- that let nothing resume are usually few and are subtracted from the totals: add the parts up.
CREATE VIEW thaw.open_parts AS
SELECT p.account_id, p.waiting FROM thaw.waiting_parts AS p
UNION ALL
SELECT l.account_id, -l.paused
FROM thaw.campaigns AS c
JOIN thaw.paused_parts AS l ON l.campaign_id = c.id
WHERE l.waits_for_account AND NOT thaw.allows_resume(c.status, c.waits_for_account);

-- How many prospects may resume now, by source account and target account, and the cap of the
-- target per tick. An account that nothing blocks is connected and so its own target. The view
-- resume_targets is therefore written out in two parts: a join with the whole view, and then with
-- the target, would read and hash all accounts twice.
CREATE VIEW thaw.resumable_parts AS
SELECT part.account_id AS source_id, account.id AS account_id, account.workspace_id, part.waiting,
    thaw.account_cap(workspace, settings) AS cap
FROM thaw.open_parts AS part
JOIN thaw.accounts AS account ON account.id = part.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
CROSS JOIN thaw.safety
CROSS JOIN thaw.settings AS settings
WHERE thaw.block_reason(account, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL
UNION ALL
SELECT part.account_id, target.id, target.workspace_id, part.waiting, thaw.account_cap(workspace, settings)
FROM thaw.open_parts AS part
JOIN thaw.sibling_targets AS moved ON moved.source_id = part.account_id
JOIN thaw.accounts AS target ON target.id = moved.target_id
JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
CROSS JOIN thaw.safety
CROSS JOIN thaw.settings AS settings
WHERE thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL;

CREATE VIEW thaw.resumable_accounts AS
SELECT p.account_id, p.workspace_id, p.cap, sum(p.waiting)::bigint AS waiting
FROM thaw.resumable_parts AS p
GROUP BY p.account_id, p.workspace_id, p.cap
HAVING sum(p.waiting) > 0;
COMMENT ON VIEW thaw.resumable_accounts IS
    'The accounts through which prospects may resume now, how many, and the account''s cap per tick. Uses counts, without reading enrollments.';

-- The same line by line for the whole fleet: source account, campaign and target account. Set-based
-- and from counts: the cost depends on the number of lines. SECURITY DEFINER, so that a role that
-- may read the view thaw.backlog needs no rights on the underlying tables and functions.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable_lines()
RETURNS TABLE (workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
BEGIN ATOMIC
    SELECT target.workspace_id, target.id, part.account_id, campaign.id, sum(part.paused)::bigint
    FROM thaw.paused_parts AS part
    JOIN thaw.resume_targets AS resume ON resume.source_id = part.account_id
    JOIN thaw.accounts AS target ON target.id = resume.target_id
    JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
    JOIN thaw.campaigns AS campaign ON campaign.id = part.campaign_id
    CROSS JOIN thaw.safety
    WHERE part.waits_for_account
        AND thaw.allows_resume(campaign.status, campaign.waits_for_account)
        AND thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL
    GROUP BY target.workspace_id, target.id, part.account_id, campaign.id
    HAVING sum(part.paused) > 0;
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resumable_lines() IS
    'How many prospects may resume now, by source account, campaign and target account. Uses counts.';

-- The last tick that allocated something to an account or to a workspace. thaw.allocations has the
-- same information, but needs one index descent per account; these tables are read as a whole. Only
-- the sweep writes them.
CREATE TABLE thaw.account_served (
    account_id bigint PRIMARY KEY,
    tick_at    timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE thaw.workspace_served (
    workspace_id bigint PRIMARY KEY,
    tick_at      timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.account_served IS 'The last tick that allocated something to an account.';
COMMENT ON TABLE thaw.workspace_served IS 'The last tick that allocated something to a workspace.';

-- The newest forecast of a large fleet, which new processes and commands read instead of computing
-- their own. One row: the job "watch" replaces it once a minute, and deletes it while the fleet is
-- small. Package readmodel writes and reads content, and computes a forecast itself if it cannot
-- read it.
CREATE TABLE thaw.forecasts (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    made_at  timestamptz NOT NULL,
    content  bytea NOT NULL
);
COMMENT ON TABLE thaw.forecasts IS 'At most one row: the newest forecast of a large fleet, for processes that have none yet.';
-- The content is already compressed.
ALTER TABLE thaw.forecasts ALTER COLUMN content SET STORAGE EXTERNAL;

-- The candidates of a tick: accounts through which prospects may resume, their remaining quota in
-- the tick and their cap, and when they and their workspaces were last served. Shape of
-- plan.Candidate. This
-- function returns all candidates, for a forecast; the sweep uses the two functions below, which
-- return no more than it needs.
-- +goose StatementBegin
CREATE FUNCTION thaw.candidates(p_tick_at timestamptz DEFAULT thaw.tick())
RETURNS TABLE (
    account_id bigint, workspace_id bigint, backlog integer, quota integer, cap integer,
    account_served_at timestamptz, workspace_served_at timestamptz)
LANGUAGE sql STABLE SET jit = off SET work_mem = '64MB'
BEGIN ATOMIC
    SELECT candidate.account_id, candidate.workspace_id, least(candidate.waiting, 2147483647)::integer,
        coalesce(charged.cap - charged.used, candidate.cap), candidate.cap, account_order.tick_at, workspace_order.tick_at
    FROM thaw.resumable_accounts AS candidate
    LEFT JOIN thaw.account_quotas AS charged
        ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
    LEFT JOIN thaw.account_served AS account_order ON account_order.account_id = candidate.account_id
    LEFT JOIN thaw.workspace_served AS workspace_order ON workspace_order.workspace_id = candidate.workspace_id;
END;
-- +goose StatementEnd

-- The first step of a plan: how much each workspace can use in the tick, in the order in which
-- workspaces are served. At most p_quota workspaces: if there are more workspaces than enrollments
-- in the quota, the first ones get one each. total_waiting counts all prospects that may resume
-- now. Workspaces whose accounts have used up their caps come last.
--
-- Only prospects of accounts after p_after and up to p_until are considered: a part of the fleet,
-- in case a complete plan would take too long.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_workspaces(
    p_tick_at timestamptz, p_quota integer, p_after bigint DEFAULT -1, p_until bigint DEFAULT 9223372036854775807)
RETURNS TABLE (workspace_id bigint, demand integer, served_at timestamptz, total_waiting bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT wanted.workspace_id, wanted.demand, turn.tick_at, wanted.total_waiting
    FROM (
        SELECT candidate.workspace_id,
            least(sum(least(candidate.waiting, coalesce(charged.cap - charged.used, candidate.cap))), 2147483647)::integer AS demand,
            (sum(sum(candidate.waiting)) OVER ())::bigint AS total_waiting
        FROM (
            SELECT p.account_id, p.workspace_id, p.cap, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until
            GROUP BY p.account_id, p.workspace_id, p.cap
            HAVING sum(p.waiting) > 0) AS candidate
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        GROUP BY candidate.workspace_id) AS wanted
    LEFT JOIN thaw.workspace_served AS turn ON turn.workspace_id = wanted.workspace_id
    ORDER BY wanted.demand > 0 DESC, turn.tick_at NULLS FIRST, wanted.workspace_id
    LIMIT p_quota;
END;
$$;
-- +goose StatementEnd

-- The second step: the candidates of the workspaces that got a share in the first step, in the
-- order in which they are served. Each workspace has at most as many candidates as its share has
-- enrollments.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_accounts(
    p_tick_at timestamptz, p_workspace_ids bigint[], p_shares integer[], p_after bigint DEFAULT -1,
    p_until bigint DEFAULT 9223372036854775807)
RETURNS TABLE (account_id bigint, workspace_id bigint, backlog integer, quota integer, served_at timestamptz)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT placed.account_id, placed.workspace_id, least(placed.waiting, 2147483647)::integer, placed.quota, placed.tick_at
    FROM (
        SELECT candidate.*, share.amount, quota.quota, turn.tick_at,
            row_number() OVER (
                PARTITION BY candidate.workspace_id ORDER BY turn.tick_at NULLS FIRST, candidate.account_id) AS place
        FROM (
            SELECT p.account_id, p.workspace_id, p.cap, sum(p.waiting) AS waiting
            FROM thaw.resumable_parts AS p
            WHERE p.source_id > p_after AND p.source_id <= p_until AND p.workspace_id = ANY (p_workspace_ids)
            GROUP BY p.account_id, p.workspace_id, p.cap
            HAVING sum(p.waiting) > 0) AS candidate
        JOIN unnest(p_workspace_ids, p_shares) AS share (workspace_id, amount) ON share.workspace_id = candidate.workspace_id
        LEFT JOIN thaw.account_quotas AS charged
            ON charged.tick_at = p_tick_at AND charged.account_id = candidate.account_id
        CROSS JOIN LATERAL (SELECT coalesce(charged.cap - charged.used, candidate.cap) AS quota) AS quota
        LEFT JOIN thaw.account_served AS turn ON turn.account_id = candidate.account_id
        WHERE quota.quota > 0) AS placed
    WHERE placed.place <= placed.amount;
END;
$$;
-- +goose StatementEnd

-- A part of the accounts with waiting prospects, p_size of them, and another part in each tick, for
-- plans that would otherwise take too long.
-- +goose StatementBegin
CREATE FUNCTION thaw.plan_part(p_tick_at timestamptz, p_size integer, OUT after_id bigint, OUT until_id bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts bigint;
    part  bigint;
BEGIN
    SELECT greatest(ceil(greatest(c.reltuples, 1) / p_size), 1) INTO parts FROM pg_class AS c WHERE c.oid = 'thaw.waiting_totals'::regclass;
    SELECT floor(extract(epoch FROM p_tick_at) / extract(epoch FROM s.tick))::bigint % parts INTO part FROM thaw.settings AS s;
    SELECT coalesce(max(t.account_id), 0) * part / parts INTO after_id FROM thaw.waiting_totals AS t;
    SELECT max(next.account_id) INTO until_id FROM (
        SELECT t.account_id FROM thaw.waiting_totals AS t WHERE t.account_id > after_id ORDER BY t.account_id LIMIT p_size) AS next;
    until_id := coalesce(until_id, after_id);
END;
$$;
-- +goose StatementEnd

-- Connected accounts whose active or pending prospects are blocked by a campaign that still waits
-- for an account: the campaign was paused before the account reconnected. A tick starts such
-- campaigns again even if no prospect waits. One account per campaign is enough.
--
-- After an incident most campaigns wait, and none has such an account. A tick therefore checks at
-- most p_size campaigns after p_after, and at most p_accounts accounts for them (but all accounts
-- of the first campaign). The next sweep continues after looked_to; 0: all were checked, and the
-- next sweep starts over.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocked_campaigns(
    p_after bigint DEFAULT 0, p_size integer DEFAULT 2000, p_accounts integer DEFAULT 20000,
    OUT account_ids bigint[], OUT workspace_ids bigint[], OUT looked_to bigint
) LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    WITH slice AS MATERIALIZED (
        SELECT c.id, c.workspace_id, c.paused_at FROM thaw.campaigns AS c
        WHERE c.waits_for_account AND c.id > p_after ORDER BY c.id LIMIT p_size + 1
    ), sized AS (
        SELECT slice.*,
            row_number() OVER (ORDER BY slice.id) AS place,
            sum(size.connected) OVER (ORDER BY slice.id) AS accounts
        FROM slice
        JOIN (
            SELECT w.workspace_id, count(a.id) AS connected
            FROM (SELECT DISTINCT s.workspace_id FROM slice AS s) AS w
            LEFT JOIN thaw.accounts AS a ON a.workspace_id = w.workspace_id AND a.status = 'connected'
            GROUP BY w.workspace_id) AS size ON size.workspace_id = slice.workspace_id
    ), looked AS MATERIALIZED (
        SELECT * FROM sized WHERE sized.place = 1 OR sized.place <= p_size AND sized.accounts <= p_accounts
    ), blocked AS (
        SELECT DISTINCT found.id, looked.workspace_id
        FROM looked
        CROSS JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.workspace_id = looked.workspace_id AND a.status = 'connected' AND a.connected_at >= looked.paused_at
                -- BETWEEN and ORDER BY match the index. With equality the planner expects to find
                -- one of many rows soon and scans the table or its primary key from the start.
                AND coalesce(
                    (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'active' AND e.account_id = a.id AND e.campaign_id BETWEEN looked.id AND looked.id
                    ORDER BY e.campaign_id, e.id LIMIT 1),
                    (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'pending' AND e.account_id = a.id AND e.campaign_id BETWEEN looked.id AND looked.id
                    ORDER BY e.campaign_id, e.id LIMIT 1)) IS NOT NULL
                AND thaw.blocked_by(a) IS NULL
            ORDER BY a.id LIMIT 1) AS found
    )
    SELECT
        (SELECT coalesce(array_agg(b.id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT coalesce(array_agg(b.workspace_id ORDER BY b.id), '{}') FROM blocked AS b),
        (SELECT CASE WHEN count(*) < (SELECT count(*) FROM slice) THEN max(l.id) ELSE 0 END FROM looked AS l)
    INTO account_ids, workspace_ids, looked_to;
END;
$$;
-- +goose StatementEnd

-- The moves that are possible now: the accounts that are gone and have pending prospects, each with
-- the account to which these move. Each account that is gone is checked with one look-up in the
-- index of pending prospects; a target is looked up only for those that have some.
-- +goose StatementBegin
CREATE FUNCTION thaw.open_moves() RETURNS TABLE (source_id bigint, target_id bigint, workspace_id bigint)
LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    RETURN QUERY
    WITH stranded AS MATERIALIZED (
        SELECT source.id,
            (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = source.id LIMIT 1) AS target_id
        FROM (
            SELECT a.id FROM thaw.accounts AS a
            WHERE thaw.is_gone(a.status)
                -- ORDER BY matches the index, as in thaw.blocked_campaigns.
                AND (SELECT e.id FROM thaw.enrollments AS e
                    WHERE e.status = 'pending' AND e.account_id = a.id
                    ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
            OFFSET 0) AS source
    )
    SELECT stranded.id, open.id, open.workspace_id
    FROM (
        SELECT target.id, target.workspace_id
        FROM (SELECT DISTINCT stranded.target_id FROM stranded WHERE stranded.target_id IS NOT NULL) AS found
        JOIN thaw.accounts AS target ON target.id = found.target_id
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        CROSS JOIN thaw.safety
        WHERE thaw.block_reason(target, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL) AS open
    JOIN stranded ON stranded.target_id = open.id;
END;
$$;
-- +goose StatementEnd

-- Accounts to which pending prospects move now, at most p_size. A pass has moved them after the
-- tick, so the next tick finds others.
-- +goose StatementBegin
CREATE FUNCTION thaw.move_targets(p_size integer DEFAULT 2000, OUT account_ids bigint[], OUT workspace_ids bigint[])
LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    SELECT coalesce(array_agg(open.target_id), '{}'), coalesce(array_agg(open.workspace_id), '{}') INTO account_ids, workspace_ids
    FROM (
        SELECT DISTINCT move.target_id, move.workspace_id FROM thaw.open_moves() AS move
        ORDER BY move.target_id
        LIMIT p_size) AS open;
END;
$$;
-- +goose StatementEnd

-- Closes earlier ticks that did not finish because a job was cancelled or no process was running.
-- Their time is over, and their remaining prospects are among the candidates of this tick. Runs in
-- its own transaction before planning, because it and the passes of earlier ticks wait for each
-- other. Returns the closed ticks.
-- +goose StatementBegin
CREATE FUNCTION thaw.close_ticks(p_tick_at timestamptz) RETURNS timestamptz[] LANGUAGE plpgsql AS $$
DECLARE
    over timestamptz[];
BEGIN
    WITH stale AS (
        SELECT s.tick_at FROM thaw.sweeps AS s WHERE s.finished_at IS NULL AND s.tick_at < p_tick_at
    ), held AS MATERIALIZED (
        SELECT g.tick_at, g.account_id FROM thaw.allocations AS g
        WHERE g.tick_at IN (SELECT stale.tick_at FROM stale) AND g.finished_at IS NULL
        ORDER BY g.tick_at, g.account_id FOR NO KEY UPDATE
    ), closed AS (
        UPDATE thaw.allocations AS g SET finished_at = thaw.now(), verdict = 'stale_tick'
        FROM held
        WHERE g.tick_at = held.tick_at AND g.account_id = held.account_id
        RETURNING g.tick_at
    ), ended AS (
        UPDATE thaw.sweeps AS s SET
            finished_at = thaw.now(),
            accounts_processed = s.accounts_processed + (SELECT count(*) FROM closed WHERE closed.tick_at = s.tick_at)
        FROM stale
        WHERE s.tick_at = stale.tick_at AND s.finished_at IS NULL
        RETURNING s.tick_at
    )
    SELECT coalesce(array_agg(e.tick_at ORDER BY e.tick_at), '{}') INTO over FROM ended AS e;
    RETURN over;
END;
$$;
-- +goose StatementEnd

-- Requeues pause jobs that were cancelled, or that ran while safety mode suspended grace periods.
-- There may be many after an incident, so one statement inserts them, at most p_size per tick.
-- Returns how many are new.
--
-- Also finds active prospects that the pause of their account did not cover: the platform started
-- them later, or inserted the account when it was gone already. If they can continue through a
-- connected account of the same person, they are paused first, and so resume within the caps. This
-- looks at every account that is gone; p_with_late = false omits it.
-- +goose StatementBegin
CREATE FUNCTION thaw.requeue_pauses(p_tick_at timestamptz, p_size integer DEFAULT 20000, p_with_late boolean DEFAULT true) RETURNS integer LANGUAGE plpgsql
SET jit = off AS $$
DECLARE
    late bigint[];
BEGIN
    WITH stranded AS (
        SELECT a.id FROM thaw.accounts AS a
        WHERE p_with_late AND thaw.is_gone(a.status) AND a.pause_after IS NULL
            -- ORDER BY matches the index, as in thaw.blocked_campaigns.
            AND (SELECT e.id FROM thaw.enrollments AS e
                WHERE e.status = 'active' AND e.account_id = a.id
                ORDER BY e.campaign_id, e.id LIMIT 1) IS NOT NULL
            AND (SELECT moved.target_id FROM thaw.sibling_targets AS moved WHERE moved.source_id = a.id LIMIT 1) IS NOT NULL
        ORDER BY a.id LIMIT p_size
        FOR NO KEY UPDATE OF a SKIP LOCKED
    ), due AS (
        UPDATE thaw.accounts AS a SET pause_after = thaw.now() FROM stranded WHERE a.id = stranded.id RETURNING a.id
    )
    SELECT array_agg(due.id) INTO late FROM due;
    RETURN thaw.enqueue_many('pause_account', 'resume', 3::smallint, ARRAY(
        SELECT jsonb_build_object(
            'account_id', a.id, 'tick_at', thaw.job_time(p_tick_at))
        FROM thaw.accounts AS a
        WHERE a.pause_after < thaw.now() - interval '1 minute' OR a.id = ANY (late)
        ORDER BY a.pause_after LIMIT p_size));
END;
$$;
-- +goose StatementEnd

-- Stores the plan of a tick and inserts its jobs, all or nothing. False: the tick is over or
-- already has a plan; the primary key of sweeps makes a tick swept once. The caps are those that
-- the plan was made with. A tick with nothing to do is finished at once. The first tick of an hour
-- enqueues the job prune.
-- +goose StatementBegin
CREATE FUNCTION thaw.record_plan(
    p_tick_at timestamptz, p_started_at timestamptz, p_account_cap integer, p_fleet_cap integer, p_account_ids bigint[],
    p_workspace_ids bigint[], p_planned integer[], p_backlog integer, p_is_partial boolean, p_looked_to bigint
) RETURNS boolean LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    tick text := thaw.job_time(p_tick_at);
BEGIN
    INSERT INTO thaw.sweeps (
        tick_at, account_cap, fleet_cap, accounts_planned, planned, remaining, is_partial, looked_to, started_at, finished_at)
    SELECT p_tick_at, p_account_cap, p_fleet_cap, cardinality(p_account_ids),
        (SELECT coalesce(sum(line.planned), 0) FROM unnest(p_planned) AS line (planned)),
        p_backlog, p_is_partial, p_looked_to, p_started_at,
        CASE WHEN cardinality(p_account_ids) = 0 THEN thaw.now() END
    WHERE thaw.tick() = p_tick_at
    ON CONFLICT (tick_at) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
    SELECT p_tick_at, line.account_id, line.workspace_id, line.planned
    FROM unnest(p_account_ids, p_workspace_ids, p_planned) AS line (account_id, workspace_id, planned);
    INSERT INTO thaw.account_served AS t (account_id, tick_at)
    SELECT line.account_id, p_tick_at
    FROM unnest(p_account_ids, p_planned) AS line (account_id, planned) WHERE line.planned > 0
    ON CONFLICT (account_id) DO UPDATE SET tick_at = excluded.tick_at;
    INSERT INTO thaw.workspace_served AS t (workspace_id, tick_at)
    SELECT DISTINCT line.workspace_id, p_tick_at
    FROM unnest(p_workspace_ids, p_planned) AS line (workspace_id, planned) WHERE line.planned > 0
    ON CONFLICT (workspace_id) DO UPDATE SET tick_at = excluded.tick_at;
    PERFORM thaw.enqueue_many('resume_account', 'tick', 3::smallint, ARRAY(
        SELECT jsonb_build_object('account_id', line.account_id, 'tick_at', tick) FROM unnest(p_account_ids) AS line (account_id)));
    IF NOT EXISTS (
        SELECT FROM thaw.sweeps AS earlier
        WHERE earlier.tick_at >= date_bin('1 hour', p_tick_at, '2000-01-01 00:00:00+00') AND earlier.tick_at < p_tick_at)
    THEN
        PERFORM thaw.enqueue('prune', 'sweep', 4::smallint, jsonb_build_object('tick_at', tick), '0', B'11110101');
    END IF;
    RETURN true;
END;
$$;
-- +goose StatementEnd

CREATE VIEW thaw.backlog AS
SELECT
    workspace.key AS workspace,
    account.provider_account_id AS account,
    account.status,
    paused.total AS paused,
    coalesce(waiting.total, 0) AS resumable,
    paused.by_reason,
    account.id AS account_id,
    waiting.target_id
FROM (
    SELECT r.account_id, sum(r.rows)::bigint AS total, jsonb_object_agg(r.reason, r.rows) AS by_reason
    FROM (
        SELECT p.account_id, p.reason, sum(p.paused)::bigint AS rows
        FROM thaw.paused_parts AS p
        GROUP BY p.account_id, p.reason
        HAVING sum(p.paused) > 0) AS r
    GROUP BY r.account_id) AS paused
JOIN thaw.accounts AS account ON account.id = paused.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
LEFT JOIN (
    SELECT line.source_id, line.target_id, sum(line.waiting)::bigint AS total
    FROM thaw.resumable_lines() AS line
    GROUP BY line.source_id, line.target_id) AS waiting ON waiting.source_id = account.id;
COMMENT ON VIEW thaw.backlog IS
    'One row per account with paused enrollments: how many are paused, how many of those may resume now, and how many are paused for each reason.';

-- Since when the oldest resumable prospect has been resumable. Null: no prospect is. A prospect
-- becomes resumable when the last obstacle that the rows record disappears: the start of its own
-- pause, the connection and the hold of its target account, auto-resume of its workspace, and
-- safety mode.
--
-- Accounts are checked in the order in which they became free, until no later one can have an older
-- prospect; after an incident the first one decides. If pauses are younger than that for more than
-- 100 accounts, all lines are checked, one row each.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable_since() RETURNS timestamptz LANGUAGE plpgsql STABLE SET jit = off SET work_mem = '32MB' AS $$
DECLARE
    candidate record;
    since     timestamptz;
    looked_at integer := 0;
BEGIN
    FOR candidate IN
        SELECT target.id, coalesce(greatest(target.connected_at, target.hold_until, workspace.auto_resume_changed_at, safety.ended_at),
            '-infinity') AS free_since
        FROM thaw.resumable_accounts AS waiting
        JOIN thaw.accounts AS target ON target.id = waiting.account_id
        JOIN thaw.workspaces AS workspace ON workspace.id = target.workspace_id
        CROSS JOIN thaw.safety
        ORDER BY free_since, target.id
    LOOP
        EXIT WHEN candidate.free_since >= since;
        looked_at := looked_at + 1;
        IF looked_at > 100 THEN
            RETURN least(since, (
                SELECT min(greatest(oldest.paused_at, target.connected_at, target.hold_until, workspace.auto_resume_changed_at,
                    safety.ended_at))
                FROM thaw.resumable_lines() AS line
                JOIN thaw.accounts AS target ON target.id = line.target_id
                JOIN thaw.workspaces AS workspace ON workspace.id = line.workspace_id
                CROSS JOIN thaw.safety
                CROSS JOIN LATERAL (
                    SELECT e.paused_at FROM thaw.enrollments AS e
                    WHERE e.status = 'paused' AND e.waits_for_account
                        AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                    ORDER BY e.paused_at, e.id LIMIT 1) AS oldest));
        END IF;
        since := least(since, (
            SELECT greatest(min(oldest.paused_at), candidate.free_since)
            FROM thaw.resumable(thaw.sources_of(candidate.id)) AS line (workspace_id, target_id, source_id, campaign_id)
            CROSS JOIN LATERAL (
                SELECT e.paused_at FROM thaw.enrollments AS e
                WHERE e.status = 'paused' AND e.waits_for_account
                    AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
                ORDER BY e.paused_at, e.id LIMIT 1) AS oldest
            HAVING count(*) > 0));
    END LOOP;
    RETURN since;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.candidates(timestamptz), thaw.plan_workspaces(timestamptz, integer, bigint, bigint),
    thaw.plan_accounts(timestamptz, bigint[], integer[], bigint, bigint), thaw.plan_part(timestamptz, integer),
    thaw.blocked_campaigns(bigint, integer, integer), thaw.open_moves(), thaw.move_targets(integer), thaw.close_ticks(timestamptz),
    thaw.requeue_pauses(timestamptz, integer, boolean),
    thaw.record_plan(timestamptz, timestamptz, integer, integer, bigint[], bigint[], integer[], integer, boolean, bigint),
    thaw.resumable_since() FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.resumable_since();
DROP VIEW thaw.backlog;
DROP FUNCTION thaw.record_plan(timestamptz, timestamptz, integer, integer, bigint[], bigint[], integer[], integer, boolean, bigint);
DROP FUNCTION thaw.requeue_pauses(timestamptz, integer, boolean);
DROP FUNCTION thaw.close_ticks(timestamptz);
DROP FUNCTION thaw.move_targets(integer);
DROP FUNCTION thaw.open_moves();
DROP FUNCTION thaw.blocked_campaigns(bigint, integer, integer);
DROP FUNCTION thaw.plan_part(timestamptz, integer);
DROP FUNCTION thaw.plan_accounts(timestamptz, bigint[], integer[], bigint, bigint);
DROP FUNCTION thaw.plan_workspaces(timestamptz, integer, bigint, bigint);
DROP FUNCTION thaw.candidates(timestamptz);
DROP TABLE thaw.forecasts;
DROP TABLE thaw.workspace_served;
DROP TABLE thaw.account_served;
DROP FUNCTION thaw.resumable_lines();
DROP VIEW thaw.resumable_accounts;
DROP VIEW thaw.resumable_parts;
DROP VIEW thaw.open_parts;

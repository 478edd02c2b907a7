-- Offboarding: thaw.remove_workspace removes a workspace with everything that belongs to it, in
-- many short transactions. Each call is one batch; the caller calls it until done.
--
-- The phases, in order, each a walk that continues where the last call ended:
--
--   messages     messages to the platform about the workspace
--   enrollments  with their history; the table is read page by page, because no index has the
--                workspace
--   events       history of enrollments that the platform had deleted before
--   kept         changes of the platform's rows that are not applied yet
--   accounts     account statuses, signals, and what plans remember about an account
--   plans        allocations and account quotas, by tick
--   heals, campaigns, seats
--   changes      what the platform has not taken yet
--   rest
--
-- The numbers of thaw verify stay consistent after every batch. The totals of past sweeps and heals
-- no longer include the workspace. The quotas of ticks do: what it used stays used (column
-- carried), so that no cap is exceeded.
--
-- Locks: the workspace, the removed rows and, for a moment, the totals, in the order of
-- docs/design.md ("Locks and timeouts"). Enrollments that another transaction holds are left to the
-- next walk. Auto-resume is off from the first batch on, and heals of the workspace are stopped. A
-- job that finds its account or its heal gone does nothing. If the platform still inserts rows, the
-- walk starts over, at most five times.

-- +goose Up

CREATE TABLE thaw.workspace_removals (
    workspace_id bigint PRIMARY KEY,
    action_id    bigint NOT NULL,
    phase        text NOT NULL DEFAULT 'messages',
    at_id        bigint NOT NULL DEFAULT 0,
    at_tick      timestamptz NOT NULL DEFAULT '-infinity',
    -- Rows of the platform (enrollments, accounts, campaigns): how many there were, and how many
    -- are removed.
    found        bigint NOT NULL,
    removed      bigint NOT NULL DEFAULT 0,
    restarts     integer NOT NULL DEFAULT 0,
    began_at     timestamptz NOT NULL DEFAULT thaw.now()
);
COMMENT ON TABLE thaw.workspace_removals IS 'Workspaces that are being removed, and how far the removal is.';

-- Removes events of a workspace, and takes them out of the totals that thaw verify compares with
-- the history. The rows of each table are locked in the order of their keys.
--
-- Heals and allocations come after enrollments here, in another order than in a pass. That is no
-- deadlock: a transaction that holds a heal or an allocation never waits for an enrollment, because
-- passes skip locked ones, and the enrollments of a removal are of its own workspace.
-- +goose StatementBegin
CREATE FUNCTION thaw.forget_events(p_events thaw.enrollment_events[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_events IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM thaw.heals AS h
    WHERE h.id IN (SELECT event.heal_id FROM unnest(p_events) AS event) ORDER BY h.id FOR NO KEY UPDATE;
    UPDATE thaw.heals AS h SET resumed = h.resumed - line.resumed, moved = h.moved - line.moved
    FROM (
        SELECT event.heal_id, count(*) FILTER (WHERE event.kind = 'resumed')::integer AS resumed,
            count(*) FILTER (WHERE event.kind = 'moved')::integer AS moved
        FROM unnest(p_events) AS event WHERE event.source = 'heal' GROUP BY event.heal_id) AS line
    WHERE h.id = line.heal_id;
    PERFORM FROM thaw.allocations AS g
    WHERE (g.tick_at, g.account_id) IN (SELECT event.tick_at, event.to_account_id FROM unnest(p_events) AS event)
    ORDER BY g.tick_at, g.account_id FOR NO KEY UPDATE;
    UPDATE thaw.allocations AS g SET resumed = g.resumed - line.n
    FROM (
        SELECT event.tick_at, event.to_account_id, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source = 'sweep' AND event.kind = 'resumed'
        GROUP BY event.tick_at, event.to_account_id) AS line
    WHERE g.tick_at = line.tick_at AND g.account_id = line.to_account_id;
    PERFORM FROM thaw.account_quotas AS q
    WHERE (q.tick_at, q.account_id) IN (SELECT event.tick_at, event.to_account_id FROM unnest(p_events) AS event)
    ORDER BY q.tick_at, q.account_id FOR NO KEY UPDATE;
    UPDATE thaw.account_quotas AS q SET carried = q.carried + line.n
    FROM (
        SELECT event.tick_at, event.to_account_id, count(*)::integer AS n
        FROM unnest(p_events) AS event
        WHERE event.source IN ('sweep', 'signal', 'heal') AND event.kind = 'resumed' AND event.tick_at IS NOT NULL
        GROUP BY event.tick_at, event.to_account_id) AS line
    WHERE q.tick_at = line.tick_at AND q.account_id = line.to_account_id;
    PERFORM FROM thaw.fleet_quotas AS q
    WHERE q.tick_at IN (SELECT event.tick_at FROM unnest(p_events) AS event) ORDER BY q.tick_at, q.lane FOR NO KEY UPDATE;
    UPDATE thaw.fleet_quotas AS q SET carried = q.carried + line.n
    FROM (
        SELECT event.tick_at, event.source::text::thaw.lane AS lane, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source IN ('sweep', 'signal') AND event.kind = 'resumed'
        GROUP BY event.tick_at, event.source) AS line
    WHERE q.tick_at = line.tick_at AND q.lane = line.lane;
    PERFORM FROM thaw.sweeps AS s
    WHERE s.tick_at IN (SELECT event.tick_at FROM unnest(p_events) AS event) ORDER BY s.tick_at FOR NO KEY UPDATE;
    UPDATE thaw.sweeps AS s SET resumed = s.resumed - line.resumed, moved = s.moved - line.moved
    FROM (
        SELECT event.tick_at, count(*) FILTER (WHERE event.kind = 'resumed')::integer AS resumed,
            count(*) FILTER (WHERE event.kind = 'moved')::integer AS moved
        FROM unnest(p_events) AS event WHERE event.source = 'sweep' GROUP BY event.tick_at) AS line
    WHERE s.tick_at = line.tick_at;
    PERFORM FROM thaw.account_signals AS s
    WHERE s.id IN (SELECT event.signal_id FROM unnest(p_events) AS event) ORDER BY s.id FOR NO KEY UPDATE;
    UPDATE thaw.account_signals AS s SET resumed = s.resumed - line.n
    FROM (
        SELECT event.signal_id, count(*)::integer AS n
        FROM unnest(p_events) AS event WHERE event.source = 'signal' AND event.kind = 'resumed' GROUP BY event.signal_id) AS line
    WHERE s.id = line.signal_id;
END;
$$;
-- +goose StatementEnd

-- Whether a kept change of a row of the platform is of a workspace: it names the workspace, or rows
-- with IDs that only this workspace has.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_kept_of(p_kept thaw.adopt_errors, p_workspace_id bigint) RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change constant jsonb := p_kept.change;
    owners bigint[];
BEGIN
    owners := CASE
        WHEN p_kept.kind = 'workspace' THEN ARRAY(SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = p_kept.external_id)
        WHEN change ->> 'workspace' IS NOT NULL THEN ARRAY(SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = change ->> 'workspace')
        WHEN p_kept.kind = 'account' THEN ARRAY(SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.external_id = p_kept.external_id)
        WHEN p_kept.kind = 'campaign' THEN ARRAY(SELECT c.workspace_id FROM thaw.campaigns AS c WHERE c.external_id = p_kept.external_id)
        ELSE ARRAY(
            SELECT c.workspace_id FROM thaw.campaigns AS c WHERE c.external_id = change ->> 'campaign'
            UNION SELECT a.workspace_id FROM thaw.accounts AS a WHERE a.external_id = change ->> 'account'
            UNION SELECT e.workspace_id FROM thaw.enrollments AS e WHERE e.external_id = p_kept.external_id) END;
    RETURN owners = ARRAY[p_workspace_id];
END;
$$;
-- +goose StatementEnd

-- One batch of a phase. is_over: the walk of the phase has ended.
-- +goose StatementBegin
CREATE FUNCTION thaw.remove_part(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    gone     constant bigint := p_removal.workspace_id;
    seats    constant bigint[] := ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone);
    pages    bigint;
    to_id    bigint;
    to_tick  timestamptz;
    ids      bigint[];
    events   thaw.enrollment_events[];
    n        bigint;
BEGIN
    is_over := false;
    CASE p_removal.phase
        WHEN 'messages' THEN
            to_id := (SELECT max(next.id) FROM (SELECT o.id FROM thaw.outbox AS o WHERE o.id > p_removal.at_id ORDER BY o.id LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.outbox AS o WHERE o.id > p_removal.at_id AND o.id <= to_id AND (o.workspace_id = gone OR o.account_id = ANY (seats));
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'enrollments' THEN
            pages := greatest(1, p_size / 20);
            ids := ARRAY(
                SELECT e.id FROM thaw.enrollments AS e
                WHERE e.ctid >= format('(%s,0)', p_removal.at_id)::tid AND e.ctid < format('(%s,0)', p_removal.at_id + pages)::tid
                    AND e.workspace_id = gone
                FOR UPDATE SKIP LOCKED);
            WITH forgotten AS (
                DELETE FROM thaw.enrollment_events AS event WHERE event.enrollment_id = ANY (ids) RETURNING event)
            SELECT array_agg(forgotten.event) INTO events FROM forgotten;
            PERFORM thaw.forget_events(events);
            DELETE FROM thaw.adopt_errors AS x
            USING thaw.enrollments AS e
            WHERE e.id = ANY (ids) AND x.kind = 'enrollment' AND x.external_id = e.external_id AND thaw.is_kept_of(x, gone);
            DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            p_removal.at_id := p_removal.at_id + pages;
            is_over := p_removal.at_id >= pg_relation_size('thaw.enrollments') / current_setting('block_size')::bigint;
        WHEN 'events' THEN
            to_id := (SELECT max(next.id) FROM (SELECT event.id FROM thaw.enrollment_events AS event WHERE event.id > p_removal.at_id ORDER BY event.id LIMIT 10 * p_size) AS next);
            WITH forgotten AS (
                DELETE FROM thaw.enrollment_events AS event
                WHERE event.id > p_removal.at_id AND event.id <= to_id AND (event.from_account_id = ANY (seats) OR event.to_account_id = ANY (seats))
                RETURNING event)
            SELECT array_agg(forgotten.event) INTO events FROM forgotten;
            PERFORM thaw.forget_events(events);
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'kept' THEN
            to_id := (SELECT max(next.id) FROM (SELECT x.id FROM thaw.adopt_errors AS x WHERE x.id > p_removal.at_id ORDER BY x.id LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.adopt_errors AS x WHERE x.id > p_removal.at_id AND x.id <= to_id AND thaw.is_kept_of(x, gone);
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'changes' THEN
            -- By now the rows are gone, so that no other change of theirs can be queued.
            to_id := (
                SELECT max(next.generation) FROM (
                    SELECT q.generation FROM thaw.changes_queue AS q WHERE q.generation > p_removal.at_id ORDER BY q.generation LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.changes_queue AS q
            WHERE q.generation > p_removal.at_id AND q.generation <= to_id AND CASE q.kind
                WHEN 'account' THEN NOT EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = q.row_id)
                WHEN 'campaign' THEN NOT EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = q.row_id)
                ELSE NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = q.row_id) END;
            is_over := to_id IS NULL;
            p_removal.at_id := coalesce(to_id, 0);
        WHEN 'accounts' THEN
            ids := ARRAY(
                SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone AND a.id > p_removal.at_id
                ORDER BY a.id LIMIT greatest(1, p_size / 100) FOR NO KEY UPDATE);
            DELETE FROM thaw.account_events AS event WHERE event.account_id = ANY (ids);
            DELETE FROM thaw.account_signals AS s USING thaw.accounts AS a
            WHERE a.id = ANY (ids) AND s.provider = a.provider AND s.provider_account_id = a.provider_account_id;
            DELETE FROM thaw.account_served AS s WHERE s.account_id = ANY (ids);
            is_over := ids = '{}';
            p_removal.at_id := coalesce(ids[cardinality(ids)], 0);
        WHEN 'plans' THEN
            to_tick := (SELECT max(next.tick_at) FROM (SELECT g.tick_at FROM thaw.allocations AS g WHERE g.tick_at > p_removal.at_tick ORDER BY g.tick_at LIMIT 10 * p_size) AS next);
            WITH forgotten AS (
                DELETE FROM thaw.allocations AS g WHERE g.tick_at > p_removal.at_tick AND g.tick_at <= to_tick AND g.workspace_id = gone RETURNING g.*)
            UPDATE thaw.sweeps AS s SET accounts_planned = s.accounts_planned - line.accounts, accounts_processed = s.accounts_processed - line.closed,
                planned = s.planned - line.planned, resumed = s.resumed - line.resumed,
                finished_at = CASE WHEN s.accounts_planned - line.accounts = s.accounts_processed - line.closed THEN coalesce(s.finished_at, thaw.now()) END
            FROM (
                SELECT forgotten.tick_at, count(*)::integer AS accounts, count(forgotten.finished_at)::integer AS closed,
                    sum(forgotten.planned)::integer AS planned, sum(forgotten.resumed)::integer AS resumed
                FROM forgotten GROUP BY forgotten.tick_at) AS line
            WHERE s.tick_at = line.tick_at;
            is_over := to_tick IS NULL;
            p_removal.at_tick := coalesce(to_tick, '-infinity');
        WHEN 'quotas' THEN
            to_tick := (SELECT max(next.tick_at) FROM (SELECT q.tick_at FROM thaw.account_quotas AS q WHERE q.tick_at > p_removal.at_tick ORDER BY q.tick_at LIMIT 10 * p_size) AS next);
            DELETE FROM thaw.account_quotas AS q WHERE q.tick_at > p_removal.at_tick AND q.tick_at <= to_tick AND q.account_id = ANY (seats);
            is_over := to_tick IS NULL;
            p_removal.at_tick := coalesce(to_tick, '-infinity');
        WHEN 'campaigns' THEN
            -- Few at a time: Postgres looks for enrollments of each, without an index.
            ids := ARRAY(SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = gone ORDER BY c.id LIMIT greatest(1, p_size / 100));
            PERFORM FROM thaw.heals AS h
            WHERE h.id IN (SELECT event.heal_id FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids)) ORDER BY h.id FOR NO KEY UPDATE;
            PERFORM FROM thaw.campaigns AS c WHERE c.id = ANY (ids) ORDER BY c.id FOR UPDATE;
            PERFORM FROM thaw.sweeps AS s
            WHERE s.tick_at IN (SELECT event.tick_at FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids)) ORDER BY s.tick_at FOR NO KEY UPDATE;
            WITH forgotten AS (
                DELETE FROM thaw.campaign_events AS event WHERE event.campaign_id = ANY (ids) RETURNING event.*
            ), healed AS (
                UPDATE thaw.heals AS h SET campaigns_resumed = h.campaigns_resumed - line.n
                FROM (
                    SELECT forgotten.heal_id, count(*)::integer AS n FROM forgotten
                    WHERE forgotten.source = 'heal' AND forgotten.kind = 'resumed' GROUP BY forgotten.heal_id) AS line
                WHERE h.id = line.heal_id)
            UPDATE thaw.sweeps AS s SET campaigns_resumed = s.campaigns_resumed - line.n
            FROM (
                SELECT forgotten.tick_at, count(*)::integer AS n FROM forgotten
                WHERE forgotten.source = 'sweep' AND forgotten.kind = 'resumed' GROUP BY forgotten.tick_at) AS line
            WHERE s.tick_at = line.tick_at;
            DELETE FROM thaw.manual_actions AS d WHERE d.campaign_id = ANY (ids);
            DELETE FROM thaw.campaigns AS c WHERE c.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            is_over := ids = '{}';
        WHEN 'heals' THEN
            ids := ARRAY(
                SELECT h.id FROM thaw.heals AS h
                WHERE h.workspace_id = gone OR h.tenant_id = gone OR h.account_id = ANY (seats) ORDER BY h.id LIMIT p_size FOR UPDATE);
            DELETE FROM thaw.heals AS h WHERE h.id = ANY (ids);
            is_over := ids = '{}';
        WHEN 'seats' THEN
            ids := ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = gone ORDER BY a.id DESC LIMIT greatest(1, p_size / 100));
            PERFORM FROM thaw.accounts AS a
            WHERE (a.id = ANY (ids) OR a.link_id = ANY (ids)) AND a.workspace_id = gone ORDER BY a.id FOR UPDATE;
            UPDATE thaw.accounts AS a SET link_id = NULL WHERE a.link_id = ANY (ids) AND a.workspace_id = gone;
            DELETE FROM thaw.accounts AS a WHERE a.id = ANY (ids);
            p_removal.removed := p_removal.removed + cardinality(ids);
            is_over := ids = '{}';
        ELSE
            WITH RECURSIVE tied AS (
                SELECT d.id FROM thaw.manual_actions AS d WHERE d.workspace_id = gone AND d.id <> p_removal.action_id
                UNION
                SELECT later.id FROM tied JOIN thaw.manual_actions AS later ON later.undoes = tied.id)
            DELETE FROM thaw.manual_actions AS d WHERE d.id IN (SELECT tied.id FROM tied);
            -- Actions on prospects name no workspace. Those of which neither the history nor an
            -- enrollment is left lose what they say about the prospect.
            UPDATE thaw.manual_actions AS d SET prospect_url = NULL, detail = NULL, reason = '[removed]'
            WHERE d.prospect_url IS NOT NULL
                AND NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.prospect_url = d.prospect_url)
                AND NOT EXISTS (SELECT FROM thaw.enrollment_events AS event WHERE event.action_id = d.id);
            DELETE FROM thaw.api_tokens AS t WHERE t.workspace_id = gone;
            DELETE FROM thaw.workspace_served AS s WHERE s.workspace_id = gone;
            DELETE FROM thaw.forecasts;
            DELETE FROM thaw.workspaces AS w WHERE w.id = gone;
            is_over := true;
    END CASE;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.remove_workspace(
    workspace_key text, reason text, actor text DEFAULT current_user, size integer DEFAULT 1000,
    OUT phase text, OUT removed bigint, OUT remaining bigint, OUT done boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    phases    constant text[] := '{messages,enrollments,events,kept,accounts,plans,quotas,heals,campaigns,seats,changes,rest}';
    workspace thaw.workspaces;
    removal   thaw.workspace_removals;
    part      record;
    found     bigint;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    workspace.id := thaw.find_workspace(remove_workspace.workspace_key);
    SELECT r.* INTO removal FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id;
    IF removal.workspace_id IS NULL THEN
        -- Before the workspace is locked: this reads all enrollments.
        found := (SELECT count(*) FROM thaw.enrollments AS e WHERE e.workspace_id = workspace.id)
            + (SELECT count(*) FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id)
            + (SELECT count(*) FROM thaw.campaigns AS c WHERE c.workspace_id = workspace.id);
    END IF;
    -- The workspace first: that is the lock order. Only its deletion needs the stronger lock, which
    -- would block inserts of the platform.
    IF removal.phase = 'rest' THEN
        SELECT w.* INTO workspace FROM thaw.workspaces AS w WHERE w.id = workspace.id FOR UPDATE;
    ELSE
        SELECT w.* INTO workspace FROM thaw.workspaces AS w WHERE w.id = workspace.id FOR NO KEY UPDATE;
    END IF;
    IF workspace.id IS NULL THEN
        PERFORM thaw.find_workspace(remove_workspace.workspace_key); -- another call has removed it meanwhile
    END IF;
    SELECT r.* INTO removal FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id FOR NO KEY UPDATE;
    IF removal.workspace_id IS NULL THEN
        INSERT INTO thaw.manual_actions AS d (what, actor, reason, detail)
        VALUES ('workspace_removed', remove_workspace.actor, remove_workspace.reason, workspace.key) RETURNING d.id INTO removal.action_id;
        INSERT INTO thaw.workspace_removals AS r (workspace_id, action_id, found)
        VALUES (workspace.id, removal.action_id, coalesce(found, 0))
        RETURNING r.* INTO removal;
        PERFORM FROM thaw.heals AS h
        WHERE h.status = 'running' AND (h.workspace_id = workspace.id OR h.tenant_id = workspace.id
            OR h.account_id IN (SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id))
        ORDER BY h.id FOR NO KEY UPDATE;
        UPDATE thaw.heals AS h SET status = 'stopped', stopped_at = thaw.now(), stopped_reason = 'the workspace is being removed'
        WHERE h.status = 'running' AND (h.workspace_id = workspace.id OR h.tenant_id = workspace.id
            OR h.account_id IN (SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = workspace.id));
    END IF;
    -- The platform may have turned it on again.
    UPDATE thaw.workspaces AS w SET auto_resume = false, auto_resume_reason = 'the workspace is being removed',
        auto_resume_changed_at = thaw.now(), auto_resume_changed_by = remove_workspace.actor
    WHERE w.id = workspace.id AND w.auto_resume;
    BEGIN
        part := thaw.remove_part(removal, greatest(1, least(size, 100000)));
        removal := part.p_removal;
        IF part.is_over THEN
            removal.phase := phases[array_position(phases, removal.phase) + 1];
            removal.at_id := 0;
            removal.at_tick := '-infinity';
        END IF;
    EXCEPTION
    WHEN deadlock_detected THEN
        NULL; -- this batch changed nothing, and the next call tries it again
    WHEN foreign_key_violation THEN
        -- Rows that another transaction held, or that were inserted since the walk passed.
        IF removal.restarts >= 5 THEN
            RAISE EXCEPTION 'workspace "%" still gets new rows', workspace.key
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Stop the platform''s writes to this workspace, then continue the removal.';
        END IF;
        removal.restarts := removal.restarts + 1;
        removal.phase := 'messages';
        removal.at_id := 0;
        removal.at_tick := '-infinity';
    END;
    done := removal.phase IS NULL;
    phase := coalesce(removal.phase, 'done');
    removed := removal.removed;
    remaining := CASE WHEN done THEN 0 ELSE greatest(removal.found - removal.removed, 1) END;
    IF done THEN
        DELETE FROM thaw.workspace_removals AS r WHERE r.workspace_id = workspace.id;
        UPDATE thaw.manual_actions AS d SET enrollments = least(removal.removed, 2147483647) WHERE d.id = removal.action_id;
    ELSE
        UPDATE thaw.workspace_removals AS r SET phase = removal.phase, at_id = removal.at_id, at_tick = removal.at_tick,
            removed = removal.removed, restarts = removal.restarts
        WHERE r.workspace_id = workspace.id;
        SET LOCAL synchronous_commit = off;
    END IF;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.remove_workspace(text, text, text, integer) IS
    'Removes a workspace with everything that belongs to it, one batch per call, until done: enrollments, accounts, campaigns, history, signals, plans, heals, messages, tokens, manual actions, and changes of an adoption that wait. Call it in a transaction of its own. Cannot be undone. thaw workspace remove calls it. For the owner of the schema and roles that were granted it.';

REVOKE ALL ON FUNCTION thaw.forget_events(thaw.enrollment_events[]), thaw.is_kept_of(thaw.adopt_errors, bigint), thaw.remove_part(thaw.workspace_removals, integer),
    thaw.remove_workspace(text, text, text, integer) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.remove_workspace(text, text, text, integer);
DROP FUNCTION thaw.remove_part(thaw.workspace_removals, integer);
DROP FUNCTION thaw.is_kept_of(thaw.adopt_errors, bigint);
DROP FUNCTION thaw.forget_events(thaw.enrollment_events[]);
DROP TABLE thaw.workspace_removals;

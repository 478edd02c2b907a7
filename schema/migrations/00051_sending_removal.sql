-- Erasure, offboarding and retention of the ledger of actions: the functions of
-- 00020_retention.sql, 00038_erasure.sql and 00039_offboarding.sql with the tables of sending.
-- Overrides, windows, holds and steps belong to workspaces, accounts and campaigns, and are removed
-- with them.

-- +goose Up

INSERT INTO thaw.retention (part, turn) SELECT 'actions', max(r.turn) + 1 FROM thaw.retention AS r;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.find_mentions(p_person text, p_mention text, p_size integer) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line  record;
    keys  jsonb;
    found jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(found.key), ''[]'') FROM (SELECT t.%I::text AS key FROM thaw.%I AS t WHERE %s LIMIT $3) AS found',
            line.key_name, line.table_name, CASE line.table_name
                WHEN 'enrollments' THEN line.condition || ' OR t.prospect_url ~* $2'
                WHEN 'actions' THEN line.condition || ' OR t.prospect_url ~* $1'
                WHEN 'manual_actions' THEN line.condition || ' OR t.prospect_url ~* $1'
                -- A prospect whose rows are all of this person.
                WHEN 'adopt_errors' THEN line.condition || $c$ OR t.kind = 'enrollment' AND EXISTS (
                    SELECT FROM thaw.enrollments AS e WHERE e.external_id = t.external_id HAVING bool_and(e.prospect_url ~* $2))$c$
                ELSE line.condition END)
        INTO keys USING p_mention, p_person, p_size;
        found := found || jsonb_build_object(line.table_name, keys);
    END LOOP;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.erase_found(p_found jsonb, p_person text, p_mention text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line   record;
    keys   text[];
    gone   bigint[] := '{}';
    n      bigint;
    done   bigint;
    counts jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        keys := ARRAY(SELECT jsonb_array_elements_text(p_found -> line.table_name));
        done := 0;
        -- A statement of its own: the next one sees what other transactions have changed until now.
        EXECUTE format('SELECT array_agg(held.key) FROM (
                SELECT t.%1$I::text AS key FROM thaw.%2$I AS t WHERE t.%1$I = ANY ($1::%3$s[]) FOR NO KEY UPDATE SKIP LOCKED) AS held',
            line.key_name, line.table_name, line.key_type) INTO keys USING keys;
        CASE line.table_name
        WHEN 'adopt_errors' THEN
            DELETE FROM thaw.adopt_errors AS x
            WHERE x.id = ANY (keys::bigint[]) AND (x.change::text ~* p_person OR x.kind = 'enrollment' AND EXISTS (
                SELECT FROM thaw.enrollments AS e WHERE e.external_id = x.external_id HAVING bool_and(e.prospect_url ~* p_person)));
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'enrollments' THEN
            WITH deleted AS (
                DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (keys::bigint[]) AND e.prospect_url ~* p_person RETURNING e.id)
            SELECT coalesce(array_agg(deleted.id), '{}') INTO gone FROM deleted;
            done := cardinality(gone);
            counts := counts || jsonb_build_object('gone', done);
        WHEN 'enrollment_events' THEN
            -- All text about a prospect that is gone. These rows are found by the prospect.
            UPDATE thaw.enrollment_events AS event SET detail = NULL WHERE event.enrollment_id = ANY (gone) AND event.detail IS NOT NULL;
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'manual_actions' THEN
            -- The text of an action on the prospect is about this person, whatever it says.
            UPDATE thaw.manual_actions AS d SET
                prospect_url = CASE WHEN d.prospect_url !~* p_mention THEN d.prospect_url END,
                actor = regexp_replace(d.actor, p_mention, '[erased]', 'gi'),
                reason = CASE WHEN d.prospect_url ~* p_person THEN '[erased]' ELSE regexp_replace(d.reason, p_mention, '[erased]', 'gi') END,
                detail = CASE WHEN d.prospect_url ~* p_person THEN NULL ELSE regexp_replace(d.detail, p_mention, '[erased]', 'gi') END
            WHERE d.id = ANY (keys::bigint[])
                AND (d.prospect_url ~* p_mention OR d.actor ~* p_mention OR d.reason ~* p_mention OR d.detail ~* p_mention);
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'actions' THEN
            -- The ledger keeps that a sender used an action, and no longer for whom. The mark
            -- differs by row, because a sender has one open invite per prospect.
            UPDATE thaw.actions AS a SET prospect_url = '[erased ' || a.id || ']',
                provider_ref = CASE WHEN a.provider_ref IS NOT NULL THEN '[erased]' END
            WHERE a.id = ANY (keys::bigint[]) AND a.prospect_url ~* p_mention;
            GET DIAGNOSTICS done = ROW_COUNT;
        ELSE
            NULL;
        END CASE;
        EXECUTE format('UPDATE thaw.%I AS t SET %s WHERE t.%I = ANY ($2::%s[]) AND (%s)', line.table_name, line.changes, line.key_name, line.key_type, line.condition)
        USING p_mention, keys;
        GET DIAGNOSTICS n = ROW_COUNT;
        -- A row of the audit log may have been changed twice.
        counts := counts || jsonb_build_object(line.table_name, least(done + n, coalesce(cardinality(keys), 0)
            + CASE line.table_name WHEN 'enrollment_events' THEN done ELSE 0 END));
    END LOOP;
    RETURN counts;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.remove_part(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
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
        WHEN 'actions' THEN
            to_id := (SELECT max(next.id) FROM (SELECT a.id FROM thaw.actions AS a WHERE a.id > p_removal.at_id ORDER BY a.id LIMIT 10 * p_size) AS next);
            -- What a person used in the last 168 hours stays used, because the person may send for
            -- other workspaces too. These rows lose everything else, and retention removes them.
            DELETE FROM thaw.actions AS a
            WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone
                AND NOT (a.state IN ('started', 'sent', 'unknown') AND a.used_at > thaw.now() - interval '8 days');
            UPDATE thaw.actions AS a SET
                prospect_url = '[removed ' || a.id || ']', member_id = NULL, actor = '[removed]', error_code = NULL,
                provider_ref = CASE WHEN a.provider_ref IS NOT NULL THEN '[removed]' END,
                state = CASE a.state WHEN 'started' THEN 'unknown' ELSE a.state END, lease_until = NULL, settled_at = coalesce(a.settled_at, thaw.now())
            WHERE a.id > p_removal.at_id AND a.id <= to_id AND a.workspace_id = gone;
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
            DELETE FROM thaw.senders AS s
            WHERE NOT EXISTS (SELECT FROM thaw.sending_accounts AS sending WHERE sending.sender_id = s.id)
                AND NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.sender_id = s.id);
            DELETE FROM thaw.workspaces AS w WHERE w.id = gone;
            is_over := true;
    END CASE;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.remove_workspace(
    workspace_key text, reason text, actor text DEFAULT current_user, size integer DEFAULT 1000,
    OUT phase text, OUT removed bigint, OUT remaining bigint, OUT done boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    phases    constant text[] := '{messages,enrollments,events,kept,actions,accounts,plans,quotas,heals,campaigns,seats,changes,rest}';
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

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamptz, p_size integer)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached bigint;
    line    record;
BEGIN
    FOR line IN EXECUTE format('SELECT t.id, t.%I AS at FROM thaw.%I AS t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
        CASE p_walk.part WHEN 'account_signals' THEN 'received_at' WHEN 'heals' THEN 'requested_at' WHEN 'actions' THEN 'reserved_at' ELSE 'at' END, p_walk.part)
        USING p_walk.walk_id, p_size
    LOOP
        EXIT WHEN line.at >= p_before;
        reached := line.id;
    END LOOP;
    RETURN reached;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.prune_ids(p_part text, p_after bigint, p_to bigint) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed integer;
    senders bigint[];
BEGIN
    CASE p_part
        -- Keeps the events of a pause that has not ended: they explain why the prospect is paused.
        WHEN 'enrollment_events' THEN
            DELETE FROM thaw.enrollment_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT e.paused_at = event.paused_at FROM thaw.enrollments AS e
                     WHERE e.id = event.enrollment_id AND e.status = 'paused') IS NOT TRUE;
        WHEN 'campaign_events' THEN
            DELETE FROM thaw.campaign_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT c.paused_at <= event.at FROM thaw.campaigns AS c
                     WHERE c.id = event.campaign_id AND c.status = 'paused') IS NOT TRUE;
        -- Keeps the newest event of an account: since when it has its status.
        WHEN 'account_events' THEN
            DELETE FROM thaw.account_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND EXISTS (
                    SELECT FROM thaw.account_events AS newer
                    WHERE newer.account_id = event.account_id AND newer.id > event.id);
        -- Keeps the newest applied signal of an account, and a signal whose job is not done.
        -- Signals of unknown accounts are not kept beyond their age: an account that appears later
        -- starts without them.
        WHEN 'account_signals' THEN
            DELETE FROM thaw.account_signals AS s
            WHERE s.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.account_signals AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND CASE old.outcome
                        WHEN 'applied' THEN
                            EXISTS (
                                SELECT FROM thaw.account_signals AS newer
                                WHERE newer.provider = old.provider
                                    AND newer.provider_account_id = old.provider_account_id
                                    AND newer.outcome = 'applied' AND newer.id > old.id)
                            AND (old.finished_at IS NOT NULL OR NOT thaw.is_enqueued(
                                CASE WHEN old.status = 'connected' OR old.kind = 'unlock' THEN 'resume_account' ELSE 'pause_account' END,
                                jsonb_build_object('account_id', old.account_id, 'signal_id', old.id)))
                        ELSE true
                    END
                FOR UPDATE OF old SKIP LOCKED));
        -- Keeps what caps still count, what is under way or unknown, what the step of an enrollment
        -- or an invite may not repeat, and the senders that are left. Of a removed workspace, only
        -- what caps count.
        WHEN 'actions' THEN
            WITH gone AS (
                DELETE FROM thaw.actions AS a
                WHERE a.ctid = ANY (ARRAY(
                    SELECT old.ctid
                    FROM thaw.actions AS old
                    WHERE old.id > p_after AND old.id <= p_to AND old.lease_until IS NULL
                        AND old.used_at < thaw.now() - interval '8 days'
                        AND (EXISTS (SELECT FROM thaw.workspaces AS w WHERE w.id = old.workspace_id) AND (
                            old.state = 'unknown'
                            OR old.kind = 'invite' AND (old.is_used OR old.state = 'already') AND coalesce(old.closed_as, 'accepted') = 'accepted'
                            OR old.closed_as = 'withdrawn' AND old.closed_at > thaw.now() - interval '21 days'
                            OR (old.is_used OR old.state = 'already') AND EXISTS (
                                SELECT FROM thaw.enrollments AS e WHERE e.id = old.enrollment_id AND e.step <= old.step))) IS NOT TRUE
                    FOR UPDATE OF old SKIP LOCKED))
                RETURNING a.sender_id
            )
            SELECT count(*), array_agg(DISTINCT gone.sender_id) INTO removed, senders FROM gone;
            DELETE FROM thaw.senders AS s
            WHERE s.id = ANY (senders) AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS sending WHERE sending.sender_id = s.id)
                AND NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.sender_id = s.id);
            RETURN removed;
        -- Keeps messages that are still open or not yet delivered.
        WHEN 'outbox' THEN
            DELETE FROM thaw.outbox AS message
            WHERE message.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.outbox AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND NOT old.is_open
                    AND NOT EXISTS (
                        SELECT FROM thaw.webhook_deliveries AS d
                        WHERE d.outbox_id = old.id AND d.state = 'waiting' AND thaw.is_enqueued(
                            'deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', old.message_id)))
                FOR UPDATE OF old SKIP LOCKED));
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DELETE FROM thaw.retention WHERE part = 'actions';
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.find_mentions(p_person text, p_mention text, p_size integer) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line  record;
    keys  jsonb;
    found jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(found.key), ''[]'') FROM (SELECT t.%I::text AS key FROM thaw.%I AS t WHERE %s LIMIT $3) AS found',
            line.key_name, line.table_name, CASE line.table_name
                WHEN 'enrollments' THEN line.condition || ' OR t.prospect_url ~* $2'
                WHEN 'manual_actions' THEN line.condition || ' OR t.prospect_url ~* $1'
                -- A prospect whose rows are all of this person.
                WHEN 'adopt_errors' THEN line.condition || $c$ OR t.kind = 'enrollment' AND EXISTS (
                    SELECT FROM thaw.enrollments AS e WHERE e.external_id = t.external_id HAVING bool_and(e.prospect_url ~* $2))$c$
                ELSE line.condition END)
        INTO keys USING p_mention, p_person, p_size;
        found := found || jsonb_build_object(line.table_name, keys);
    END LOOP;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.erase_found(p_found jsonb, p_person text, p_mention text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line   record;
    keys   text[];
    gone   bigint[] := '{}';
    n      bigint;
    done   bigint;
    counts jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        keys := ARRAY(SELECT jsonb_array_elements_text(p_found -> line.table_name));
        done := 0;
        -- A statement of its own: the next one sees what other transactions have changed until now.
        EXECUTE format('SELECT array_agg(held.key) FROM (
                SELECT t.%1$I::text AS key FROM thaw.%2$I AS t WHERE t.%1$I = ANY ($1::%3$s[]) FOR NO KEY UPDATE SKIP LOCKED) AS held',
            line.key_name, line.table_name, line.key_type) INTO keys USING keys;
        CASE line.table_name
        WHEN 'adopt_errors' THEN
            DELETE FROM thaw.adopt_errors AS x
            WHERE x.id = ANY (keys::bigint[]) AND (x.change::text ~* p_person OR x.kind = 'enrollment' AND EXISTS (
                SELECT FROM thaw.enrollments AS e WHERE e.external_id = x.external_id HAVING bool_and(e.prospect_url ~* p_person)));
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'enrollments' THEN
            WITH deleted AS (
                DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (keys::bigint[]) AND e.prospect_url ~* p_person RETURNING e.id)
            SELECT coalesce(array_agg(deleted.id), '{}') INTO gone FROM deleted;
            done := cardinality(gone);
            counts := counts || jsonb_build_object('gone', done);
        WHEN 'enrollment_events' THEN
            -- All text about a prospect that is gone. These rows are found by the prospect.
            UPDATE thaw.enrollment_events AS event SET detail = NULL WHERE event.enrollment_id = ANY (gone) AND event.detail IS NOT NULL;
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'manual_actions' THEN
            -- The text of an action on the prospect is about this person, whatever it says.
            UPDATE thaw.manual_actions AS d SET
                prospect_url = CASE WHEN d.prospect_url !~* p_mention THEN d.prospect_url END,
                actor = regexp_replace(d.actor, p_mention, '[erased]', 'gi'),
                reason = CASE WHEN d.prospect_url ~* p_person THEN '[erased]' ELSE regexp_replace(d.reason, p_mention, '[erased]', 'gi') END,
                detail = CASE WHEN d.prospect_url ~* p_person THEN NULL ELSE regexp_replace(d.detail, p_mention, '[erased]', 'gi') END
            WHERE d.id = ANY (keys::bigint[])
                AND (d.prospect_url ~* p_mention OR d.actor ~* p_mention OR d.reason ~* p_mention OR d.detail ~* p_mention);
            GET DIAGNOSTICS done = ROW_COUNT;
        ELSE
            NULL;
        END CASE;
        EXECUTE format('UPDATE thaw.%I AS t SET %s WHERE t.%I = ANY ($2::%s[]) AND (%s)', line.table_name, line.changes, line.key_name, line.key_type, line.condition)
        USING p_mention, keys;
        GET DIAGNOSTICS n = ROW_COUNT;
        -- A row of the audit log may have been changed twice.
        counts := counts || jsonb_build_object(line.table_name, least(done + n, coalesce(cardinality(keys), 0)
            + CASE line.table_name WHEN 'enrollment_events' THEN done ELSE 0 END));
    END LOOP;
    RETURN counts;
END;
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.remove_part(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql
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
CREATE OR REPLACE FUNCTION thaw.remove_workspace(
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.advance_walk(p_walk thaw.retention, p_before timestamptz, p_size integer)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached bigint;
    line    record;
BEGIN
    FOR line IN EXECUTE format('SELECT t.id, t.%I AS at FROM thaw.%I AS t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
        CASE p_walk.part WHEN 'account_signals' THEN 'received_at' WHEN 'heals' THEN 'requested_at' ELSE 'at' END, p_walk.part)
        USING p_walk.walk_id, p_size
    LOOP
        EXIT WHEN line.at >= p_before;
        reached := line.id;
    END LOOP;
    RETURN reached;
END;
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.prune_ids(p_part text, p_after bigint, p_to bigint) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed integer;
BEGIN
    CASE p_part
        -- Keeps the events of a pause that has not ended: they explain why the prospect is paused.
        WHEN 'enrollment_events' THEN
            DELETE FROM thaw.enrollment_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT e.paused_at = event.paused_at FROM thaw.enrollments AS e
                     WHERE e.id = event.enrollment_id AND e.status = 'paused') IS NOT TRUE;
        WHEN 'campaign_events' THEN
            DELETE FROM thaw.campaign_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND (SELECT c.paused_at <= event.at FROM thaw.campaigns AS c
                     WHERE c.id = event.campaign_id AND c.status = 'paused') IS NOT TRUE;
        -- Keeps the newest event of an account: since when it has its status.
        WHEN 'account_events' THEN
            DELETE FROM thaw.account_events AS event
            WHERE event.id > p_after AND event.id <= p_to
                AND EXISTS (
                    SELECT FROM thaw.account_events AS newer
                    WHERE newer.account_id = event.account_id AND newer.id > event.id);
        -- Keeps the newest applied signal of an account, and a signal whose job is not done.
        -- Signals of unknown accounts are not kept beyond their age: an account that appears later
        -- starts without them.
        WHEN 'account_signals' THEN
            DELETE FROM thaw.account_signals AS s
            WHERE s.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.account_signals AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND CASE old.outcome
                        WHEN 'applied' THEN
                            EXISTS (
                                SELECT FROM thaw.account_signals AS newer
                                WHERE newer.provider = old.provider
                                    AND newer.provider_account_id = old.provider_account_id
                                    AND newer.outcome = 'applied' AND newer.id > old.id)
                            AND (old.finished_at IS NOT NULL OR NOT thaw.is_enqueued(
                                CASE WHEN old.status = 'connected' OR old.kind = 'unlock' THEN 'resume_account' ELSE 'pause_account' END,
                                jsonb_build_object('account_id', old.account_id, 'signal_id', old.id)))
                        ELSE true
                    END
                FOR UPDATE OF old SKIP LOCKED));
        -- Keeps messages that are still open or not yet delivered.
        WHEN 'outbox' THEN
            DELETE FROM thaw.outbox AS message
            WHERE message.ctid = ANY (ARRAY(
                SELECT old.ctid
                FROM thaw.outbox AS old
                WHERE old.id > p_after AND old.id <= p_to
                    AND NOT old.is_open
                    AND NOT EXISTS (
                        SELECT FROM thaw.webhook_deliveries AS d
                        WHERE d.outbox_id = old.id AND d.state = 'waiting' AND thaw.is_enqueued(
                            'deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', old.message_id)))
                FOR UPDATE OF old SKIP LOCKED));
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END;
$$;
-- +goose StatementEnd

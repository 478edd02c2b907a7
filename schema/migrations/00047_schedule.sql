-- The scheduler: which actions are given out, to senders that poll (thaw.claim_actions) and to
-- those that are called (the job schedule).
--
-- sending_accounts.next_at is the earliest time at which an account may have something to do. The
-- scheduler looks only at accounts whose time has come, so its cost follows what can be done now.
-- An account at a closed gate is looked at again when the gate opens.
--
-- A platform that only asks the gate gives out its actions by itself (thaw.reserve). Then
-- thaw.look_at notes the gates of its accounts, so that "due" means the same for every platform:
-- the gates are open.
--
-- Whatever may open a gate earlier appends a nudge. Nudges are only inserted, so a write of the
-- platform never waits for the scheduler. No nudge is lost: the scheduler locks the rows of
-- sending_accounts before it looks for due actions, and take_nudges keeps the nudges of locked
-- rows. So either the scheduler sees the new action, or the nudge is applied after it. As a safety
-- net, an account at a gate without a known opening is looked at again every hour.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.accounts, thaw.campaigns, thaw.enrollments, thaw.workspaces, thaw.safety, thaw.action_limits, thaw.action_ceilings, thaw.action_overrides, thaw.sending_windows, thaw.action_holds IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.accounts, thaw.campaigns, thaw.enrollments, thaw.workspaces, thaw.safety, thaw.action_limits, thaw.action_ceilings, thaw.action_overrides, thaw.sending_windows, thaw.action_holds IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE thaw.nudges (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX nudges_account_idx ON thaw.nudges (account_id, at);
COMMENT ON TABLE thaw.nudges IS 'Accounts to look at again from a given time. Removed within a second by the worker processes (thaw.take_nudges).';

-- One nudge per account and transaction is enough. That of another transaction is no substitute: it
-- may have been applied before this one commits.
-- +goose StatementBegin
CREATE FUNCTION thaw.nudge(p_account_id bigint, p_at timestamptz) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_at timestamptz := greatest(p_at, thaw.now());
BEGIN
    INSERT INTO thaw.nudges (account_id, at)
    SELECT p_account_id, from_at
    WHERE NOT EXISTS (
        SELECT FROM thaw.nudges AS n WHERE n.account_id = p_account_id AND n.at <= from_at AND n.xmin = pg_current_xact_id_if_assigned()::xid);
END;
$$;
-- +goose StatementEnd

-- The other accounts of a person, which share its quota.
-- +goose StatementBegin
CREATE FUNCTION thaw.nudge_siblings(p_sender_id bigint, p_account_id bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge(s.account_id, thaw.now()) FROM thaw.sending_accounts AS s
    WHERE s.sender_id = p_sender_id AND s.account_id <> p_account_id AND (s.code IS NOT NULL OR s.next_at <= thaw.now());
END;
$$;
-- +goose StatementEnd

-- Applies the nudges, at most p_size, and returns how many.
-- +goose StatementBegin
CREATE FUNCTION thaw.take_nudges(p_size integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    accounts bigint[];
    times    timestamptz[];
    ready    bigint[];
    kept     integer;
    taken    integer;
BEGIN
    WITH gone AS (
        DELETE FROM thaw.nudges AS n
        WHERE n.id = ANY (ARRAY(SELECT oldest.id FROM thaw.nudges AS oldest ORDER BY oldest.id LIMIT p_size FOR UPDATE SKIP LOCKED))
        RETURNING n.account_id, n.at
    ), first AS (
        SELECT gone.account_id, min(gone.at) AS at, count(*) AS n FROM gone GROUP BY gone.account_id
    )
    SELECT array_agg(first.account_id ORDER BY first.account_id), array_agg(first.at ORDER BY first.account_id), coalesce(sum(first.n), 0)
    INTO accounts, times, taken FROM first;
    IF taken > 0 THEN
        -- Accounts and rows that another transaction has locked are not waited for, or it would
        -- hold up all other accounts: their nudges are kept for the next call. Changes of the
        -- person are left to the scheduler, which has locked the account.
        PERFORM thaw.ensure_senders(ARRAY(
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.id = ANY (accounts) AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS known WHERE known.account_id = a.id)
            ORDER BY a.id FOR KEY SHARE SKIP LOCKED));
        -- Every row is locked, also one that seems to be due: the scheduler may be about to note a
        -- later time.
        ready := ARRAY(
            SELECT s.account_id FROM thaw.sending_accounts AS s
            WHERE s.account_id = ANY (accounts) ORDER BY s.account_id FOR NO KEY UPDATE SKIP LOCKED);
        -- IS TRUE: the list of accounts is hashed.
        UPDATE thaw.sending_accounts AS s SET next_at = first.at
        FROM unnest(accounts, times) AS first (account_id, at)
        WHERE s.account_id = first.account_id AND (first.account_id IN (SELECT unnest(ready))) IS TRUE AND s.next_at > first.at;
        INSERT INTO thaw.nudges (account_id, at)
        SELECT first.account_id, first.at
        FROM unnest(accounts, times) AS first (account_id, at)
        JOIN thaw.accounts AS a ON a.id = first.account_id
        WHERE (first.account_id IN (SELECT unnest(ready))) IS NOT TRUE;
        GET DIAGNOSTICS kept = ROW_COUNT;
        taken := taken - kept;
    END IF;
    RETURN taken;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_nudges(integer) IS 'Notes which accounts may have something to send sooner. Every worker process calls it once a second.';

-- What may open a gate, or make an action due.

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_nudge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge(NEW.account_id, NEW.due_at);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER enrollments_nudge_update AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.due_at IS NOT NULL AND NEW.account_id IS NOT NULL AND (
        OLD.due_at IS DISTINCT FROM NEW.due_at OR OLD.account_id IS DISTINCT FROM NEW.account_id OR OLD.next_kind IS DISTINCT FROM NEW.next_kind))
    EXECUTE FUNCTION thaw.enrollments_nudge();
CREATE TRIGGER enrollments_nudge_insert AFTER INSERT ON thaw.enrollments
    FOR EACH ROW WHEN (NEW.due_at IS NOT NULL AND NEW.account_id IS NOT NULL) EXECUTE FUNCTION thaw.enrollments_nudge();

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_nudge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge(NEW.id, thaw.now());
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_nudge AFTER UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (NEW.status = 'connected' AND (
        OLD.status <> 'connected' OR OLD.locked_at IS NOT NULL AND NEW.locked_at IS NULL OR OLD.parked_reason IS NOT NULL AND NEW.parked_reason IS NULL
        OR OLD.hold_until IS DISTINCT FROM NEW.hold_until OR OLD.timezone IS DISTINCT FROM NEW.timezone OR OLD.tier <> NEW.tier))
    EXECUTE FUNCTION thaw.accounts_nudge();

-- +goose StatementBegin
CREATE FUNCTION thaw.campaigns_nudge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NEW.workspace_id);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER campaigns_nudge AFTER UPDATE OF status ON thaw.campaigns
    FOR EACH ROW WHEN (NEW.status = 'running' AND OLD.status <> 'running') EXECUTE FUNCTION thaw.campaigns_nudge();

-- Limits, windows, holds of kinds, shadow mode and safety mode change rarely. An account that is
-- due may be looked at now, by what was true before, and be noted with a gate after this.
-- +goose StatementBegin
CREATE FUNCTION thaw.nudge_workspace(p_workspace_id bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.nudges (account_id, at)
    SELECT s.account_id, thaw.now() FROM thaw.sending_accounts AS s
    WHERE (p_workspace_id IS NULL OR s.workspace_id = p_workspace_id) AND (s.code IS NOT NULL OR s.next_at <= thaw.now());
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.nudge_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge_workspace(CASE TG_OP WHEN 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER action_overrides_nudge AFTER INSERT OR UPDATE OR DELETE ON thaw.action_overrides
    FOR EACH ROW EXECUTE FUNCTION thaw.nudge_owner();
CREATE TRIGGER sending_windows_nudge AFTER INSERT OR UPDATE OR DELETE ON thaw.sending_windows
    FOR EACH ROW EXECUTE FUNCTION thaw.nudge_owner();

-- +goose StatementBegin
CREATE FUNCTION thaw.workspaces_nudge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NEW.id);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER workspaces_nudge AFTER UPDATE OF shadow ON thaw.workspaces
    FOR EACH ROW WHEN (OLD.shadow AND NOT NEW.shadow) EXECUTE FUNCTION thaw.workspaces_nudge();

-- +goose StatementBegin
CREATE FUNCTION thaw.nudge_all() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.nudge_workspace(NULL);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER safety_nudge AFTER UPDATE OF since ON thaw.safety
    FOR EACH ROW WHEN (OLD.since IS NOT NULL AND NEW.since IS NULL) EXECUTE FUNCTION thaw.nudge_all();
CREATE TRIGGER action_limits_nudge AFTER INSERT OR UPDATE ON thaw.action_limits FOR EACH STATEMENT EXECUTE FUNCTION thaw.nudge_all();
CREATE TRIGGER action_ceilings_nudge AFTER INSERT OR UPDATE ON thaw.action_ceilings FOR EACH STATEMENT EXECUTE FUNCTION thaw.nudge_all();

-- +goose StatementBegin
CREATE FUNCTION thaw.action_holds_nudge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The hold was of the person.
    PERFORM thaw.nudge(OLD.account_id, thaw.now()), thaw.nudge_siblings(OLD.sender_id, OLD.account_id);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER action_holds_nudge AFTER UPDATE OR DELETE ON thaw.action_holds FOR EACH ROW EXECUTE FUNCTION thaw.action_holds_nudge();

-- The campaigns and kinds of accounts with due actions, each with the earliest due time. A loose
-- index scan: one descent per account, campaign and kind, regardless of the number of rows.
-- +goose StatementBegin
CREATE FUNCTION thaw.due_lines(p_account_ids bigint[])
RETURNS TABLE (account_id bigint, campaign_id bigint, kind text, due_at timestamptz) LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE loose AS (
        SELECT account.id AS account_id, line.campaign_id, line.next_kind, line.due_at
        FROM unnest(p_account_ids) AS account (id)
        CROSS JOIN LATERAL (
            SELECT e.campaign_id, e.next_kind, e.due_at
            FROM thaw.enrollments AS e
            WHERE e.account_id = account.id AND e.due_at IS NOT NULL
            ORDER BY e.campaign_id, e.next_kind, e.due_at LIMIT 1) AS line
        UNION ALL
        SELECT loose.account_id, next.campaign_id, next.next_kind, next.due_at
        FROM loose
        CROSS JOIN LATERAL (
            SELECT e.campaign_id, e.next_kind, e.due_at
            FROM thaw.enrollments AS e
            WHERE e.account_id = loose.account_id AND e.due_at IS NOT NULL AND (e.campaign_id, e.next_kind) > (loose.campaign_id, loose.next_kind)
            ORDER BY e.campaign_id, e.next_kind, e.due_at LIMIT 1) AS next
    )
    SELECT loose.account_id, loose.campaign_id, loose.next_kind, loose.due_at FROM loose;
END;
-- +goose StatementEnd

-- The accounts whose time has come, at most p_limit, in the order in which they are served: the
-- workspaces take turns, and within a workspace the longest due is first. If very many are due,
-- those that have been due longest take part, and the longest due of up to 200 workspaces, the
-- first of which is drawn: with no more workspaces than that, each gets its equal share however
-- much is due in the others. So the cost does not depend on how many wait.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_to_look_at(p_limit integer, p_workspace_id bigint DEFAULT NULL) RETURNS TABLE (account_id bigint, place bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at         timestamptz := thaw.now();
    bound      integer := greatest(2 * p_limit, 1000);
    accounts   bigint[];
    workspaces bigint[];
    times      timestamptz[];
    first      bigint;
BEGIN
    IF p_workspace_id IS NOT NULL THEN
        RETURN QUERY
        SELECT s.account_id, row_number() OVER (ORDER BY s.next_at, s.account_id) FROM thaw.sending_accounts AS s
        WHERE s.workspace_id = p_workspace_id AND s.next_at <= at AND s.next_at < 'infinity'
        ORDER BY s.next_at, s.account_id LIMIT p_limit;
        RETURN;
    END IF;
    SELECT array_agg(oldest.account_id), array_agg(oldest.workspace_id), array_agg(oldest.next_at) INTO accounts, workspaces, times
    FROM (
        SELECT s.account_id, s.workspace_id, s.next_at FROM thaw.sending_accounts AS s
        WHERE s.next_at <= at AND s.next_at < 'infinity'
        ORDER BY s.next_at LIMIT bound) AS oldest;
    IF cardinality(accounts) = bound THEN
        first := 1 + floor(thaw.draw(format('workspace %s', at)) * (SELECT max(w.id) FROM thaw.workspaces AS w));
        SELECT accounts || array_agg(other.account_id), workspaces || array_agg(other.workspace_id), times || array_agg(other.next_at)
        INTO accounts, workspaces, times
        FROM (
            WITH RECURSIVE visited AS (
                SELECT first - 1 AS id, 0 AS n
                UNION ALL
                -- The next workspace with an account that is due at some time; after the last one,
                -- the first.
                SELECT coalesce(
                    (SELECT s.workspace_id FROM thaw.sending_accounts AS s
                     WHERE s.workspace_id > visited.id AND s.next_at < 'infinity' ORDER BY s.workspace_id, s.next_at LIMIT 1),
                    (SELECT s.workspace_id FROM thaw.sending_accounts AS s WHERE s.next_at < 'infinity' ORDER BY s.workspace_id, s.next_at LIMIT 1)),
                    visited.n + 1
                FROM visited WHERE visited.n < 200
            ), workspace AS MATERIALIZED (
                SELECT DISTINCT v.id FROM visited AS v
                WHERE v.n > 0 AND (SELECT s.next_at FROM thaw.sending_accounts AS s WHERE s.workspace_id = v.id AND s.next_at < 'infinity' ORDER BY s.next_at LIMIT 1) <= at
            )
            SELECT s.account_id, s.workspace_id, s.next_at
            FROM workspace
            CROSS JOIN LATERAL (
                SELECT x.* FROM thaw.sending_accounts AS x
                WHERE x.workspace_id = workspace.id AND x.next_at <= at AND x.next_at < 'infinity'
                ORDER BY x.next_at LIMIT (SELECT 1 + p_limit / count(*) FROM workspace)) AS s) AS other;
    END IF;
    RETURN QUERY
    SELECT turn.account_id, row_number() OVER (ORDER BY turn.round, turn.next_at, turn.account_id)
    FROM (
        SELECT one.*, row_number() OVER (PARTITION BY one.workspace_id ORDER BY one.next_at, one.account_id) AS round
        FROM (SELECT DISTINCT due.account_id, due.workspace_id, due.next_at FROM unnest(accounts, workspaces, times) AS due (account_id, workspace_id, next_at)) AS one) AS turn
    ORDER BY turn.round, turn.next_at, turn.account_id LIMIT p_limit;
END;
$$;
-- +goose StatementEnd

-- The first due actions of a campaign and kind of an account. Actions that are under way or unknown
-- are skipped: an account has few of them. The scalar subquery checks row by row, so that the
-- planner does not join with all enrollments. The planner sees into this function.
-- +goose StatementBegin
CREATE FUNCTION thaw.first_due(p_account_id bigint, p_campaign_id bigint, p_kind text, p_size integer) RETURNS TABLE (id bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.id FROM thaw.enrollments AS e
    WHERE e.account_id = p_account_id AND e.campaign_id = p_campaign_id AND e.next_kind = p_kind AND e.due_at IS NOT NULL
        AND (
            SELECT true FROM thaw.actions AS x
            WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already') LIMIT 1) IS NULL
    ORDER BY e.due_at, e.id LIMIT p_size;
END;
-- +goose StatementEnd

-- Whether a gate is about the prospect alone: those behind may go.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_passed(p_code text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p_code IN ('already_invited', 'already_connected', 'invite_withdrawn');
-- +goose StatementEnd

-- Notes that accounts in shadow mode have nothing to do, and returns the others. The end of shadow
-- mode is a nudge. The caller has locked their rows.
-- +goose StatementBegin
CREATE FUNCTION thaw.park_shadow(p_account_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    live bigint[];
BEGIN
    WITH parked AS (
        UPDATE thaw.sending_accounts AS s SET next_at = 'infinity', code = 'shadow_mode'
        FROM thaw.workspaces AS w
        WHERE s.account_id = ANY (p_account_ids) AND w.id = s.workspace_id AND w.shadow
        RETURNING s.account_id
    )
    SELECT array_agg(a.id) INTO live FROM unnest(p_account_ids) AS a (id) WHERE a.id NOT IN (SELECT parked.account_id FROM parked);
    RETURN live;
END;
$$;
-- +goose StatementEnd

-- Gives out at most one action per account and sender, for up to p_limit accounts whose time has
-- come, and notes when to look at each account again. Fair: across workspaces first (each gets an
-- equal share of the limit), then across accounts (the longest due first), then across the
-- campaigns of an account, which take turns. Accounts that another transaction has locked are left
-- to the next call. p_workspace_id null: all workspaces.
--
-- looked: how many accounts it looked at. 0: there is nothing to do now. action_ids: what was
-- reserved.
-- +goose StatementBegin
CREATE FUNCTION thaw.schedule_batch(
    p_limit integer, p_lease interval, p_actor text, p_workspace_id bigint DEFAULT NULL,
    OUT looked integer, OUT action_ids bigint[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    at       timestamptz := thaw.now();
    accounts bigint[];
    senders  bigint[];
    turns    bigint[];
    -- The campaigns and kinds of the accounts with due actions, and their places in the turn of the
    -- account.
    owners    bigint[];
    campaigns bigint[];
    kinds     text[];
    places    bigint[];
    -- The first due action of these, and those of them that no other transaction has locked.
    heads    bigint[];
    free     bigint[];
    live     bigint[]; -- not in shadow mode
    -- What one round reserved, and the accounts for which the next round tries something else.
    reserved bigint[];
    others   bigint[];
BEGIN
    looked := 0;
    action_ids := '{}';
    -- Of twice as many, so that several callers find work at the same time.
    SELECT array_agg(l.id) INTO accounts FROM (
        SELECT a.id
        FROM thaw.accounts_to_look_at(2 * p_limit, p_workspace_id) AS due
        JOIN thaw.accounts AS a ON a.id = due.account_id
        ORDER BY due.place LIMIT p_limit FOR NO KEY UPDATE OF a SKIP LOCKED) AS l;
    IF accounts IS NULL THEN
        RETURN;
    END IF;
    IF thaw.are_persons_unknown() THEN
        RETURN;
    END IF;
    PERFORM thaw.follow_persons(), thaw.ensure_senders(accounts);
    SELECT array_agg(l.id) INTO senders FROM (
        SELECT s.id FROM thaw.senders AS s
        WHERE s.id = ANY (ARRAY(SELECT sending.sender_id FROM thaw.sending_accounts AS sending WHERE sending.account_id = ANY (accounts)))
        ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED) AS l;
    -- In the order of thaw.take_nudges, which locks the same rows without the accounts. Another
    -- transaction may have served an account while this one waited. One account per sender, because
    -- its accounts share one pace. IS TRUE: the list of senders is hashed.
    SELECT array_agg(one.account_id), array_agg(one.turn) INTO accounts, turns FROM (
        SELECT DISTINCT ON (l.sender_id) l.account_id, coalesce(l.served_campaign_id, 0) AS turn
        FROM (
            SELECT sending.* FROM thaw.sending_accounts AS sending
            WHERE sending.account_id = ANY (accounts) ORDER BY sending.account_id FOR NO KEY UPDATE) AS l
        WHERE (l.sender_id IN (SELECT unnest(senders))) IS TRUE AND l.next_at <= at
        ORDER BY l.sender_id, l.served_at NULLS FIRST, l.account_id) AS one;
    looked := coalesce(cardinality(accounts), 0);
    IF looked = 0 THEN
        RETURN;
    END IF;
    live := thaw.park_shadow(accounts);
    SELECT array_agg(a.id), array_agg(a.turn) INTO accounts, turns
    FROM unnest(accounts, turns) AS a (id, turn) WHERE a.id IN (SELECT unnest(live));

    SELECT array_agg(turn.account_id), array_agg(turn.campaign_id), array_agg(turn.kind), array_agg(turn.place)
    INTO owners, campaigns, kinds, places
    FROM (
        SELECT line.*, row_number() OVER (
            PARTITION BY line.account_id
            ORDER BY line.due_at > at, line.campaign_id <= account.turn, line.campaign_id, line.due_at, line.kind) AS place
        FROM thaw.due_lines(accounts) AS line
        JOIN unnest(accounts, turns) AS account (id, turn) ON account.id = line.account_id) AS turn;
    PERFORM thaw.lock_campaign_caps(campaigns);

    others := accounts;
    -- First what is next in the turn of each account. If it is held up, one of the others may go.
    FOR round IN 1..2 LOOP
        heads := ARRAY(
            SELECT head.id
            FROM unnest(owners, campaigns, kinds, places) AS line (account_id, campaign_id, kind, place)
            CROSS JOIN LATERAL thaw.first_due(line.account_id, line.campaign_id, line.kind, 1) AS head
            -- In an expression, a list of accounts is hashed. In a join, each line may scan it.
            WHERE CASE round WHEN 1 THEN line.place = 1 ELSE line.place > 1 AND line.account_id IN (SELECT unnest(others)) END
            ORDER BY line.place);
        -- Rows that the platform has locked are left to the next look.
        free := ARRAY(
            SELECT l.id FROM (
                -- One that has moved since belongs to an account that is not locked.
                SELECT e.id FROM thaw.enrollments AS e
                WHERE e.id = ANY (heads) AND (e.account_id IN (SELECT unnest(accounts))) IS TRUE
                ORDER BY e.id FOR NO KEY UPDATE SKIP LOCKED) AS l);

        WITH result AS MATERIALIZED (
            SELECT r.*, thaw.is_passed(r.code) AS is_passed
            FROM thaw.reserve_rows(ARRAY(
                SELECT head.id FROM unnest(heads) WITH ORDINALITY AS head (id, place) JOIN unnest(free) AS unlocked (id) ON unlocked.id = head.id
                ORDER BY head.place), NULL, p_lease, p_actor) AS r
        ), deferred AS (
            -- A prospect who has an invite already does not hold up those behind. The next look
            -- decides again: the invite may be withdrawn by then.
            UPDATE thaw.enrollments AS e SET next_action_at = coalesce(result.opens_at, at + interval '1 day')
            FROM result WHERE e.id = result.enrollment_id AND result.is_passed
        ), behind AS MATERIALIZED (
            -- So do the next hundred behind, or a list of known prospects would take as many looks.
            -- One whose own invite is unknown is not known: it is due if that did not arrive.
            SELECT l.id FROM thaw.enrollments AS l
            WHERE l.id = ANY (ARRAY(
                SELECT next.id
                FROM (SELECT DISTINCT r.account_id, r.campaign_id FROM result AS r WHERE r.is_passed) AS line
                JOIN thaw.sending_accounts AS sending ON sending.account_id = line.account_id
                CROSS JOIN LATERAL (
                    SELECT e.id, e.prospect_url FROM thaw.enrollments AS e
                    WHERE e.account_id = line.account_id AND e.campaign_id = line.campaign_id AND e.next_kind = 'invite' AND e.due_at <= at
                    ORDER BY e.due_at, e.id LIMIT 100) AS next
                WHERE NOT next.id = ANY (heads) AND (
                    SELECT true FROM thaw.actions AS x
                    WHERE x.kind = 'invite' AND x.sender_id = sending.sender_id AND thaw.prospect_key(x.prospect_url) = thaw.prospect_key(next.prospect_url)
                        AND x.enrollment_id <> next.id
                        AND (x.is_used OR x.state = 'already') AND (x.closed_as IS NULL OR x.closed_as = 'accepted') LIMIT 1)))
            FOR NO KEY UPDATE SKIP LOCKED
        ), deferred_behind AS (
            UPDATE thaw.enrollments AS e SET next_action_at = at + interval '1 day' FROM behind WHERE e.id = behind.id
        ), look AS MATERIALIZED (
            -- When to look again: after the gap, or when the first gate opens.
            SELECT DISTINCT ON (account.id) account.id, result.action_id, result.campaign_id, result.code,
                CASE
                    WHEN result.action_id IS NOT NULL THEN result.next_allowed_at
                    WHEN result.is_passed THEN at + interval '1 second'
                    WHEN result.enrollment_id IS NOT NULL THEN coalesce(result.opens_at, at + interval '1 hour')
                    -- It may have been a row of this account.
                    WHEN cardinality(free) < cardinality(heads) THEN at + interval '1 minute'
                    -- Everything is under way or unknown, or nothing is due at all.
                    WHEN account.id IN (SELECT unnest(owners)) THEN at + interval '1 hour'
                    ELSE 'infinity'
                END AS next_at
            FROM unnest(others) AS account (id)
            LEFT JOIN result ON result.account_id = account.id
            ORDER BY account.id, result.action_id, next_at
        ), noted AS (
            UPDATE thaw.sending_accounts AS s SET
                next_at = look.next_at, code = look.code,
                served_at = CASE WHEN look.action_id IS NULL THEN s.served_at ELSE at END,
                served_campaign_id = CASE WHEN look.action_id IS NULL THEN s.served_campaign_id ELSE look.campaign_id END
            FROM look WHERE s.account_id = look.id AND (round = 1 OR look.action_id IS NOT NULL OR look.next_at < s.next_at)
        )
        SELECT array_agg(look.action_id) FILTER (WHERE look.action_id IS NOT NULL), array_agg(look.id) FILTER (
            WHERE look.action_id IS NULL
                AND look.id IN (SELECT line.account_id FROM unnest(owners, places) AS line (account_id, place) WHERE line.place > 1))
        INTO reserved, others FROM look;
        action_ids := action_ids || coalesce(reserved, '{}');
        EXIT WHEN others IS NULL;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- Looks at accounts whose time has come and gives nothing out. Those that can do nothing are noted
-- as by thaw.schedule_batch: the gate that opens first, and when to look again. The others stay
-- due, from the time at which they could go. The job watch calls it for what is due: a platform
-- that only asks the gate has no other scheduler. It locks only rows of sending_accounts, and waits
-- for none. Returns how many accounts it looked at, and how many of them could go.
-- +goose StatementBegin
CREATE FUNCTION thaw.look_at(p_account_ids bigint[], OUT looked integer, OUT due integer) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
    at        timestamptz := thaw.now();
    accounts  bigint[];
    owners    bigint[];
    campaigns bigint[];
    kinds     text[];
BEGIN
    looked := 0;
    due := 0;
    IF thaw.are_persons_unknown() THEN
        RETURN;
    END IF;
    -- A statement of its own: what is read below is not older than the locks (thaw.take_nudges).
    accounts := ARRAY(
        SELECT s.account_id FROM thaw.sending_accounts AS s
        WHERE s.account_id = ANY (p_account_ids) AND s.next_at <= at ORDER BY s.account_id FOR NO KEY UPDATE SKIP LOCKED);
    looked := cardinality(accounts);
    accounts := thaw.park_shadow(accounts);
    IF accounts IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(line.account_id), array_agg(line.campaign_id), array_agg(line.kind) INTO owners, campaigns, kinds FROM thaw.due_lines(accounts) AS line;
    WITH gate AS MATERIALIZED (
        SELECT g.account_id, g.campaign_id, g.kind, g.code, g.opens_at, thaw.is_passed(g.code) AS is_passed
        FROM thaw.action_gates(ARRAY(
            SELECT head.id
            FROM unnest(owners, campaigns, kinds) AS line (account_id, campaign_id, kind)
            CROSS JOIN LATERAL thaw.first_due(line.account_id, line.campaign_id, line.kind, 1) AS head), NULL) AS g
    ), behind AS MATERIALIZED (
        -- A prospect who has an invite already does not hold up those behind.
        SELECT g.account_id
        FROM thaw.action_gates(ARRAY(
            SELECT next.id FROM gate
            CROSS JOIN LATERAL thaw.first_due(gate.account_id, gate.campaign_id, gate.kind, 20) AS next
            WHERE gate.is_passed), NULL) AS g
        WHERE g.code IS NULL
    ), answer AS (
        SELECT gate.account_id, gate.code,
            -- A scheduler would defer the prospect, and does so if there is one.
            CASE WHEN gate.is_passed THEN at WHEN gate.code IS NOT NULL THEN coalesce(gate.opens_at, at + interval '1 hour') END AS next_at
        FROM gate
        UNION ALL
        SELECT behind.account_id, NULL, NULL FROM behind
    ), look AS MATERIALIZED (
        SELECT DISTINCT ON (account.id) account.id, answer.code, answer.account_id IS NOT NULL AND answer.code IS NULL AS is_open,
            -- Everything is under way or unknown, or nothing is due at all.
            coalesce(answer.next_at, CASE WHEN account.id IN (SELECT unnest(owners)) THEN at + interval '1 hour' ELSE 'infinity' END) AS next_at
        FROM unnest(accounts) AS account (id)
        LEFT JOIN answer ON answer.account_id = account.id
        ORDER BY account.id, answer.next_at NULLS FIRST
    ), noted AS (
        UPDATE thaw.sending_accounts AS s SET
            -- After a reservation, an account could go from the end of its gap.
            next_at = CASE WHEN look.is_open THEN greatest(s.next_at, (SELECT x.next_allowed_at FROM thaw.senders AS x WHERE x.id = s.sender_id)) ELSE look.next_at END,
            code = look.code
        FROM look WHERE s.account_id = look.id
    )
    SELECT count(*) FILTER (WHERE look.is_open) INTO due FROM look;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.look_at(bigint[]) IS
    'Notes which of the given accounts can send nothing now, why, and when to look at them again. Gives nothing out. The job watch calls it once a minute for accounts that are due.';

-- +goose StatementBegin
CREATE FUNCTION thaw.claim_actions(
    "limit" integer DEFAULT 100, lease interval DEFAULT NULL, workspace text DEFAULT NULL, actor text DEFAULT current_user
) RETURNS TABLE (
    reservation bigint, lease_until timestamptz, kind text, step integer, workspace_key text, workspace_external_id text, provider text, account text,
    account_external_id text, campaign text, campaign_external_id text, enrollment bigint, enrollment_external_id text, prospect_url text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    given bigint[];
BEGIN
    PERFORM thaw.require_actor(claim_actions.actor);
    IF claim_actions."limit" IS NULL OR claim_actions."limit" NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'the limit is %', coalesce(claim_actions."limit"::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Claim 1 to 1000 actions at a time.';
    END IF;
    SELECT b.action_ids INTO given FROM thaw.schedule_batch(
        claim_actions."limit", thaw.checked_lease(claim_actions.lease), claim_actions.actor,
        CASE WHEN claim_actions.workspace IS NOT NULL THEN thaw.find_workspace(claim_actions.workspace) END) AS b;
    RETURN QUERY
    SELECT a.id, a.lease_until, a.kind, a.step, w.key, w.external_id, a.provider, account.provider_account_id, account.external_id,
        campaign.key, campaign.external_id, a.enrollment_id, e.external_id, a.prospect_url
    FROM thaw.actions AS a
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id
    JOIN thaw.accounts AS account ON account.id = a.account_id
    JOIN thaw.campaigns AS campaign ON campaign.id = a.campaign_id
    JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
    WHERE a.id = ANY (given)
    ORDER BY a.id;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.claim_actions(integer, interval, text, text) IS
    'Reserves due actions for a sender that polls: at most limit, at most one per sender (the person behind an account), fair across workspaces, accounts and campaigns. Commit, then call thaw.start for each before the call to the provider, and thaw.settle after it. No rows: nothing can be done now; LISTEN thaw_actions notifies the sender.';

REVOKE ALL ON FUNCTION thaw.nudge(bigint, timestamptz), thaw.nudge_siblings(bigint, bigint), thaw.take_nudges(integer), thaw.enrollments_nudge(), thaw.accounts_nudge(), thaw.campaigns_nudge(),
    thaw.nudge_workspace(bigint), thaw.nudge_owner(), thaw.workspaces_nudge(), thaw.nudge_all(), thaw.action_holds_nudge(), thaw.due_lines(bigint[]),
    thaw.first_due(bigint, bigint, text, integer), thaw.is_passed(text), thaw.park_shadow(bigint[]), thaw.look_at(bigint[]),
    thaw.accounts_to_look_at(integer, bigint), thaw.schedule_batch(integer, interval, text, bigint), thaw.claim_actions(integer, interval, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.claim_actions(integer, interval, text, text);
DROP FUNCTION thaw.look_at(bigint[]);
DROP FUNCTION thaw.schedule_batch(integer, interval, text, bigint);
DROP FUNCTION thaw.park_shadow(bigint[]);
DROP FUNCTION thaw.is_passed(text);
DROP FUNCTION thaw.first_due(bigint, bigint, text, integer);
DROP FUNCTION thaw.accounts_to_look_at(integer, bigint);
DROP FUNCTION thaw.due_lines(bigint[]);
DROP TRIGGER action_ceilings_nudge ON thaw.action_ceilings;
DROP TRIGGER action_limits_nudge ON thaw.action_limits;
DROP TRIGGER action_holds_nudge ON thaw.action_holds;
DROP FUNCTION thaw.action_holds_nudge();
DROP TRIGGER safety_nudge ON thaw.safety;
DROP FUNCTION thaw.nudge_all();
DROP TRIGGER workspaces_nudge ON thaw.workspaces;
DROP FUNCTION thaw.workspaces_nudge();
DROP TRIGGER sending_windows_nudge ON thaw.sending_windows;
DROP TRIGGER action_overrides_nudge ON thaw.action_overrides;
DROP FUNCTION thaw.nudge_owner();
DROP FUNCTION thaw.nudge_workspace(bigint);
DROP TRIGGER campaigns_nudge ON thaw.campaigns;
DROP FUNCTION thaw.campaigns_nudge();
DROP TRIGGER accounts_nudge ON thaw.accounts;
DROP FUNCTION thaw.accounts_nudge();
DROP TRIGGER enrollments_nudge_insert ON thaw.enrollments;
DROP TRIGGER enrollments_nudge_update ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_nudge();
DROP FUNCTION thaw.take_nudges(integer);
DROP FUNCTION thaw.nudge_siblings(bigint, bigint);
DROP FUNCTION thaw.nudge(bigint, timestamptz);
DROP TABLE thaw.nudges;

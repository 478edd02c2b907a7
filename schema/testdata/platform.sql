-- A platform with tables of its own, and the triggers that thaw adopt would generate for them.
CREATE SCHEMA app;
CREATE TABLE app.seats (id integer PRIMARY KEY, team text NOT NULL, unipile_id text, state text NOT NULL);
CREATE TABLE app.sequences (id integer PRIMARY KEY, team text NOT NULL, state text NOT NULL);
CREATE TABLE app.leads (
    id integer PRIMARY KEY, sequence_id integer NOT NULL, seat_id integer, url text NOT NULL, state text NOT NULL, cause text,
    step integer NOT NULL DEFAULT 0, next_run_at timestamptz);

CREATE FUNCTION app.word(p_word text) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN (
    SELECT coalesce((
        SELECT jsonb_build_object('status', m.status)
        FROM (VALUES ('ok', 'connected'), ('credentials', 'disconnected'), ('new', 'connecting'), ('gone', 'removed'),
            ('live', 'running'), ('stopped', 'paused'), ('over', 'completed'),
            ('queued', 'pending'), ('running', 'active'), ('paused', 'paused'), ('finished', 'completed'), ('answered', 'replied'),
            ('bounced', 'failed')) AS m (word, status)
        WHERE m.word = p_word), jsonb_build_object('unknown', p_word)));

CREATE FUNCTION app.copy_seats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('thaw.applying', true) = 'on' THEN RETURN NULL; END IF;
    IF TG_OP = 'INSERT' THEN
        PERFORM thaw.take_accounts(jsonb_agg(jsonb_build_object('id', n.id, 'workspace', n.team, 'provider_account_id', n.unipile_id) || app.word(n.state)))
        FROM new_rows AS n HAVING count(*) > 0;
    ELSE
        PERFORM thaw.take_accounts(jsonb_agg(jsonb_build_object('id', n.id, 'workspace', n.team)
            || CASE WHEN n.state <> o.state THEN app.word(n.state) ELSE '{}' END
            || CASE WHEN n.unipile_id IS DISTINCT FROM o.unipile_id THEN jsonb_build_object('provider_account_id', n.unipile_id) ELSE '{}' END))
        FROM new_rows AS n JOIN old_rows AS o ON o.id = n.id
        WHERE (n.state, n.unipile_id) IS DISTINCT FROM (o.state, o.unipile_id) HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER copy_insert AFTER INSERT ON app.seats REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_seats();
CREATE TRIGGER copy_update AFTER UPDATE ON app.seats REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_seats();

CREATE FUNCTION app.copy_sequences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('thaw.applying', true) = 'on' THEN RETURN NULL; END IF;
    PERFORM thaw.take_campaigns(jsonb_agg(jsonb_build_object('id', n.id, 'workspace', n.team) || app.word(n.state)))
    FROM new_rows AS n HAVING count(*) > 0;
    RETURN NULL;
END;
$$;
CREATE TRIGGER copy_insert AFTER INSERT ON app.sequences REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_sequences();
CREATE TRIGGER copy_update AFTER UPDATE ON app.sequences REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_sequences();

CREATE FUNCTION app.copy_leads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('thaw.applying', true) = 'on' THEN RETURN NULL; END IF;
    IF TG_OP = 'INSERT' THEN
        PERFORM thaw.take_enrollments(jsonb_agg(jsonb_build_object('id', n.id, 'campaign', n.sequence_id, 'account', n.seat_id,
            'prospect_url', n.url, 'step', n.step, 'next_action_at', n.next_run_at)
            || app.word(n.state) || CASE WHEN n.state = 'paused' THEN app.cause(n.cause) ELSE '{}' END))
        FROM new_rows AS n HAVING count(*) > 0;
    ELSE
        PERFORM thaw.take_enrollments(jsonb_agg(jsonb_build_object('id', n.id, 'campaign', n.sequence_id, 'step', n.step, 'next_action_at', n.next_run_at)
            || CASE WHEN n.state <> o.state THEN app.word(n.state) ELSE '{}' END
            || CASE WHEN n.state = 'paused' AND (n.state, n.cause) IS DISTINCT FROM (o.state, o.cause) THEN app.cause(n.cause) ELSE '{}' END
            || CASE WHEN n.seat_id IS DISTINCT FROM o.seat_id THEN jsonb_build_object('account', n.seat_id) ELSE '{}' END
            || CASE WHEN n.url <> o.url THEN jsonb_build_object('prospect_url', n.url) ELSE '{}' END))
        FROM new_rows AS n JOIN old_rows AS o ON o.id = n.id
        WHERE (n.state, n.cause, n.seat_id, n.url, n.sequence_id) IS DISTINCT FROM (o.state, o.cause, o.seat_id, o.url, o.sequence_id)
            OR n.state <> 'running' AND (n.step, n.next_run_at) IS DISTINCT FROM (o.step, o.next_run_at)
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END;
$$;
CREATE FUNCTION app.cause(p_cause text) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN
    CASE p_cause WHEN 'account_lost' THEN '{"reason": "account_disconnected"}'::jsonb
        WHEN 'restricted' THEN '{"reason": "account_restricted"}'
        ELSE jsonb_build_object('reason', 'paused_by_user', 'own_reason', p_cause) END;
CREATE TRIGGER copy_insert AFTER INSERT ON app.leads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_leads();
CREATE TRIGGER copy_update AFTER UPDATE ON app.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_leads();
CREATE FUNCTION app.copy_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('thaw.applying', true) = 'on' THEN RETURN NULL; END IF;
    PERFORM thaw.take_enrollments(jsonb_agg(jsonb_build_object('id', o.id, 'campaign', o.sequence_id, 'deleted', true))) FROM old_rows AS o HAVING count(*) > 0;
    RETURN NULL;
END;
$$;
CREATE TRIGGER copy_delete AFTER DELETE ON app.leads REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.copy_gone();

SELECT thaw.start_adoption('a test');
SELECT thaw.take_workspaces('[{"id": "acme"}]');
SELECT thaw.go_live(NULL, 'a test');
INSERT INTO app.seats VALUES (1, 'acme', 'ann', 'ok'), (2, 'acme', 'bob', 'ok');
INSERT INTO app.sequences VALUES (1, 'acme', 'live');

-- What thaw adopt run does: one transaction that takes changes and writes the platform's rows.
CREATE FUNCTION app.apply_changes(n integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    changes jsonb;
    changed bigint[];
BEGIN
    PERFORM set_config('thaw.applying', 'on', true);
    SELECT jsonb_agg(to_jsonb(c)) INTO changes FROM thaw.take_changes('a test', n) AS c;
    IF changes IS NULL THEN RETURN 0; END IF;
    PERFORM s.id FROM app.seats AS s WHERE s.id IN (SELECT (c ->> 'account')::integer FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'account') ORDER BY s.id FOR NO KEY UPDATE;
    PERFORM s.id FROM app.sequences AS s WHERE s.id IN (SELECT (c ->> 'campaign')::integer FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'campaign') ORDER BY s.id FOR NO KEY UPDATE;
    PERFORM l.id FROM app.leads AS l WHERE l.id IN (SELECT (c ->> 'enrollment')::integer FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'enrollment') ORDER BY l.id FOR NO KEY UPDATE;
    UPDATE app.seats AS s SET state = CASE c.status WHEN 'connected' THEN 'ok' WHEN 'disconnected' THEN 'credentials' WHEN 'connecting' THEN 'new' ELSE 'gone' END
    FROM thaw.confirm_changes('account', ARRAY(SELECT c ->> 'account' FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'account')) AS c
    WHERE s.id = c.id::integer;
    UPDATE app.sequences AS s SET state = CASE c.status WHEN 'running' THEN 'live' ELSE 'stopped' END
    FROM thaw.confirm_changes('campaign', ARRAY(SELECT c ->> 'campaign' FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'campaign')) AS c
    WHERE s.id = c.id::integer;
    WITH written AS (
        UPDATE app.leads AS l SET state = CASE c.status WHEN 'active' THEN 'running' WHEN 'paused' THEN 'paused' ELSE 'queued' END,
            cause = CASE c.reason WHEN 'paused_by_user' THEN coalesce(c.own_reason, 'by a person') WHEN 'account_restricted' THEN 'restricted'
                ELSE CASE WHEN c.status = 'paused' THEN 'account_lost' END END,
            seat_id = c.account::integer, next_run_at = CASE WHEN c.status IN ('active', 'pending') THEN greatest(l.next_run_at, c.next_action_at) ELSE l.next_run_at END
        FROM thaw.confirm_changes('enrollment', ARRAY(SELECT c ->> 'enrollment' FROM jsonb_array_elements(changes) AS c WHERE c ->> 'kind' = 'enrollment')) AS c
        WHERE l.id = c.id::integer
        RETURNING l.id, l.state)
    SELECT array_agg(w.id) INTO changed FROM written AS w WHERE w.state = 'paused';
    -- The steps that the paused ones have now.
    PERFORM thaw.take_enrollments(jsonb_agg(jsonb_build_object('id', l.id, 'campaign', l.sequence_id, 'step', l.step, 'next_action_at', l.next_run_at)))
    FROM app.leads AS l WHERE l.id = ANY (changed) HAVING count(*) > 0;
    RETURN jsonb_array_length(changes);
END;
$$;

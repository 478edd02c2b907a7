-- Outgoing webhooks. A message is written in the transaction of the event that it reports, and jobs
-- deliver it.
--
-- A message is a row of the outbox. For each endpoint it has a delivery and a job, unique by
-- message and endpoint; the delivery stores the state. Signing secrets are not stored: they come
-- from the environment of the processes that sign.
--
-- A transaction that writes deliveries locks the endpoints in key-share mode first: it skips an
-- endpoint that was removed meanwhile, and does not fail. docs/design.md has the lock order.

-- +goose Up

CREATE TABLE thaw.webhook_endpoints (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url             text NOT NULL UNIQUE CHECK (url <> ''),
    created_at      timestamptz NOT NULL DEFAULT thaw.now(),
    disabled_at     timestamptz,
    disabled_reason text,
    CONSTRAINT webhook_endpoints_disabled_has_a_reason CHECK (
        (disabled_at IS NULL) = (disabled_reason IS NULL) AND disabled_reason <> '')
);
COMMENT ON TABLE thaw.webhook_endpoints IS 'The endpoints that receive messages. The first process that is started with a URL writes its row.';

CREATE TABLE thaw.outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id   text NOT NULL UNIQUE DEFAULT 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    at           timestamptz NOT NULL DEFAULT thaw.now(),
    type         text NOT NULL CHECK (type <> ''),
    workspace_id bigint,
    account_id   bigint,
    data         jsonb NOT NULL,
    is_open      boolean NOT NULL DEFAULT false,
    CONSTRAINT outbox_open_is_of_an_account CHECK (NOT is_open OR account_id IS NOT NULL)
);
COMMENT ON TABLE thaw.outbox IS 'Messages to the platform, written in the transaction of the event that they report.';
COMMENT ON COLUMN thaw.outbox.is_open IS 'Whether a pause in progress still adds to the message. It is delivered when the pause is done.';
CREATE UNIQUE INDEX outbox_one_open_per_account_key ON thaw.outbox (account_id) WHERE is_open;

CREATE TYPE thaw.delivery_state AS ENUM ('waiting', 'delivered', 'failed');

CREATE TABLE thaw.webhook_deliveries (
    outbox_id       bigint NOT NULL REFERENCES thaw.outbox (id) ON DELETE CASCADE,
    endpoint_id     bigint NOT NULL REFERENCES thaw.webhook_endpoints (id) ON DELETE CASCADE,
    state           thaw.delivery_state NOT NULL DEFAULT 'waiting',
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz DEFAULT thaw.now(),
    last_attempt_at timestamptz,
    last_status     integer,
    last_error      text,
    delivered_at    timestamptz,
    PRIMARY KEY (outbox_id, endpoint_id),
    CONSTRAINT webhook_deliveries_waiting_has_a_time CHECK ((state = 'waiting') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT webhook_deliveries_delivered_has_a_time CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
);
COMMENT ON TABLE thaw.webhook_deliveries IS 'One message to one endpoint, with the state of its delivery.';
COMMENT ON COLUMN thaw.webhook_deliveries.last_status IS 'HTTP status of the last response. Null: there was none.';
-- Counts waiting and failed deliveries by endpoint, and finds those of a removed endpoint.
CREATE INDEX webhook_deliveries_state_idx ON thaw.webhook_deliveries (endpoint_id, state, outbox_id);

INSERT INTO thaw.retention (part, turn) VALUES ('outbox', 11);

-- Whether an endpoint is enabled. Checked before every message, so that nothing is written without
-- one.
-- +goose StatementBegin
CREATE FUNCTION thaw.has_endpoint() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM thaw.webhook_endpoints AS e WHERE e.disabled_at IS NULL);
END;
$$;
-- +goose StatementEnd

-- The format of times in messages.
-- +goose StatementBegin
CREATE FUNCTION thaw.rfc3339(at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN to_char(rfc3339.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
-- +goose StatementEnd

-- The fields that identify the subject of a message, by the platform's names.
-- +goose StatementBegin
CREATE FUNCTION thaw.subject(p_workspace_id bigint, p_account_id bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'workspace', workspace.key, 'provider', account.provider, 'account', account.provider_account_id,
            'workspace_external_id', workspace.external_id, 'account_external_id', account.external_id))
        FROM (VALUES (p_account_id)) AS given (account_id)
        LEFT JOIN thaw.accounts AS account ON account.id = given.account_id
        LEFT JOIN thaw.workspaces AS workspace ON workspace.id = coalesce(p_workspace_id, account.workspace_id));
END;
$$;
-- +goose StatementEnd

-- Enqueues a message for every enabled endpoint and returns for how many. An endpoint that received
-- it before receives it again. p_failed: only endpoints for which delivery failed.
-- +goose StatementBegin
CREATE FUNCTION thaw.deliver(p_outbox_id bigint, p_failed boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    message  text := (SELECT o.message_id FROM thaw.outbox AS o WHERE o.id = p_outbox_id);
    endpoint bigint;
    given    integer := 0;
BEGIN
    FOR endpoint IN
        SELECT e.id
        FROM thaw.webhook_endpoints AS e
        WHERE e.disabled_at IS NULL AND (NOT p_failed OR EXISTS (
            SELECT FROM thaw.webhook_deliveries AS d
            WHERE d.outbox_id = p_outbox_id AND d.endpoint_id = e.id AND d.state = 'failed'))
        ORDER BY e.id FOR KEY SHARE OF e
    LOOP
        INSERT INTO thaw.webhook_deliveries AS d (outbox_id, endpoint_id) VALUES (p_outbox_id, endpoint)
        ON CONFLICT (outbox_id, endpoint_id) DO UPDATE SET
            state = 'waiting', attempts = 0, next_attempt_at = thaw.now(), delivered_at = NULL;
        -- One queue per endpoint: a slow endpoint does not delay others, and only processes with
        -- its secret read its queue.
        PERFORM thaw.enqueue('deliver', 'webhooks_' || endpoint, 2::smallint,
            jsonb_build_object('endpoint_id', endpoint, 'message_id', message));
        given := given + 1;
    END LOOP;
    RETURN given;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.publish(
    p_type text, p_workspace_id bigint DEFAULT NULL, p_account_id bigint DEFAULT NULL, p_data jsonb DEFAULT '{}'
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message record;
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN NULL;
    END IF;
    INSERT INTO thaw.outbox AS o (type, workspace_id, account_id, data)
    VALUES (p_type, p_workspace_id, p_account_id,
        thaw.subject(p_workspace_id, p_account_id) || jsonb_strip_nulls(p_data))
    RETURNING o.id, o.message_id INTO message;
    PERFORM thaw.deliver(message.id);
    RETURN message.message_id;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.publish(text, bigint, bigint, jsonb) IS
    'Writes a message to the platform, in the transaction of the event that it reports: p_data and the names of workspace and account. Returns the id of the message. Null: no endpoint is enabled, and nothing is written.';

-- Delivers the open message of a pause that is done. The caller has locked the account.
-- +goose StatementBegin
CREATE FUNCTION thaw.close_pause(p_account_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told bigint;
BEGIN
    UPDATE thaw.outbox AS o SET is_open = false WHERE o.account_id = p_account_id AND o.is_open
    RETURNING o.id INTO told;
    IF told IS NOT NULL THEN
        PERFORM thaw.deliver(told);
    END IF;
END;
$$;
-- +goose StatementEnd

-- Adds a batch of a pause to the open message of its account. The message belongs to the account
-- and not to the job: the counts of a cancelled job are reported together with those of the next
-- one.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_paused(
    p_account thaw.accounts, p_reason thaw.pause_reason, p_tick_at timestamptz, p_signal_id bigint, p_paused integer,
    p_campaigns_paused integer
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_paused + p_campaigns_paused = 0 OR NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    INSERT INTO thaw.outbox AS o (type, workspace_id, account_id, is_open, data)
    VALUES ('enrollments.paused', p_account.workspace_id, p_account.id, true,
        thaw.subject(p_account.workspace_id, p_account.id) || jsonb_strip_nulls(jsonb_build_object(
            'status', p_account.status, 'reason', p_reason, 'signal_id', p_signal_id, 'tick_at', thaw.rfc3339(p_tick_at),
            'paused', p_paused, 'campaigns_paused', p_campaigns_paused)))
    ON CONFLICT (account_id) WHERE is_open DO UPDATE SET
        at = excluded.at,
        data = excluded.data || jsonb_build_object(
            'paused', (o.data ->> 'paused')::integer + p_paused,
            'campaigns_paused', (o.data ->> 'campaigns_paused')::integer + p_campaigns_paused);
END;
$$;
-- +goose StatementEnd

-- Publishes how many pending prospects a pass moved to an account.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_moved(
    p_account thaw.accounts, p_lane thaw.lane, p_tick_at timestamptz, p_signal_id bigint, p_heal_id bigint, p_moved integer
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM thaw.publish('enrollments.moved', p_account.workspace_id, p_account.id, jsonb_build_object(
        'lane', p_lane, 'tick_at', thaw.rfc3339(p_tick_at), 'signal_id', p_signal_id, 'heal_id', p_heal_id, 'moved', p_moved));
END;
$$;
-- +goose StatementEnd

-- Publishes the result of a pass that resumed prospects. account.drained: no more prospects can be
-- resumed through this account now. Those that a person paused, or that are in a campaign that is
-- not running, do not count.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_resumed(
    p_account thaw.accounts, p_lane thaw.lane, p_even_if_off boolean, p_tick_at timestamptz, p_signal_id bigint,
    p_heal_id bigint, p_resumed integer, p_moved integer, p_campaigns_resumed integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    pass jsonb;
BEGIN
    IF NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    -- If a pause was in progress, its message comes first.
    PERFORM thaw.close_pause(p_account.id);
    pass := jsonb_build_object(
        'lane', p_lane, 'tick_at', thaw.rfc3339(p_tick_at), 'signal_id', p_signal_id, 'heal_id', p_heal_id);
    PERFORM thaw.publish('enrollments.resumed', p_account.workspace_id, p_account.id, pass || jsonb_build_object(
        'resumed', p_resumed, 'moved', p_moved, 'campaigns_resumed', p_campaigns_resumed));
    IF NOT EXISTS (
        SELECT FROM thaw.resumable(thaw.sources_of(p_account.id), p_even_if_off) AS line WHERE line.target_id = p_account.id)
    THEN
        PERFORM thaw.publish('account.drained', p_account.workspace_id, p_account.id, pass);
    END IF;
END;
$$;
-- +goose StatementEnd

-- A trigger, because a heal is ended by its last batch or, if its job was cancelled, by the next
-- heal of the same target.
-- +goose StatementBegin
CREATE FUNCTION thaw.heals_publish_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM thaw.publish('heal.finished', NEW.workspace_id, NEW.account_id, jsonb_build_object(
        'heal_id', NEW.id,
        'scope', CASE
            WHEN NEW.workspace_id IS NOT NULL THEN 'workspace' WHEN NEW.account_id IS NOT NULL THEN 'account'
            WHEN NEW.is_fleet THEN 'fleet' ELSE 'prospects' END,
        'cap', NEW.cap, 'found', NEW.found, 'resumed', NEW.resumed, 'moved', NEW.moved,
        'campaigns_resumed', NEW.campaigns_resumed, 'remaining', NEW.remaining, 'actor', NEW.actor,
        'requested_at', thaw.rfc3339(NEW.requested_at), 'finished_at', thaw.rfc3339(NEW.finished_at)));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER heals_publish_end AFTER UPDATE OF status ON thaw.heals
    FOR EACH ROW WHEN (NEW.status = 'done' AND OLD.status <> 'done') EXECUTE FUNCTION thaw.heals_publish_end();

-- Sends messages again, with their original ids: one message, or the newest p_size before the id
-- p_before that are not older than p_since. Call again with next_before until that is null.
-- p_failed: only failed deliveries.
-- +goose StatementBegin
CREATE FUNCTION thaw.replay(
    p_message_id text, p_since timestamptz, p_failed boolean, p_before bigint, p_size integer,
    OUT messages bigint, OUT deliveries bigint, OUT next_before bigint
) LANGUAGE plpgsql AS $$
DECLARE
    page bigint[];
BEGIN
    -- Ids rise with time, so finding the newest needs no index on time.
    IF p_message_id IS NOT NULL THEN
        page := ARRAY(SELECT o.id FROM thaw.outbox AS o WHERE o.message_id = p_message_id);
    ELSE
        page := ARRAY(
            SELECT o.id FROM thaw.outbox AS o WHERE p_before IS NULL OR o.id < p_before ORDER BY o.id DESC LIMIT p_size);
        SELECT min(o.id) INTO next_before
        FROM thaw.outbox AS o WHERE o.id = ANY (page) HAVING max(o.at) >= p_since AND count(*) = p_size;
    END IF;
    SELECT count(*) FILTER (WHERE sent.given > 0), coalesce(sum(sent.given), 0) INTO messages, deliveries
    FROM (
        SELECT thaw.deliver(o.id, p_failed) AS given
        FROM thaw.outbox AS o
        WHERE o.id = ANY (page) AND NOT o.is_open AND (p_message_id IS NOT NULL OR o.at >= p_since)) AS sent;
    -- A delivery whose next attempt may be hours away is attempted now.
    PERFORM thaw.expedite('deliver', jsonb_build_object('endpoint_id', d.endpoint_id, 'message_id', o.message_id))
    FROM thaw.outbox AS o
    JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
    WHERE o.id = ANY (page) AND d.state = 'waiting' AND d.attempts = 0;
END;
$$;
-- +goose StatementEnd

-- Records that messages are sent again, for the calls of thaw.replay that follow. p_which says
-- which.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_replay(p_which text, p_reason text, p_actor text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, detail) VALUES ('messages_replayed', p_actor, p_reason, p_which)
    RETURNING d.id INTO action_id;
    RETURN action_id;
END;
$$;
-- +goose StatementEnd

-- Enables an endpoint, and records it. False: it was enabled already. p_shown is its URL without
-- secrets, for the audit log.
-- +goose StatementBegin
CREATE FUNCTION thaw.enable_endpoint(p_endpoint_id bigint, p_shown text, p_reason text, p_actor text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    UPDATE thaw.webhook_endpoints AS e SET disabled_at = NULL, disabled_reason = NULL
    WHERE e.id = p_endpoint_id AND e.disabled_at IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('endpoint_enabled', p_actor, p_reason, p_shown);
    RETURN true;
END;
$$;
-- +goose StatementEnd

-- Removes an endpoint and its pending deliveries, and records it. False: it was removed already.
-- +goose StatementBegin
CREATE FUNCTION thaw.remove_endpoint(p_endpoint_id bigint, p_shown text, p_reason text, p_actor text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    DELETE FROM thaw.webhook_endpoints AS e WHERE e.id = p_endpoint_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM thaw.drop_jobs('webhooks_' || p_endpoint_id);
    INSERT INTO thaw.manual_actions (what, actor, reason, detail) VALUES ('endpoint_removed', p_actor, p_reason, p_shown);
    RETURN true;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.has_endpoint(), thaw.rfc3339(timestamptz), thaw.subject(bigint, bigint), thaw.deliver(bigint, boolean),
    thaw.publish(text, bigint, bigint, jsonb), thaw.close_pause(bigint),
    thaw.publish_paused(thaw.accounts, thaw.pause_reason, timestamptz, bigint, integer, integer),
    thaw.publish_moved(thaw.accounts, thaw.lane, timestamptz, bigint, bigint, integer),
    thaw.publish_resumed(thaw.accounts, thaw.lane, boolean, timestamptz, bigint, bigint, integer, integer, integer),
    thaw.heals_publish_end(), thaw.replay(text, timestamptz, boolean, bigint, integer),
    thaw.start_replay(text, text, text), thaw.enable_endpoint(bigint, text, text, text), thaw.remove_endpoint(bigint, text, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.remove_endpoint(bigint, text, text, text);
DROP FUNCTION thaw.enable_endpoint(bigint, text, text, text);
DROP FUNCTION thaw.start_replay(text, text, text);
DROP FUNCTION thaw.replay(text, timestamptz, boolean, bigint, integer);
DROP TRIGGER heals_publish_end ON thaw.heals;
DROP FUNCTION thaw.heals_publish_end();
DROP FUNCTION thaw.publish_resumed(thaw.accounts, thaw.lane, boolean, timestamptz, bigint, bigint, integer, integer, integer);
DROP FUNCTION thaw.publish_moved(thaw.accounts, thaw.lane, timestamptz, bigint, bigint, integer);
DROP FUNCTION thaw.publish_paused(thaw.accounts, thaw.pause_reason, timestamptz, bigint, integer, integer);
DROP FUNCTION thaw.close_pause(bigint);
DROP FUNCTION thaw.publish(text, bigint, bigint, jsonb);
DROP FUNCTION thaw.deliver(bigint, boolean);
DROP FUNCTION thaw.subject(bigint, bigint);
DROP FUNCTION thaw.rfc3339(timestamptz);
DROP FUNCTION thaw.has_endpoint();
DELETE FROM thaw.retention WHERE part = 'outbox';
DROP TABLE thaw.webhook_deliveries, thaw.outbox, thaw.webhook_endpoints;
DROP TYPE thaw.delivery_state;

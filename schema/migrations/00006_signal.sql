-- What a signal does. Webhooks and thaw.signal() come through the same function; nothing else changes a status by signal.

-- +goose Up

-- Applies a status to an account whose row the caller has locked, if it is newer than what the account has, and enqueues
-- the job that follows from it.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_status(
    p_account thaw.accounts, p_signal_id bigint, p_status thaw.account_status, p_raw_status text, p_occurred_at timestamptz,
    p_just_created boolean, p_member_id text
) RETURNS thaw.signal_outcome LANGUAGE plpgsql AS $$
DECLARE
    -- No time of its own: ordered by receipt. A time from the future is a wrong clock; taken at its word it would make
    -- every later signal look stale.
    at timestamptz := CASE
        WHEN p_occurred_at IS NULL THEN greatest(thaw.now(), p_account.status_at + interval '1 microsecond')
        ELSE least(p_occurred_at, thaw.now() + interval '5 minutes') END;
    due timestamptz;
BEGIN
    -- At the same moment holding back wins.
    IF at < p_account.status_at OR (at = p_account.status_at AND p_status = 'connected') THEN
        RETURN 'stale';
    END IF;

    due := CASE
        WHEN p_status = 'connected' THEN NULL
        WHEN p_status IN ('disconnected', 'removed', 'restricted', 'needs_verification')
            THEN least(p_account.pause_after, thaw.now())
        -- Just created: there is nothing to pause yet.
        WHEN p_just_created THEN p_account.pause_after
        -- A blip: its tolerance runs from the first word of it.
        ELSE coalesce(p_account.pause_after, least(at, thaw.now()) + (SELECT settings.tolerance FROM thaw.settings))
    END;

    UPDATE thaw.accounts AS account SET
        status = p_status,
        status_at = at,
        last_error = CASE WHEN p_status IN ('connected', 'connecting') THEN NULL ELSE p_raw_status END,
        first_connected_at = CASE
            WHEN p_status = 'connected' THEN coalesce(account.first_connected_at, at)
            ELSE account.first_connected_at END,
        connected_at = CASE
            WHEN p_status = 'connected' AND account.status <> 'connected' THEN at
            ELSE account.connected_at END,
        pause_after = due,
        member_id = coalesce(account.member_id, p_member_id)
    WHERE account.id = p_account.id;

    IF p_account.status = 'connected' AND p_status <> 'connected' THEN
        PERFORM thaw.notice_losses();
    END IF;

    IF p_status = 'connected' THEN
        PERFORM thaw.enqueue('resume_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal_id));
    ELSIF due IS NOT NULL AND (p_account.pause_after IS NULL OR due < p_account.pause_after) THEN
        PERFORM thaw.enqueue('pause_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal_id),
            greatest(due - thaw.now(), interval '0'));
    END IF;
    RETURN 'applied';
END;
$$;
-- +goose StatementEnd

-- Records a delivery and applies it. The account is locked before anything is written: the worker of the job that is
-- enqueued here locks it first too, so it cannot look for rows before this transaction is over.
-- +goose StatementBegin
CREATE FUNCTION thaw.receive_signal(
    p_provider text, p_provider_account_id text, p_raw_status text, p_status text, p_occurred_at timestamptz,
    p_member_id text, p_delivery_key text, p_just_created boolean, p_body jsonb
) RETURNS thaw.signal_outcome LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account   thaw.accounts;
    known     thaw.account_status;
    original  bigint;
    signal_id bigint;
    result    thaw.signal_outcome;
BEGIN
    SELECT word.status INTO known FROM unnest(enum_range(NULL::thaw.account_status)) AS word (status)
    WHERE word.status::text = p_status;

    SELECT a.* INTO account FROM thaw.accounts AS a
    WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
    FOR NO KEY UPDATE;
    IF account.id IS NULL AND known IS NOT NULL THEN
        -- Nobody knows this account, or somebody is inserting it at this moment. Whoever inserts accounts holds this lock
        -- shared: wait for them, then look again. Without it each of the two could miss the other.
        PERFORM pg_advisory_xact_lock(hashtextextended('thaw.accounts', 0));
        SELECT a.* INTO account FROM thaw.accounts AS a
        WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
        FOR NO KEY UPDATE;
    END IF;

    -- Written as what it most likely is: the outcome is in an index, so that correcting it costs another entry in all of them.
    INSERT INTO thaw.account_signals AS s (
        provider, provider_account_id, account_id, delivery_key, raw_status, status, just_created, member_id, occurred_at,
        outcome, body)
    VALUES (
        p_provider, p_provider_account_id, account.id, p_delivery_key, p_raw_status, known, p_just_created, p_member_id,
        p_occurred_at,
        CASE WHEN known IS NULL THEN 'ignored' WHEN account.id IS NULL THEN 'unknown_account' ELSE 'applied' END::thaw.signal_outcome,
        p_body)
    ON CONFLICT (delivery_key) DO NOTHING
    RETURNING s.id INTO signal_id;

    IF signal_id IS NULL THEN
        SELECT s.id INTO original FROM thaw.account_signals AS s WHERE s.delivery_key = p_delivery_key;
        INSERT INTO thaw.account_signals (
            provider, provider_account_id, account_id, duplicate_of, raw_status, status, just_created, member_id,
            occurred_at, outcome, body)
        VALUES (
            p_provider, p_provider_account_id, account.id, original, p_raw_status, known, p_just_created, p_member_id,
            p_occurred_at, 'duplicate', p_body);
        RETURN 'duplicate';
    ELSIF known IS NULL THEN
        RETURN 'ignored';
    ELSIF account.id IS NULL THEN
        RETURN 'unknown_account';
    END IF;

    result := thaw.apply_status(
        account, signal_id, known, p_raw_status, p_occurred_at, p_just_created, p_member_id);
    IF result <> 'applied' THEN
        UPDATE thaw.account_signals AS s SET outcome = result WHERE s.id = signal_id;
    END IF;
    RETURN result;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.receive_signal(text, text, text, text, timestamptz, text, text, boolean, jsonb) IS
    'Records one delivery of a provider and applies it; what the webhooks call.';

-- +goose StatementBegin
CREATE FUNCTION thaw.signal(
    provider text, provider_account_id text, status text, occurred_at timestamptz DEFAULT NULL,
    member_id text DEFAULT NULL, delivery_key text DEFAULT NULL
) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN thaw.receive_signal(
    provider, provider_account_id, status, status, occurred_at, member_id, 'sql:' || delivery_key, false, NULL)::text;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.signal(text, text, text, timestamptz, text, text) IS
    'Applies an account status in Thaw''s own words and enqueues its job, in the caller''s transaction, by the rules of the webhooks. occurred_at null: ordered by receipt. delivery_key: repeated, it changes nothing. Returns applied, duplicate, stale, unknown_account or ignored.';

-- A signal can be faster than the row of its account. It is kept, and applied here: the newest word for each new account.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_announce_insert() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('thaw.accounts', 0));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_apply_early_signals() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    early   record;
    account thaw.accounts;
    result  thaw.signal_outcome;
BEGIN
    FOR early IN
        SELECT DISTINCT ON (a.id)
            a.id AS account_id, s.id AS signal_id, s.status, s.raw_status, s.just_created, s.member_id,
            word.at
        FROM inserted AS a
        JOIN thaw.account_signals AS s
            ON s.provider = a.provider AND s.provider_account_id = a.provider_account_id
            AND s.outcome = 'unknown_account'
        -- The rules of apply_status, as of when each was received.
        CROSS JOIN LATERAL (
            SELECT least(coalesce(s.occurred_at, s.received_at), s.received_at + interval '5 minutes') AS at) AS word
        ORDER BY a.id, word.at DESC, s.status = 'connected', s.id DESC
    LOOP
        SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = early.account_id FOR NO KEY UPDATE;
        UPDATE thaw.account_signals AS s SET outcome = 'stale', account_id = account.id
        WHERE s.provider = account.provider AND s.provider_account_id = account.provider_account_id
            AND s.outcome = 'unknown_account' AND s.id <> early.signal_id;
        result := thaw.apply_status(
            account, early.signal_id, early.status, early.raw_status, early.at, early.just_created, early.member_id);
        UPDATE thaw.account_signals AS s SET outcome = result, account_id = account.id WHERE s.id = early.signal_id;
    END LOOP;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER accounts_announce_insert BEFORE INSERT ON thaw.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.accounts_announce_insert();
CREATE TRIGGER accounts_apply_early_signals AFTER INSERT ON thaw.accounts
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.accounts_apply_early_signals();

-- +goose Down
DROP TRIGGER accounts_apply_early_signals ON thaw.accounts;
DROP TRIGGER accounts_announce_insert ON thaw.accounts;
DROP FUNCTION thaw.accounts_apply_early_signals();
DROP FUNCTION thaw.accounts_announce_insert();
DROP FUNCTION thaw.signal(text, text, text, timestamptz, text, text);
DROP FUNCTION thaw.receive_signal(text, text, text, text, timestamptz, text, text, boolean, jsonb);
DROP FUNCTION thaw.apply_status(thaw.accounts, bigint, thaw.account_status, text, timestamptz, boolean, text);

-- Receiving and applying signals. Webhooks and thaw.signal() both call thaw.receive_signal; no
-- other path applies a signal.
--
-- A signal locks only the row of its account. A signal whose account has no row yet is kept. A
-- trigger applies it when the row is inserted. If the insert could not see the signal (both ran at
-- the same time, or in an older snapshot), thaw.pick_up_signals does, which every worker process
-- calls once a second.

-- +goose Up

-- Whether a signal is newer than p_status, which the account has had since p_status_at. Times are
-- compared in whole seconds; of two signals within one second, the one received later counts. A
-- connecting signal replaces connected only if it has its own time, in a later second, and a login
-- never does: Unipile v1 sends no times, so its CREATION_SUCCESS may arrive after the OK that
-- followed it. p_at null: the provider sends no time, and signals are ordered by receipt.
-- +goose StatementBegin
CREATE FUNCTION thaw.supersedes(
    p_status thaw.account_status, p_status_at timestamptz, p_new_status thaw.account_status, p_kind thaw.signal_kind, p_at timestamptz
) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_at IS NOT NULL AND date_trunc('second', p_at) < date_trunc('second', p_status_at) THEN
        RETURN false;
    END IF;
    RETURN NOT (p_status = 'connected' AND p_new_status = 'connecting'
        AND (p_kind = 'login' OR p_at IS NULL OR date_trunc('second', p_at) = date_trunc('second', p_status_at)));
END;
$$;
-- +goose StatementEnd

-- The time of a signal. A time in the future comes from a wrong clock and would make every later
-- signal look stale, so it is limited to five minutes after receipt.
-- +goose StatementBegin
CREATE FUNCTION thaw.signal_time(p_signal thaw.account_signals) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN least(coalesce(p_signal.occurred_at, p_signal.received_at), p_signal.received_at + interval '5 minutes');
END;
$$;
-- +goose StatementEnd

-- Applies a new signal, or one that was kept (p_is_late), and enqueues the resulting job. The
-- caller has locked the row of the account.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_signal(p_account thaw.accounts, p_signal thaw.account_signals, p_is_late boolean)
RETURNS thaw.signal_outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Ordered by receipt under the account lock: a signal without a time is never older than the
    -- status of the account.
    by_receipt boolean := p_signal.occurred_at IS NULL AND NOT p_is_late;
    at         timestamptz := thaw.signal_time(p_signal);
    due        timestamptz;
    until      timestamptz;
BEGIN
    PERFORM thaw.link_by_signal(p_account, p_signal.v1_account_id);
    IF p_signal.kind IN ('lock', 'unlock') THEN
        RETURN thaw.apply_lock(p_account, p_signal, at, by_receipt);
    ELSIF p_signal.product IS NOT NULL THEN
        RETURN thaw.apply_to_product(p_account.id, p_signal, at);
    END IF;

    IF NOT thaw.supersedes(p_account.status, p_account.status_at, p_signal.status, p_signal.kind, CASE WHEN NOT by_receipt THEN at END)
        -- A kept signal arrived before everything applied in the meantime.
        OR p_is_late AND date_trunc('second', at) = date_trunc('second', p_account.status_at)
    THEN
        RETURN 'stale';
    END IF;

    due := CASE
        WHEN p_signal.status = 'connected' THEN NULL
        WHEN NOT thaw.is_transient(p_signal.status) THEN least(p_account.pause_after, thaw.now())
        -- A new account has nothing to pause.
        WHEN p_signal.just_created THEN p_account.pause_after
        -- The grace period of a transient error starts with its first signal.
        ELSE coalesce(p_account.pause_after, least(at, thaw.now()) + (SELECT settings.grace_period FROM thaw.settings))
    END;

    UPDATE thaw.accounts AS account SET
        status = p_signal.status,
        status_at = greatest(at, account.status_at),
        last_error = CASE WHEN p_signal.status IN ('connected', 'connecting') THEN NULL ELSE p_signal.raw_status END,
        first_connected_at = CASE
            WHEN p_signal.status = 'connected' THEN coalesce(account.first_connected_at, at)
            ELSE account.first_connected_at END,
        connected_at = CASE
            WHEN p_signal.status = 'connected' AND account.status <> 'connected' THEN at
            ELSE account.connected_at END,
        reconnected_at = CASE
            WHEN p_signal.kind = 'login' THEN at
            WHEN p_signal.status = 'connecting' THEN account.reconnected_at END,
        pause_after = due,
        member_id = coalesce(account.member_id, p_signal.member_id)
    WHERE account.id = p_account.id
    RETURNING account.resume_after INTO until;

    IF p_account.status = 'connected' AND p_signal.status <> 'connected' THEN
        PERFORM thaw.check_losses();
    END IF;

    IF p_signal.status = 'connected' THEN
        PERFORM thaw.enqueue('resume_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            -- A flapping account must first stay connected for settings.flap_wait.
            greatest(until - thaw.now(), interval '0'));
    ELSIF due IS NOT NULL AND (p_account.pause_after IS NULL OR due < p_account.pause_after) THEN
        PERFORM thaw.enqueue('pause_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            greatest(due - thaw.now(), interval '0'));
    END IF;
    RETURN 'applied';
END;
$$;
-- +goose StatementEnd

-- A lock is independent of the status and ordered by its own time: no status lifts it, and it
-- changes no status.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_lock(p_account thaw.accounts, p_signal thaw.account_signals, p_at timestamptz, p_by_receipt boolean)
RETURNS thaw.signal_outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT p_by_receipt AND date_trunc('second', p_at) < date_trunc('second', p_account.lock_status_at) THEN
        RETURN 'stale';
    END IF;
    UPDATE thaw.accounts AS account SET
        lock_status_at = greatest(p_at, account.lock_status_at),
        locked_at = CASE WHEN p_signal.kind = 'lock' THEN coalesce(account.locked_at, p_at) END,
        locked_reason = CASE WHEN p_signal.kind = 'lock' THEN coalesce(account.locked_reason, p_signal.raw_status) END,
        member_id = coalesce(account.member_id, p_signal.member_id)
    WHERE account.id = p_account.id;
    IF p_signal.kind = 'unlock' AND p_account.locked_at IS NOT NULL AND p_account.status = 'connected' THEN
        PERFORM thaw.enqueue('resume_account', 'resume', 1::smallint,
            jsonb_build_object('account_id', p_account.id, 'signal_id', p_signal.id),
            greatest(p_account.resume_after - thaw.now(), interval '0'));
    END IF;
    RETURN 'applied';
END;
$$;
-- +goose StatementEnd

-- Records the status of one product. The status of the account does not change.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_to_product(p_account_id bigint, p_signal thaw.account_signals, p_at timestamptz)
RETURNS thaw.signal_outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.account_products AS known (account_id, product, status, raw_status, status_at, down_since)
    -- Providers have few products. The limit guards against one that sends arbitrary names.
    SELECT p_account_id, p_signal.product, p_signal.status, p_signal.raw_status, p_at,
        CASE WHEN p_signal.status <> 'connected' THEN p_at END
    WHERE EXISTS (SELECT FROM thaw.account_products AS p WHERE p.account_id = p_account_id AND p.product = p_signal.product)
        OR (SELECT count(*) FROM thaw.account_products AS p WHERE p.account_id = p_account_id) < 16
    ON CONFLICT (account_id, product) DO UPDATE SET
        status = excluded.status, raw_status = excluded.raw_status, status_at = greatest(excluded.status_at, known.status_at),
        down_since = CASE WHEN excluded.status <> 'connected' THEN coalesce(known.down_since, excluded.status_at) END
    WHERE date_trunc('second', excluded.status_at) >= date_trunc('second', known.status_at);
    RETURN CASE WHEN FOUND THEN 'applied' ELSE 'stale' END::thaw.signal_outcome;
END;
$$;
-- +goose StatementEnd

-- Rejects a text that is too long or contains control characters. p_name is the parameter name that
-- the sender knows.
-- +goose StatementBegin
CREATE FUNCTION thaw.require_text(p_name text, p_value text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF length(p_value) > 256 THEN
        RAISE EXCEPTION '% is % characters long', p_name, length(p_value)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Send at most 256 characters.';
    ELSIF p_value ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION '% contains control characters', p_name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Remove line breaks and other control characters.';
    END IF;
END;
$$;
-- +goose StatementEnd

-- Records a delivery and applies it. The account is locked before anything is written. The worker
-- of the enqueued job locks it first too, so it cannot look for rows before this transaction ends.
--
-- p_status is a status, or one of 'reconnected' (the login succeeded, but the provider has yet to
-- confirm that the account works), 'locked' and 'unlocked', or a word of the provider that means
-- one of these (thaw.meaning_of). With null or any other value the signal is recorded and ignored.
-- +goose StatementBegin
CREATE FUNCTION thaw.receive_signal(
    p_provider text, p_provider_account_id text, p_raw_status text, p_status text, p_occurred_at timestamptz,
    p_member_id text, p_delivery_key text, p_just_created boolean, p_body jsonb, p_product text DEFAULT NULL,
    p_v1_account_id text DEFAULT NULL
) RETURNS thaw.signal_outcome LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account  thaw.accounts;
    known    thaw.account_status;
    its_kind thaw.signal_kind;
    is_known boolean;
    original bigint;
    signal   thaw.account_signals;
    result   thaw.signal_outcome;
BEGIN
    PERFORM thaw.require_text('provider', p_provider), thaw.require_text('provider_account_id', p_provider_account_id),
        thaw.require_text('status', p_raw_status), thaw.require_text('member_id', p_member_id),
        thaw.require_text('v1_account_id', p_v1_account_id), thaw.require_text('product', p_product),
        thaw.require_text('delivery_key', p_delivery_key);
    IF p_occurred_at < '2000-01-01 00:00:00+00' OR p_occurred_at >= '2100-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at is %', p_occurred_at
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Send a time from 2000 to 2099, or omit it.';
    END IF;

    p_status := thaw.meaning_of(p_provider, p_status);
    its_kind := CASE p_status WHEN 'reconnected' THEN 'login' WHEN 'locked' THEN 'lock' WHEN 'unlocked' THEN 'unlock'
        ELSE CASE WHEN p_just_created THEN 'login' ELSE 'status' END END;
    -- Locks and logins apply to the whole account.
    p_product := CASE WHEN its_kind = 'status' THEN p_product END;
    SELECT word.status INTO known FROM unnest(enum_range(NULL::thaw.account_status)) AS word (status)
    WHERE word.status::text = CASE p_status WHEN 'reconnected' THEN 'connecting' ELSE p_status END;
    is_known := known IS NOT NULL OR its_kind IN ('lock', 'unlock');

    SELECT a.* INTO account FROM thaw.accounts AS a
    WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
    FOR NO KEY UPDATE;

    -- Inserted with the most likely outcome: it is indexed, so a correction costs another entry in
    -- every index. The body is kept for reference only; that of a status is well below a kilobyte.
    INSERT INTO thaw.account_signals AS s (
        provider, provider_account_id, account_id, delivery_key, raw_status, status, kind, just_created, product, member_id,
        v1_account_id, occurred_at, outcome, body)
    VALUES (
        p_provider, p_provider_account_id, account.id, p_delivery_key, p_raw_status, known, its_kind, p_just_created, p_product,
        p_member_id, p_v1_account_id, p_occurred_at,
        CASE WHEN NOT is_known THEN 'ignored' WHEN account.id IS NULL THEN 'unknown_account' ELSE 'applied' END::thaw.signal_outcome,
        CASE WHEN length(p_body::text) <= 8192 THEN p_body END)
    ON CONFLICT (delivery_key) DO NOTHING
    RETURNING s.* INTO signal;

    IF signal.id IS NULL THEN
        SELECT s.id INTO original FROM thaw.account_signals AS s WHERE s.delivery_key = p_delivery_key;
        INSERT INTO thaw.account_signals (
            provider, provider_account_id, account_id, duplicate_of, raw_status, status, kind, just_created, product, member_id,
            v1_account_id, occurred_at, outcome, body)
        VALUES (
            p_provider, p_provider_account_id, account.id, original, p_raw_status, known, its_kind, p_just_created, p_product,
            p_member_id, p_v1_account_id, p_occurred_at, 'duplicate', CASE WHEN length(p_body::text) <= 8192 THEN p_body END);
        RETURN 'duplicate';
    ELSIF NOT is_known THEN
        RETURN 'ignored';
    ELSIF account.id IS NULL THEN
        -- The newest 20 are enough to derive status, lock and products when the row is inserted.
        DELETE FROM thaw.account_signals AS s
        WHERE s.ctid = ANY (ARRAY(
            SELECT old.ctid FROM thaw.account_signals AS old
            WHERE old.provider = p_provider AND old.provider_account_id = p_provider_account_id AND old.outcome = 'unknown_account'
            ORDER BY old.id DESC OFFSET 20 FOR UPDATE SKIP LOCKED));
        RETURN 'unknown_account';
    END IF;

    result := thaw.apply_signal(account, signal, false);
    IF result <> 'applied' THEN
        UPDATE thaw.account_signals AS s SET outcome = result WHERE s.id = signal.id;
    END IF;
    RETURN result;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.receive_signal(text, text, text, text, timestamptz, text, text, boolean, jsonb, text, text) IS
    'Records one delivery from a provider and applies it. Called by the webhooks.';

-- +goose StatementBegin
CREATE FUNCTION thaw.signal(
    provider text, provider_account_id text, status text, occurred_at timestamptz DEFAULT NULL,
    member_id text DEFAULT NULL, delivery_key text DEFAULT NULL, v1_account_id text DEFAULT NULL
) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN thaw.receive_signal(
    provider, provider_account_id, status, status, occurred_at, member_id, 'sql:' || delivery_key, false, NULL, NULL,
    v1_account_id)::text;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.signal(text, text, text, timestamptz, text, text, text) IS
    'Applies an account signal and enqueues its job in the caller''s transaction, by the same rules as the webhooks. status is an account status, reconnected, locked, unlocked, or a word of the provider that means one of these (thaw.provider_words). occurred_at null: signals are ordered by receipt. A repeated delivery_key changes nothing. v1_account_id is the ID of the account in the provider''s v1 API. Returns applied, duplicate, stale, unknown_account or ignored.';

-- Applies the kept signals of an account. The caller has locked its row. Only the status that
-- counts in the end is applied: an account that has just been inserted was neither lost nor
-- recovered. Locks and products are ordered by their own times.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_kept_signals(p_account thaw.accounts) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account  thaw.accounts := p_account;
    kept     thaw.account_signals;
    newest   thaw.account_signals;
    result   thaw.signal_outcome;
    applied  integer := 0;
BEGIN
    FOR kept IN
        SELECT s.* FROM thaw.account_signals AS s
        WHERE s.provider = account.provider AND s.provider_account_id = account.provider_account_id
            AND s.outcome = 'unknown_account'
        ORDER BY s.id
    LOOP
        IF kept.product IS NULL AND kept.kind IN ('status', 'login')
            AND (newest.id IS NULL OR thaw.supersedes(newest.status, thaw.signal_time(newest), kept.status, kept.kind, thaw.signal_time(kept))
                AND NOT (newest.status = 'connected' AND kept.status = 'connecting' AND kept.occurred_at IS NULL))
        THEN
            newest := kept;
        END IF;
    END LOOP;
    FOR kept IN
        SELECT s.* FROM thaw.account_signals AS s
        WHERE s.provider = account.provider AND s.provider_account_id = account.provider_account_id
            AND s.outcome = 'unknown_account'
        ORDER BY s.id
    LOOP
        IF kept.product IS NOT NULL OR kept.kind IN ('lock', 'unlock') OR kept.id = newest.id THEN
            result := thaw.apply_signal(account, kept, true);
            SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = account.id;
        ELSE
            PERFORM thaw.link_by_signal(account, kept.v1_account_id);
            result := 'stale';
        END IF;
        UPDATE thaw.account_signals AS s SET outcome = result, account_id = account.id WHERE s.id = kept.id;
        applied := applied + 1;
    END LOOP;
    RETURN applied;
END;
$$;
-- +goose StatementEnd

-- Applies signals that arrived before the row of their account.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_apply_early_signals() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    early   bigint;
    account thaw.accounts;
BEGIN
    FOR early IN
        SELECT a.id FROM inserted AS a
        WHERE EXISTS (
            SELECT FROM thaw.account_signals AS s
            WHERE s.provider = a.provider AND s.provider_account_id = a.provider_account_id AND s.outcome = 'unknown_account')
        ORDER BY a.id
    LOOP
        SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = early FOR NO KEY UPDATE;
        PERFORM thaw.apply_kept_signals(account);
    END LOOP;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_apply_early_signals AFTER INSERT ON thaw.accounts
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION thaw.accounts_apply_early_signals();

-- Applies kept signals whose account now has a row: neither the insert nor the signal saw the
-- other. Checks the signals of the last p_within, newest first, at most 10,000, and returns how
-- many it settled. A locked account is left to the next call.
-- +goose StatementBegin
CREATE FUNCTION thaw.pick_up_signals(p_within interval) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    found_id bigint;
    account  thaw.accounts;
    settled  integer := 0;
BEGIN
    FOR found_id IN
        SELECT DISTINCT a.id
        FROM (
            SELECT s.provider, s.provider_account_id FROM thaw.account_signals AS s
            WHERE s.outcome = 'unknown_account' AND s.received_at > thaw.now() - p_within
            ORDER BY s.received_at DESC LIMIT 10000) AS kept
        CROSS JOIN LATERAL (
            SELECT known.id FROM thaw.accounts AS known
            WHERE known.provider = kept.provider AND known.provider_account_id = kept.provider_account_id LIMIT 1) AS a
        ORDER BY a.id
        LIMIT 1000
    LOOP
        SELECT a.* INTO account FROM thaw.accounts AS a WHERE a.id = found_id FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            settled := settled + thaw.apply_kept_signals(account);
        END IF;
    END LOOP;
    RETURN settled;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.pick_up_signals(interval) IS
    'Applies signals that were kept for an unknown account whose row now exists. Every worker process calls it once a second.';

-- Links an account to the one that it replaces, if that account has a row and neither has another
-- link yet. The row of the other account is not updated, so no second account is locked.
-- +goose StatementBegin
CREATE FUNCTION thaw.link_by_signal(p_account thaw.accounts, p_v1_account_id text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_id bigint;
BEGIN
    IF p_v1_account_id IS NULL OR p_account.link_id IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT coalesce(old.link_id, old.id) INTO first_id FROM thaw.accounts AS old
    WHERE old.provider = p_account.provider AND old.provider_account_id = p_v1_account_id
        AND old.workspace_id = p_account.workspace_id AND old.id <> p_account.id;
    IF first_id <> p_account.id
        AND NOT EXISTS (SELECT FROM thaw.accounts AS other WHERE other.link_id = p_account.id AND other.workspace_id = p_account.workspace_id)
    THEN
        UPDATE thaw.accounts AS a SET link_id = first_id WHERE a.id = p_account.id AND a.link_id IS NULL;
        INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
        VALUES ('linked', 'provider', format('the provider reports %s as its former account ID', p_v1_account_id),
            p_account.workspace_id, p_account.id);
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.link_by_signal(thaw.accounts, text);
DROP FUNCTION thaw.pick_up_signals(interval);
DROP TRIGGER accounts_apply_early_signals ON thaw.accounts;
DROP FUNCTION thaw.accounts_apply_early_signals();
DROP FUNCTION thaw.apply_kept_signals(thaw.accounts);
DROP FUNCTION thaw.signal(text, text, text, timestamptz, text, text, text);
DROP FUNCTION thaw.receive_signal(text, text, text, text, timestamptz, text, text, boolean, jsonb, text, text);
DROP FUNCTION thaw.require_text(text, text);
DROP FUNCTION thaw.apply_to_product(bigint, thaw.account_signals, timestamptz);
DROP FUNCTION thaw.apply_lock(thaw.accounts, thaw.account_signals, timestamptz, boolean);
DROP FUNCTION thaw.apply_signal(thaw.accounts, thaw.account_signals, boolean);
DROP FUNCTION thaw.signal_time(thaw.account_signals);
DROP FUNCTION thaw.supersedes(thaw.account_status, timestamptz, thaw.account_status, thaw.signal_kind, timestamptz);

-- What signals reveal beyond the status of an account: outages, links between accounts, and silent
-- providers.

-- +goose Up

-- Publishes a message when an outage ends: when needs_reconnect_at is cleared. That happens at once
-- or, for a flapping account, after it has stayed connected for long enough.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_publish_recovery() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.publish('account.recovered', NEW.workspace_id, NEW.id, jsonb_build_object(
        'since', thaw.rfc3339(OLD.disconnected_at), 'connected_at', thaw.rfc3339(NEW.connected_at)));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_publish_recovery AFTER UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (OLD.needs_reconnect_at IS NOT NULL AND NEW.needs_reconnect_at IS NULL AND NEW.status = 'connected')
    EXECUTE FUNCTION thaw.accounts_publish_recovery();

-- Publishes a message when an account starts flapping, once per flapping period.
-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_publish_flapping() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM thaw.publish('account.flapping', NEW.workspace_id, NEW.id, jsonb_build_object(
        'losses', cardinality(NEW.flaps), 'since', thaw.rfc3339(NEW.flaps[cardinality(NEW.flaps)]),
        'resume_after', thaw.rfc3339(NEW.resume_after)));
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_publish_flapping AFTER UPDATE ON thaw.accounts
    FOR EACH ROW WHEN (NEW.resume_after IS NOT NULL AND (OLD.resume_after IS NULL OR OLD.resume_after < NEW.connected_at))
    EXECUTE FUNCTION thaw.accounts_publish_flapping();

-- Publishes, once per outage, a message that the account must be reconnected. It is written when
-- the pause is done, because the number of prospects is known then. The caller has locked the
-- account. Reconnecting does not lift a restriction, so a restricted account gets no message.
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_needs_reconnect(p_account thaw.accounts) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_account.needs_reconnect_at IS NOT NULL OR p_account.status IN ('connected', 'restricted') OR NOT thaw.has_endpoint() THEN
        RETURN;
    END IF;
    UPDATE thaw.accounts AS a SET needs_reconnect_at = thaw.now() WHERE a.id = p_account.id;
    PERFORM thaw.publish('account.needs_reconnect', p_account.workspace_id, p_account.id, jsonb_build_object(
        'status', p_account.status, 'reason', p_account.last_error,
        'advice', (SELECT words.owner_advice FROM thaw.words_for(p_account.provider, p_account.status, p_account.last_error) AS words),
        'since', thaw.rfc3339(coalesce(p_account.disconnected_at, p_account.status_at)),
        'paused', (SELECT count(*) FROM thaw.enrollments AS e
                   WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = p_account.id)));
END;
$$;
-- +goose StatementEnd

-- Publishes the recovery of flapping accounts that have stayed connected for long enough. Called by
-- the job "watch".
-- +goose StatementBegin
CREATE FUNCTION thaw.publish_recovered() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.accounts AS a SET needs_reconnect_at = NULL
    WHERE a.id IN (
        SELECT calm.id FROM thaw.accounts AS calm
        WHERE calm.needs_reconnect_at IS NOT NULL AND calm.status = 'connected'
            AND (calm.resume_after IS NULL OR calm.resume_after <= thaw.now())
        ORDER BY calm.id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED);
END;
$$;
-- +goose StatementEnd

-- Links two accounts of one person: the prospects of one are resumed through the other as if both
-- had the same member_id. All accounts that are linked to the new one are linked to the old one
-- too.
-- +goose StatementBegin
CREATE FUNCTION thaw.link_accounts(
    old text, new text, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_account thaw.accounts;
    new_account thaw.accounts;
    first_id    bigint;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (thaw.find_account(link_accounts.old, link_accounts.provider), thaw.find_account(link_accounts.new, link_accounts.provider))
    ORDER BY a.id FOR NO KEY UPDATE;
    SELECT a.* INTO old_account FROM thaw.accounts AS a WHERE a.id = thaw.find_account(link_accounts.old, link_accounts.provider);
    SELECT a.* INTO new_account FROM thaw.accounts AS a WHERE a.id = thaw.find_account(link_accounts.new, link_accounts.provider);
    IF old_account.id = new_account.id THEN
        RAISE EXCEPTION 'both accounts are "%"', link_accounts.old
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the account that was replaced and the one that replaces it.';
    ELSIF old_account.workspace_id <> new_account.workspace_id THEN
        RAISE EXCEPTION 'account "%" and account "%" belong to different workspaces', link_accounts.old, link_accounts.new
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Prospects never move from one workspace to another.';
    ELSIF old_account.provider <> new_account.provider THEN
        RAISE EXCEPTION 'account "%" is of provider %, and account "%" of %', link_accounts.old, old_account.provider,
            link_accounts.new, new_account.provider
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Prospects never move from one provider to another.';
    ELSIF old_account.member_id <> new_account.member_id THEN
        RAISE EXCEPTION 'account "%" and account "%" belong to different people', link_accounts.old, link_accounts.new
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Their member_id values differ. Correct the one that is wrong.';
    END IF;
    first_id := coalesce(old_account.link_id, old_account.id);
    UPDATE thaw.accounts AS a SET link_id = first_id
    WHERE a.workspace_id = new_account.workspace_id AND a.id <> first_id
        AND (a.id = new_account.id OR a.id = new_account.link_id
            OR a.link_id = coalesce(new_account.link_id, new_account.id));
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
    VALUES ('linked', link_accounts.actor, link_accounts.reason, new_account.workspace_id, new_account.id);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.link_accounts(text, text, text, text, text) IS
    'Links an account to the one that replaces it, if member_id does not identify both as the same person. Both must be in the same workspace. While one of them is not connected, its prospects are resumed through the other, if that is connected.';

-- The usual gaps between signals of a provider: for each day, the longest time without a signal
-- that ended on that day. thaw.learn_silence updates it once a minute from new signals. Signals
-- from thaw.signal, which have no body, do not count, because the purpose is to notice that the
-- provider's webhooks are disabled.
CREATE TABLE thaw.signal_gaps (
    provider text NOT NULL,
    day      date NOT NULL,
    longest  interval NOT NULL,
    PRIMARY KEY (provider, day)
);
COMMENT ON TABLE thaw.signal_gaps IS 'The longest gap between signals of a provider per day, for the last 28 days.';

CREATE TABLE thaw.signal_sources (
    provider       text PRIMARY KEY,
    last_signal_at timestamptz NOT NULL
);
COMMENT ON TABLE thaw.signal_sources IS 'The time of the last webhook signal of each provider.';

CREATE TABLE thaw.signal_walk (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    after_id bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE thaw.signal_walk IS 'One row: the last signal that thaw.learn_silence has processed.';
INSERT INTO thaw.signal_walk DEFAULT VALUES;

-- Processes at most 20,000 signals per call; the next call continues. Ids are drawn in
-- transactions, so a signal that commits late may be missed. That is harmless: a single signal
-- hardly changes a gap.
-- +goose StatementBegin
CREATE FUNCTION thaw.learn_silence() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    reached bigint;
BEGIN
    PERFORM FROM thaw.signal_walk AS w FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT s.id, s.provider, s.received_at, s.body IS NOT NULL AND s.provider <> '' AS counts
        FROM thaw.account_signals AS s
        WHERE s.id > (SELECT w.after_id FROM thaw.signal_walk AS w)
        ORDER BY s.id LIMIT 20000
    ), gap AS (
        SELECT f.provider, f.received_at,
            f.received_at - coalesce(lag(f.received_at) OVER (PARTITION BY f.provider ORDER BY f.received_at, f.id),
                (SELECT known.last_signal_at FROM thaw.signal_sources AS known WHERE known.provider = f.provider), f.received_at) AS length
        FROM fresh AS f WHERE f.counts
    ), learned AS (
        INSERT INTO thaw.signal_gaps AS known (provider, day, longest)
        SELECT gap.provider, (gap.received_at AT TIME ZONE 'UTC')::date, greatest(max(gap.length), interval '0')
        FROM gap GROUP BY 1, 2
        ON CONFLICT (provider, day) DO UPDATE SET longest = greatest(known.longest, excluded.longest)
    ), seen AS (
        INSERT INTO thaw.signal_sources AS known (provider, last_signal_at)
        SELECT gap.provider, max(gap.received_at) FROM gap GROUP BY gap.provider
        ON CONFLICT (provider) DO UPDATE SET last_signal_at = greatest(known.last_signal_at, excluded.last_signal_at)
    )
    SELECT max(fresh.id) INTO reached FROM fresh;
    UPDATE thaw.signal_walk AS w SET after_id = reached WHERE reached IS NOT NULL;
    DELETE FROM thaw.signal_gaps AS g WHERE g.day < (thaw.now() AT TIME ZONE 'UTC')::date - 28;
END;
$$;
-- +goose StatementEnd

-- The silence of each provider. Its usual gap is the 90th percentile of the daily longest gaps of
-- the last four weeks, excluding today; it is known after seven days with signals. The limit is
-- silence_factor times the usual gap, at least 30 minutes.
CREATE VIEW thaw.provider_silence AS
SELECT source.provider, source.last_signal_at, thaw.now() - source.last_signal_at AS silent_for,
    CASE WHEN usual.days >= 7 AND settings.silence_factor > 0
        THEN greatest(usual.longest * settings.silence_factor, interval '30 minutes') END AS silence_limit,
    coalesce(usual.days >= 7 AND settings.silence_factor > 0
        AND thaw.now() - source.last_signal_at > greatest(usual.longest * settings.silence_factor, interval '30 minutes'), false) AS is_silent
FROM thaw.signal_sources AS source
CROSS JOIN thaw.settings
CROSS JOIN LATERAL (
    SELECT count(*) AS days, percentile_disc(0.9) WITHIN GROUP (ORDER BY g.longest) AS longest
    FROM thaw.signal_gaps AS g
    WHERE g.provider = source.provider AND g.day < (thaw.now() AT TIME ZONE 'UTC')::date) AS usual;
COMMENT ON VIEW thaw.provider_silence IS
    'How long each provider has sent no webhook signal (silent_for), and how long is unusual (silence_limit; null: not learned yet, or disabled).';

REVOKE ALL ON FUNCTION thaw.accounts_publish_recovery(), thaw.accounts_publish_flapping(), thaw.publish_needs_reconnect(thaw.accounts),
    thaw.publish_recovered(), thaw.link_accounts(text, text, text, text, text), thaw.learn_silence() FROM PUBLIC;

-- +goose Down
DROP VIEW thaw.provider_silence;
DROP FUNCTION thaw.learn_silence();
DROP TABLE thaw.signal_walk, thaw.signal_sources, thaw.signal_gaps;
DROP FUNCTION thaw.link_accounts(text, text, text, text, text);
DROP FUNCTION thaw.publish_recovered();
DROP FUNCTION thaw.publish_needs_reconnect(thaw.accounts);
DROP TRIGGER accounts_publish_flapping ON thaw.accounts;
DROP FUNCTION thaw.accounts_publish_flapping();
DROP TRIGGER accounts_publish_recovery ON thaw.accounts;
DROP FUNCTION thaw.accounts_publish_recovery();

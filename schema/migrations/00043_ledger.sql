-- The ledger of actions: one row per reservation, and no counter beside it. What a cap allows is
-- counted from these rows.
--
--   reserved  given out; the sender has not started it. Ends with its lease.
--   started   committed before the sender calls the provider, so a crash leaves this state
--   sent      delivered
--   already   not delivered, because the effect was there already (invited, connected)
--   refused   certainly not delivered, because the provider rejected it
--   released  certainly not delivered: released by the sender, by a pause, or by a limit
--   expired   the lease of a reservation ended
--   unknown   it may have been delivered. Never repeated; a person or the provider's list settles it.
--
-- A row counts toward caps in every state in which the request may have reached the provider.

-- +goose Up

-- All locks at once, as the migrator expects (schema/locks.go).
LOCK TABLE thaw.accounts, thaw.action_kinds IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '100ms';
LOCK TABLE thaw.accounts, thaw.action_kinds IN SHARE ROW EXCLUSIVE MODE;

CREATE TYPE thaw.action_state AS ENUM ('reserved', 'started', 'sent', 'already', 'refused', 'released', 'expired', 'unknown');
CREATE TYPE thaw.action_outcome AS ENUM (
    'sent', 'already', 'refused', 'limited', 'throttled', 'account_lost', 'restricted', 'unknown', 'released', 'verified_sent', 'verified_absent');

-- Whether an action in this state counts toward caps.
-- +goose StatementBegin
CREATE FUNCTION thaw.counts_as_used(p_state thaw.action_state) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_state IN ('reserved', 'started', 'sent', 'unknown');
-- +goose StatementEnd

-- Whether an action that counts toward caps counts into the current local day of its sender: if it
-- has its name, or if the request may have been made in it: until used_at, and until now while the
-- action is started. Around midnight an action counts into two days.
-- +goose StatementBegin
CREATE FUNCTION thaw.counts_into(p_day date, p_began_at timestamptz, p_local_day date, p_used_at timestamptz, p_state thaw.action_state)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_local_day = p_day OR p_used_at >= p_began_at OR p_state = 'started';
-- +goose StatementEnd

-- The same for the cap of a campaign, whose accounts may have several zones: an action counts into
-- the days of its own zone, and p_day is the name of a day. No lease is longer than a day, so no
-- action counts into a third one.
-- +goose StatementBegin
CREATE FUNCTION thaw.counts_into_campaign_day(p_day date, p_local_day date, p_zone text, p_used_at timestamptz, p_state thaw.action_state, p_at timestamptz)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_local_day = p_day
    OR p_local_day = p_day - 1 AND ((CASE WHEN p_state = 'started' THEN p_at ELSE p_used_at END) AT TIME ZONE p_zone)::date >= p_day;
-- +goose StatementEnd

-- What identifies a prospect: the normal form of the URL, or the e-mail address. Campaigns write
-- one profile in several ways, and an invite in another spelling would be a second one. The
-- spellings are those of explain.NormalURL. Letters are folded as the database folds them.
-- +goose StatementBegin
CREATE FUNCTION thaw.prospect_key(p_url text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    url   text := btrim(p_url, E' \t\r\n');
    mail  text := substring(url FROM '(?i)^(?:mailto:)?([^[:space:]"(),:;<>@\[\]\\/]+@[^[:space:]@:/?#]+\.[^[:space:]@:/?#]+)(?:\?.*)?$');
    parts text[];
    host  text;
    path  text;
    slug  text;
BEGIN
    IF mail IS NOT NULL THEN
        RETURN lower(mail COLLATE "default");
    END IF;
    parts := regexp_match(url, '^(?:(?:https?:)?//)?([^/?#@[:space:]]+)([^?#]*)(\?[^#]*)?(?:#.*)?$', 'i');
    host := regexp_replace(lower(parts[1] COLLATE "C"), '\.*(?::(?:80|443))?$', '');
    path := rtrim(parts[2], '/');
    IF parts IS NULL OR position('.' IN host) = 0 OR parts[2] ~ '%(?![[:xdigit:]]{2})' THEN
        RETURN url;
    ELSIF host !~ '^(?:(?:www|m|mobile|touch|[a-z]{2})\.)?linkedin\.com$' THEN
        RETURN 'https://' || host || path || coalesce(nullif(parts[3], '?'), '');
    END IF;
    -- The path alone identifies the person.
    slug := substring(path FROM '(?i)^/+in/+([^/]+)');
    IF slug LIKE '%\%%' THEN
        BEGIN
            slug := (
                SELECT convert_from(string_agg(
                    CASE WHEN part.text[1] ~ '^%[[:xdigit:]]{2}$' THEN decode(substr(part.text[1], 2), 'hex') ELSE convert_to(part.text[1], 'UTF8') END,
                    ''::bytea ORDER BY part.n), 'UTF8')
                FROM regexp_matches(slug, '%[[:xdigit:]]{2}|[^%]+|%', 'g') WITH ORDINALITY AS part (text, n));
        EXCEPTION WHEN data_exception THEN
            NULL; -- not text: it stays as it is
        END;
    END IF;
    RETURN 'https://www.linkedin.com' || coalesce('/in/' || lower(slug COLLATE "default"), path);
END;
$$;
-- +goose StatementEnd

-- The person in whose name accounts send. Quotas, days, gaps and the ramp belong to the sender, so
-- that a person who connects again as a new account, in any workspace, has one quota. The row is
-- also the lock that racing reservations queue for.
CREATE TABLE thaw.senders (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider            text NOT NULL,
    key                 text NOT NULL CHECK (key ~ '^(member|account):.'),
    day                 date,
    day_began_at        timestamptz,
    day_timezone        text,
    next_allowed_at     timestamptz,
    last_started_at     timestamptz,
    ramp_started_at     timestamptz,
    last_sent_at        timestamptz,
    restriction_seen_at timestamptz,
    UNIQUE (provider, key),
    CONSTRAINT senders_day_is_whole CHECK (num_nonnulls(day, day_began_at, day_timezone) IN (0, 3))
) WITH (fillfactor = 70);
COMMENT ON TABLE thaw.senders IS 'The persons in whose name accounts send: one row per member of a provider, or per account whose member is unknown.';
COMMENT ON COLUMN thaw.senders.key IS 'member: and the member ID, or account: and the ID of the account (of the first one of a linked group).';
COMMENT ON COLUMN thaw.senders.day IS 'The local day that the last action counted into; day_began_at is when it began in day_timezone. Null: there was no action yet.';
COMMENT ON COLUMN thaw.senders.next_allowed_at IS 'When the next action may be reserved. Drawn at random with each reservation.';
COMMENT ON COLUMN thaw.senders.ramp_started_at IS 'When ramp week 1 began: the first action that was sent, or the date that the platform gave. Null: nothing was sent yet.';
COMMENT ON COLUMN thaw.senders.restriction_seen_at IS 'The restriction (accounts.restricted_at) after which the ramp was last set back.';

-- The accounts that have sent, or have something to send: which sender they belong to, and when to
-- look at them again. next_at 'infinity': not until something changes.
CREATE TABLE thaw.sending_accounts (
    account_id         bigint PRIMARY KEY REFERENCES thaw.accounts (id) ON DELETE CASCADE,
    workspace_id       bigint NOT NULL,
    sender_id          bigint NOT NULL REFERENCES thaw.senders (id),
    next_at            timestamptz NOT NULL DEFAULT 'infinity',
    served_at          timestamptz,
    served_campaign_id bigint,
    code               text
) WITH (fillfactor = 70);
COMMENT ON TABLE thaw.sending_accounts IS 'The accounts that Thaw schedules: their sender, and when an action may be due next.';
COMMENT ON COLUMN thaw.sending_accounts.served_at IS 'When the scheduler last gave out an action of this account. The accounts of one sender take turns.';
COMMENT ON COLUMN thaw.sending_accounts.served_campaign_id IS 'The campaign of that action. The campaigns of an account take turns in the order of their IDs.';
COMMENT ON COLUMN thaw.sending_accounts.code IS 'The gate that was closed at the last look. Null: none was.';
CREATE INDEX sending_accounts_next_idx ON thaw.sending_accounts (next_at) WHERE next_at < 'infinity';
CREATE INDEX sending_accounts_workspace_idx ON thaw.sending_accounts (workspace_id, next_at) WHERE next_at < 'infinity';
CREATE INDEX sending_accounts_sender_idx ON thaw.sending_accounts (sender_id);

CREATE TABLE thaw.actions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id    bigint NOT NULL,
    account_id      bigint NOT NULL,
    sender_id       bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    enrollment_id   bigint NOT NULL,
    provider        text NOT NULL,
    member_id       text,
    prospect_url    text COLLATE "C" NOT NULL,
    step            integer NOT NULL,
    kind            text COLLATE "C" NOT NULL REFERENCES thaw.action_kinds (kind),
    state           thaw.action_state NOT NULL DEFAULT 'reserved',
    is_used         boolean NOT NULL GENERATED ALWAYS AS (thaw.counts_as_used(state)) STORED,
    outcome         thaw.action_outcome,
    actor           text NOT NULL CHECK (actor <> '' AND length(actor) <= 256),
    reserved_at     timestamptz NOT NULL DEFAULT thaw.now(),
    lease_until     timestamptz,
    started_at      timestamptz,
    settled_at      timestamptz,
    -- The latest time at which the request may have been made: a row counts from here.
    used_at         timestamptz NOT NULL DEFAULT thaw.now(),
    local_day       date NOT NULL,
    timezone        text,
    gap             interval NOT NULL,
    next_of_kind_at timestamptz NOT NULL,
    provider_ref    text CHECK (provider_ref <> '' AND length(provider_ref) <= 256),
    error_code      text CHECK (error_code <> '' AND length(error_code) <= 256),
    closed_at       timestamptz,
    closed_as       text CHECK (closed_as IN ('accepted', 'withdrawn', 'duplicate')),
    CONSTRAINT actions_lease_is_of_open CHECK ((state IN ('reserved', 'started')) = (lease_until IS NOT NULL)),
    CONSTRAINT actions_started_has_a_time CHECK (
        CASE WHEN state IN ('started', 'sent', 'already', 'refused', 'unknown') THEN started_at IS NOT NULL
            WHEN state IN ('reserved', 'expired') THEN started_at IS NULL ELSE true END),
    CONSTRAINT actions_settled_has_a_time CHECK ((state IN ('reserved', 'started')) = (settled_at IS NULL)),
    CONSTRAINT actions_outcome_fits CHECK (CASE state
        WHEN 'reserved' THEN outcome IS NULL
        WHEN 'started' THEN outcome IS NULL
        WHEN 'expired' THEN outcome IS NULL
        WHEN 'sent' THEN outcome IN ('sent', 'verified_sent') AND outcome IS NOT NULL
        WHEN 'already' THEN outcome = 'already' AND outcome IS NOT NULL
        WHEN 'refused' THEN outcome = 'refused' AND outcome IS NOT NULL
        WHEN 'unknown' THEN outcome IS NULL OR outcome = 'unknown'
        ELSE outcome IS NULL OR outcome IN ('released', 'limited', 'throttled', 'account_lost', 'restricted', 'verified_absent') END),
    CONSTRAINT actions_only_invites_close CHECK (
        (closed_at IS NULL) = (closed_as IS NULL)
        AND (closed_as IS NULL OR kind = 'invite' AND (closed_as = 'duplicate' OR state IN ('sent', 'already', 'unknown'))))
) WITH (fillfactor = 80);
COMMENT ON TABLE thaw.actions IS
    'Every reservation of an action with what came of it. Caps are counted from these rows. The rows have no foreign keys to the fleet, as the history.';
COMMENT ON COLUMN thaw.actions.outcome IS 'What the sender reported. Null for expired, for released by a pause or a closed gate, and for unknown if no report came before the lease ended.';
COMMENT ON COLUMN thaw.actions.settled_at IS 'When the action ended. Not before started_at and reserved_at, also if this transaction began before that one.';
COMMENT ON COLUMN thaw.actions.local_day IS 'The local day of the sender on which the action was reserved or, once started, was started. One that is under way at midnight counts into the next day too.';
COMMENT ON COLUMN thaw.actions.timezone IS 'The time zone of the account when the action was reserved, or started.';
COMMENT ON COLUMN thaw.actions.gap IS 'The drawn gap to the next action of the sender.';
COMMENT ON COLUMN thaw.actions.closed_as IS 'For an invite: how it ended at the provider. duplicate: two senders turned out to be one person, and the other invite to the same prospect counts as the open one. Null: it is open.';

-- A step is done once. The database refuses a second reservation of every writer.
-- Regardless of the kind: the steps of a campaign may change while an action is under way.
CREATE UNIQUE INDEX actions_step_key ON thaw.actions (enrollment_id, step) WHERE is_used OR state = 'already';
-- One open or accepted invite per sender and prospect, in all campaigns and spellings.
CREATE UNIQUE INDEX actions_invite_key ON thaw.actions (sender_id, thaw.prospect_key(prospect_url))
    WHERE kind = 'invite' AND (is_used OR state = 'already') AND (closed_as IS NULL OR closed_as = 'accepted');
-- An invite that was withdrawn, which blocks a new one for three weeks.
CREATE INDEX actions_withdrawn_idx ON thaw.actions (sender_id, thaw.prospect_key(prospect_url)) WHERE closed_as = 'withdrawn';
-- Counts what a sender has used, and finds the end of the last gap. Has all rows: a request that
-- the provider refused uses no quota, but the next one keeps its distance from it.
CREATE INDEX actions_used_idx ON thaw.actions (sender_id, kind, used_at) INCLUDE (is_used, local_day, state, next_of_kind_at, started_at, id);
CREATE INDEX actions_open_invites_idx ON thaw.actions (sender_id) INCLUDE (used_at) WHERE kind = 'invite' AND is_used AND closed_at IS NULL;
-- Counts the cap of a campaign.
CREATE INDEX actions_campaign_idx ON thaw.actions (campaign_id, kind, local_day) WHERE is_used;
-- The last action of each campaign of an account, and the list of an account.
CREATE INDEX actions_account_idx ON thaw.actions (account_id, campaign_id, id);
-- The list of a prospect in a campaign.
CREATE INDEX actions_enrollment_idx ON thaw.actions (enrollment_id, id);
-- What is reserved, by account and by campaign, for a stop that releases it.
CREATE INDEX actions_reserved_account_idx ON thaw.actions (account_id) WHERE state = 'reserved';
CREATE INDEX actions_reserved_campaign_idx ON thaw.actions (campaign_id) WHERE state = 'reserved';
CREATE INDEX actions_lease_idx ON thaw.actions (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX actions_unknown_idx ON thaw.actions (workspace_id, id) WHERE state = 'unknown';
-- Counts what was settled since a time, for metrics. The rows are roughly in this order, and a
-- block range costs a settlement almost nothing.
CREATE INDEX actions_settled_idx ON thaw.actions USING brin (settled_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX actions_refused_idx ON thaw.actions (account_id, kind, settled_at) WHERE state = 'refused';

-- The person of an account whose member is unknown.
-- +goose StatementBegin
CREATE FUNCTION thaw.linked_person_of(p_account thaw.accounts) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN coalesce(
        'member:' || (
            SELECT min(linked.member_id) FROM thaw.accounts AS linked
            WHERE linked.workspace_id = p_account.workspace_id AND linked.provider = p_account.provider
                AND (linked.id = p_account.link_id OR linked.link_id = coalesce(p_account.link_id, p_account.id))),
        'account:' || coalesce(p_account.link_id, p_account.id));
END;
$$;
-- +goose StatementEnd

-- The person of an account, as the key of its sender. Accounts with one member, and linked ones,
-- are one person.
-- +goose StatementBegin
CREATE FUNCTION thaw.person_of(p_account thaw.accounts) RETURNS text LANGUAGE sql STABLE
RETURN CASE WHEN p_account.member_id IS NOT NULL THEN 'member:' || p_account.member_id ELSE thaw.linked_person_of(p_account) END;
-- +goose StatementEnd

-- The person of an account may become known, or change, while the account is disconnected, and
-- with it the person of the accounts that are linked with it. A change is only noted, so a write of
-- the platform never waits. The next reservation applies all changes (thaw.follow_persons).
CREATE TABLE thaw.person_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL
);
COMMENT ON TABLE thaw.person_changes IS 'Accounts whose person may have changed, with those that are linked with them. Applied before the next reservation, and once a second.';

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_note_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.person_changes (account_id) VALUES (NEW.id);
    IF TG_OP = 'UPDATE' AND OLD.link_id IS NOT NULL AND OLD.link_id IS DISTINCT FROM NEW.link_id THEN
        INSERT INTO thaw.person_changes (account_id) VALUES (OLD.link_id);
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER accounts_note_person_update AFTER UPDATE OF member_id, link_id ON thaw.accounts
    FOR EACH ROW WHEN (OLD.member_id IS DISTINCT FROM NEW.member_id OR OLD.link_id IS DISTINCT FROM NEW.link_id) EXECUTE FUNCTION thaw.accounts_note_person();
CREATE TRIGGER accounts_note_person_insert AFTER INSERT ON thaw.accounts
    FOR EACH ROW WHEN (NEW.link_id IS NOT NULL) EXECUTE FUNCTION thaw.accounts_note_person();

-- Moves what accounts have used to the person that is behind them now, for the oldest p_size
-- changes. Lock order: person_changes come after accounts, and before senders.
-- +goose StatementBegin
CREATE FUNCTION thaw.follow_persons(p_size integer DEFAULT 1000) RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.person_changes) THEN
        RETURN 0;
    END IF;
    WITH gone AS (
        DELETE FROM thaw.person_changes AS c
        WHERE c.id = ANY (ARRAY(SELECT x.id FROM thaw.person_changes AS x ORDER BY x.id LIMIT p_size FOR UPDATE))
        RETURNING c.account_id
    )
    SELECT array_agg(gone.account_id) INTO changed FROM gone;
    PERFORM thaw.ensure_senders(ARRAY(
        SELECT DISTINCT linked.id
        FROM (SELECT DISTINCT coalesce(a.link_id, a.id) AS first_id FROM thaw.accounts AS a WHERE a.id = ANY (changed)) AS link
        CROSS JOIN LATERAL (
            SELECT link.first_id AS id
            UNION ALL
            SELECT a.id FROM thaw.accounts AS a WHERE a.link_id = link.first_id) AS linked
        JOIN thaw.sending_accounts AS sending ON sending.account_id = linked.id
        ORDER BY linked.id));
    RETURN coalesce(cardinality(changed), 0);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.follow_persons(integer) IS 'Applies changes of the persons behind accounts to what they have used. Every worker process calls it once a second.';

-- Whether more persons have changed than one reservation can follow. Until the workers have
-- followed them, it is not known what a person has used, and nothing is reserved.
-- +goose StatementBegin
CREATE FUNCTION thaw.are_persons_unknown() RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT count(*) > 1000 FROM (SELECT FROM thaw.person_changes LIMIT 1001) AS counted;
END;
-- +goose StatementEnd

-- Makes sure that the accounts have their senders. If the person behind an account became known, or
-- changed, since it last sent, its recent actions and its pace move to the new sender: a quota that
-- was used stays used.
-- +goose StatementBegin
CREATE FUNCTION thaw.ensure_senders(p_account_ids bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved record;
BEGIN
    IF NOT EXISTS (
        SELECT FROM thaw.accounts AS a
        LEFT JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        LEFT JOIN thaw.senders AS s ON s.id = sending.sender_id
        WHERE a.id = ANY (p_account_ids) AND (s.provider, s.key) IS DISTINCT FROM (a.provider, thaw.person_of(a)))
    THEN
        RETURN;
    END IF;
    INSERT INTO thaw.senders (provider, key)
    SELECT DISTINCT a.provider, thaw.person_of(a)
    FROM thaw.accounts AS a
    WHERE a.id = ANY (p_account_ids)
    ORDER BY a.provider, thaw.person_of(a)
    ON CONFLICT (provider, key) DO NOTHING;
    -- All senders that are involved are locked in one order.
    PERFORM s.id FROM thaw.senders AS s
    WHERE s.id IN (
        SELECT unnest(ARRAY[sending.sender_id, known.id])
        FROM thaw.accounts AS a
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        JOIN thaw.senders AS known ON known.provider = a.provider AND known.key = thaw.person_of(a)
        WHERE a.id = ANY (p_account_ids) AND sending.sender_id <> known.id)
    ORDER BY s.id FOR NO KEY UPDATE;
    FOR moved IN
        SELECT sending.account_id, sending.sender_id AS from_id, s.id AS to_id
        FROM thaw.accounts AS a
        JOIN thaw.sending_accounts AS sending ON sending.account_id = a.id
        JOIN thaw.senders AS s ON s.provider = a.provider AND s.key = thaw.person_of(a)
        WHERE a.id = ANY (p_account_ids) AND sending.sender_id <> s.id
        ORDER BY sending.account_id
    LOOP
        PERFORM thaw.move_to_sender(moved.account_id, moved.from_id, moved.to_id);
    END LOOP;
    INSERT INTO thaw.sending_accounts (account_id, workspace_id, sender_id)
    SELECT a.id, a.workspace_id, s.id
    FROM thaw.accounts AS a
    JOIN thaw.senders AS s ON s.provider = a.provider AND s.key = thaw.person_of(a)
    WHERE a.id = ANY (p_account_ids)
    ORDER BY a.id
    ON CONFLICT (account_id) DO NOTHING;
END;
$$;
-- +goose StatementEnd

-- How sure it is that an action in this state has reached the prospect.
-- +goose StatementBegin
CREATE FUNCTION thaw.proof_of(p_state thaw.action_state) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE p_state WHEN 'sent' THEN 3 WHEN 'already' THEN 3 WHEN 'unknown' THEN 2 WHEN 'started' THEN 1 ELSE 0 END;
-- +goose StatementEnd

-- The caller has locked both senders.
-- +goose StatementBegin
CREATE FUNCTION thaw.move_to_sender(p_account_id bigint, p_from_id bigint, p_to_id bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at      timestamptz := thaw.now();
    source  thaw.senders;
    target  thaw.senders;
    -- The current day of the target. Null: it has none yet, and takes that of the source.
    current record;
    -- Invites that both senders have to one prospect: those that lose.
    mine_twice   bigint[];
    theirs_twice bigint[];
BEGIN
    SELECT s.* INTO source FROM thaw.senders AS s WHERE s.id = p_from_id;
    SELECT s.* INTO target FROM thaw.senders AS s WHERE s.id = p_to_id;
    SELECT d.day, d.began_at INTO current FROM thaw.local_day(target.day, target.day_began_at, target.day_timezone, target.day_timezone, at) AS d;
    UPDATE thaw.senders AS s SET
        next_allowed_at = greatest(s.next_allowed_at, source.next_allowed_at),
        last_started_at = greatest(s.last_started_at, source.last_started_at),
        last_sent_at = greatest(s.last_sent_at, source.last_sent_at),
        ramp_started_at = coalesce(s.ramp_started_at, source.ramp_started_at),
        restriction_seen_at = greatest(s.restriction_seen_at, source.restriction_seen_at),
        day = coalesce(current.day, source.day), day_began_at = coalesce(current.began_at, source.day_began_at),
        day_timezone = coalesce(s.day_timezone, source.day_timezone)
    WHERE s.id = p_to_id;
    -- Of two invites to one prospect, the one that is better proven stays open. One that is only
    -- reserved must not be sent any more.
    SELECT array_agg(twice.mine) FILTER (WHERE twice.mine_proof <= twice.their_proof), array_agg(twice.theirs) FILTER (WHERE twice.mine_proof > twice.their_proof)
    INTO mine_twice, theirs_twice
    FROM (
        SELECT mine.id AS mine, theirs.id AS theirs, thaw.proof_of(mine.state) AS mine_proof, thaw.proof_of(theirs.state) AS their_proof
        FROM thaw.actions AS mine
        JOIN thaw.actions AS theirs ON theirs.sender_id = p_to_id AND thaw.prospect_key(theirs.prospect_url) = thaw.prospect_key(mine.prospect_url)
        WHERE mine.account_id = p_account_id AND mine.sender_id = p_from_id
            AND mine.kind = 'invite' AND (mine.is_used OR mine.state = 'already') AND (mine.closed_as IS NULL OR mine.closed_as = 'accepted')
            AND theirs.kind = 'invite' AND (theirs.is_used OR theirs.state = 'already') AND (theirs.closed_as IS NULL OR theirs.closed_as = 'accepted')) AS twice;
    PERFORM thaw.release_actions(ARRAY(
        SELECT a.id FROM thaw.actions AS a WHERE a.id = ANY (mine_twice || theirs_twice) AND a.state = 'reserved' ORDER BY a.id FOR NO KEY UPDATE), 'already_invited');
    UPDATE thaw.actions AS a SET closed_at = at, closed_as = 'duplicate'
    WHERE a.id = ANY (mine_twice || theirs_twice) AND (a.is_used OR a.state = 'already');
    -- What the account did in the current day of the person counts into it, whatever the day was
    -- called in the zone of the account.
    UPDATE thaw.actions AS a SET
        sender_id = p_to_id, local_day = CASE WHEN a.used_at >= current.began_at THEN current.day ELSE a.local_day END
    WHERE a.id = ANY (ARRAY(
        SELECT mine.id FROM thaw.actions AS mine
        WHERE mine.account_id = p_account_id AND mine.sender_id = p_from_id AND (mine.used_at > at - interval '8 days' OR mine.kind = 'invite')
        ORDER BY mine.id FOR NO KEY UPDATE));
    UPDATE thaw.action_holds AS h SET sender_id = p_to_id WHERE h.account_id = p_account_id AND h.sender_id = p_from_id;
    UPDATE thaw.sending_accounts AS sending SET sender_id = p_to_id WHERE sending.account_id = p_account_id;
END;
$$;
-- +goose StatementEnd

-- The ramp week of a time: 1 in the first seven days after the start, and so on, at most 6. Null
-- start: 1.
-- +goose StatementBegin
CREATE FUNCTION thaw.ramp_week(p_started_at timestamptz, p_at timestamptz) RETURNS smallint LANGUAGE sql IMMUTABLE
RETURN least(greatest(floor(extract(epoch FROM p_at - p_started_at) / 604800) + 1, 1), 6);
-- +goose StatementEnd

-- When the next week of the ramp begins. Null: it has not begun, or its last week is reached.
-- +goose StatementBegin
CREATE FUNCTION thaw.ramp_grows_at(p_started_at timestamptz, p_week smallint) RETURNS timestamptz LANGUAGE sql STABLE
RETURN CASE WHEN p_week < 6 THEN p_started_at + p_week * interval '168 hours' END;
-- +goose StatementEnd

-- The ramp of a sender at a time. After a restriction it starts again at half the week that it had
-- then. Time without any action does not count: after an idle month the ramp goes back to the week
-- before that of the last action. Returns the start of week 1 that follows from this. It is kept
-- with the next start of an action, so that a ramp without actions never grows.
-- +goose StatementBegin
CREATE FUNCTION thaw.ramp_at(
    p_started_at timestamptz, p_last_started_at timestamptz, p_restricted_at timestamptz, p_restriction_seen_at timestamptz, p_at timestamptz
) RETURNS TABLE (started_at timestamptz, week smallint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT ramp.started_at, thaw.ramp_week(ramp.started_at, p_at)
    FROM (
        SELECT CASE
            WHEN p_last_started_at < p_at - interval '30 days' AND p_last_started_at >= p_started_at
            THEN p_at - (greatest(thaw.ramp_week(p_started_at, p_last_started_at) - 1, 1) - 1) * interval '168 hours'
            ELSE p_started_at END) AS idle (started_at)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN p_restricted_at > coalesce(p_restriction_seen_at, '-infinity') AND idle.started_at IS NOT NULL
            THEN p_at - (greatest(thaw.ramp_week(idle.started_at, CASE WHEN idle.started_at = p_started_at THEN least(p_at, p_restricted_at) ELSE p_at END) / 2, 1) - 1)
                * interval '168 hours'
            ELSE idle.started_at END) AS ramp (started_at);
END;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.counts_as_used(thaw.action_state), thaw.counts_into(date, timestamptz, date, timestamptz, thaw.action_state),
    thaw.counts_into_campaign_day(date, date, text, timestamptz, thaw.action_state, timestamptz),
    thaw.prospect_key(text), thaw.linked_person_of(thaw.accounts), thaw.person_of(thaw.accounts), thaw.ensure_senders(bigint[]),
    thaw.accounts_note_person(), thaw.follow_persons(integer), thaw.are_persons_unknown(), thaw.proof_of(thaw.action_state), thaw.move_to_sender(bigint, bigint, bigint),
    thaw.ramp_week(timestamptz, timestamptz), thaw.ramp_grows_at(timestamptz, smallint), thaw.ramp_at(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.ramp_at(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz);
DROP FUNCTION thaw.ramp_grows_at(timestamptz, smallint);
DROP FUNCTION thaw.ramp_week(timestamptz, timestamptz);
DROP FUNCTION thaw.ensure_senders(bigint[]);
DROP FUNCTION thaw.move_to_sender(bigint, bigint, bigint);
DROP FUNCTION thaw.proof_of(thaw.action_state);
DROP FUNCTION thaw.are_persons_unknown();
DROP FUNCTION thaw.follow_persons(integer);
DROP TRIGGER accounts_note_person_insert ON thaw.accounts;
DROP TRIGGER accounts_note_person_update ON thaw.accounts;
DROP FUNCTION thaw.accounts_note_person();
DROP TABLE thaw.person_changes;
DROP FUNCTION thaw.person_of(thaw.accounts);
DROP FUNCTION thaw.linked_person_of(thaw.accounts);
DROP TABLE thaw.actions, thaw.sending_accounts, thaw.senders;
DROP FUNCTION thaw.prospect_key(text);
DROP FUNCTION thaw.counts_into_campaign_day(date, date, text, timestamptz, thaw.action_state, timestamptz);
DROP FUNCTION thaw.counts_into(date, timestamptz, date, timestamptz, thaw.action_state);
DROP FUNCTION thaw.counts_as_used(thaw.action_state);
DROP TYPE thaw.action_outcome, thaw.action_state;

-- The gates: whether an action may be done now, and if not, why and until when. Reservations, the
-- last look before the call, the scheduler, forecasts and pages all use these functions, for one
-- account or for ten thousand.
--
-- The first closed gate is the answer, in this order:
--
--   no_account, not_active            the enrollment
--   account_not_connected, account_locked, account_parked, account_on_hold, safety_mode,
--   account_flapping                  the account: thaw.block_reason
--   campaign_not_running, no_such_step
--   already_reserved, already_started, already_sent, already_unknown
--                                     the step itself. It is not repeated when other gates open, so
--                                     it comes before them
--   shadow_mode                       the workspace is in shadow mode. Only for what Thaw gives out
--                                     by itself: the platform's own sender may still reserve
--   not_due
--   limits_missing                    no limits for this kind
--   kind_on_hold                      the kind is on hold
--   window_has_no_zone, window_closed
--   cooldown                          the gap since the last action
--   daily_cap, weekly_cap, campaign_cap, pending_invites
--   already_invited, already_connected, invite_withdrawn
--
-- opens_at is when the gate opens. Null: not at a time that is known.

-- +goose Up

-- The gates of an account. Auto-resume and shadow mode are about resumes, not about sending.
-- +goose StatementBegin
CREATE FUNCTION thaw.account_gate(p_account thaw.accounts, p_is_safety_on boolean) RETURNS text LANGUAGE sql STABLE
RETURN thaw.block_reason(p_account, p_is_safety_on, true, false);
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.account_gate_opens_at(p_account thaw.accounts, p_code text) RETURNS timestamptz LANGUAGE sql STABLE
RETURN CASE p_code WHEN 'account_on_hold' THEN p_account.hold_until WHEN 'account_flapping' THEN p_account.resume_after END;
-- +goose StatementEnd

-- For platforms that use only this gate: why an account may not send. If several providers use the
-- ID, an account that is blocked counts.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.sending_held_by(account text, provider text DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT max(coalesce(thaw.account_gate(a, thaw.is_safety_on()), '')) FROM thaw.accounts AS a
         WHERE lower(a.provider_account_id) COLLATE "C" = lower(sending_held_by.account) COLLATE "C"
             AND a.provider_account_id = sending_held_by.account
             AND (sending_held_by.provider IS NULL OR a.provider = sending_held_by.provider)),
        -- By the ID of the platform, if only one account has it.
        (SELECT CASE count(*) WHEN 1 THEN max(coalesce(thaw.account_gate(a, thaw.is_safety_on()), '')) END FROM thaw.accounts AS a
         WHERE a.external_id = sending_held_by.account
             AND (sending_held_by.provider IS NULL OR a.provider = sending_held_by.provider)),
        'unknown_account');
END;
-- +goose StatementEnd

-- The windows of an account, otherwise of its workspace, otherwise of the fleet. p_zone: the zone
-- of the account. timezone null: neither the window nor the account has one, or the server does
-- not know the zone of the window any more.
-- +goose StatementBegin
CREATE FUNCTION thaw.applicable_windows(p_workspace_id bigint, p_account_id bigint, p_zone text)
RETURNS TABLE (weekdays smallint[], opens time, closes time, timezone text) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT w.weekdays, w.opens, w.closes,
        -- Scalar: one probe of the index, where a join may read all zones.
        CASE WHEN w.timezone IS NULL THEN p_zone ELSE (SELECT z.name FROM thaw.zones AS z WHERE z.key = lower(w.timezone) COLLATE "C") END
    FROM (
        SELECT CASE
            WHEN EXISTS (SELECT FROM thaw.sending_windows AS x WHERE x.workspace_id = p_workspace_id AND x.account_id = p_account_id) THEN 'account'
            WHEN EXISTS (SELECT FROM thaw.sending_windows AS x WHERE x.workspace_id = p_workspace_id AND x.account_id IS NULL) THEN 'workspace'
            ELSE 'fleet' END AS level OFFSET 0) AS owner
    CROSS JOIN LATERAL (
        SELECT x.* FROM thaw.sending_windows AS x WHERE owner.level = 'account' AND x.workspace_id = p_workspace_id AND x.account_id = p_account_id
        UNION ALL
        SELECT x.* FROM thaw.sending_windows AS x WHERE owner.level = 'workspace' AND x.workspace_id = p_workspace_id AND x.account_id IS NULL
        UNION ALL
        SELECT x.* FROM thaw.sending_windows AS x WHERE owner.level = 'fleet' AND x.workspace_id IS NULL AND x.account_id IS NULL) AS w;
END;
-- +goose StatementEnd

-- A cap in a ramp week: of the default, the override (null: there is none) and the ceiling. In the
-- weeks before the last one an override can only lower it. Null: nothing limits it.
-- +goose StatementBegin
CREATE FUNCTION thaw.cap_in_week(p_week smallint, p_default integer, p_own integer, p_ceiling integer) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_week < 6 THEN least(p_default, p_own, p_ceiling) ELSE least(coalesce(p_own, p_default), p_ceiling) END;
-- +goose StatementEnd

-- Planning these statements takes longer than running them, so the functions keep one plan. It has
-- to fit any size of the tables: one that was made while the ledger was small may read it row by
-- row, so sequential scans are off.

-- The effective limits, use and gates of accounts, by kind: one row per account and kind. p_kinds
-- null: all kinds. p_starting: actions that are about to start; they do not count themselves, and
-- their gaps are counted from the last start instead of the last reservation.
-- caps_open_at: when holds, gaps and caps allow the next action, whatever the window; null: not at
-- a time that is known.
-- +goose StatementBegin
CREATE FUNCTION thaw.kind_gates(p_account_ids bigint[], p_kinds text[] DEFAULT NULL, p_starting bigint[] DEFAULT NULL)
RETURNS TABLE (
    account_id bigint, kind text, sender_id bigint, account_code text, account_opens_at timestamptz, code text, opens_at timestamptz,
    pending_code text, caps_open_at timestamptz, timezone text, day date, day_began_at timestamptz, day_ends_at timestamptz,
    used_today integer, per_day integer, used_in_week integer, per_week integer, pending_invites integer,
    ramp_week smallint, ramp_started_at timestamptz, restricted_at timestamptz, gap_from interval, gap_to interval,
    window_opens_at timestamptz, window_closes_at timestamptz, held_until timestamptz, held_code text, next_allowed_at timestamptz
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    -- Not "at", which is a column of thaw.action_holds.
    moment    timestamptz := thaw.now();
    settings  thaw.settings;
    is_safety boolean := thaw.is_safety_on();
BEGIN
    SELECT s.* INTO settings FROM thaw.settings AS s;
    RETURN QUERY
    WITH account AS MATERIALIZED (
        SELECT a.id, a.workspace_id, a.tier,
            -- Scalar: one probe of the index, where a join may read all zones.
            (SELECT z.name FROM thaw.zones AS z WHERE z.key = lower(a.timezone) COLLATE "C") AS timezone,
            gate.code AS block, thaw.account_gate_opens_at(a, gate.code) AS block_ends_at,
            s.id AS sender_id, s.day AS last_day, s.day_began_at AS last_day_began_at, s.day_timezone AS last_day_zone,
            s.next_allowed_at, s.last_started_at, s.ramp_started_at, s.restriction_seen_at,
            greatest(a.restricted_at, (
                SELECT max(m.restricted_at) FROM thaw.accounts AS m WHERE m.provider = a.provider AND m.member_id = a.member_id), (
                SELECT max(m.restricted_at) FROM thaw.sending_accounts AS sibling JOIN thaw.accounts AS m ON m.id = sibling.account_id
                WHERE sibling.sender_id = s.id)) AS restricted_at
        FROM thaw.accounts AS a
        -- OFFSET: the gate is evaluated once.
        CROSS JOIN LATERAL (SELECT thaw.account_gate(a, is_safety) AS code OFFSET 0) AS gate
        -- OFFSET: one probe per account. A join may hash all senders.
        LEFT JOIN LATERAL (SELECT x.* FROM thaw.senders AS x WHERE x.provider = a.provider AND x.key = thaw.person_of(a) OFFSET 0) AS s ON true
        WHERE a.id = ANY (p_account_ids)
    ), applicable AS MATERIALIZED (
        SELECT account.id, w.*
        FROM account
        CROSS JOIN LATERAL thaw.applicable_windows(account.workspace_id, account.id, account.timezone) AS w
    ), hours AS MATERIALIZED (
        -- Many accounts share a window: each is evaluated once.
        SELECT shared.*, state.is_open, state.opens_at, state.closes_at
        FROM (SELECT DISTINCT a.weekdays, a.opens, a.closes, a.timezone FROM applicable AS a WHERE a.timezone IS NOT NULL) AS shared
        CROSS JOIN LATERAL thaw.window_at(shared.timezone, shared.weekdays, shared.opens, shared.closes, moment) AS state
    ), schedule AS MATERIALIZED (
        SELECT a.id, min(a.timezone) AS timezone, coalesce(bool_or(h.is_open), false) AS is_open, min(h.opens_at) AS opens_at,
            max(h.closes_at) AS closes_at
        FROM applicable AS a
        LEFT JOIN hours AS h
            ON h.weekdays = a.weekdays AND h.opens = a.opens AND h.closes = a.closes AND h.timezone = a.timezone
        GROUP BY a.id
    ), zoned AS MATERIALIZED (
        SELECT account.*, schedule.is_open, schedule.opens_at AS window_opens_at, schedule.closes_at AS window_closes_at,
            coalesce(account.timezone, schedule.timezone) AS day_zone
        FROM account
        LEFT JOIN schedule ON schedule.id = account.id
    ), days AS MATERIALIZED (
        -- Many accounts share a day, too.
        SELECT shared.*, local.*
        FROM (SELECT DISTINCT z.last_day, z.last_day_began_at, z.last_day_zone, z.day_zone FROM zoned AS z WHERE z.day_zone IS NOT NULL) AS shared
        CROSS JOIN LATERAL thaw.local_day(shared.last_day, shared.last_day_began_at, shared.last_day_zone, shared.day_zone, moment) AS local
    ), state AS MATERIALIZED (
        SELECT zoned.*, days.day, days.began_at, days.ends_at, ramp.week, ramp.started_at
        FROM zoned
        LEFT JOIN days
            ON days.day_zone = zoned.day_zone AND coalesce(days.last_day, 'infinity') = coalesce(zoned.last_day, 'infinity')
                AND coalesce(days.last_day_began_at, 'infinity') = coalesce(zoned.last_day_began_at, 'infinity')
                AND coalesce(days.last_day_zone, '') = coalesce(zoned.last_day_zone, '')
        CROSS JOIN LATERAL thaw.ramp_at(
            zoned.ramp_started_at, zoned.last_started_at, zoned.restricted_at, zoned.restriction_seen_at, moment) AS ramp
    ), used AS MATERIALIZED (
        SELECT state.*, k.kind,
            -- Without a default or a ceiling nothing is allowed.
            CASE WHEN l.kind IS NOT NULL AND ceiling.kind IS NOT NULL
                THEN thaw.cap_in_week(state.week, l.per_day, coalesce(own.per_day, common.per_day), ceiling.per_day) END AS per_day,
            thaw.cap_in_week(state.week, l.per_week, coalesce(own.per_week, common.per_week), ceiling.per_week) AS per_week,
            greatest(coalesce(own.gap_from, common.gap_from, l.gap_from), ceiling.gap_from) AS gap_from,
            greatest(coalesce(own.gap_to, common.gap_to, l.gap_to), coalesce(own.gap_from, common.gap_from, l.gap_from), ceiling.gap_from) AS gap_to,
            coalesce(ledger.today, 0)::integer AS today, coalesce(ledger.in_week, 0)::integer AS in_week,
            ledger.next_of_kind_at, ledger.last_start, held.until AS held_until, held.code AS held_code,
            CASE WHEN k.kind = 'invite' THEN (
                SELECT count(*) FROM (
                    SELECT FROM thaw.actions AS x
                    WHERE x.sender_id = state.sender_id AND x.kind = 'invite' AND x.is_used AND x.closed_at IS NULL
                        AND x.used_at > moment - interval '180 days' AND NOT x.id = ANY (coalesce(p_starting, '{}'))
                    LIMIT settings.pending_invites) AS open_invite) END::integer AS open_invites
        FROM state
        JOIN thaw.action_kinds AS k ON p_kinds IS NULL OR k.kind = ANY (p_kinds)
        LEFT JOIN LATERAL (
            SELECT x.* FROM thaw.action_limits AS x WHERE x.tier = state.tier AND x.ramp_week = state.week AND x.kind = k.kind LIMIT 1) AS l ON true
        LEFT JOIN thaw.action_ceilings AS ceiling ON ceiling.kind = k.kind
        LEFT JOIN thaw.action_overrides AS own ON own.account_id = state.id AND own.kind = k.kind
        LEFT JOIN thaw.action_overrides AS common
            ON common.workspace_id = state.workspace_id AND common.account_id IS NULL AND common.campaign_id IS NULL AND common.kind = k.kind
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE x.is_used AND thaw.counts_into(state.day, state.began_at, x.local_day, x.used_at, x.state)) AS today,
                count(*) FILTER (WHERE x.is_used) AS in_week,
                max(x.next_of_kind_at) FILTER (WHERE x.is_used OR x.started_at IS NOT NULL) AS next_of_kind_at, max(x.started_at) AS last_start
            FROM thaw.actions AS x
            WHERE x.sender_id = state.sender_id AND x.kind = k.kind AND x.used_at > moment - interval '168 hours'
                AND NOT x.id = ANY (coalesce(p_starting, '{}'))) AS ledger ON true
        LEFT JOIN LATERAL (
            -- Why an account of another workspace is on hold is not shown, only until when.
            SELECT h.until, CASE WHEN owner.is_own THEN h.code ELSE 'held_elsewhere' END AS code FROM thaw.action_holds AS h
            CROSS JOIN LATERAL (
                SELECT h.account_id = state.id OR coalesce((
                    SELECT holder.workspace_id = state.workspace_id FROM thaw.accounts AS holder WHERE holder.id = h.account_id), false) AS is_own OFFSET 0) AS owner
            WHERE (h.account_id = state.id OR h.sender_id = state.sender_id) AND h.kind = k.kind AND h.until > moment
            ORDER BY h.until DESC, owner.is_own DESC LIMIT 1) AS held ON true
    ), gap AS (
        SELECT used.*, thaw.ramp_grows_at(used.started_at, used.week) AS ramp_grows_at,
            CASE WHEN p_starting IS NULL
            THEN greatest(used.next_allowed_at, used.next_of_kind_at)
            ELSE greatest(used.last_started_at + settings.action_gap_from, used.last_start + used.gap_from) END AS allowed_at
        FROM used
    )
    SELECT gap.id, gap.kind, gap.sender_id,
        gap.block, gap.block_ends_at,
        closed.code,
        CASE closed.code
            WHEN 'kind_on_hold' THEN gap.held_until
            WHEN 'window_closed' THEN gap.window_opens_at
            WHEN 'cooldown' THEN gap.allowed_at
            WHEN 'daily_cap' THEN opening.of_day
            WHEN 'weekly_cap' THEN opening.of_week
        END,
        pending.code,
        CASE WHEN pending.code IS NULL AND gap.per_day > 0 AND coalesce(gap.per_week, 1) > 0
            THEN greatest(moment, gap.held_until, gap.allowed_at, opening.of_day, opening.of_week) END,
        gap.day_zone, gap.day, gap.began_at, gap.ends_at, gap.today, gap.per_day, gap.in_week, gap.per_week, gap.open_invites,
        gap.week, gap.started_at, gap.restricted_at, gap.gap_from, gap.gap_to,
        gap.window_opens_at, gap.window_closes_at, gap.held_until, gap.held_code, gap.allowed_at
    FROM gap
    CROSS JOIN LATERAL (SELECT CASE WHEN gap.open_invites >= settings.pending_invites THEN 'pending_invites' END AS code) AS pending
    CROSS JOIN LATERAL (
        -- When full caps open. They also grow when the next week of the ramp begins.
        SELECT CASE WHEN gap.today >= gap.per_day AND gap.per_day > 0 THEN least(gap.ends_at, gap.ramp_grows_at) END AS of_day,
            CASE WHEN gap.in_week >= gap.per_week AND gap.per_week > 0 THEN least(gap.ramp_grows_at, (
                SELECT x.used_at + interval '168 hours' FROM thaw.actions AS x
                WHERE x.sender_id = gap.sender_id AND x.kind = gap.kind AND x.is_used AND NOT x.id = ANY (coalesce(p_starting, '{}'))
                ORDER BY x.used_at DESC OFFSET gap.per_week - 1 LIMIT 1)) END AS of_week) AS opening
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN gap.per_day IS NULL THEN 'limits_missing'
            WHEN gap.held_until IS NOT NULL THEN 'kind_on_hold'
            WHEN gap.day_zone IS NULL OR gap.is_open IS NULL OR gap.window_opens_at IS NULL THEN 'window_has_no_zone'
            WHEN NOT gap.is_open THEN 'window_closed'
            WHEN gap.allowed_at > moment THEN 'cooldown'
            WHEN gap.today >= gap.per_day THEN 'daily_cap'
            WHEN gap.in_week >= gap.per_week THEN 'weekly_cap'
        END AS code) AS closed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.kind_gates(bigint[], text[], bigint[]) IS
    'What limits each kind of action of the given accounts now: the limits in effect, what is used, and the first closed gate of the account (account_code) and of the kind (code), each with the time at which it opens.';

-- The gates of actions: the first closed gate of each enrollment and kind. p_kinds has one kind per
-- enrollment; null: the kind of its next step. p_is_given_out: whether Thaw gives the actions out
-- by itself, which it does not do in shadow mode. The columns after opens_at are what a reservation
-- stores.
-- +goose StatementBegin
CREATE FUNCTION thaw.action_gates(p_enrollment_ids bigint[], p_kinds text[], p_starting bigint[] DEFAULT NULL, p_is_given_out boolean DEFAULT false)
RETURNS TABLE (
    enrollment_id bigint, kind text, code text, opens_at timestamptz, used integer, cap integer,
    workspace_id bigint, account_id bigint, campaign_id bigint, sender_id bigint, provider text, member_id text, prospect_url text, step integer,
    timezone text, day date, day_began_at timestamptz, ramp_started_at timestamptz, restricted_at timestamptz, gap_from interval, gap_to interval,
    campaign_remaining integer
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := thaw.now();
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT e.id, e.status, e.workspace_id, e.account_id, e.campaign_id, e.prospect_url, e.step, e.next_action_at,
            campaign.status AS campaign_status, step.kind AS step_kind, coalesce(e.next_kind, step.kind) AS expected,
            coalesce(asked.kind, e.next_kind, step.kind) AS kind,
            EXISTS (SELECT FROM thaw.campaign_steps AS s WHERE s.campaign_id = e.campaign_id) AS has_steps,
            CASE WHEN coalesce(asked.kind, e.next_kind, step.kind) = 'invite' THEN thaw.prospect_key(e.prospect_url) END AS invited,
            account.provider, account.member_id,
            p_is_given_out AND (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = e.workspace_id) AS is_shadow
        FROM unnest(p_enrollment_ids, p_kinds) AS asked (id, kind)
        JOIN thaw.enrollments AS e ON e.id = asked.id
        JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
        LEFT JOIN thaw.accounts AS account ON account.id = e.account_id
        LEFT JOIN thaw.campaign_steps AS step ON step.campaign_id = e.campaign_id AND step.position = e.step
    ), gates AS MATERIALIZED (
        SELECT * FROM thaw.kind_gates(
            ARRAY(SELECT DISTINCT asked.account_id FROM asked WHERE asked.account_id IS NOT NULL),
            ARRAY(SELECT DISTINCT asked.kind FROM asked WHERE asked.kind IS NOT NULL), p_starting)
    ), facts AS MATERIALIZED (
        SELECT asked.*,
            -- Without a known kind there is no row of gates.
            CASE WHEN g.account_id IS NOT NULL THEN g.account_code
                ELSE (SELECT thaw.account_gate(a, thaw.is_safety_on()) FROM thaw.accounts AS a WHERE a.id = asked.account_id) END AS account_code,
            CASE WHEN g.account_id IS NOT NULL THEN g.account_opens_at
                ELSE (SELECT thaw.account_gate_opens_at(a, thaw.account_gate(a, thaw.is_safety_on())) FROM thaw.accounts AS a WHERE a.id = asked.account_id) END AS account_opens_at,
            g.sender_id, g.code AS kind_code, g.opens_at AS kind_opens_at, g.pending_code,
            g.timezone, g.day, g.day_began_at, g.day_ends_at, g.used_today, g.per_day, g.used_in_week, g.per_week, g.pending_invites,
            g.ramp_started_at, g.restricted_at, g.gap_from, g.gap_to, g.account_id IS NULL AS is_unlimited,
            own.per_day AS campaign_cap,
            CASE WHEN own.per_day IS NOT NULL THEN (
                SELECT count(*) FROM thaw.actions AS x
                WHERE x.campaign_id = asked.campaign_id AND x.kind = asked.kind AND x.local_day IN (g.day, g.day - 1) AND x.is_used
                    AND thaw.counts_into_campaign_day(g.day, x.local_day, x.timezone, x.used_at, x.state, at)
                    AND NOT x.id = ANY (coalesce(p_starting, '{}'))) END::integer AS campaign_used,
            (SELECT x.state FROM thaw.actions AS x
             WHERE x.enrollment_id = asked.id AND x.step = asked.step AND (x.is_used OR x.state = 'already')
                 AND NOT x.id = ANY (coalesce(p_starting, '{}'))
             LIMIT 1) AS done,
            pair.id AS pair_id, pair.closed_as = 'accepted' OR pair.error_code = 'already_connected' AS is_connected,
            withdrawn.closed_at AS withdrawn_at
        FROM asked
        LEFT JOIN gates AS g ON g.account_id = asked.account_id AND g.kind = asked.kind
        LEFT JOIN thaw.action_overrides AS own ON own.campaign_id = asked.campaign_id AND own.kind = asked.kind
        LEFT JOIN LATERAL (
            SELECT x.id, x.closed_as, x.error_code FROM thaw.actions AS x
            WHERE x.kind = 'invite' AND x.sender_id = g.sender_id AND thaw.prospect_key(x.prospect_url) = asked.invited
                AND (x.is_used OR x.state = 'already') AND (x.closed_as IS NULL OR x.closed_as = 'accepted')
                AND NOT x.id = ANY (coalesce(p_starting, '{}'))
            LIMIT 1) AS pair ON true
        LEFT JOIN LATERAL (
            SELECT max(x.closed_at) AS closed_at FROM thaw.actions AS x
            WHERE x.sender_id = g.sender_id AND thaw.prospect_key(x.prospect_url) = asked.invited AND x.closed_as = 'withdrawn') AS withdrawn ON true
    )
    SELECT facts.id, facts.kind, closed.code,
        CASE closed.code
            WHEN facts.account_code THEN facts.account_opens_at
            WHEN 'not_due' THEN facts.next_action_at
            WHEN 'campaign_cap' THEN CASE WHEN facts.campaign_cap > 0 THEN facts.day_ends_at END
            WHEN 'invite_withdrawn' THEN facts.withdrawn_at + interval '21 days'
            WHEN facts.kind_code THEN facts.kind_opens_at
        END,
        CASE closed.code WHEN 'daily_cap' THEN facts.used_today WHEN 'weekly_cap' THEN facts.used_in_week
            WHEN 'campaign_cap' THEN facts.campaign_used WHEN 'pending_invites' THEN facts.pending_invites END,
        CASE closed.code WHEN 'daily_cap' THEN facts.per_day WHEN 'weekly_cap' THEN facts.per_week
            WHEN 'campaign_cap' THEN facts.campaign_cap WHEN 'pending_invites' THEN facts.pending_invites END,
        facts.workspace_id, facts.account_id, facts.campaign_id, facts.sender_id, facts.provider, facts.member_id, facts.prospect_url, facts.step,
        facts.timezone, facts.day, facts.day_began_at, facts.ramp_started_at, facts.restricted_at, facts.gap_from, facts.gap_to,
        facts.campaign_cap - facts.campaign_used
    FROM facts
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN facts.account_id IS NULL THEN 'no_account'
            WHEN facts.status <> 'active' THEN 'not_active'
            WHEN facts.account_code IS NOT NULL THEN facts.account_code
            WHEN facts.campaign_status <> 'running' THEN 'campaign_not_running'
            WHEN facts.kind IS NULL OR (facts.expected IS NOT NULL OR facts.has_steps) AND facts.kind IS DISTINCT FROM facts.expected THEN 'no_such_step'
            WHEN facts.done IS NOT NULL THEN CASE facts.done
                WHEN 'reserved' THEN 'already_reserved' WHEN 'started' THEN 'already_started' WHEN 'unknown' THEN 'already_unknown' ELSE 'already_sent' END
            WHEN facts.is_shadow THEN 'shadow_mode'
            WHEN facts.next_action_at > at AND p_starting IS NULL THEN 'not_due'
            WHEN facts.is_unlimited THEN 'limits_missing'
            WHEN facts.kind_code IS NOT NULL THEN facts.kind_code
            WHEN facts.campaign_used >= facts.campaign_cap THEN 'campaign_cap'
            WHEN facts.pending_code IS NOT NULL THEN facts.pending_code
            WHEN facts.pair_id IS NOT NULL THEN CASE WHEN facts.is_connected THEN 'already_connected' ELSE 'already_invited' END
            WHEN facts.withdrawn_at > at - interval '21 days' THEN 'invite_withdrawn'
        END AS code) AS closed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.action_gates(bigint[], text[], bigint[], boolean) IS
    'The first closed gate of an action for each of the given enrollments, with the time at which it opens. code null: the action may be done now. Shadow mode is a gate only with p_is_given_out.';

REVOKE ALL ON FUNCTION thaw.account_gate(thaw.accounts, boolean), thaw.account_gate_opens_at(thaw.accounts, text), thaw.applicable_windows(bigint, bigint, text), thaw.cap_in_week(smallint, integer, integer, integer),
    thaw.kind_gates(bigint[], text[], bigint[]), thaw.action_gates(bigint[], text[], bigint[], boolean) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.action_gates(bigint[], text[], bigint[], boolean);
DROP FUNCTION thaw.kind_gates(bigint[], text[], bigint[]);
DROP FUNCTION thaw.cap_in_week(smallint, integer, integer, integer);
DROP FUNCTION thaw.applicable_windows(bigint, bigint, text);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.sending_held_by(account text, provider text DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(
        -- Shadow mode is not the platform's concern: it sends as it always did. If several
        -- providers use the ID, an account that is blocked counts.
        (SELECT max(coalesce(nullif(thaw.blocked_by(a, true), 'shadow_mode'), '')) FROM thaw.accounts AS a
         WHERE lower(a.provider_account_id) COLLATE "C" = lower(sending_held_by.account) COLLATE "C"
             AND a.provider_account_id = sending_held_by.account
             AND (sending_held_by.provider IS NULL OR a.provider = sending_held_by.provider)),
        -- By the ID of the platform, if only one account has it.
        (SELECT CASE count(*) WHEN 1 THEN max(coalesce(nullif(thaw.blocked_by(a, true), 'shadow_mode'), '')) END FROM thaw.accounts AS a
         WHERE a.external_id = sending_held_by.account
             AND (sending_held_by.provider IS NULL OR a.provider = sending_held_by.provider)),
        'unknown_account');
END;
-- +goose StatementEnd
DROP FUNCTION thaw.account_gate_opens_at(thaw.accounts, text);
DROP FUNCTION thaw.account_gate(thaw.accounts, boolean);

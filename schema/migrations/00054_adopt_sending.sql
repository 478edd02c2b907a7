-- Adoption: the tier and the ramp of accounts, and the next actions of prospects that Thaw
-- schedules. The functions are those of 00035_apply.sql with these values.
--
-- The platform keeps the step, the kind and the time of the next action. If the mapping names the
-- column of the kind, every change of the three is copied, also of a prospect that runs. An account
-- without a tier has the lowest caps.

-- +goose Up

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.apply_accounts(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken   thaw.taken[] := thaw.with_kept('account', p_rows, p_is_backfill);
    locked  bigint[];
    one     record;
    outcome text;
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, NULL, failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(a.id) AS id, min(a.workspace_id) AS workspace_id, count(*) AS n FROM thaw.accounts AS a
            WHERE a.external_id = t.external_id AND (NOT t.change ? 'workspace' OR a.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE known.id IS NULL AND a.external_id IS NULL AND a.workspace_id = workspace.id
                AND a.provider = coalesce(t.change ->> 'provider', 'linkedin') AND a.provider_account_id = t.change ->> 'provider_account_id') AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have an account with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ? 'workspace' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                WHEN known.id IS NULL AND linked.id IS NULL AND NOT t.change ? 'provider_account_id' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = t.row_id AND a.external_id IS NULL));
    END IF;

    INSERT INTO thaw.accounts (external_id, workspace_id, provider, provider_account_id, member_id, display_name, timezone, tier)
    SELECT t.external_id, t.workspace_id, coalesce(t.change ->> 'provider', 'linkedin'),
        coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id), nullif(t.change ->> 'member_id', ''),
        coalesce(t.change ->> 'name', ''), nullif(t.change ->> 'timezone', ''), coalesce(t.change ->> 'tier', 'free')::thaw.account_tier
    FROM unnest(taken) AS t
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;

    locked := thaw.lock_taken('thaw.accounts', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    UPDATE thaw.accounts AS a SET external_id = new.external_id, provider = new.provider, provider_account_id = new.provider_account_id,
        member_id = new.member_id, display_name = new.display_name, timezone = new.timezone, tier = new.tier, parked_reason = new.parked_reason
    FROM (
        SELECT t.row_id, t.external_id, coalesce(t.change ->> 'provider', old.provider) AS provider,
            CASE WHEN t.change ? 'provider_account_id' THEN coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id)
                ELSE old.provider_account_id END AS provider_account_id,
            CASE WHEN t.change ? 'member_id' THEN nullif(t.change ->> 'member_id', '') ELSE old.member_id END AS member_id,
            CASE WHEN t.change ? 'name' THEN coalesce(t.change ->> 'name', '') ELSE old.display_name END AS display_name,
            CASE WHEN t.change ? 'timezone' THEN nullif(t.change ->> 'timezone', '') ELSE old.timezone END AS timezone,
            CASE WHEN t.change ? 'tier' THEN coalesce(t.change ->> 'tier', 'free')::thaw.account_tier ELSE old.tier END AS tier,
            CASE WHEN NOT t.was_parked THEN old.parked_reason END AS parked_reason
        FROM unnest(taken) AS t JOIN thaw.accounts AS old ON old.id = t.row_id
        WHERE t.code IS NULL) AS new
    WHERE a.id = new.row_id
        AND (a.external_id, a.provider, a.provider_account_id, a.member_id, a.display_name, a.timezone, a.tier, a.parked_reason)
            IS DISTINCT FROM (new.external_id, new.provider, new.provider_account_id, new.member_id, new.display_name, new.timezone, new.tier, new.parked_reason);

    PERFORM thaw.give_ramps(array_agg(a.id ORDER BY a.id), array_agg((t.change ->> 'ramp_started_on')::date ORDER BY a.id))
    FROM unnest(taken) AS t
    JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
    WHERE t.code IS NULL AND t.change ->> 'ramp_started_on' IS NOT NULL
    HAVING count(*) > 0;

    FOR one IN
        SELECT a.*, word.status AS new_status
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (t.change ->> 'deleted')::boolean THEN 'removed' ELSE t.change ->> 'status' END::thaw.account_status AS status) AS word
        JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
        WHERE t.code IS NULL AND word.status <> a.status
        ORDER BY a.id
    LOOP
        -- Connecting replaces connected only with a time of its own, in a later second.
        outcome := thaw.signal(one.provider, one.provider_account_id, one.new_status::text,
            CASE WHEN one.new_status = 'connecting' AND one.status = 'connected' THEN greatest(thaw.now(), one.status_at + interval '1 second') END);
        IF outcome <> 'applied' THEN
            PERFORM thaw.queue_changes('account', ARRAY[one.id], one.new_status::text, 'signal');
        END IF;
    END LOOP;
    RETURN thaw.settle_taken('account', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd

-- The ownership rule of prospects: see 00035_apply.sql.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.taken_enrollment(
    p_old thaw.enrollments, p_taken thaw.taken, p_usable_ids bigint[], OUT new thaw.enrollments, OUT verdict text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change  jsonb := p_taken.change;
    status  thaw.enrollment_status := CASE WHEN (change ->> 'deleted')::boolean THEN 'removed' ELSE change ->> 'status' END;
    reason  thaw.pause_reason := change ->> 'reason';
    own     text := left(nullif(change ->> 'own_reason', ''), 1000);
    -- Whether a resume is Thaw's to decide.
    is_held boolean := coalesce(p_old.status = 'paused', false) AND NOT p_taken.is_shadow AND NOT p_taken.was_parked;
BEGIN
    new := p_old;
    new.external_id := p_taken.external_id;
    new.workspace_id := coalesce(p_old.workspace_id, p_taken.workspace_id);
    new.campaign_id := coalesce(p_taken.campaign_id, p_old.campaign_id);
    IF change ? 'account' THEN
        new.account_id := p_taken.account_id;
    END IF;
    IF change ? 'prospect_url' THEN
        new.prospect_url := change ->> 'prospect_url';
    END IF;

    IF status IS NULL AND p_old.status = 'paused' AND (change ? 'reason' OR change ? 'own_reason') THEN
        -- The same pause with another reason.
        status := 'paused';
        reason := CASE WHEN change ? 'reason' THEN coalesce(reason, 'paused_by_user') ELSE p_old.paused_reason END;
        own := CASE WHEN change ? 'own_reason' THEN own ELSE p_old.own_reason END;
    ELSIF status IS NULL AND reason IS NOT NULL AND NOT thaw.waits_for_account(reason) AND p_old.status IN ('pending', 'active') THEN
        -- The platform has not heard yet that Thaw resumed the prospect. A person pauses it.
        status := 'paused';
    END IF;
    CASE
    WHEN status IS NULL THEN
        NULL;
    WHEN status = 'paused' THEN
        IF thaw.is_of_campaigns(reason) THEN
            own := coalesce(own, reason::text);
            reason := 'paused_by_user';
        END IF;
        reason := coalesce(reason, 'paused_by_user');
        -- Which account reason it is, and since when, is Thaw's to say.
        IF NOT (is_held AND p_old.waits_for_account AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, thaw.new_paused_at(p_old.id, (change ->> 'paused_at')::timestamptz));
            new.own_reason := CASE WHEN reason = 'paused_by_user' THEN own END;
        END IF;
    WHEN status IN ('active', 'pending') AND is_held AND (status = 'active' OR p_old.waits_for_account)
        AND NOT (p_old.paused_reason = 'paused_by_user' AND coalesce(new.account_id = ANY (p_usable_ids), false)
            AND EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = new.campaign_id AND c.status = 'running'))
    THEN
        verdict := CASE WHEN p_old.waits_for_account THEN 'keep' ELSE 'requeue' END;
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
        new.own_reason := NULL;
    END CASE;

    -- The step and the time of the next action of a running prospect are not copied, unless Thaw
    -- schedules it: its kind comes with them then. A change of status takes them along.
    IF new.status <> 'active' OR p_old.status IS DISTINCT FROM 'active' OR change ? 'next_kind' THEN
        IF change ? 'step' THEN
            new.step := coalesce((change ->> 'step')::integer, 0);
        END IF;
        IF change ? 'next_action_at' THEN
            new.next_action_at := (change ->> 'next_action_at')::timestamptz;
        END IF;
        IF change ? 'next_kind' THEN
            new.next_kind := change ->> 'next_kind';
        END IF;
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.apply_enrollments(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken    thaw.taken[] := thaw.with_kept('enrollment', p_rows, p_is_backfill);
    locked   bigint[];
    kept     bigint[];
    requeued bigint[];
    usable   bigint[];
    role     text := 'in the platform''s table, by database role ' || session_user;
    -- Until then, a backfill may bring a row that was deleted after its snapshot. It is copied as
    -- removed, so that the same batch does not bring it again.
    is_complete boolean := (SELECT s.phase = 'running' FROM thaw.adopt_state AS s);
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, row.id, row.workspace_id, campaign.id, account.id,
            (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = row.workspace_id), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.change ->> 'campaign'
                AND (NOT t.change ? 'workspace' OR c.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS campaign
        CROSS JOIN LATERAL (
            SELECT min(e.id) AS id, min(e.workspace_id) AS workspace_id, count(*) AS n FROM thaw.enrollments AS e
            WHERE e.external_id = t.external_id
                AND (NOT t.change ? 'workspace' OR e.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS known
        -- A prospect that Thaw knew before the adoption has no ID of the platform yet.
        LEFT JOIN LATERAL (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE known.id IS NULL AND e.prospect_url = t.change ->> 'prospect_url' AND e.campaign_id = campaign.id AND e.external_id IS NULL
            ORDER BY e.id LIMIT 1) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(known.id, linked.id) AS id, coalesce(known.workspace_id, campaign.workspace_id) AS workspace_id) AS row
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = t.change ->> 'account' AND a.workspace_id = row.workspace_id) AS account ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a prospect with ID %s', known.n, t.external_id)]
                WHEN campaign.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', campaign.n, t.change ->> 'campaign')]
                WHEN row.id IS NULL AND (t.change ->> 'deleted')::boolean AND is_complete
                    THEN NULL -- inserted and deleted again
                WHEN row.id IS NULL AND NOT t.change ?& '{campaign,status,prospect_url}'::text[]
                    THEN ARRAY['unknown_row', 'a prospect that was never inserted changed']
                WHEN t.change ? 'campaign' AND campaign.id IS NULL
                    THEN ARRAY['unknown_parent', format('there is no campaign with ID %s', t.change ->> 'campaign')]
                WHEN known.workspace_id <> campaign.workspace_id
                    THEN ARRAY['unknown_parent', format('campaign %s is in another workspace', t.change ->> 'campaign')]
                WHEN t.change ->> 'account' IS NOT NULL AND account.id IS NULL
                    THEN ARRAY['unknown_parent', format('the workspace has no account with ID %s', t.change ->> 'account')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        -- Known rows are newer than the snapshot that the backfill reads. Only what was kept of
        -- their changes is applied.
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = t.row_id AND e.external_id IS NULL));
    END IF;

    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    -- Without rows, the triggers of the statement would still run.
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.row_id IS NULL AND t.code IS NULL) THEN
        INSERT INTO thaw.enrollments (
            external_id, workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, own_reason, next_action_at, next_kind, prospect_url)
        SELECT t.external_id, t.workspace_id, t.campaign_id, t.account_id, coalesce((ruled.new).step, 0), (ruled.new).status, (ruled.new).paused_reason,
            (ruled.new).paused_at, (ruled.new).own_reason, (ruled.new).next_action_at, (ruled.new).next_kind, (ruled.new).prospect_url
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL thaw.taken_enrollment(NULL, t, NULL) AS ruled
        WHERE t.row_id IS NULL AND t.code IS NULL AND NOT (is_complete AND coalesce((t.change ->> 'deleted')::boolean, false))
        ORDER BY length(t.external_id), t.external_id;
    END IF;

    locked := thaw.lock_taken('thaw.enrollments', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    usable := thaw.usable_accounts(ARRAY(
        SELECT coalesce(t.account_id, e.account_id) FROM unnest(taken) AS t JOIN thaw.enrollments AS e ON e.id = t.row_id
        WHERE t.code IS NULL AND t.change ->> 'status' = 'active' AND e.paused_reason = 'paused_by_user'));
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, e AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.enrollments AS e ON e.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_enrollment(e, t, usable) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.enrollments AS e SET external_id = (ruled.new).external_id, campaign_id = (ruled.new).campaign_id,
            account_id = (ruled.new).account_id, step = (ruled.new).step, status = (ruled.new).status,
            paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at, own_reason = (ruled.new).own_reason,
            next_action_at = (ruled.new).next_action_at, next_kind = (ruled.new).next_kind, prospect_url = (ruled.new).prospect_url
        FROM ruled
        WHERE e.id = ruled.row_id AND ruled.new IS DISTINCT FROM ruled.old
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        SELECT ruled.row_id, thaw.now(), (ruled.old).account_id, event.to_account_id, (ruled.new).step, event.kind, 'platform',
            event.from_status, CASE event.kind WHEN 'settled' THEN 'paused' ELSE (ruled.new).status END, event.reason, event.paused_at, role
        FROM ruled
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (ruled.new).status = 'active' THEN 'resumed'
                    WHEN (ruled.new).status <> 'paused' THEN 'changed'
                    WHEN thaw.waits_for_account((ruled.new).paused_reason) AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account THEN 'released'
                    ELSE 'paused' END::thaw.event_kind AS kind,
                (ruled.old).account_id AS to_account_id, (ruled.old).status AS from_status,
                CASE WHEN (ruled.new).status = 'paused' AND NOT (thaw.waits_for_account((ruled.new).paused_reason)
                    AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account)
                    THEN (ruled.new).paused_reason ELSE (ruled.old).paused_reason END AS reason,
                coalesce((ruled.old).paused_at, (ruled.new).paused_at) AS paused_at
            WHERE (ruled.old).paused_reason IS DISTINCT FROM (ruled.new).paused_reason
            UNION ALL
            -- As in 00032_settle.sql.
            SELECT 'settled', (ruled.old).account_id, (ruled.old).status, (ruled.old).paused_reason, (ruled.old).paused_at
            WHERE (ruled.old).status = 'paused' AND (ruled.old).step <> (ruled.new).step
            UNION ALL
            SELECT 'moved', (ruled.new).account_id, (ruled.new).status, (ruled.new).paused_reason, (ruled.new).paused_at
            WHERE (ruled.old).account_id <> (ruled.new).account_id) AS event
        ORDER BY ruled.row_id, event.kind = 'settled' DESC, event.kind = 'moved'
    )
    SELECT array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'keep'), array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'requeue')
    INTO kept, requeued
    FROM ruled;
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.code IS NULL AND (t.change ->> 'status' = 'active' OR t.change ? 'account')) THEN
        PERFORM thaw.pause_on_lost_accounts(taken);
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    IF kept IS NOT NULL THEN
        PERFORM thaw.queue_changes('enrollment', kept, 'active', 'person');
    END IF;
    IF requeued IS NOT NULL THEN
        PERFORM thaw.requeue_taken(requeued);
    END IF;
    RETURN thaw.settle_taken('enrollment', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION thaw.take_accounts(jsonb, boolean) IS
    'Copies changes of the platform''s accounts: an array of objects with id, workspace and the changed ones of provider, provider_account_id, member_id, name, timezone, tier, ramp_started_on, status (or unknown: a status that is not mapped), deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
COMMENT ON FUNCTION thaw.take_enrollments(jsonb, boolean) IS
    'Copies changes of the platform''s prospects: an array of objects with id, campaign and the changed ones of account, prospect_url, status (or unknown), reason, own_reason, step, next_action_at, next_kind, paused_at, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.apply_accounts(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken   thaw.taken[] := thaw.with_kept('account', p_rows, p_is_backfill);
    locked  bigint[];
    one     record;
    outcome text;
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, coalesce(known.id, linked.id), coalesce(workspace.id, known.workspace_id),
            NULL, NULL, NULL, failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        LEFT JOIN LATERAL (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace' LIMIT 1) AS workspace ON true
        LEFT JOIN LATERAL (
            SELECT min(a.id) AS id, min(a.workspace_id) AS workspace_id, count(*) AS n FROM thaw.accounts AS a
            WHERE a.external_id = t.external_id AND (NOT t.change ? 'workspace' OR a.workspace_id = workspace.id)) AS known ON true
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a
            WHERE known.id IS NULL AND a.external_id IS NULL AND a.workspace_id = workspace.id
                AND a.provider = coalesce(t.change ->> 'provider', 'linkedin') AND a.provider_account_id = t.change ->> 'provider_account_id') AS linked ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have an account with ID %s', known.n, t.external_id)]
                WHEN known.id IS NULL AND NOT t.change ? 'workspace' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                WHEN known.id IS NULL AND workspace.id IS NULL THEN ARRAY['unknown_parent', format('there is no workspace with ID %s', t.change ->> 'workspace')]
                WHEN known.id IS NULL AND linked.id IS NULL AND NOT t.change ? 'provider_account_id' THEN ARRAY['unknown_row', 'an account that was never inserted changed']
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.id = t.row_id AND a.external_id IS NULL));
    END IF;

    INSERT INTO thaw.accounts (external_id, workspace_id, provider, provider_account_id, member_id, display_name, timezone)
    SELECT t.external_id, t.workspace_id, coalesce(t.change ->> 'provider', 'linkedin'),
        coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id), nullif(t.change ->> 'member_id', ''),
        coalesce(t.change ->> 'name', ''), nullif(t.change ->> 'timezone', '')
    FROM unnest(taken) AS t
    WHERE t.row_id IS NULL AND t.code IS NULL
    ORDER BY length(t.external_id), t.external_id;

    locked := thaw.lock_taken('thaw.accounts', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    UPDATE thaw.accounts AS a SET external_id = new.external_id, provider = new.provider, provider_account_id = new.provider_account_id,
        member_id = new.member_id, display_name = new.display_name, timezone = new.timezone, parked_reason = new.parked_reason
    FROM (
        SELECT t.row_id, t.external_id, coalesce(t.change ->> 'provider', old.provider) AS provider,
            CASE WHEN t.change ? 'provider_account_id' THEN coalesce(nullif(t.change ->> 'provider_account_id', ''), 'not-connected:' || t.external_id)
                ELSE old.provider_account_id END AS provider_account_id,
            CASE WHEN t.change ? 'member_id' THEN nullif(t.change ->> 'member_id', '') ELSE old.member_id END AS member_id,
            CASE WHEN t.change ? 'name' THEN coalesce(t.change ->> 'name', '') ELSE old.display_name END AS display_name,
            CASE WHEN t.change ? 'timezone' THEN nullif(t.change ->> 'timezone', '') ELSE old.timezone END AS timezone,
            CASE WHEN NOT t.was_parked THEN old.parked_reason END AS parked_reason
        FROM unnest(taken) AS t JOIN thaw.accounts AS old ON old.id = t.row_id
        WHERE t.code IS NULL) AS new
    WHERE a.id = new.row_id
        AND (a.external_id, a.provider, a.provider_account_id, a.member_id, a.display_name, a.timezone, a.parked_reason)
            IS DISTINCT FROM (new.external_id, new.provider, new.provider_account_id, new.member_id, new.display_name, new.timezone, new.parked_reason);

    FOR one IN
        SELECT a.*, word.status AS new_status
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (t.change ->> 'deleted')::boolean THEN 'removed' ELSE t.change ->> 'status' END::thaw.account_status AS status) AS word
        JOIN thaw.accounts AS a ON a.external_id = t.external_id AND a.workspace_id = t.workspace_id
        WHERE t.code IS NULL AND word.status <> a.status
        ORDER BY a.id
    LOOP
        -- Connecting replaces connected only with a time of its own, in a later second.
        outcome := thaw.signal(one.provider, one.provider_account_id, one.new_status::text,
            CASE WHEN one.new_status = 'connecting' AND one.status = 'connected' THEN greatest(thaw.now(), one.status_at + interval '1 second') END);
        IF outcome <> 'applied' THEN
            PERFORM thaw.queue_changes('account', ARRAY[one.id], one.new_status::text, 'signal');
        END IF;
    END LOOP;
    RETURN thaw.settle_taken('account', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.taken_enrollment(
    p_old thaw.enrollments, p_taken thaw.taken, p_usable_ids bigint[], OUT new thaw.enrollments, OUT verdict text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change  jsonb := p_taken.change;
    status  thaw.enrollment_status := CASE WHEN (change ->> 'deleted')::boolean THEN 'removed' ELSE change ->> 'status' END;
    reason  thaw.pause_reason := change ->> 'reason';
    own     text := left(nullif(change ->> 'own_reason', ''), 1000);
    -- Whether a resume is Thaw's to decide.
    is_held boolean := coalesce(p_old.status = 'paused', false) AND NOT p_taken.is_shadow AND NOT p_taken.was_parked;
BEGIN
    new := p_old;
    new.external_id := p_taken.external_id;
    new.workspace_id := coalesce(p_old.workspace_id, p_taken.workspace_id);
    new.campaign_id := coalesce(p_taken.campaign_id, p_old.campaign_id);
    IF change ? 'account' THEN
        new.account_id := p_taken.account_id;
    END IF;
    IF change ? 'prospect_url' THEN
        new.prospect_url := change ->> 'prospect_url';
    END IF;

    IF status IS NULL AND p_old.status = 'paused' AND (change ? 'reason' OR change ? 'own_reason') THEN
        -- The same pause with another reason.
        status := 'paused';
        reason := CASE WHEN change ? 'reason' THEN coalesce(reason, 'paused_by_user') ELSE p_old.paused_reason END;
        own := CASE WHEN change ? 'own_reason' THEN own ELSE p_old.own_reason END;
    ELSIF status IS NULL AND reason IS NOT NULL AND NOT thaw.waits_for_account(reason) AND p_old.status IN ('pending', 'active') THEN
        -- The platform has not heard yet that Thaw resumed the prospect. A person pauses it.
        status := 'paused';
    END IF;
    CASE
    WHEN status IS NULL THEN
        NULL;
    WHEN status = 'paused' THEN
        IF thaw.is_of_campaigns(reason) THEN
            own := coalesce(own, reason::text);
            reason := 'paused_by_user';
        END IF;
        reason := coalesce(reason, 'paused_by_user');
        -- Which account reason it is, and since when, is Thaw's to say.
        IF NOT (is_held AND p_old.waits_for_account AND thaw.waits_for_account(reason)) THEN
            new.status := 'paused';
            new.paused_reason := reason;
            new.paused_at := coalesce(p_old.paused_at, thaw.new_paused_at(p_old.id, (change ->> 'paused_at')::timestamptz));
            new.own_reason := CASE WHEN reason = 'paused_by_user' THEN own END;
        END IF;
    WHEN status IN ('active', 'pending') AND is_held AND (status = 'active' OR p_old.waits_for_account)
        AND NOT (p_old.paused_reason = 'paused_by_user' AND coalesce(new.account_id = ANY (p_usable_ids), false)
            AND EXISTS (SELECT FROM thaw.campaigns AS c WHERE c.id = new.campaign_id AND c.status = 'running'))
    THEN
        verdict := CASE WHEN p_old.waits_for_account THEN 'keep' ELSE 'requeue' END;
    ELSE
        new.status := status;
        new.paused_reason := NULL;
        new.paused_at := NULL;
        new.own_reason := NULL;
    END CASE;

    -- The step and the time of the next action of a running prospect are not copied. A change of
    -- status takes them along.
    IF new.status <> 'active' OR p_old.status IS DISTINCT FROM 'active' THEN
        IF change ? 'step' THEN
            new.step := coalesce((change ->> 'step')::integer, 0);
        END IF;
        IF change ? 'next_action_at' THEN
            new.next_action_at := (change ->> 'next_action_at')::timestamptz;
        END IF;
    END IF;
END;
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.apply_enrollments(p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    taken    thaw.taken[] := thaw.with_kept('enrollment', p_rows, p_is_backfill);
    locked   bigint[];
    kept     bigint[];
    requeued bigint[];
    usable   bigint[];
    role     text := 'in the platform''s table, by database role ' || session_user;
    -- Until then, a backfill may bring a row that was deleted after its snapshot. It is copied as
    -- removed, so that the same batch does not bring it again.
    is_complete boolean := (SELECT s.phase = 'running' FROM thaw.adopt_state AS s);
BEGIN
    taken := ARRAY(
        SELECT ROW(t.external_id, t.change, t.kept_ids, t.was_parked, row.id, row.workspace_id, campaign.id, account.id,
            (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = row.workspace_id), failure.code, failure.problem)::thaw.taken
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL (
            SELECT min(c.id) AS id, min(c.workspace_id) AS workspace_id, count(*) AS n FROM thaw.campaigns AS c
            WHERE c.external_id = t.change ->> 'campaign'
                AND (NOT t.change ? 'workspace' OR c.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS campaign
        CROSS JOIN LATERAL (
            SELECT min(e.id) AS id, min(e.workspace_id) AS workspace_id, count(*) AS n FROM thaw.enrollments AS e
            WHERE e.external_id = t.external_id
                AND (NOT t.change ? 'workspace' OR e.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.external_id = t.change ->> 'workspace'))) AS known
        -- A prospect that Thaw knew before the adoption has no ID of the platform yet.
        LEFT JOIN LATERAL (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE known.id IS NULL AND e.prospect_url = t.change ->> 'prospect_url' AND e.campaign_id = campaign.id AND e.external_id IS NULL
            ORDER BY e.id LIMIT 1) AS linked ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(known.id, linked.id) AS id, coalesce(known.workspace_id, campaign.workspace_id) AS workspace_id) AS row
        LEFT JOIN LATERAL (
            SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = t.change ->> 'account' AND a.workspace_id = row.workspace_id) AS account ON true
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN t.code IS NOT NULL THEN ARRAY[t.code, t.problem]
                WHEN t.change ? 'unknown' THEN ARRAY['unknown_word', format('the mapping has no status for "%s"', left(t.change ->> 'unknown', 100))]
                WHEN known.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a prospect with ID %s', known.n, t.external_id)]
                WHEN campaign.n > 1 THEN ARRAY['ambiguous', format('%s workspaces have a campaign with ID %s', campaign.n, t.change ->> 'campaign')]
                WHEN row.id IS NULL AND (t.change ->> 'deleted')::boolean AND is_complete
                    THEN NULL -- inserted and deleted again
                WHEN row.id IS NULL AND NOT t.change ?& '{campaign,status,prospect_url}'::text[]
                    THEN ARRAY['unknown_row', 'a prospect that was never inserted changed']
                WHEN t.change ? 'campaign' AND campaign.id IS NULL
                    THEN ARRAY['unknown_parent', format('there is no campaign with ID %s', t.change ->> 'campaign')]
                WHEN known.workspace_id <> campaign.workspace_id
                    THEN ARRAY['unknown_parent', format('campaign %s is in another workspace', t.change ->> 'campaign')]
                WHEN t.change ->> 'account' IS NOT NULL AND account.id IS NULL
                    THEN ARRAY['unknown_parent', format('the workspace has no account with ID %s', t.change ->> 'account')]
                END AS words) AS found
        CROSS JOIN LATERAL (SELECT found.words[1] AS code, found.words[2] AS problem) AS failure);
    IF p_is_backfill THEN
        -- Known rows are newer than the snapshot that the backfill reads. Only what was kept of
        -- their changes is applied.
        taken := ARRAY(SELECT t FROM unnest(taken) AS t WHERE t.row_id IS NULL OR t.kept_ids IS NOT NULL
            OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.id = t.row_id AND e.external_id IS NULL));
    END IF;

    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    -- Without rows, the triggers of the statement would still run.
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.row_id IS NULL AND t.code IS NULL) THEN
        INSERT INTO thaw.enrollments (
            external_id, workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, own_reason, next_action_at, prospect_url)
        SELECT t.external_id, t.workspace_id, t.campaign_id, t.account_id, coalesce((ruled.new).step, 0), (ruled.new).status, (ruled.new).paused_reason,
            (ruled.new).paused_at, (ruled.new).own_reason, (ruled.new).next_action_at, (ruled.new).prospect_url
        FROM unnest(taken) AS t
        CROSS JOIN LATERAL thaw.taken_enrollment(NULL, t, NULL) AS ruled
        WHERE t.row_id IS NULL AND t.code IS NULL AND NOT (is_complete AND coalesce((t.change ->> 'deleted')::boolean, false))
        ORDER BY length(t.external_id), t.external_id;
    END IF;

    locked := thaw.lock_taken('thaw.enrollments', ARRAY(SELECT t.row_id FROM unnest(taken) AS t WHERE t.row_id IS NOT NULL AND t.code IS NULL));
    taken := thaw.set_aside(taken, locked);
    usable := thaw.usable_accounts(ARRAY(
        SELECT coalesce(t.account_id, e.account_id) FROM unnest(taken) AS t JOIN thaw.enrollments AS e ON e.id = t.row_id
        WHERE t.code IS NULL AND t.change ->> 'status' = 'active' AND e.paused_reason = 'paused_by_user'));
    WITH ruled AS MATERIALIZED (
        SELECT t.row_id, e AS old, rule.new, rule.verdict
        FROM unnest(taken) AS t
        JOIN thaw.enrollments AS e ON e.id = t.row_id
        CROSS JOIN LATERAL thaw.taken_enrollment(e, t, usable) AS rule
        WHERE t.code IS NULL
    ), changed AS (
        UPDATE thaw.enrollments AS e SET external_id = (ruled.new).external_id, campaign_id = (ruled.new).campaign_id,
            account_id = (ruled.new).account_id, step = (ruled.new).step, status = (ruled.new).status,
            paused_reason = (ruled.new).paused_reason, paused_at = (ruled.new).paused_at, own_reason = (ruled.new).own_reason,
            next_action_at = (ruled.new).next_action_at, prospect_url = (ruled.new).prospect_url
        FROM ruled
        WHERE e.id = ruled.row_id AND ruled.new IS DISTINCT FROM ruled.old
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
        SELECT ruled.row_id, thaw.now(), (ruled.old).account_id, event.to_account_id, (ruled.new).step, event.kind, 'platform',
            event.from_status, CASE event.kind WHEN 'settled' THEN 'paused' ELSE (ruled.new).status END, event.reason, event.paused_at, role
        FROM ruled
        CROSS JOIN LATERAL (
            SELECT CASE WHEN (ruled.new).status = 'active' THEN 'resumed'
                    WHEN (ruled.new).status <> 'paused' THEN 'changed'
                    WHEN thaw.waits_for_account((ruled.new).paused_reason) AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account THEN 'released'
                    ELSE 'paused' END::thaw.event_kind AS kind,
                (ruled.old).account_id AS to_account_id, (ruled.old).status AS from_status,
                CASE WHEN (ruled.new).status = 'paused' AND NOT (thaw.waits_for_account((ruled.new).paused_reason)
                    AND (ruled.old).status = 'paused' AND NOT (ruled.old).waits_for_account)
                    THEN (ruled.new).paused_reason ELSE (ruled.old).paused_reason END AS reason,
                coalesce((ruled.old).paused_at, (ruled.new).paused_at) AS paused_at
            WHERE (ruled.old).paused_reason IS DISTINCT FROM (ruled.new).paused_reason
            UNION ALL
            -- As in 00032_settle.sql.
            SELECT 'settled', (ruled.old).account_id, (ruled.old).status, (ruled.old).paused_reason, (ruled.old).paused_at
            WHERE (ruled.old).status = 'paused' AND (ruled.old).step <> (ruled.new).step
            UNION ALL
            SELECT 'moved', (ruled.new).account_id, (ruled.new).status, (ruled.new).paused_reason, (ruled.new).paused_at
            WHERE (ruled.old).account_id <> (ruled.new).account_id) AS event
        ORDER BY ruled.row_id, event.kind = 'settled' DESC, event.kind = 'moved'
    )
    SELECT array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'keep'), array_agg(ruled.row_id) FILTER (WHERE ruled.verdict = 'requeue')
    INTO kept, requeued
    FROM ruled;
    IF EXISTS (SELECT FROM unnest(taken) AS t WHERE t.code IS NULL AND (t.change ->> 'status' = 'active' OR t.change ? 'account')) THEN
        PERFORM thaw.pause_on_lost_accounts(taken);
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    IF kept IS NOT NULL THEN
        PERFORM thaw.queue_changes('enrollment', kept, 'active', 'person');
    END IF;
    IF requeued IS NOT NULL THEN
        PERFORM thaw.requeue_taken(requeued);
    END IF;
    RETURN thaw.settle_taken('enrollment', taken, p_is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_accounts(jsonb, boolean) IS
    'Copies changes of the platform''s accounts: an array of objects with id, workspace and the changed ones of provider, provider_account_id, member_id, name, timezone, status (or unknown: a word that is not mapped), deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';
COMMENT ON FUNCTION thaw.take_enrollments(jsonb, boolean) IS
    'Copies changes of the platform''s prospects: an array of objects with id, campaign and the changed ones of account, prospect_url, status (or unknown), reason, own_reason, step, next_action_at, paused_at, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- Manual actions on an account, a campaign or a prospect: hold, pause, resume.
--
-- A manual pause has its own reason, paused_by_user, which no lane resumes. A manual resume does
-- not resume prospects directly: it requeues them, as if they were waiting for their account. The
-- next sweeps resume them under the same caps, jitter and gates as all others.

-- +goose Up

-- The workspace with a key or an ID of the platform.
-- +goose StatementBegin
CREATE FUNCTION thaw.find_workspace(p_workspace text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found bigint := (SELECT w.id FROM thaw.workspaces_named(p_workspace) AS w);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no workspace "%"', p_workspace
            USING ERRCODE = 'no_data_found', HINT = 'Use a key or an external_id of thaw.workspaces.';
    END IF;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- The account with a provider account ID or an ID of the platform: of the provider and in the
-- workspace, if they are given. An ID that several accounts have is refused, because a guess would
-- act on the wrong account.
-- +goose StatementBegin
CREATE FUNCTION thaw.find_account(p_account text, p_provider text, p_workspace_id bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found       bigint[];
    providers   text;
    is_external boolean;
    workspaces  text;
BEGIN
    SELECT array_agg(a.id), string_agg(a.provider, ', ' ORDER BY a.provider), bool_and(a.provider_account_id <> p_account),
        string_agg(w.key, ', ' ORDER BY w.key)
    INTO found, providers, is_external, workspaces
    FROM thaw.accounts_named(p_account, coalesce(p_workspace_id, 0), coalesce(p_workspace_id, 9223372036854775807)) AS named
    JOIN thaw.accounts AS a ON a.id = named.id
    JOIN thaw.workspaces AS w ON w.id = a.workspace_id
    WHERE p_provider IS NULL OR a.provider = p_provider;
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no %account "%"%', coalesce(p_provider || ' ', ''), p_account,
            coalesce((SELECT format(' in workspace "%s"', w.key) FROM thaw.workspaces AS w WHERE w.id = p_workspace_id), '')
            USING ERRCODE = 'no_data_found', HINT = 'Use a provider_account_id or an external_id of thaw.accounts.';
    ELSIF cardinality(found) > 1 AND is_external THEN
        RAISE EXCEPTION '% workspaces have an account with the platform''s ID "%": %', cardinality(found), p_account, workspaces
            USING ERRCODE = 'cardinality_violation', HINT = 'Use the provider account ID.';
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION '% providers have an account "%": %', cardinality(found), p_account, providers
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the provider too.';
    END IF;
    RETURN found[1];
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.find_campaign(p_workspace_key text, p_campaign text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found bigint := (SELECT c.id FROM thaw.workspaces_named(p_workspace_key) AS w, thaw.campaigns_named(p_campaign, w.id) AS c);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'workspace "%" has no campaign "%"', p_workspace_key, p_campaign
            USING ERRCODE = 'no_data_found', HINT = 'thaw.campaigns.key lists the campaigns.';
    END IF;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.find_enrollment(workspace_key text, external_id text) RETURNS bigint LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found bigint := (
        SELECT e.id FROM thaw.enrollments AS e
        WHERE e.external_id = find_enrollment.external_id AND e.workspace_id = thaw.find_workspace(find_enrollment.workspace_key));
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'workspace "%" has no enrollment with the platform''s ID "%"', find_enrollment.workspace_key, find_enrollment.external_id
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments.external_id.';
    END IF;
    RETURN found;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.find_enrollment(text, text) IS
    'The ID of the enrollment with an ID of the platform (external_id) in a workspace, which is named by its key or its own external_id.';

-- Sets or ends (p_until null) the hold of an account that the caller has locked, and records the
-- manual action. The action is written first: the trigger accounts_keep_hold lets a hold be
-- shortened only if a correction of the same transaction records it. So neither a setting nor the
-- rights of the owner are enough to shorten a hold without a record.
-- +goose StatementBegin
CREATE FUNCTION thaw.set_hold(p_what text, p_account thaw.accounts, p_until timestamptz, p_reason text, p_actor text)
RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id, until, before)
    VALUES (p_what, p_actor, p_reason, p_account.workspace_id, p_account.id, p_until, thaw.hold_of(p_account));
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    UPDATE thaw.accounts AS a SET hold_until = p_until, hold_reason = CASE WHEN p_until IS NOT NULL THEN p_reason END
    WHERE a.id = p_account.id;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    RETURN p_until;
END;
$$;
-- +goose StatementEnd

-- How long a hold may last: a year. A later end is probably a mistyped date.
-- +goose StatementBegin
CREATE FUNCTION thaw.longest_hold() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '366 days';
-- +goose StatementEnd

-- The hold of an account, as thaw.manual_actions.before stores it for an undo.
-- +goose StatementBegin
CREATE FUNCTION thaw.hold_of(p_account thaw.accounts) RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object('hold_until', p_account.hold_until, 'hold_reason', p_account.hold_reason);
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.hold(
    account text, until timestamptz, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held thaw.accounts;
BEGIN
    PERFORM thaw.require_reason(reason, actor);
    SELECT a.* INTO held FROM thaw.accounts AS a
    WHERE a.id = thaw.find_account(hold.account, hold.provider) FOR NO KEY UPDATE;
    IF hold.until IS NULL OR hold.until <= thaw.now() THEN
        RAISE EXCEPTION 'a hold must end in the future, not %', coalesce('at ' || thaw.job_time(hold.until), 'never')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Check the year, and set a later end.';
    ELSIF hold.until > thaw.now() + thaw.longest_hold() THEN
        RAISE EXCEPTION 'a hold must end within a year, not at %', thaw.job_time(hold.until)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Set an end within a year. An operator can set a later one with thaw hold --correct or thaw.correct_hold.';
    END IF;
    RETURN thaw.set_hold('held', held, hold.until, hold.reason, hold.actor);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.hold(text, timestamptz, text, text, text) IS
    'Puts an account on hold until a time at most a year away: nothing is resumed or sent through it. An existing hold can only be extended; operators can correct one with thaw.correct_hold.';

-- One batch of a manual pause or resume of an account: changes at most p_size prospects, under the
-- account lock, and returns how many. Fewer than p_size: none remain. A pause takes prospects that
-- are active, that wait for an account, or that a restriction paused. A resume takes those that a
-- restriction paused and, with p_even_by_user, those that a person paused.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_action_batch(p_action_id bigint, p_size integer, p_even_by_user boolean DEFAULT false)
RETURNS integer LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    action thaw.manual_actions;
    status   thaw.account_status;
    changed  integer;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    SELECT a.status INTO status FROM thaw.accounts AS a WHERE a.id = action.account_id FOR NO KEY UPDATE;
    IF action.what = 'resumed' AND status = 'restricted' THEN
        RAISE EXCEPTION 'the account is still restricted' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Resume it after the provider reports it as connected again.';
    END IF;

    WITH claim AS (
        SELECT active.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE action.what = 'paused' AND e.account_id = action.account_id AND e.status = 'active'
            ORDER BY e.campaign_id, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS active
        UNION ALL
        SELECT waiting.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE action.what = 'paused' AND e.status = 'paused' AND e.waits_for_account AND e.account_id = action.account_id
            ORDER BY e.campaign_id, e.paused_at, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS waiting
        UNION ALL
        SELECT stopped.id FROM (
            SELECT e.id FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id = action.account_id
                AND (e.paused_reason = 'account_restricted' OR action.what = 'resumed' AND p_even_by_user)
            ORDER BY e.campaign_id, e.paused_at, e.id
            LIMIT p_size FOR NO KEY UPDATE) AS stopped
        LIMIT p_size)
    SELECT thaw.apply_action(p_action_id, array_agg(claim.id)) INTO changed FROM claim;
    RETURN changed;
END;
$$;
-- +goose StatementEnd

-- Changes rows that the caller has locked, writes their history, and adds them to the count of the
-- manual action.
-- +goose StatementBegin
CREATE FUNCTION thaw.apply_action(p_action_id bigint, p_enrollment_ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    action thaw.manual_actions;
    changed  integer;
BEGIN
    SELECT d.* INTO action FROM thaw.manual_actions AS d WHERE d.id = p_action_id;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH before AS (
        SELECT e.id, e.status, e.paused_reason FROM thaw.enrollments AS e WHERE e.id = ANY (p_enrollment_ids)
    ), written AS (
        UPDATE thaw.enrollments AS e SET
            status = 'paused',
            paused_reason = CASE action.what
                WHEN 'paused' THEN 'paused_by_user'::thaw.pause_reason ELSE 'account_issue' END,
            paused_at = coalesce(e.paused_at, thaw.now())
        FROM before
        WHERE e.id = before.id
        RETURNING e.id, e.step, e.account_id, e.paused_at, e.paused_reason AS now_reason, before.status, before.paused_reason
    )
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail,
        action_id, from_reason)
    SELECT written.id, thaw.now(), written.account_id, written.account_id, written.step,
        CASE action.what WHEN 'paused' THEN 'paused' ELSE 'released' END::thaw.event_kind, 'operator', written.status, 'paused',
        CASE action.what WHEN 'paused' THEN written.now_reason ELSE written.paused_reason END, written.paused_at,
        format('%s: %s', action.actor, action.reason), p_action_id, written.paused_reason
    FROM written;
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    UPDATE thaw.manual_actions AS d SET enrollments = coalesce(d.enrollments, 0) + changed WHERE d.id = p_action_id;
    RETURN changed;
END;
$$;
-- +goose StatementEnd

-- Records a manual action on an account, for the batches that follow.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_action(p_what text, p_account text, p_provider text, p_reason text, p_actor text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, account_id, enrollments)
    SELECT p_what, p_actor, p_reason, a.workspace_id, a.id, 0
    FROM thaw.accounts AS a WHERE a.id = thaw.find_account(p_account, p_provider)
    RETURNING d.id INTO action_id;
    RETURN action_id;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.pause_account(
    account text, reason text, actor text DEFAULT current_user, provider text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN thaw.apply_action_batch(thaw.start_action('paused', account, provider, reason, actor), 2147483647);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.pause_account(text, text, text, text) IS
    'Pauses, with reason paused_by_user and in the caller''s transaction, all prospects of an account that are active, wait for an account, or were paused by a restriction. Returns how many. thaw pause --account does the same in batches.';

-- +goose StatementBegin
CREATE FUNCTION thaw.resume_account(
    account text, reason text, actor text DEFAULT current_user, even_by_user boolean DEFAULT false,
    provider text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN thaw.apply_action_batch(thaw.start_action('resumed', account, provider, reason, actor), 2147483647, even_by_user);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_account(text, text, text, boolean, text) IS
    'Requeues the prospects of an account that a restriction paused; the next sweeps resume them within the caps. even_by_user: also those that a person paused. Returns how many.';

-- Pauses or resumes a prospect in all of its campaigns, or in the given workspace or campaign.
-- Accounts are locked first, by id.
-- +goose StatementBegin
CREATE FUNCTION thaw.act_on_prospect(
    p_what text, p_prospect_url text, p_workspace_key text, p_campaign text, p_reason text, p_actor text,
    OUT action_id bigint, OUT changed integer
) LANGUAGE plpgsql AS $$
DECLARE
    wanted      bigint[];
    locked      bigint[];
    urls        text[];
    workspaces  bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT array_agg(e.id), array_agg(DISTINCT e.prospect_url),
        CASE WHEN bool_or(e.prospect_url = p_prospect_url) THEN 1 ELSE count(DISTINCT e.workspace_id) END
    INTO wanted, urls, workspaces
    FROM thaw.enrollments_named(ARRAY[p_prospect_url]) AS named
    JOIN thaw.enrollments AS e ON e.id = named.id
    WHERE (p_workspace_key IS NULL OR e.workspace_id IN (SELECT w.id FROM thaw.workspaces_named(p_workspace_key) AS w))
        AND (p_campaign IS NULL OR e.campaign_id IN (SELECT c.id FROM thaw.campaigns_named(p_campaign, e.workspace_id) AS c));
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'no campaign has the prospect %', p_prospect_url
            USING ERRCODE = 'no_data_found', HINT = 'Use the URL as it was enrolled. thaw explain also finds other spellings.';
    ELSIF workspaces > 1 THEN
        RAISE EXCEPTION '% workspaces have a prospect with the platform''s ID "%"', workspaces, p_prospect_url
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the workspace too, or use the URL.';
    END IF;
    -- The audit log has the URL, also if the ID of the platform was given.
    p_prospect_url := urls[1];
    PERFORM a.id FROM thaw.accounts AS a
    WHERE a.id IN (SELECT e.account_id FROM thaw.enrollments AS e WHERE e.id = ANY (wanted))
    ORDER BY a.id FOR NO KEY UPDATE;
    SELECT array_agg(claim.id) INTO locked FROM (
        SELECT e.id FROM thaw.enrollments AS e
        WHERE e.id = ANY (wanted)
            AND CASE p_what
                WHEN 'paused' THEN e.status IN ('pending', 'active')
                    OR e.status = 'paused' AND e.paused_reason <> 'paused_by_user'
                ELSE e.status = 'paused' AND NOT e.waits_for_account END
        ORDER BY e.id FOR NO KEY UPDATE) AS claim;
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, prospect_url, enrollments)
    VALUES (p_what, p_actor, p_reason, p_prospect_url, 0)
    RETURNING d.id INTO action_id;
    changed := thaw.apply_action(action_id, locked);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.pause_prospect(
    prospect_url text, reason text, actor text DEFAULT current_user, workspace_key text DEFAULT NULL, campaign text DEFAULT NULL
) RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (thaw.act_on_prospect('paused', prospect_url, workspace_key, campaign, reason, actor)).changed;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.pause_prospect(text, text, text, text, text) IS
    'Pauses a prospect with reason paused_by_user, in all of its campaigns or in those given, and returns in how many.';

-- +goose StatementBegin
CREATE FUNCTION thaw.resume_prospect(
    prospect_url text, reason text, actor text DEFAULT current_user, workspace_key text DEFAULT NULL, campaign text DEFAULT NULL
) RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (thaw.act_on_prospect('resumed', prospect_url, workspace_key, campaign, reason, actor)).changed;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_prospect(text, text, text, text, text) IS
    'Requeues a prospect that a person or a restriction paused, in all of its campaigns or in those given, and returns in how many. The next sweeps resume it within the caps.';

-- Pauses or starts a campaign. Its prospects do not change: in a campaign that is not running,
-- nothing is sent or resumed. action_id null: the campaign was already in this state.
-- +goose StatementBegin
CREATE FUNCTION thaw.act_on_campaign(
    p_what text, p_workspace_key text, p_campaign text, p_reason text, p_actor text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    campaign  thaw.campaigns;
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    SELECT c.* INTO campaign FROM thaw.campaigns AS c
    WHERE c.id = thaw.find_campaign(p_workspace_key, p_campaign) FOR NO KEY UPDATE;
    IF campaign.status NOT IN ('running', 'paused') THEN
        RAISE EXCEPTION 'campaign "%" is %', p_campaign, campaign.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a running campaign can be paused, and only a paused one can be resumed.';
    ELSIF campaign.paused_reason = 'subscription_inactive' THEN
        RAISE EXCEPTION 'campaign "%" is paused because the subscription is not active', p_campaign
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Billing starts it again when the subscription becomes active.';
    ELSIF p_what = 'paused' AND campaign.paused_reason = 'paused_by_user' OR p_what = 'resumed' AND campaign.status = 'running' THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    IF p_what = 'paused' THEN
        UPDATE thaw.campaigns AS c SET
            status = 'paused', paused_reason = 'paused_by_user', paused_at = coalesce(c.paused_at, thaw.now())
        WHERE c.id = campaign.id;
    ELSE
        UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL WHERE c.id = campaign.id;
    END IF;
    PERFORM set_config('thaw.counts_by_statement', '', true);
    INSERT INTO thaw.manual_actions AS d (what, actor, reason, workspace_id, campaign_id)
    VALUES (p_what, p_actor, p_reason, campaign.workspace_id, campaign.id)
    RETURNING d.id INTO action_id;
    INSERT INTO thaw.campaign_events (
        campaign_id, at, kind, source, from_status, to_status, reason, detail, action_id, from_reason)
    SELECT campaign.id, thaw.now(), p_what::thaw.event_kind, 'operator', campaign.status,
        CASE p_what WHEN 'paused' THEN 'paused' ELSE 'running' END::thaw.campaign_status,
        CASE p_what WHEN 'paused' THEN 'paused_by_user' ELSE campaign.paused_reason END,
        format('%s: %s', p_actor, p_reason), action_id, campaign.paused_reason;
    RETURN action_id;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.pause_campaign(workspace_key text, campaign text, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN thaw.act_on_campaign('paused', workspace_key, campaign, reason, actor) IS NOT NULL;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.pause_campaign(text, text, text, text) IS
    'Pauses a campaign with reason paused_by_user: nothing of it is sent or resumed. Returns false if a person had paused it already.';

-- +goose StatementBegin
CREATE FUNCTION thaw.resume_campaign(workspace_key text, campaign text, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN thaw.act_on_campaign('resumed', workspace_key, campaign, reason, actor) IS NOT NULL;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_campaign(text, text, text, text) IS
    'Starts a paused campaign again, unless it is paused for billing. The next sweeps resume its waiting prospects within the caps. Returns false if it is running already.';

-- +goose StatementBegin
CREATE FUNCTION thaw.sending_held_by(account text, provider text DEFAULT NULL)
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
COMMENT ON FUNCTION thaw.sending_held_by(text, text) IS
    'Why nothing may be sent through an account now: account_not_connected, account_locked, account_parked, account_on_hold, safety_mode, account_flapping or unknown_account. Empty: sending is allowed.';

REVOKE ALL ON FUNCTION thaw.find_workspace(text), thaw.find_enrollment(text, text), thaw.find_account(text, text, bigint), thaw.find_campaign(text, text),
    thaw.set_hold(text, thaw.accounts, timestamptz, text, text), thaw.longest_hold(),
    thaw.hold(text, timestamptz, text, text, text), thaw.apply_action_batch(bigint, integer, boolean),
    thaw.apply_action(bigint, bigint[]), thaw.start_action(text, text, text, text, text),
    thaw.pause_account(text, text, text, text), thaw.resume_account(text, text, text, boolean, text),
    thaw.act_on_prospect(text, text, text, text, text, text), thaw.pause_prospect(text, text, text, text, text),
    thaw.resume_prospect(text, text, text, text, text), thaw.act_on_campaign(text, text, text, text, text),
    thaw.pause_campaign(text, text, text, text), thaw.resume_campaign(text, text, text, text),
    thaw.sending_held_by(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.sending_held_by(text, text);
DROP FUNCTION thaw.resume_campaign(text, text, text, text);
DROP FUNCTION thaw.pause_campaign(text, text, text, text);
DROP FUNCTION thaw.act_on_campaign(text, text, text, text, text);
DROP FUNCTION thaw.resume_prospect(text, text, text, text, text);
DROP FUNCTION thaw.pause_prospect(text, text, text, text, text);
DROP FUNCTION thaw.act_on_prospect(text, text, text, text, text, text);
DROP FUNCTION thaw.resume_account(text, text, text, boolean, text);
DROP FUNCTION thaw.pause_account(text, text, text, text);
DROP FUNCTION thaw.start_action(text, text, text, text, text);
DROP FUNCTION thaw.apply_action(bigint, bigint[]);
DROP FUNCTION thaw.apply_action_batch(bigint, integer, boolean);
DROP FUNCTION thaw.hold(text, timestamptz, text, text, text);
DROP FUNCTION thaw.hold_of(thaw.accounts);
DROP FUNCTION thaw.longest_hold();
DROP FUNCTION thaw.set_hold(text, thaw.accounts, timestamptz, text, text);
DROP FUNCTION thaw.find_enrollment(text, text);
DROP FUNCTION thaw.find_campaign(text, text);
DROP FUNCTION thaw.find_account(text, text, bigint);
DROP FUNCTION thaw.find_workspace(text);

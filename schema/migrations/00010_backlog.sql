-- Which prospects wait, and through which account they may resume. All lanes, the forecast and the
-- explanations use these views and functions, so that they cannot disagree.
--
-- Entry-point functions set jit off: the planner cannot know how few rows a loose scan returns, so
-- it takes these statements for expensive ones and would spend 250 ms compiling what runs for 1 ms.

-- +goose Up

-- The other accounts of the same person: those with the same member_id, and linked ones. They
-- always have the same workspace and the same provider. Links are not transitive through member_id:
-- the member siblings of a linked account are not siblings.
CREATE VIEW thaw.siblings AS
SELECT account.id AS account_id, sibling.id AS sibling_id
FROM thaw.accounts AS account
JOIN thaw.accounts AS sibling
    ON sibling.workspace_id = account.workspace_id
    AND sibling.provider = account.provider
    AND sibling.member_id = account.member_id
    AND sibling.id <> account.id
UNION ALL
-- Accounts that are linked to the same account as this one, or to this one.
SELECT account.id, sibling.id
FROM thaw.accounts AS account
JOIN thaw.accounts AS sibling
    ON sibling.link_id = coalesce(account.link_id, account.id)
    AND sibling.workspace_id = account.workspace_id
    AND sibling.provider = account.provider
    AND sibling.id <> account.id
    AND (sibling.member_id = account.member_id) IS NOT TRUE
UNION ALL
-- The account that this one is linked to.
SELECT account.id, sibling.id
FROM thaw.accounts AS account
JOIN thaw.accounts AS sibling
    ON sibling.id = account.link_id
    AND sibling.workspace_id = account.workspace_id
    AND sibling.provider = account.provider
    AND (sibling.member_id = account.member_id) IS NOT TRUE;
COMMENT ON VIEW thaw.siblings IS
    'Pairs of accounts of the same person in the same workspace, by member_id or by link: one row per direction.';

-- For an account that is not connected: the account through which its prospects resume. This is the
-- connected account of the same person in the same workspace that connected last. A restricted
-- account has none: a person has to act first, and the pause job may not have marked all of its
-- prospects yet.
--
-- The view is written so that the planner can use indexes for one account and hash joins for all
-- accounts.
CREATE VIEW thaw.sibling_targets AS
SELECT DISTINCT ON (source.id) source.id AS source_id, sibling.id AS target_id
FROM thaw.accounts AS source
JOIN thaw.siblings AS family ON family.account_id = source.id
JOIN thaw.accounts AS sibling ON sibling.id = family.sibling_id AND sibling.status = 'connected'
WHERE source.status NOT IN ('connected', 'restricted')
ORDER BY source.id, sibling.connected_at DESC, sibling.id DESC;

-- The same for every account: a connected account is its own target.
CREATE VIEW thaw.resume_targets AS
SELECT source.id AS source_id, source.id AS target_id
FROM thaw.accounts AS source
WHERE source.status = 'connected'
UNION ALL
SELECT moved.source_id, moved.target_id FROM thaw.sibling_targets AS moved;
COMMENT ON VIEW thaw.resume_targets IS 'The account through which the prospects of an account resume. No row: there is none.';

-- The accounts whose prospects resume through the given account. The target of each is looked up on
-- its own: in a join with the view, the planner would find the targets of all accounts first. All
-- functions that a pass calls are written in plpgsql, which keeps its plans for the life of the
-- connection; an SQL function that cannot be inlined is planned at every call.
-- +goose StatementBegin
CREATE FUNCTION thaw.sources_of(p_target_id bigint) RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg(family.id ORDER BY family.id)
        FROM (
            SELECT target.id
            FROM thaw.accounts AS target
            WHERE target.id = p_target_id
            UNION
            SELECT siblings.sibling_id
            FROM thaw.siblings AS siblings
            WHERE siblings.account_id = p_target_id) AS family
        WHERE (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = family.id) = p_target_id);
END;
$$;
-- +goose StatementEnd

-- Why nothing may resume through an account now. Null: nothing prevents it. The rule takes facts
-- about other rows as arguments and has no SET clause, so that the planner can inline it: in a
-- statement over all accounts, a call per account would cost more than the rest of the statement.
-- +goose StatementBegin
CREATE FUNCTION thaw.block_reason(p_account thaw.accounts, p_is_safety_on boolean, p_is_auto_resume_on boolean, p_is_shadow boolean)
RETURNS text LANGUAGE sql STABLE
RETURN CASE
    WHEN p_account.status <> 'connected' THEN 'account_not_connected'
    WHEN p_account.locked_at IS NOT NULL THEN 'account_locked'
    WHEN p_account.parked_reason IS NOT NULL THEN 'account_parked'
    WHEN p_account.hold_until > thaw.now() THEN 'account_on_hold'
    WHEN p_is_safety_on THEN 'safety_mode'
    WHEN p_account.resume_after > thaw.now() THEN 'account_flapping'
    WHEN NOT p_is_auto_resume_on THEN 'auto_resume_off'
    -- Last, so that it is the answer only for what would resume otherwise.
    WHEN p_is_shadow THEN 'shadow_mode'
END;
-- +goose StatementEnd

-- Whether nothing may be resumed or sent in the whole fleet: in safety mode, and in a copy of the
-- database, which enters safety mode within a minute (thaw.check_instance). Statements over all
-- accounts read the row of safety mode instead: they only plan, and each pass checks again.
-- +goose StatementBegin
CREATE FUNCTION thaw.is_safety_on() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT safety.since IS NOT NULL FROM thaw.safety) OR thaw.why_copy() IS NOT NULL;
END;
$$;
-- +goose StatementEnd

-- The same rule for one account.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocked_by(p_account thaw.accounts, p_even_if_off boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT thaw.block_reason(p_account, thaw.is_safety_on(), p_even_if_off OR workspace.auto_resume, workspace.shadow)
        FROM thaw.workspaces AS workspace WHERE workspace.id = p_account.workspace_id);
END;
$$;
-- +goose StatementEnd

-- All that blocks an account, in the order of the rule, for explanations. The rule is applied again
-- without what it found, so that its conditions are written once. Empty: nothing blocks it.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocks(p_account thaw.accounts) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    account           thaw.accounts := p_account;
    is_safety_on      boolean := thaw.is_safety_on();
    is_auto_resume_on boolean;
    is_shadow         boolean;
    found             text[] := '{}';
    next              text;
BEGIN
    SELECT workspace.auto_resume, workspace.shadow INTO is_auto_resume_on, is_shadow
    FROM thaw.workspaces AS workspace WHERE workspace.id = p_account.workspace_id;
    LOOP
        next := thaw.block_reason(account, is_safety_on, is_auto_resume_on, is_shadow);
        EXIT WHEN next IS NULL;
        found := found || next;
        CASE next
            WHEN 'account_not_connected' THEN account.status := 'connected';
            WHEN 'account_locked' THEN account.locked_at := NULL;
            WHEN 'account_parked' THEN account.parked_reason := NULL;
            WHEN 'account_on_hold' THEN account.hold_until := NULL;
            WHEN 'safety_mode' THEN is_safety_on := false;
            WHEN 'account_flapping' THEN account.resume_after := NULL;
            WHEN 'auto_resume_off' THEN is_auto_resume_on := true;
            WHEN 'shadow_mode' THEN is_shadow := false;
        END CASE;
    END LOOP;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- Whether prospects of a campaign may resume: the campaign is running, or it waits for an account
-- itself and is started together with them.
-- +goose StatementBegin
CREATE FUNCTION thaw.allows_resume(p_status thaw.campaign_status, p_waits_for_account boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p_status = 'running' OR p_waits_for_account;
-- +goose StatementEnd

-- The campaigns in which prospects of an account wait. A loose index scan: one descent per
-- campaign, regardless of the number of rows.
-- +goose StatementBegin
CREATE FUNCTION thaw.waiting_campaigns(p_account_id bigint) RETURNS TABLE (campaign_id bigint) LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    WITH RECURSIVE loose AS (
        (SELECT e.campaign_id
         FROM thaw.enrollments AS e
         WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = p_account_id
         ORDER BY e.campaign_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.campaign_id
                FROM thaw.enrollments AS e
                WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = p_account_id
                    AND e.campaign_id > loose.campaign_id
                ORDER BY e.campaign_id LIMIT 1)
        FROM loose
        WHERE loose.campaign_id IS NOT NULL
    )
    SELECT loose.campaign_id FROM loose WHERE loose.campaign_id IS NOT NULL;
END;
-- +goose StatementEnd

-- The campaigns in which an account has active enrollments, also by a loose index scan.
-- +goose StatementBegin
CREATE FUNCTION thaw.active_campaigns(p_account_id bigint) RETURNS TABLE (campaign_id bigint) LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    WITH RECURSIVE loose AS (
        (SELECT e.campaign_id
         FROM thaw.enrollments AS e
         WHERE e.status = 'active' AND e.account_id = p_account_id
         ORDER BY e.campaign_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.campaign_id
                FROM thaw.enrollments AS e
                WHERE e.status = 'active' AND e.account_id = p_account_id AND e.campaign_id > loose.campaign_id
                ORDER BY e.campaign_id LIMIT 1)
        FROM loose
        WHERE loose.campaign_id IS NOT NULL
    )
    SELECT loose.campaign_id FROM loose WHERE loose.campaign_id IS NOT NULL;
END;
-- +goose StatementEnd

-- The campaigns that wait for an account although the account has pending enrollments in them, also
-- by a loose index scan.
-- +goose StatementBegin
CREATE FUNCTION thaw.pending_campaigns(p_account_id bigint) RETURNS TABLE (campaign_id bigint) LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    WITH RECURSIVE loose AS (
        (SELECT e.campaign_id
         FROM thaw.enrollments AS e
         WHERE e.status = 'pending' AND e.account_id = p_account_id
         ORDER BY e.campaign_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.campaign_id
                FROM thaw.enrollments AS e
                WHERE e.status = 'pending' AND e.account_id = p_account_id AND e.campaign_id > loose.campaign_id
                ORDER BY e.campaign_id LIMIT 1)
        FROM loose
        WHERE loose.campaign_id IS NOT NULL
    )
    SELECT loose.campaign_id FROM loose
    WHERE (SELECT c.waits_for_account FROM thaw.campaigns AS c WHERE c.id = loose.campaign_id);
END;
-- +goose StatementEnd

-- The accounts and campaigns, among the given accounts, with prospects that may resume now: in a
-- campaign that is running, or that waits for an account itself and is started together with them.
-- Target and campaign are looked up one by one (the scalar subquery, the LIMIT): in a free join,
-- the planner would hash all accounts and all campaigns for the pass of a single account.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable(p_source_ids bigint[], p_even_if_off boolean DEFAULT false)
RETURNS TABLE (workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT target.workspace_id, target.id, source.id, campaign.id
    FROM unnest(p_source_ids) AS source (id)
    JOIN thaw.accounts AS target
        ON target.id = (SELECT resume.target_id FROM thaw.resume_targets AS resume WHERE resume.source_id = source.id)
    CROSS JOIN LATERAL thaw.waiting_campaigns(source.id) AS waiting
    CROSS JOIN LATERAL (
        SELECT c.id FROM thaw.campaigns AS c
        WHERE c.id = waiting.campaign_id AND thaw.allows_resume(c.status, c.waits_for_account)
        LIMIT 1) AS campaign
    WHERE thaw.blocked_by(target, p_even_if_off) IS NULL;
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resumable(bigint[], boolean) IS
    'Source account, campaign and target account of the prospects of the given accounts that may resume now. One row per source account and campaign.';

-- +goose Down
DROP FUNCTION thaw.resumable(bigint[], boolean);
DROP FUNCTION thaw.pending_campaigns(bigint);
DROP FUNCTION thaw.active_campaigns(bigint);
DROP FUNCTION thaw.waiting_campaigns(bigint);
DROP FUNCTION thaw.allows_resume(thaw.campaign_status, boolean);
DROP FUNCTION thaw.blocks(thaw.accounts);
DROP FUNCTION thaw.blocked_by(thaw.accounts, boolean);
DROP FUNCTION thaw.is_safety_on();
DROP FUNCTION thaw.block_reason(thaw.accounts, boolean, boolean, boolean);
DROP FUNCTION thaw.sources_of(bigint);
DROP VIEW thaw.resume_targets;
DROP VIEW thaw.sibling_targets;
DROP VIEW thaw.siblings;

-- Who waits, and through which account they may wake. Every lane, the forecast and the explanation ask here, so that they
-- cannot disagree.
--
-- The functions at the top of a call set jit off: the planner cannot know how few rows a loose scan returns, takes these
-- statements for expensive ones, and would spend a quarter of a second compiling what runs for a millisecond.

-- +goose Up

-- The account through which the prospects of an account wake: itself while it is connected; else, among the accounts of
-- the same person in the same workspace, the connected one that connected last. Nobody while it is restricted: a person
-- decides then, and its pause job may not have said so to all of its prospects yet.
CREATE VIEW thaw.wake_targets AS
SELECT source.id AS source_id, source.id AS target_id
FROM thaw.accounts AS source
WHERE source.status = 'connected'
UNION ALL
SELECT source.id, target.id
FROM thaw.accounts AS source
CROSS JOIN LATERAL (
    SELECT sibling.id
    FROM thaw.accounts AS sibling
    WHERE sibling.workspace_id = source.workspace_id
        AND sibling.provider = source.provider
        AND sibling.member_id = source.member_id
        AND sibling.status = 'connected'
    ORDER BY sibling.connected_at DESC, sibling.id DESC
    LIMIT 1) AS target
WHERE source.status NOT IN ('connected', 'restricted');
COMMENT ON VIEW thaw.wake_targets IS 'The account through which the prospects of an account wake; no row: nobody can.';

-- The accounts whose prospects wake through an account. The target of each is looked up by itself: joined with the view, the
-- planner finds the targets of all accounts first. In plpgsql, as all that a pass calls: it keeps its plan for as long as the
-- connection lives, where a function in SQL that cannot be inlined is planned at every call.
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
            SELECT sibling.id
            FROM thaw.accounts AS target
            JOIN thaw.accounts AS sibling
                ON sibling.workspace_id = target.workspace_id
                AND sibling.provider = target.provider
                AND sibling.member_id = target.member_id
            WHERE target.id = p_target_id) AS family
        WHERE (SELECT wake.target_id FROM thaw.wake_targets AS wake WHERE wake.source_id = family.id) = p_target_id);
END;
$$;
-- +goose StatementEnd

-- Why nobody may be woken through an account at this moment; null: nothing stands against it.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocked_by(p_account thaw.accounts, p_even_if_off boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN p_account.status <> 'connected' THEN 'account_not_connected'
        WHEN p_account.hold_until > thaw.now() THEN 'account_on_hold'
        WHEN (SELECT safety.since IS NOT NULL FROM thaw.safety) THEN 'safety_mode'
        WHEN NOT p_even_if_off AND NOT (
            SELECT workspace.auto_resume FROM thaw.workspaces AS workspace
            WHERE workspace.id = p_account.workspace_id) THEN 'auto_resume_off'
    END;
END;
$$;
-- +goose StatementEnd

-- A loose scan: one descent of the index for every account with somebody waiting, however many rows wait there.
-- The words are those of enrollments_waiting_idx: whoever waits is paused, and has a reason.
CREATE VIEW thaw.waiting_accounts AS
WITH RECURSIVE loose AS (
    (SELECT e.account_id
     FROM thaw.enrollments AS e
     WHERE e.waits_for_account AND e.paused_reason IS NOT NULL
     ORDER BY e.account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.account_id
            FROM thaw.enrollments AS e
            WHERE e.waits_for_account AND e.paused_reason IS NOT NULL AND e.account_id > loose.account_id
            ORDER BY e.account_id LIMIT 1)
    FROM loose
    WHERE loose.account_id IS NOT NULL
)
SELECT loose.account_id FROM loose WHERE loose.account_id IS NOT NULL;

-- The same over the campaigns of one account.
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

-- The campaigns in which an account has active enrollments, by the same kind of scan.
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

-- Where, among the given accounts, somebody waits who may be woken now: a campaign that runs, or that waits for an account
-- itself and is started again with its prospects. Target and campaign are looked up one by one (the scalar subquery, the
-- limit): joined freely, the planner would hash all accounts and all campaigns for the pass of a single account.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable(p_source_ids bigint[], p_even_if_off boolean DEFAULT false)
RETURNS TABLE (workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT target.workspace_id, target.id, source.id, campaign.id
    FROM unnest(p_source_ids) AS source (id)
    JOIN thaw.accounts AS target
        ON target.id = (SELECT wake.target_id FROM thaw.wake_targets AS wake WHERE wake.source_id = source.id)
    CROSS JOIN LATERAL thaw.waiting_campaigns(source.id) AS waiting
    CROSS JOIN LATERAL (
        SELECT c.id FROM thaw.campaigns AS c
        WHERE c.id = waiting.campaign_id AND (c.status = 'running' OR c.waits_for_account)
        LIMIT 1) AS campaign
    WHERE thaw.blocked_by(target, p_even_if_off) IS NULL;
END;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resumable(bigint[], boolean) IS
    'Source account, campaign and target account of everybody among the given accounts who may be woken now.';

-- The same for everybody, with how many wait in each line. Defined with the owner's rights so that a role which may read
-- the view thaw.backlog needs none on the tables and functions below it.
-- +goose StatementBegin
CREATE FUNCTION thaw.resumable_lines()
RETURNS TABLE (workspace_id bigint, target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    SELECT line.workspace_id, line.target_id, line.source_id, line.campaign_id, rows.waiting
    FROM thaw.resumable(ARRAY(SELECT w.account_id FROM thaw.waiting_accounts AS w)) AS line
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused' AND e.waits_for_account
            AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id) AS rows;
END;
-- +goose StatementEnd

-- The claimants of a tick: connected accounts with somebody to wake, what the tick may still give them, and when they and
-- their workspace were served last. Shape of plan.Claimant. Who was served before the history that is kept counts as never
-- served, so that it makes no difference when that is removed.
-- +goose StatementBegin
CREATE FUNCTION thaw.claimants(p_tick_at timestamptz DEFAULT thaw.tick())
RETURNS TABLE (
    account_id bigint, workspace_id bigint, backlog integer, room integer,
    account_served_at timestamptz, workspace_served_at timestamptz)
LANGUAGE sql STABLE SET jit = off
BEGIN ATOMIC
    SELECT waiting.target_id, waiting.workspace_id, waiting.backlog::integer,
        coalesce(budget.cap - budget.used, settings.account_cap), account_served.tick_at, workspace_served.tick_at
    FROM (
        SELECT line.target_id, line.workspace_id, sum(line.waiting) AS backlog
        FROM thaw.resumable_lines() AS line
        GROUP BY line.target_id, line.workspace_id) AS waiting
    CROSS JOIN thaw.settings
    LEFT JOIN thaw.account_budgets AS budget
        ON budget.tick_at = p_tick_at AND budget.account_id = waiting.target_id
    LEFT JOIN LATERAL (
        SELECT g.tick_at FROM thaw.grants AS g
        WHERE g.account_id = waiting.target_id AND g.planned > 0 AND g.tick_at >= thaw.now() - settings.keep_history
        ORDER BY g.tick_at DESC LIMIT 1) AS account_served ON true
    LEFT JOIN LATERAL (
        SELECT g.tick_at FROM thaw.grants AS g
        WHERE g.workspace_id = waiting.workspace_id AND g.planned > 0 AND g.tick_at >= thaw.now() - settings.keep_history
        ORDER BY g.tick_at DESC LIMIT 1) AS workspace_served ON true;
END;
-- +goose StatementEnd

-- Connected accounts whose active prospects are blocked by a campaign that still waits for an account: the campaign was
-- paused before this account came back. A tick starts such campaigns again even where nobody waits.
-- +goose StatementBegin
CREATE FUNCTION thaw.blocked_campaigns() RETURNS TABLE (account_id bigint, workspace_id bigint)
LANGUAGE sql STABLE SET jit = off
BEGIN ATOMIC
    SELECT DISTINCT account.id, account.workspace_id
    FROM thaw.campaigns AS campaign
    JOIN thaw.accounts AS account
        ON account.workspace_id = campaign.workspace_id
        AND account.status = 'connected'
        AND account.connected_at >= campaign.paused_at
    WHERE campaign.waits_for_account
        AND thaw.blocked_by(account) IS NULL
        AND EXISTS (
            SELECT FROM thaw.enrollments AS e
            WHERE e.status = 'active' AND e.account_id = account.id AND e.campaign_id = campaign.id);
END;
-- +goose StatementEnd

CREATE VIEW thaw.backlog AS
SELECT
    workspace.key AS workspace,
    account.provider_account_id AS account,
    account.status,
    paused.total AS paused,
    coalesce(waiting.total, 0) AS resumable,
    paused.by_reason,
    account.id AS account_id,
    waiting.target_id
FROM (
    SELECT r.account_id, sum(r.rows)::bigint AS total, jsonb_object_agg(r.paused_reason, r.rows) AS by_reason
    FROM (
        SELECT e.account_id, e.paused_reason, count(*) AS rows
        FROM thaw.enrollments AS e
        WHERE e.status = 'paused'
        GROUP BY e.account_id, e.paused_reason) AS r
    GROUP BY r.account_id) AS paused
JOIN thaw.accounts AS account ON account.id = paused.account_id
JOIN thaw.workspaces AS workspace ON workspace.id = account.workspace_id
LEFT JOIN (
    SELECT line.source_id, line.target_id, sum(line.waiting)::bigint AS total
    FROM thaw.resumable_lines() AS line
    GROUP BY line.source_id, line.target_id) AS waiting ON waiting.source_id = account.id;
COMMENT ON VIEW thaw.backlog IS
    'Per account with paused enrollments: how many, how many of them may be woken now, and how many by each reason.';

-- +goose Down
DROP VIEW thaw.backlog;
DROP FUNCTION thaw.blocked_campaigns();
DROP FUNCTION thaw.claimants(timestamptz);
DROP FUNCTION thaw.resumable_lines();
DROP FUNCTION thaw.resumable(bigint[], boolean);
DROP FUNCTION thaw.active_campaigns(bigint);
DROP FUNCTION thaw.waiting_campaigns(bigint);
DROP VIEW thaw.waiting_accounts;
DROP FUNCTION thaw.blocked_by(thaw.accounts, boolean);
DROP FUNCTION thaw.sources_of(bigint);
DROP VIEW thaw.wake_targets;

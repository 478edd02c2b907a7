-- The rest of the public interface. Only the owner of the schema may use it until access is
-- granted.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION thaw.sweep() RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tick timestamptz := thaw.tick();
BEGIN
    IF NOT EXISTS (SELECT FROM thaw.sweeps AS s WHERE s.tick_at = tick) THEN
        PERFORM thaw.enqueue('sweep', 'sweep', 2::smallint,
            jsonb_build_object('tick_at', thaw.job_time(tick)), '0', B'11110101');
    END IF;
    RETURN tick;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.sweep() IS
    'Enqueues the sweep of the current tick, unless it is enqueued or done already, and returns the tick. Repeated calls in one tick cause one sweep.';

-- +goose StatementBegin
CREATE FUNCTION thaw.set_auto_resume(
    workspace_key text, enabled boolean, reason text DEFAULT NULL, actor text DEFAULT current_user
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    workspace thaw.workspaces;
BEGIN
    SELECT w.* INTO workspace FROM thaw.workspaces AS w
    WHERE w.id = thaw.find_workspace(set_auto_resume.workspace_key) FOR NO KEY UPDATE;
    IF workspace.auto_resume = set_auto_resume.enabled AND coalesce(btrim(set_auto_resume.reason), '') = '' THEN
        -- A call without a reason does not remove the reason that is stored.
        RETURN false;
    END IF;
    UPDATE thaw.workspaces AS w SET
        auto_resume = set_auto_resume.enabled, auto_resume_reason = set_auto_resume.reason,
        auto_resume_changed_at = thaw.now(), auto_resume_changed_by = set_auto_resume.actor
    WHERE w.id = workspace.id;
    RETURN workspace.auto_resume <> set_auto_resume.enabled;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.set_auto_resume(text, boolean, text, text) IS
    'Switches auto-resume of a workspace on or off. The reason is optional. Returns false if auto-resume was already in this state. If a reason is given, it then replaces the stored one, and the audit log has both.';

CREATE VIEW thaw.history AS
SELECT
    workspace.key AS workspace,
    campaign.key AS campaign,
    e.prospect_url,
    event.at,
    event.kind,
    event.from_status,
    event.to_status,
    event.reason,
    event.source,
    event.tick_at,
    event.heal_id,
    event.signal_id,
    event.job_id,
    from_account.provider_account_id AS from_account,
    to_account.provider_account_id AS to_account,
    event.step,
    event.detail,
    event.enrollment_id,
    event.id AS event_id,
    e.external_id
FROM thaw.enrollment_events AS event
JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
JOIN thaw.campaigns AS campaign ON campaign.id = e.campaign_id
JOIN thaw.workspaces AS workspace ON workspace.id = e.workspace_id
LEFT JOIN thaw.accounts AS from_account ON from_account.id = event.from_account_id
LEFT JOIN thaw.accounts AS to_account ON to_account.id = event.to_account_id;
COMMENT ON VIEW thaw.history IS 'The history of prospects: every pause, resume and move to a sibling account, with its cause.';

CREATE VIEW thaw.sweep_log AS
SELECT
    s.tick_at, s.accounts_planned, s.accounts_processed, s.planned, s.resumed, s.moved, s.campaigns_resumed,
    s.remaining, s.started_at, s.finished_at,
    extract(epoch FROM s.finished_at - s.started_at)::double precision AS seconds
FROM thaw.sweeps AS s;
COMMENT ON VIEW thaw.sweep_log IS 'The result of each sweep, one row per tick. finished_at null: it is still running.';

-- By default Postgres lets every role execute a new function. River's functions are left as they
-- are. Of Thaw's, only those remain public that appear in column defaults (the clock), generated
-- columns, indexed expressions, CHECK constraints, conditions of triggers, or a granted view.
-- Calling one also needs USAGE on the schema.
-- +goose StatementBegin
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.pronamespace = 'thaw'::regnamespace AND p.proname NOT LIKE 'river\_%'
            AND p.proname NOT IN ('now', 'tick', 'resumable_lines', 'is_visible', 'waits_for_account', 'waits_for_person',
                'is_of_campaigns', 'current_reason', 'search_key', 'search_words')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW thaw.sweep_log;
DROP VIEW thaw.history;
DROP FUNCTION thaw.set_auto_resume(text, boolean, text, text);
DROP FUNCTION thaw.sweep();

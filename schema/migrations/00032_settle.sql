-- An action that is under way when a pause comes. The sender has called the provider, the pause
-- stops the prospect, and then the answer arrives: the step is done. If it were not recorded, the
-- resume would repeat it.
--
-- So the step of a paused prospect may move on, by thaw.complete_step or by a plain UPDATE of the
-- platform. The pause goes on, and the resume continues at the new step. Each such change is an
-- event (kind settled), by which thaw verify checks that a resume keeps the step.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_write_step() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO thaw.enrollment_events (
        enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at, detail)
    VALUES (NEW.id, thaw.now(), NEW.account_id, NEW.account_id, NEW.step, 'settled', 'platform', 'paused', 'paused', NEW.paused_reason,
        NEW.paused_at, 'by database role ' || session_user);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd
-- Statements of Thaw that change the step of a paused prospect write their own event: see
-- 00030_guards.sql.
CREATE TRIGGER enrollments_write_step AFTER UPDATE ON thaw.enrollments
    FOR EACH ROW WHEN (
        OLD.step <> NEW.step AND OLD.status = 'paused' AND NEW.status = 'paused'
        AND (current_setting('thaw.counts_by_statement', true) IS DISTINCT FROM 'on' OR NOT thaw.is_trusted_writer()))
    EXECUTE FUNCTION thaw.enrollments_write_step();

-- +goose StatementBegin
CREATE FUNCTION thaw.complete_step(enrollment_id bigint, completed_step integer, next_action_at timestamptz DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row thaw.enrollments;
BEGIN
    SELECT e.* INTO row FROM thaw.enrollments AS e WHERE e.id = complete_step.enrollment_id FOR NO KEY UPDATE;
    IF row.id IS NULL THEN
        RAISE EXCEPTION 'there is no enrollment %', coalesce(complete_step.enrollment_id::text, 'null')
            USING ERRCODE = 'no_data_found', HINT = 'Use an ID of thaw.enrollments. thaw.find_enrollment returns it for an ID of the platform.';
    ELSIF complete_step.completed_step IS NULL OR complete_step.completed_step > row.step THEN
        RAISE EXCEPTION 'step % of enrollment % cannot be completed: it is at step %', coalesce(complete_step.completed_step::text, 'null'), row.id, row.step
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Settle the steps one by one, in order. The column step is the step to be done next.';
    ELSIF complete_step.completed_step < row.step THEN
        RETURN false;
    END IF;
    UPDATE thaw.enrollments AS e SET step = row.step + 1, next_action_at = coalesce(complete_step.next_action_at, row.next_action_at)
    WHERE e.id = row.id;
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.complete_step(bigint, integer, timestamptz) IS
    'Records that an action was completed: the step moves on by one, and the next action is due at next_action_at (null: unchanged). A paused enrollment stays paused and continues at the new step when it resumes. Returns false if this step was already completed.';

REVOKE ALL ON FUNCTION thaw.enrollments_write_step(), thaw.complete_step(bigint, integer, timestamptz) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.complete_step(bigint, integer, timestamptz);
DROP TRIGGER enrollments_write_step ON thaw.enrollments;
DROP FUNCTION thaw.enrollments_write_step();

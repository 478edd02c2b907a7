-- Stopping and continuing a heal.
--
-- A heal stops by thaw.stop_heal, when safety mode is entered, or when its job is cancelled or
-- discarded. thaw.resume_heal continues it where it stopped.

-- +goose Up

-- Locks a heal for thaw.stop_heal or thaw.resume_heal.
-- +goose StatementBegin
CREATE FUNCTION thaw.lock_heal(p_heal_id bigint) RETURNS thaw.heals LANGUAGE plpgsql AS $$
DECLARE
    heal thaw.heals;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id FOR NO KEY UPDATE;
    IF heal.id IS NULL THEN
        RAISE EXCEPTION 'there is no heal %', p_heal_id
            USING ERRCODE = 'no_data_found', HINT = 'thaw heal list lists the heals.';
    ELSIF heal.status = 'done' THEN
        RAISE EXCEPTION 'heal % is done', p_heal_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Start another heal for the remaining prospects.';
    END IF;
    RETURN heal;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.stop_heal(heal_id bigint, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    heal thaw.heals;
BEGIN
    PERFORM thaw.require_reason(stop_heal.reason, stop_heal.actor);
    heal := thaw.lock_heal(stop_heal.heal_id);
    IF heal.status = 'stopped' THEN
        RETURN false;
    END IF;
    UPDATE thaw.heals AS h SET status = 'stopped', stopped_at = thaw.now(), stopped_reason = format('%s: %s', stop_heal.actor, stop_heal.reason)
    WHERE h.id = heal.id;
    PERFORM thaw.record_heal('heal_stopped', heal, stop_heal.reason, stop_heal.actor);
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.stop_heal(bigint, text, text) IS
    'Stops a running heal after its current batch. What it has resumed stays resumed; thaw.resume_heal continues it. Returns false if it was stopped already.';

-- +goose StatementBegin
CREATE FUNCTION thaw.resume_heal(heal_id bigint, reason text, actor text DEFAULT current_user)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    heal    thaw.heals;
    running bigint;
BEGIN
    PERFORM thaw.require_reason(resume_heal.reason, resume_heal.actor);
    heal := thaw.lock_heal(resume_heal.heal_id);
    IF thaw.heal_state(heal) <> 'stopped' THEN
        RETURN false;
    END IF;
    PERFORM thaw.refuse_in_safety_mode(heal);
    SELECT h.id INTO running FROM thaw.heals AS h WHERE h.target = heal.target AND h.status = 'running' AND h.id <> heal.id;
    IF running IS NOT NULL THEN
        RAISE EXCEPTION 'heal % is running on the same target', running
            USING ERRCODE = 'unique_violation', HINT = 'Wait until it is done.';
    END IF;
    -- It also retries what it has passed over.
    UPDATE thaw.heals AS h SET status = 'running', stopped_reason = NULL, stopped_at = NULL, round = 1,
        job_id = thaw.enqueue('heal', 'heal', 2::smallint, jsonb_build_object('heal_id', h.id))
    WHERE h.id = heal.id;
    PERFORM thaw.record_heal('heal_resumed', heal, resume_heal.reason, resume_heal.actor);
    RETURN true;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.resume_heal(bigint, text, text) IS
    'Continues a stopped heal where it stopped. Returns false if it is running already.';
REVOKE ALL ON FUNCTION thaw.stop_heal(bigint, text, text), thaw.resume_heal(bigint, text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.resume_heal(bigint, text, text);
DROP FUNCTION thaw.stop_heal(bigint, text, text);
DROP FUNCTION thaw.lock_heal(bigint);

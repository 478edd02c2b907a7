-- Healing: a large backlog in one go, under a cap of its own, in many short transactions.

-- +goose Up

-- What a heal may wake at this moment: line by line, with how many wait there.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_scope(p_heal_id bigint)
RETURNS TABLE (target_id bigint, source_id bigint, campaign_id bigint, waiting bigint)
LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    heal thaw.heals;
BEGIN
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    IF heal.workspace_id IS NOT NULL OR heal.account_id IS NOT NULL THEN
        RETURN QUERY
        SELECT line.target_id, line.source_id, line.campaign_id, rows.waiting
        FROM thaw.resumable(
            CASE WHEN heal.account_id IS NOT NULL
                THEN ARRAY[heal.account_id] || array_remove(thaw.sources_of(heal.account_id), heal.account_id)
                ELSE ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = heal.workspace_id) END,
            heal.even_if_off) AS line
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting
            FROM thaw.enrollments AS e
            WHERE e.status = 'paused' AND e.waits_for_account
                AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id) AS rows;
    ELSE
        RETURN QUERY
        SELECT line.target_id, line.source_id, line.campaign_id, listed.waiting
        FROM (
            SELECT e.account_id, e.campaign_id, count(*) AS waiting
            FROM thaw.heal_enrollments AS l
            JOIN thaw.enrollments AS e ON e.id = l.enrollment_id
            WHERE l.heal_id = p_heal_id AND e.waits_for_account
            GROUP BY e.account_id, e.campaign_id) AS listed
        JOIN thaw.resumable(ARRAY(
            SELECT DISTINCT e.account_id
            FROM thaw.heal_enrollments AS l
            JOIN thaw.enrollments AS e ON e.id = l.enrollment_id
            WHERE l.heal_id = p_heal_id), heal.even_if_off) AS line
            ON line.source_id = listed.account_id AND line.campaign_id = listed.campaign_id;
    END IF;
END;
$$;
-- +goose StatementEnd

-- Starts a heal: of a workspace, of an account, or of listed enrollments. At most one runs a target.
-- +goose StatementBegin
CREATE FUNCTION thaw.start_heal(
    p_workspace_id bigint, p_account_id bigint, p_enrollment_ids bigint[], p_cap integer, p_even_if_off boolean,
    p_requested_by text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wanted  text := CASE
        WHEN p_workspace_id IS NOT NULL THEN 'workspace:' || p_workspace_id
        WHEN p_account_id IS NOT NULL THEN 'account:' || p_account_id
        ELSE 'prospects:' || encode(sha256(convert_to((
            SELECT string_agg(listed.id::text, ',' ORDER BY listed.id) FROM unnest(p_enrollment_ids) AS listed (id)), 'UTF8')),
            'hex') END;
    started bigint;
    running bigint;
BEGIN
    -- A heal whose job somebody cancelled is over, as far as it came.
    UPDATE thaw.heals AS h SET status = 'done', finished_at = thaw.now(), left_over = (
        SELECT coalesce(sum(scope.waiting), 0) FROM thaw.heal_scope(h.id) AS scope)
    WHERE h.target = wanted AND h.status = 'running'
        AND NOT thaw.is_enqueued('heal', jsonb_build_object('heal_id', h.id));
    IF p_cap IS NULL OR p_cap < 1 THEN
        RAISE EXCEPTION 'the cap of a heal must be at least 1, not %', coalesce(p_cap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF wanted IS NULL THEN
        RAISE EXCEPTION 'a heal needs a workspace, an account, or at least one enrollment'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO thaw.heals AS h (workspace_id, account_id, target, cap, even_if_off, requested_by)
    VALUES (p_workspace_id, p_account_id, wanted, p_cap, p_even_if_off, p_requested_by)
    ON CONFLICT (target) WHERE status = 'running' DO NOTHING
    RETURNING h.id INTO started;
    IF started IS NULL THEN
        SELECT h.id INTO running FROM thaw.heals AS h WHERE h.target = wanted AND h.status = 'running';
        RAISE EXCEPTION 'heal % is running on the same target', running
            USING ERRCODE = 'unique_violation', HINT = 'Wait until it is done, then start another for what is left.';
    END IF;
    INSERT INTO thaw.heal_enrollments (heal_id, enrollment_id)
    SELECT started, listed.id FROM unnest(p_enrollment_ids) AS listed (id)
    ON CONFLICT DO NOTHING;
    PERFORM thaw.enqueue('heal', 'heal', 2::smallint, jsonb_build_object('heal_id', started), '0', B'11110101');
    RETURN started;
END;
$$;
-- +goose StatementEnd

-- One batch of a heal: one account, at most p_size enrollments. Verdicts: more (call again), done, not_found.
-- +goose StatementBegin
CREATE FUNCTION thaw.heal_batch(
    p_heal_id bigint, p_size integer, p_job_id bigint, OUT verdict text, OUT resumed integer
) LANGUAGE plpgsql AS $$
DECLARE
    heal thaw.heals;
    pass record;
BEGIN
    resumed := 0;
    SELECT h.* INTO heal FROM thaw.heals AS h WHERE h.id = p_heal_id;
    verdict := CASE WHEN heal.id IS NULL THEN 'not_found' WHEN heal.status = 'done' THEN 'done' END;
    IF verdict IS NOT NULL THEN
        RETURN;
    END IF;
    verdict := 'more';

    IF heal.account_ids IS NULL THEN
        UPDATE thaw.heals AS h SET account_ids = scope.ids, found = scope.waiting
        FROM (
            SELECT coalesce(array_agg(DISTINCT s.target_id), '{}') AS ids, coalesce(sum(s.waiting), 0) AS waiting
            FROM thaw.heal_scope(p_heal_id) AS s) AS scope
        WHERE h.id = p_heal_id AND h.account_ids IS NULL;
    ELSIF heal.accounts_done < cardinality(heal.account_ids) AND heal.resumed < heal.cap THEN
        pass := thaw.resume_pass('heal', heal.account_ids[heal.accounts_done + 1], p_job_id,
            p_heal_id => p_heal_id, p_batch => heal.batch + 1, p_size => p_size);
        resumed := pass.resumed;
        IF pass.verdict = 'not_found' THEN
            UPDATE thaw.heals AS h SET accounts_done = h.accounts_done + 1, batch = h.batch + 1
            WHERE h.id = p_heal_id AND h.batch = heal.batch;
        END IF;
    ELSE
        UPDATE thaw.heals AS h SET status = 'done', finished_at = thaw.now(), left_over = (
            SELECT coalesce(sum(s.waiting), 0) FROM thaw.heal_scope(p_heal_id) AS s)
        WHERE h.id = p_heal_id AND h.status = 'running';
        verdict := 'done';
    END IF;

    -- A batch that a crash of the server takes back is done again, its progress being in the same transaction. Only the last
    -- one waits for the disk, and with it all that came before.
    IF verdict = 'more' THEN
        SET LOCAL synchronous_commit = off;
    END IF;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.heal(
    workspace_key text, account text DEFAULT NULL, cap integer DEFAULT 5000, requested_by text DEFAULT current_user,
    even_if_off boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    workspace_id bigint;
    account_id   bigint;
BEGIN
    SELECT w.id INTO workspace_id FROM thaw.workspaces AS w WHERE w.key = heal.workspace_key;
    IF workspace_id IS NULL THEN
        RAISE EXCEPTION 'there is no workspace "%"', heal.workspace_key
            USING ERRCODE = 'no_data_found', HINT = 'thaw.workspaces.key has the names.';
    END IF;
    IF heal.account IS NOT NULL THEN
        SELECT a.id INTO account_id FROM thaw.accounts AS a
        WHERE a.workspace_id = (SELECT w.id FROM thaw.workspaces AS w WHERE w.key = heal.workspace_key)
            AND a.provider_account_id = heal.account
        ORDER BY a.provider = 'linkedin' DESC, a.id LIMIT 1;
        IF account_id IS NULL THEN
            RAISE EXCEPTION 'workspace "%" has no account "%"', heal.workspace_key, heal.account
                USING ERRCODE = 'no_data_found', HINT = 'thaw.accounts.provider_account_id has the names.';
        END IF;
        workspace_id := NULL;
    END IF;
    RETURN thaw.start_heal(workspace_id, account_id, NULL, heal.cap, heal.even_if_off, heal.requested_by);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.heal(text, text, integer, text, boolean) IS
    'Starts a heal of a workspace, or of one account of it, and returns its id; the work is done by the workers. An error if one runs on the same target. even_if_off: also where auto-resume is off.';

-- +goose Down
DROP FUNCTION thaw.heal(text, text, integer, text, boolean);
DROP FUNCTION thaw.heal_batch(bigint, integer, bigint);
DROP FUNCTION thaw.start_heal(bigint, bigint, bigint[], integer, boolean, text);
DROP FUNCTION thaw.heal_scope(bigint);

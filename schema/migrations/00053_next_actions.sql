-- When the next action of a prospect can be expected, for explanations. The gates decide
-- (00044_gates.sql); these functions only say when the gates that are closed now will be open.

-- +goose Up

-- When a window of an account is open: p_at, or the next opening after it. Null: it has no window,
-- or no time zone.
-- +goose StatementBegin
CREATE FUNCTION thaw.window_from(p_account_id bigint, p_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT min(CASE WHEN state.is_open THEN p_at ELSE state.opens_at END)
        FROM thaw.accounts AS a
        CROSS JOIN LATERAL thaw.applicable_windows(a.workspace_id, a.id, thaw.zone_named(a.timezone)) AS w
        CROSS JOIN LATERAL thaw.window_at(w.timezone, w.weekdays, w.opens, w.closes, p_at) AS state
        WHERE a.id = p_account_id AND w.timezone IS NOT NULL);
END;
$$;
-- +goose StatementEnd

-- If the platform schedules the prospect itself, next_kind is null. Then a step that was given out
-- before has the kind of its action, so that its state is the answer there, too.
-- expected_at: the earliest time at which the action can be done, by all gates that are closed now,
-- not only the first one. Null: it depends on something without a known time.
-- In shadow mode Thaw gives nothing out, so no time is known.
-- is_held_elsewhere: the hold of the kind is that of an account of another workspace.
-- ahead: how many actions of the same account and kind are due before it, counted up to 100.
-- +goose StatementBegin
CREATE FUNCTION thaw.next_actions(p_enrollment_ids bigint[])
RETURNS TABLE (
    enrollment_id bigint, kind text, due_at timestamptz, code text, opens_at timestamptz, used integer, cap integer, expected_at timestamptz,
    ahead integer, action_id bigint, is_held_elsewhere boolean
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := thaw.now();
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT e.id, e.next_action_at, (SELECT w.shadow FROM thaw.workspaces AS w WHERE w.id = e.workspace_id) AS is_shadow, CASE WHEN x.id IS NULL THEN e.due_at END AS due_at, x.id AS action_id,
            CASE WHEN e.next_kind IS NULL THEN x.kind END AS kind
        FROM thaw.enrollments AS e
        LEFT JOIN LATERAL (
            SELECT x.id, x.kind FROM thaw.actions AS x
            WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already') LIMIT 1) AS x ON true
        WHERE e.id = ANY (p_enrollment_ids)
    ), gate AS MATERIALIZED (
        SELECT g.enrollment_id, g.account_id, g.kind, g.code, g.opens_at, g.used, g.cap, asked.next_action_at, asked.due_at, asked.action_id,
            asked.is_shadow
        FROM thaw.action_gates(
            ARRAY(SELECT asked.id FROM asked ORDER BY asked.id), ARRAY(SELECT asked.kind FROM asked ORDER BY asked.id), p_is_given_out => true) AS g
        JOIN asked ON asked.id = g.enrollment_id
    ), limits AS MATERIALIZED (
        SELECT * FROM thaw.kind_gates(
            ARRAY(SELECT DISTINCT gate.account_id FROM gate WHERE gate.account_id IS NOT NULL),
            ARRAY(SELECT DISTINCT gate.kind FROM gate WHERE gate.kind IS NOT NULL))
    ), earliest AS (
        SELECT gate.*, coalesce(gate.code = 'kind_on_hold' AND l.held_code = 'held_elsewhere', false) AS is_held_elsewhere,
            CASE WHEN NOT gate.is_shadow AND (gate.code IS NULL OR gate.opens_at IS NOT NULL) AND l.caps_open_at IS NOT NULL
            THEN greatest(l.caps_open_at, gate.next_action_at, gate.opens_at) END AS at
        FROM gate
        LEFT JOIN limits AS l ON l.account_id = gate.account_id AND l.kind = gate.kind
    )
    SELECT earliest.enrollment_id, earliest.kind, earliest.next_action_at, earliest.code, earliest.opens_at, earliest.used, earliest.cap,
        CASE WHEN earliest.at IS NOT NULL THEN thaw.window_from(earliest.account_id, earliest.at) END,
        -- thaw.due_lines finds the campaigns of the account; of each, at most 100 are counted.
        CASE WHEN earliest.due_at IS NULL THEN 0 ELSE (
            SELECT count(*) FROM (
                SELECT FROM thaw.due_lines(ARRAY[earliest.account_id]) AS line
                CROSS JOIN LATERAL (
                    SELECT FROM thaw.enrollments AS e
                    WHERE e.account_id = earliest.account_id AND e.campaign_id = line.campaign_id AND e.next_kind = line.kind
                        AND e.due_at IS NOT NULL AND (e.due_at, e.id) < (earliest.due_at, earliest.enrollment_id)
                        AND (
                            SELECT true FROM thaw.actions AS x
                            WHERE x.enrollment_id = e.id AND x.step = e.step AND (x.is_used OR x.state = 'already')
                            LIMIT 1) IS NULL
                    LIMIT 100) AS before
                WHERE line.kind = earliest.kind AND line.due_at <= earliest.due_at
                LIMIT 100) AS ahead) END::integer,
        earliest.action_id, earliest.is_held_elsewhere
    FROM earliest;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.next_actions(bigint[]) IS
    'The next action of each of the given enrollments: its first closed gate, the earliest time at which it can be expected, how many actions of its account are due before it (at most 100), and the action of the step if it was given out before.';

REVOKE ALL ON FUNCTION thaw.window_from(bigint, timestamptz), thaw.next_actions(bigint[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.next_actions(bigint[]);
DROP FUNCTION thaw.window_from(bigint, timestamptz);

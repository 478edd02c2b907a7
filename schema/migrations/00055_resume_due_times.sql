-- When resumed prospects are due. They are spread over the jitter window, so that a sender of the
-- platform does not start with a burst. What Thaw schedules is paced by gaps and caps already. It
-- is spread over a short time only, and the first prospect of an account is due at once, or an
-- account with few of them would wait for most of the window. Otherwise this is the function of
-- 00013_resume.sql.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.resume_rows(
    p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[],
    OUT resumed integer, OUT moved integer, OUT target_ids bigint[], OUT each_resumed integer[],
    OUT each_moved integer[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jitter interval := (SELECT s.jitter FROM thaw.settings AS s);
    scheduled_jitter constant interval := least(jitter, interval '4 minutes');
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH claimed AS MATERIALIZED (
        SELECT e.ctid, e.id, e.paused_reason, e.paused_at, e.account_id AS from_account_id, place.target_id,
            e.next_kind IS NOT NULL AS is_scheduled, e.next_kind IS NOT NULL AND e.next_action_at > thaw.now() AS is_later
        FROM unnest(p_places, p_source_ids, p_target_ids) AS place (ctid, source_id, target_id)
        JOIN thaw.enrollments AS e ON e.ctid = place.ctid AND e.account_id = place.source_id AND e.waits_for_account
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ), slots AS (
        SELECT claimed.*, row_number() OVER account AS i, count(*) OVER account AS n
        FROM claimed
        WINDOW account AS (
            PARTITION BY claimed.target_id, claimed.is_scheduled ORDER BY claimed.is_later, claimed.paused_at, claimed.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'active', paused_reason = NULL, paused_at = NULL, account_id = slots.target_id,
            next_action_at = greatest(e.next_action_at, thaw.now() + CASE
                WHEN NOT slots.is_scheduled THEN thaw.spread(slots.i, slots.n, jitter)
                WHEN slots.i > 1 THEN thaw.spread(slots.i, slots.n, scheduled_jitter)
                ELSE interval '0' END)
        FROM slots
        WHERE e.ctid = slots.ctid
        RETURNING e.id, e.step, slots.from_account_id, slots.target_id, slots.paused_reason, slots.paused_at
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, tick_at, heal_id, signal_id, job_id, from_account_id, to_account_id, step, kind, source,
            from_status, to_status, reason, paused_at)
        SELECT change.id, thaw.now(), p_cause.tick_at, p_cause.heal_id, p_cause.signal_id, p_cause.job_id,
            change.from_account_id, change.target_id, change.step, change.kind, p_cause.source, change.from_status, 'active',
            change.paused_reason, change.paused_at
        FROM (
            SELECT changed.*, 'resumed'::thaw.event_kind AS kind, 'paused'::thaw.enrollment_status AS from_status FROM changed
            UNION ALL
            SELECT changed.*, 'moved', 'active' FROM changed WHERE changed.from_account_id <> changed.target_id) AS change
    )
    SELECT coalesce(sum(through.n), 0), coalesce(sum(through.moved), 0),
        array_agg(through.target_id), array_agg(through.n), array_agg(through.moved)
    INTO resumed, moved, target_ids, each_resumed, each_moved
    FROM (
        SELECT changed.target_id, count(*)::integer AS n,
            (count(*) FILTER (WHERE changed.from_account_id <> changed.target_id))::integer AS moved
        FROM changed
        GROUP BY changed.target_id
        ORDER BY changed.target_id) AS through;
    PERFORM set_config('thaw.counts_by_statement', '', true);
END;
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION thaw.resume_rows(
    p_cause thaw.cause, p_places tid[], p_source_ids bigint[], p_target_ids bigint[],
    OUT resumed integer, OUT moved integer, OUT target_ids bigint[], OUT each_resumed integer[],
    OUT each_moved integer[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jitter interval := (SELECT s.jitter FROM thaw.settings AS s);
BEGIN
    PERFORM set_config('thaw.counts_by_statement', 'on', true);
    WITH claimed AS MATERIALIZED (
        SELECT e.ctid, e.id, e.paused_reason, e.paused_at, e.account_id AS from_account_id, place.target_id
        FROM unnest(p_places, p_source_ids, p_target_ids) AS place (ctid, source_id, target_id)
        JOIN thaw.enrollments AS e ON e.ctid = place.ctid AND e.account_id = place.source_id AND e.waits_for_account
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ), slots AS (
        SELECT claimed.*, row_number() OVER account AS i, count(*) OVER account AS n
        FROM claimed
        WINDOW account AS (
            PARTITION BY claimed.target_id ORDER BY claimed.paused_at, claimed.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), changed AS (
        UPDATE thaw.enrollments AS e SET
            status = 'active', paused_reason = NULL, paused_at = NULL, account_id = slots.target_id,
            next_action_at = greatest(e.next_action_at, thaw.now() + thaw.spread(slots.i, slots.n, jitter))
        FROM slots
        WHERE e.ctid = slots.ctid
        RETURNING e.id, e.step, slots.from_account_id, slots.target_id, slots.paused_reason, slots.paused_at
    ), written AS (
        INSERT INTO thaw.enrollment_events (
            enrollment_id, at, tick_at, heal_id, signal_id, job_id, from_account_id, to_account_id, step, kind, source,
            from_status, to_status, reason, paused_at)
        SELECT change.id, thaw.now(), p_cause.tick_at, p_cause.heal_id, p_cause.signal_id, p_cause.job_id,
            change.from_account_id, change.target_id, change.step, change.kind, p_cause.source, change.from_status, 'active',
            change.paused_reason, change.paused_at
        FROM (
            SELECT changed.*, 'resumed'::thaw.event_kind AS kind, 'paused'::thaw.enrollment_status AS from_status FROM changed
            UNION ALL
            SELECT changed.*, 'moved', 'active' FROM changed WHERE changed.from_account_id <> changed.target_id) AS change
    )
    SELECT coalesce(sum(through.n), 0), coalesce(sum(through.moved), 0),
        array_agg(through.target_id), array_agg(through.n), array_agg(through.moved)
    INTO resumed, moved, target_ids, each_resumed, each_moved
    FROM (
        SELECT changed.target_id, count(*)::integer AS n,
            (count(*) FILTER (WHERE changed.from_account_id <> changed.target_id))::integer AS moved
        FROM changed
        GROUP BY changed.target_id
        ORDER BY changed.target_id) AS through;
    PERFORM set_config('thaw.counts_by_statement', '', true);
END;
$$;
-- +goose StatementEnd

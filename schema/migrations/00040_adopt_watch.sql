-- Adoption, what it stands on: the platform can rename a mapped column, change its type or drop a
-- trigger at any time, and its statements go on. A worker looks at the catalog once a minute (the
-- job watch), and so does thaw adopt check. What they find is noted here, and the accounts whose
-- copy may be wrong are held until a check finds no difference.

-- +goose Up

-- Few accounts are parked, and their count is read with every request for readiness and metrics.
CREATE INDEX accounts_parked_idx ON thaw.accounts (id) WHERE parked_reason IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION thaw.set_adopt_column_types(types jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE thaw.adopt_state AS s SET column_types = set_adopt_column_types.types;
END;
$$;
-- +goose StatementEnd

-- The accounts on which a copy of rows of these kinds counts: all accounts of the platform, if
-- their own rows may be wrong; if campaigns or prospects may be, those with open prospects. The
-- siblings of an account too, because its prospects may resume through them. A workspace only has a
-- name.
-- +goose StatementBegin
CREATE FUNCTION thaw.affected_accounts(p_kinds text[]) RETURNS SETOF bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    ids bigint[];
BEGIN
    -- One probe of an index per account and status.
    ids := ARRAY(
        SELECT a.id FROM thaw.accounts AS a
        WHERE a.external_id IS NOT NULL
            AND ('accounts' = ANY (p_kinds)
                OR p_kinds && '{campaigns,enrollments}'::text[]
                    AND (EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'active' AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'pending' AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = a.id)
                        OR EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'paused' AND NOT e.waits_for_account AND e.account_id = a.id))));
    RETURN QUERY
    SELECT unnest(ids)
    UNION
    SELECT s.sibling_id FROM thaw.siblings AS s WHERE s.account_id = ANY (ids);
END;
$$;
-- +goose StatementEnd

-- Notes what no longer fits the mapping, and holds the affected accounts: nothing is resumed or
-- sent through them. kinds: whose copies may be wrong because of it. The hold outlasts the problem,
-- because changes were not copied in the meantime: a check that finds no difference (is_clean) ends
-- it. An account that is parked because of its own row stays so.
-- +goose StatementBegin
CREATE FUNCTION thaw.note_adopt_problems(problems text[], kinds text[], is_clean boolean, OUT is_new boolean, OUT held bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due_at timestamptz;
BEGIN
    SELECT s.problems IS DISTINCT FROM note_adopt_problems.problems,
        CASE WHEN kinds <> '{}' THEN coalesce(s.check_due_at, thaw.now()) WHEN NOT is_clean THEN s.check_due_at END
    INTO is_new, due_at
    FROM thaw.adopt_state AS s FOR NO KEY UPDATE;
    UPDATE thaw.adopt_state AS s SET problems = note_adopt_problems.problems, check_due_at = due_at
    WHERE (s.problems, s.check_due_at) IS DISTINCT FROM (note_adopt_problems.problems, due_at);
    IF kinds <> '{}' THEN
        WITH locked AS (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.parked_reason IS NULL AND a.id IN (SELECT thaw.affected_accounts(kinds)) ORDER BY a.id FOR NO KEY UPDATE)
        UPDATE thaw.accounts AS a SET parked_reason = left(thaw.unfit() || note_adopt_problems.problems[1], 1000)
        FROM locked WHERE a.id = locked.id;
    ELSIF is_clean THEN
        WITH locked AS (
            SELECT a.id FROM thaw.accounts AS a
            WHERE a.parked_reason IS NOT NULL AND starts_with(a.parked_reason, thaw.unfit()) ORDER BY a.id FOR NO KEY UPDATE)
        UPDATE thaw.accounts AS a SET parked_reason = NULL FROM locked WHERE a.id = locked.id;
    END IF;
    held := (SELECT s.held_accounts FROM thaw.adopt_summary AS s);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.note_adopt_problems(text[], text[], boolean) IS
    'Notes what no longer fits the mapping of thaw adopt, and holds the accounts whose copy may be wrong (kinds: accounts, campaigns, enrollments). is_clean: a comparison found no difference, which releases them. Returns whether other problems were noted before, and how many accounts are held.';

-- Notes the error of a consumer, or with null that a batch succeeded. A consumer that fails tries
-- again every second: the same error is noted every ten.
-- +goose StatementBegin
CREATE FUNCTION thaw.note_consumer(consumer text, error text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF error IS NULL THEN
        UPDATE thaw.adopt_state AS s SET consumer_error_ended_at = thaw.now()
        WHERE s.consumer_error IS NOT NULL AND s.consumer_error_ended_at IS NULL;
    ELSE
        UPDATE thaw.adopt_state AS s SET consumer = left(note_consumer.consumer, 256), consumer_error = left(note_consumer.error, 1000),
            consumer_error_at = thaw.now(), consumer_error_ended_at = NULL
        WHERE s.consumer_error IS DISTINCT FROM left(note_consumer.error, 1000) OR s.consumer_error_ended_at IS NOT NULL
            OR s.consumer_error_at < thaw.now() - interval '10 seconds';
    END IF;
END;
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.set_adopt_column_types(jsonb), thaw.affected_accounts(text[]), thaw.note_adopt_problems(text[], text[], boolean),
    thaw.note_consumer(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.note_consumer(text, text);
DROP FUNCTION thaw.note_adopt_problems(text[], text[], boolean);
DROP FUNCTION thaw.affected_accounts(text[]);
DROP FUNCTION thaw.set_adopt_column_types(jsonb);
DROP INDEX thaw.accounts_parked_idx;

-- Adoption: the functions that the triggers on the platform's tables call, and the retry of what
-- they kept. They never raise, and wait at most 50 ms for a lock.

-- +goose Up

-- The changes of one statement. Never raises: if they cannot be applied together, each half is
-- tried on its own, down to the row that fails. Returns how many rows were not applied.
-- +goose StatementBegin
CREATE FUNCTION thaw.take(p_kind text, p_rows jsonb, p_is_backfill boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size    integer;
    half    integer;
    code    text;
    problem text;
    is_deferred boolean;
BEGIN
    IF jsonb_typeof(p_rows) IS DISTINCT FROM 'array' THEN
        RETURN thaw.note_adopt_failure(p_kind, '22023', 'the rows are not a JSON array');
    END IF;
    size := jsonb_array_length(p_rows);
    IF size = 0 THEN
        RETURN 0;
    ELSIF size > 10000 THEN
        RETURN thaw.note_adopt_failure(p_kind, '54000', format('%s rows in one call; at most 10000 are taken', size));
    END IF;
    BEGIN
        RETURN CASE p_kind
            WHEN 'workspace' THEN thaw.apply_workspaces(p_rows, p_is_backfill)
            WHEN 'account' THEN thaw.apply_accounts(p_rows, p_is_backfill)
            WHEN 'campaign' THEN thaw.apply_campaigns(p_rows, p_is_backfill)
            ELSE thaw.apply_enrollments(p_rows, p_is_backfill) END;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
    END;
    -- Another transaction or the server is in the way: the rows are not at fault, and half of them
    -- would fail in the same way.
    is_deferred := left(code, 2) IN ('40', '53', '55', '57', '58');
    IF is_deferred OR size = 1 THEN
        IF size = 1 AND coalesce(p_rows -> 0 ->> 'id', '') = '' THEN
            RETURN thaw.note_adopt_failure(p_kind, code, problem);
        END IF;
        RETURN thaw.keep_taken(p_kind, ARRAY(
            SELECT ROW(r.element ->> 'id', r.element, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken
            FROM jsonb_array_elements(p_rows) AS r (element) WHERE r.element ->> 'id' <> ''), code, problem, is_deferred, p_is_backfill);
    END IF;
    half := size / 2;
    RETURN thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[0 to $upper]', jsonb_build_object('upper', half - 1)), p_is_backfill)
        + thaw.take(p_kind, jsonb_path_query_array(p_rows, '$[$lower to last]', jsonb_build_object('lower', half)), p_is_backfill);
EXCEPTION WHEN OTHERS THEN
    -- Not even the failure could be kept. A comparison finds the difference.
    RAISE WARNING 'thaw: % rows of the platform were not copied: %', p_kind, SQLERRM;
    RETURN coalesce(size, 0);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.note_adopt_failure(kind text, sqlstate text, message text) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    INSERT INTO thaw.adopt_errors (kind, change, code, problem)
    VALUES (note_adopt_failure.kind, '{}', coalesce(nullif(note_adopt_failure.sqlstate, ''), 'unknown'),
        left(coalesce(nullif(note_adopt_failure.message, ''), 'no message'), 1000));
    RETURN 1;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'thaw: a statement on the platform''s tables was not copied: %', message;
    RETURN 1;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.note_adopt_failure(text, text, text) IS
    'Called by the triggers of thaw adopt when they could not pass the rows of a statement: kind of the rows, SQLSTATE and message. A comparison (thaw adopt check) is then needed. Never raises. Returns 1.';

-- The functions that the triggers call.

-- +goose StatementBegin
CREATE FUNCTION thaw.take_workspaces(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('workspace', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_workspaces(jsonb, boolean) IS
    'Copies changes of the platform''s workspaces: an array of objects with id and the changed ones of key, name. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_accounts(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    failed integer;
BEGIN
    -- A status that the platform has is not told to the platform.
    PERFORM set_config('thaw.taking', 'on', true);
    failed := thaw.take('account', rows, is_backfill);
    PERFORM set_config('thaw.taking', '', true);
    RETURN failed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_accounts(jsonb, boolean) IS
    'Copies changes of the platform''s accounts: an array of objects with id, workspace and the changed ones of provider, provider_account_id, member_id, name, timezone, status (or unknown: a word that is not mapped), deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_campaigns(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('campaign', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_campaigns(jsonb, boolean) IS
    'Copies changes of the platform''s campaigns: an array of objects with id, workspace and the changed ones of key, name, status (or unknown), reason, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- +goose StatementBegin
CREATE FUNCTION thaw.take_enrollments(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN thaw.take('enrollment', rows, is_backfill);
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.take_enrollments(jsonb, boolean) IS
    'Copies changes of the platform''s prospects: an array of objects with id, campaign and the changed ones of account, prospect_url, status (or unknown), reason, own_reason, step, next_action_at, paused_at, deleted. Never raises; returns how many rows could not be applied (thaw.adopt_errors).';

-- Applies changes that were kept, at most p_size of each kind, and returns how many could not be
-- applied again. Every worker process calls it once a second. everything: also those that are not
-- due, for a person who has removed the cause.
-- +goose StatementBegin
CREATE FUNCTION thaw.retry_adoption(size integer DEFAULT 1000, everything boolean DEFAULT false) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
DECLARE
    its_kind text;
    due      jsonb;
    failed   integer := 0;
BEGIN
    IF NOT everything AND NOT EXISTS (SELECT FROM thaw.adopt_errors AS x WHERE x.next_at <= thaw.now()) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('thaw.taking', 'on', true);
    PERFORM set_config('thaw.retrying', 'on', true);
    FOREACH its_kind IN ARRAY '{workspace,account,campaign,enrollment}'::text[] LOOP
        SELECT jsonb_agg(DISTINCT jsonb_build_object('id', one.external_id)) INTO due FROM (
            SELECT x.external_id FROM thaw.adopt_errors AS x
            WHERE x.kind = its_kind AND x.external_id IS NOT NULL AND (everything OR x.next_at <= thaw.now())
            ORDER BY x.next_at LIMIT size) AS one;
        IF due IS NOT NULL THEN
            failed := failed + thaw.take(its_kind, due, false);
        END IF;
    END LOOP;
    PERFORM set_config('thaw.taking', '', true);
    PERFORM set_config('thaw.retrying', '', true);
    RETURN failed;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.retry_adoption(integer, boolean) IS
    'Applies changes of the platform''s rows that could not be applied before. everything: also those that wait for a person. Returns how many could not be applied again.';

REVOKE ALL ON FUNCTION thaw.take(text, jsonb, boolean), thaw.note_adopt_failure(text, text, text),
    thaw.take_workspaces(jsonb, boolean), thaw.take_accounts(jsonb, boolean), thaw.take_campaigns(jsonb, boolean),
    thaw.take_enrollments(jsonb, boolean), thaw.retry_adoption(integer, boolean) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.retry_adoption(integer, boolean);
DROP FUNCTION thaw.take_enrollments(jsonb, boolean);
DROP FUNCTION thaw.take_campaigns(jsonb, boolean);
DROP FUNCTION thaw.take_accounts(jsonb, boolean);
DROP FUNCTION thaw.take_workspaces(jsonb, boolean);
DROP FUNCTION thaw.note_adopt_failure(text, text, text);
DROP FUNCTION thaw.take(text, jsonb, boolean);

-- Erasure of a person: thaw.erase_prospect removes what Thaw knows about a prospect, everywhere,
-- and counts what is left.
--
--   enrollments          deleted, in every campaign and workspace
--   their history        keeps its numbers, which plans, quotas and verify add up, under an
--                        internal number that no longer leads to a person. Its free text is
--                        removed.
--   manual actions       those on the prospect lose the URL and all free text
--   kept changes         of the platform's rows (thaw.adopt_errors) that have the URL are deleted:
--                        applied later, they would insert the prospect again
--   all other text       (messages, webhook bodies, jobs, notes about other rows) has every mention
--                        replaced by "[erased]"
--
-- A mention is the URL in any spelling, or another text that the caller gives (a name, an address).
-- All text columns of the schema are searched, and those that later migrations add, because they
-- come from the catalog. Keys and IDs are never changed: a mention there is reported as left.
--
-- An erasure reads all tables once to erase and once to count, so it takes time in proportion to
-- them. It locks only the rows that it changes.

-- +goose Up

-- All columns in which a text may be. is_name: a key or an ID, which is not changed.
-- +goose StatementBegin
CREATE FUNCTION thaw.text_columns() RETURNS TABLE (table_name text, column_name text, type_name text, is_name boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL),
        a.attname IN ('key', 'external_id', 'provider_account_id', 'member_id', 'v1_account_id', 'delivery_key')
            OR c.relname = 'enrollments' AND a.attname = 'prospect_url'
            OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'goose%'
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text[]'::regtype,
            'varchar[]'::regtype, 'jsonb[]'::regtype)
    ORDER BY c.relname, a.attnum;
END;
$$;
-- +goose StatementEnd

-- A pattern that matches texts that identify a person: a URL with any scheme, a LinkedIn profile in
-- any of its languages, an address, or another text as whole words. A longer URL or address is
-- another person's, except below a LinkedIn profile.
-- +goose StatementBegin
CREATE FUNCTION thaw.mention_pattern(p_texts text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given       text;
    core        text;
    is_profile  boolean;
    alternative text;
    all_of_them text[] := '{}';
BEGIN
    FOREACH given IN ARRAY p_texts LOOP
        core := regexp_replace(btrim(given), '^(?:https?://|mailto:)', '', 'i');
        is_profile := core ~* '^([a-z]+\.)?linkedin\.com/';
        core := rtrim(CASE WHEN is_profile THEN regexp_replace(regexp_replace(core, '^[a-z]+\.(?=linkedin)', '', 'i'), '[?#].*$', '')
            ELSE regexp_replace(core, '^www\.', '', 'i') END, '/');
        IF length(core) < 4 OR core ~ '[[:cntrl:]]' THEN
            RAISE EXCEPTION 'the text "%" cannot be searched for', given
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Use at least 4 characters, without control characters.';
        END IF;
        -- JSON has a backslash before quotes and backslashes.
        alternative := regexp_replace(translate(core, '"\', chr(1) || chr(2)), '([.^$*+?()\[\]{}|])', '\\\1', 'g');
        alternative := replace(replace(alternative, chr(1), '\\?"'), chr(2), '\\{1,2}');
        all_of_them := all_of_them || CASE
            WHEN is_profile THEN '(?<![[:alnum:]_%-])' || alternative || '(?![[:alnum:]_%-]|\.[[:alnum:]])'
            WHEN core ~ '[/@]' THEN '(?<![[:alnum:]_%.+-])(?:www\.)?' || alternative || '(?![[:alnum:]_%-]|[./?=&#][[:alnum:]])'
            ELSE '(?<![[:alnum:]_])' || alternative || '(?![[:alnum:]_])' END;
    END LOOP;
    RETURN array_to_string(ARRAY(SELECT DISTINCT one.text FROM unnest(all_of_them) AS one (text)), '|');
END;
$$;
-- +goose StatementEnd

-- The number of rows per table that mention one of the texts: all tables, also those with 0.
-- +goose StatementBegin
CREATE FUNCTION thaw.count_mentions(p_texts text[]) RETURNS TABLE (table_name text, mentions bigint) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    pattern text := thaw.mention_pattern(p_texts);
    line    record;
BEGIN
    FOR line IN
        SELECT c.table_name, string_agg(format('t.%I::text ~* $1', c.column_name), ' OR ') AS condition
        FROM thaw.text_columns() AS c GROUP BY c.table_name ORDER BY c.table_name
    LOOP
        EXECUTE format('SELECT count(*) FROM thaw.%I AS t WHERE %s', line.table_name, line.condition) INTO mentions USING pattern;
        table_name := line.table_name;
        RETURN NEXT;
    END LOOP;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.count_mentions(text[]) IS
    'How many rows of each table mention one of the texts (URLs in any spelling, names, addresses), in any column that holds text.';

-- Erases the person with the given URLs, and mentions of the other texts. erased: rows that were
-- deleted or changed. remaining: rows that still mention one of the texts.
-- +goose StatementBegin
CREATE FUNCTION thaw.erase_person(p_urls text[], p_also text[], p_reason text, p_actor text)
RETURNS TABLE (table_name text, erased bigint, remaining bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    person    text := thaw.mention_pattern(p_urls);
    mention   text := thaw.mention_pattern(p_urls || p_also);
    line      record;
    gone      bigint[];
    n         bigint;
    kept      bigint;
    counts    jsonb := '{}';
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    IF p_reason ~* mention OR p_actor ~* mention THEN
        RAISE EXCEPTION 'the reason or the actor names the person' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'The audit log keeps both. Write, for example, the number of the request.';
    END IF;

    -- Recorded first: see thaw.accounts_keep_hold.
    INSERT INTO thaw.manual_actions AS d (what, actor, reason) VALUES ('prospect_erased', p_actor, p_reason) RETURNING d.id INTO action_id;
    DELETE FROM thaw.adopt_errors AS x
    WHERE x.change::text ~* person OR x.kind = 'enrollment' AND EXISTS (
            SELECT FROM thaw.enrollments AS e WHERE e.external_id = x.external_id HAVING bool_and(e.prospect_url ~* person));
    GET DIAGNOSTICS kept = ROW_COUNT;
    -- Mentions first: nothing that a pass waits for is locked while the tables are read.
    FOR line IN
        SELECT c.table_name, string_agg(format('t.%I::text ~* $1', c.column_name), ' OR ') AS condition,
            string_agg(format('%I = regexp_replace(t.%1$I::text, $1, ''[erased]'', ''gi'')::%s', c.column_name, c.type_name), ', ') AS changes
        FROM thaw.text_columns() AS c WHERE NOT c.is_name AND c.table_name NOT IN ('manual_actions', 'enrollments', 'enrollment_events')
        GROUP BY c.table_name ORDER BY c.table_name
    LOOP
        EXECUTE format('UPDATE thaw.%I AS t SET %s WHERE %s', line.table_name, line.changes, line.condition) USING mention;
        GET DIAGNOSTICS n = ROW_COUNT;
        counts := counts || jsonb_build_object(line.table_name, n + CASE line.table_name WHEN 'adopt_errors' THEN kept ELSE 0 END);
    END LOOP;
    -- The text of an action on the prospect is about this person, whatever it says.
    UPDATE thaw.manual_actions AS d SET
        prospect_url = CASE WHEN d.prospect_url !~* mention THEN d.prospect_url END,
        actor = regexp_replace(d.actor, mention, '[erased]', 'gi'),
        reason = CASE WHEN d.prospect_url ~* person THEN '[erased]' ELSE regexp_replace(d.reason, mention, '[erased]', 'gi') END,
        detail = CASE WHEN d.prospect_url ~* person THEN NULL ELSE regexp_replace(d.detail, mention, '[erased]', 'gi') END,
        before = regexp_replace(d.before::text, mention, '[erased]', 'gi')::jsonb
    WHERE d.prospect_url ~* mention OR d.actor ~* mention OR d.reason ~* mention OR d.detail ~* mention OR d.before::text ~* mention;
    GET DIAGNOSTICS n = ROW_COUNT;
    counts := counts || jsonb_build_object('manual_actions', n);

    gone := ARRAY(SELECT e.id FROM thaw.enrollments AS e WHERE e.prospect_url ~* person ORDER BY e.id FOR UPDATE);
    UPDATE thaw.enrollment_events AS event SET
        detail = CASE WHEN event.enrollment_id <> ALL (gone) THEN regexp_replace(event.detail, mention, '[erased]', 'gi') END
    WHERE event.detail IS NOT NULL AND (event.enrollment_id = ANY (gone) OR event.detail ~* mention);
    GET DIAGNOSTICS n = ROW_COUNT;
    counts := counts || jsonb_build_object('enrollment_events', n);
    UPDATE thaw.enrollments AS e SET own_reason = regexp_replace(e.own_reason, mention, '[erased]', 'gi')
    WHERE e.own_reason ~* mention AND e.id <> ALL (gone);
    GET DIAGNOSTICS n = ROW_COUNT;
    counts := counts || jsonb_build_object('enrollments', n + cardinality(gone));
    DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (gone);

    UPDATE thaw.manual_actions AS d SET enrollments = cardinality(gone) WHERE d.id = action_id;
    RETURN QUERY
    SELECT remaining.table_name, coalesce((counts ->> remaining.table_name)::bigint, 0), remaining.mentions
    FROM thaw.count_mentions(p_urls || p_also) AS remaining;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.erase_prospect(
    prospect text, reason text, actor text DEFAULT current_user, workspace_key text DEFAULT NULL, also text[] DEFAULT '{}'
) RETURNS TABLE (table_name text, erased bigint, remaining bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    urls       text[];
    workspaces bigint;
BEGIN
    SELECT array_agg(DISTINCT e.prospect_url), CASE WHEN bool_or(e.prospect_url = erase_prospect.prospect) THEN 1 ELSE count(DISTINCT e.workspace_id) END
    INTO urls, workspaces
    FROM thaw.enrollments_named(ARRAY[erase_prospect.prospect]) AS named
    JOIN thaw.enrollments AS e ON e.id = named.id
    WHERE erase_prospect.workspace_key IS NULL OR e.workspace_id = thaw.find_workspace(erase_prospect.workspace_key);
    IF workspaces > 1 THEN
        RAISE EXCEPTION '% workspaces have a prospect with the platform''s ID "%"', workspaces, erase_prospect.prospect
            USING ERRCODE = 'cardinality_violation', HINT = 'Name the workspace too, or use the URL.';
    ELSIF urls IS NULL AND erase_prospect.prospect !~ '[/@]' THEN
        RAISE EXCEPTION 'no campaign has the prospect %', erase_prospect.prospect
            USING ERRCODE = 'no_data_found', HINT = 'Use a URL, an address, or the platform''s ID of a prospect that is enrolled.';
    END IF;
    -- A person who is no longer enrolled may still be mentioned.
    RETURN QUERY SELECT done.* FROM thaw.erase_person(
        coalesce(urls, ARRAY[erase_prospect.prospect]), erase_prospect.also, erase_prospect.reason, erase_prospect.actor) AS done;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.erase_prospect(text, text, text, text, text[]) IS
    'Erases a person, given by a URL or by the platform''s ID of a prospect: enrollments in all campaigns and workspaces, and every mention in history, audit log, messages, webhook bodies and jobs. also: other texts to erase, such as the name. Returns, per table, how many rows were erased and how many still mention the person. Cannot be undone. For the owner of the schema and roles that were granted it.';

REVOKE ALL ON FUNCTION thaw.text_columns(), thaw.mention_pattern(text[]), thaw.count_mentions(text[]),
    thaw.erase_person(text[], text[], text, text), thaw.erase_prospect(text, text, text, text, text[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.erase_prospect(text, text, text, text, text[]);
DROP FUNCTION thaw.erase_person(text[], text[], text, text);
DROP FUNCTION thaw.count_mentions(text[]);
DROP FUNCTION thaw.mention_pattern(text[]);
DROP FUNCTION thaw.text_columns();

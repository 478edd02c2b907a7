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
-- them. It locks only the rows that it changes, and only after it has read all tables. It never
-- waits for a row, so it is part of no deadlock, in whatever order others lock: a row that another
-- transaction holds is left, and counted as left. A call changes at most p_size rows of each table.
-- The caller calls it again until nothing is left.

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

-- How to find and to change mentions in each table. key_name and key_type: its key, if that is one
-- number, or else the row address.
-- +goose StatementBegin
CREATE FUNCTION thaw.mention_tables() RETURNS TABLE (table_name text, key_name text, key_type text, condition text, changes text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT c.table_name, coalesce(key.name, 'ctid'), coalesce(key.type, 'tid'), string_agg(format('t.%I::text ~* $1', c.column_name), ' OR '),
        string_agg(format('%I = regexp_replace(t.%1$I::text, $1, ''[erased]'', ''gi'')::%s', c.column_name, c.type_name), ', ')
    FROM thaw.text_columns() AS c
    LEFT JOIN LATERAL (
        SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('thaw.%I', c.table_name)::regclass AND i.indisprimary AND i.indnkeyatts = 1
            AND a.atttypid IN ('bigint'::regtype, 'integer'::regtype)) AS key ON true
    WHERE NOT c.is_name
    GROUP BY c.table_name, key.name, key.type
    -- Enrollments before their history.
    ORDER BY c.table_name = 'enrollment_events', c.table_name;
END;
$$;
-- +goose StatementEnd

-- The keys of at most p_size rows of each table that an erasure deletes or changes, by table.
-- Locks nothing.
-- +goose StatementBegin
CREATE FUNCTION thaw.find_mentions(p_person text, p_mention text, p_size integer) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line  record;
    keys  jsonb;
    found jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(found.key), ''[]'') FROM (SELECT t.%I::text AS key FROM thaw.%I AS t WHERE %s LIMIT $3) AS found',
            line.key_name, line.table_name, CASE line.table_name
                WHEN 'enrollments' THEN line.condition || ' OR t.prospect_url ~* $2'
                WHEN 'manual_actions' THEN line.condition || ' OR t.prospect_url ~* $1'
                -- A prospect whose rows are all of this person.
                WHEN 'adopt_errors' THEN line.condition || $c$ OR t.kind = 'enrollment' AND EXISTS (
                    SELECT FROM thaw.enrollments AS e WHERE e.external_id = t.external_id HAVING bool_and(e.prospect_url ~* $2))$c$
                ELSE line.condition END)
        INTO keys USING p_mention, p_person, p_size;
        found := found || jsonb_build_object(line.table_name, keys);
    END LOOP;
    RETURN found;
END;
$$;
-- +goose StatementEnd

-- Locks those of the rows that no other transaction holds, and erases the person from them. Returns
-- how many rows of each table were changed or deleted.
-- +goose StatementBegin
CREATE FUNCTION thaw.erase_found(p_found jsonb, p_person text, p_mention text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    line   record;
    keys   text[];
    gone   bigint[] := '{}';
    n      bigint;
    done   bigint;
    counts jsonb := '{}';
BEGIN
    FOR line IN SELECT m.* FROM thaw.mention_tables() AS m LOOP
        keys := ARRAY(SELECT jsonb_array_elements_text(p_found -> line.table_name));
        done := 0;
        -- A statement of its own: the next one sees what other transactions have changed until now.
        EXECUTE format('SELECT array_agg(held.key) FROM (
                SELECT t.%1$I::text AS key FROM thaw.%2$I AS t WHERE t.%1$I = ANY ($1::%3$s[]) FOR NO KEY UPDATE SKIP LOCKED) AS held',
            line.key_name, line.table_name, line.key_type) INTO keys USING keys;
        CASE line.table_name
        WHEN 'adopt_errors' THEN
            DELETE FROM thaw.adopt_errors AS x
            WHERE x.id = ANY (keys::bigint[]) AND (x.change::text ~* p_person OR x.kind = 'enrollment' AND EXISTS (
                SELECT FROM thaw.enrollments AS e WHERE e.external_id = x.external_id HAVING bool_and(e.prospect_url ~* p_person)));
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'enrollments' THEN
            WITH deleted AS (
                DELETE FROM thaw.enrollments AS e WHERE e.id = ANY (keys::bigint[]) AND e.prospect_url ~* p_person RETURNING e.id)
            SELECT coalesce(array_agg(deleted.id), '{}') INTO gone FROM deleted;
            done := cardinality(gone);
            counts := counts || jsonb_build_object('gone', done);
        WHEN 'enrollment_events' THEN
            -- All text about a prospect that is gone. These rows are found by the prospect.
            UPDATE thaw.enrollment_events AS event SET detail = NULL WHERE event.enrollment_id = ANY (gone) AND event.detail IS NOT NULL;
            GET DIAGNOSTICS done = ROW_COUNT;
        WHEN 'manual_actions' THEN
            -- The text of an action on the prospect is about this person, whatever it says.
            UPDATE thaw.manual_actions AS d SET
                prospect_url = CASE WHEN d.prospect_url !~* p_mention THEN d.prospect_url END,
                actor = regexp_replace(d.actor, p_mention, '[erased]', 'gi'),
                reason = CASE WHEN d.prospect_url ~* p_person THEN '[erased]' ELSE regexp_replace(d.reason, p_mention, '[erased]', 'gi') END,
                detail = CASE WHEN d.prospect_url ~* p_person THEN NULL ELSE regexp_replace(d.detail, p_mention, '[erased]', 'gi') END
            WHERE d.id = ANY (keys::bigint[])
                AND (d.prospect_url ~* p_mention OR d.actor ~* p_mention OR d.reason ~* p_mention OR d.detail ~* p_mention);
            GET DIAGNOSTICS done = ROW_COUNT;
        ELSE
            NULL;
        END CASE;
        EXECUTE format('UPDATE thaw.%I AS t SET %s WHERE t.%I = ANY ($2::%s[]) AND (%s)', line.table_name, line.changes, line.key_name, line.key_type, line.condition)
        USING p_mention, keys;
        GET DIAGNOSTICS n = ROW_COUNT;
        -- A row of the audit log may have been changed twice.
        counts := counts || jsonb_build_object(line.table_name, least(done + n, coalesce(cardinality(keys), 0)
            + CASE line.table_name WHEN 'enrollment_events' THEN done ELSE 0 END));
    END LOOP;
    RETURN counts;
END;
$$;
-- +goose StatementEnd

-- Erases the person with the given URLs, and mentions of the other texts. Returns how many rows
-- were deleted or changed. thaw.count_mentions counts what is left.
-- +goose StatementBegin
CREATE FUNCTION thaw.erase_person(p_urls text[], p_also text[], p_reason text, p_actor text, p_size integer DEFAULT 10000)
RETURNS TABLE (table_name text, erased bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    person    text := thaw.mention_pattern(p_urls);
    mention   text := thaw.mention_pattern(p_urls || p_also);
    counts    jsonb;
    action_id bigint;
BEGIN
    PERFORM thaw.require_reason(p_reason, p_actor);
    IF p_reason ~* mention OR p_actor ~* mention THEN
        RAISE EXCEPTION 'the reason or the actor names the person' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'The audit log keeps both. Write, for example, the number of the request.';
    ELSIF coalesce(p_size, 0) NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'size is %', coalesce(p_size::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Erase from 1 to 100000 rows of each table per call.';
    END IF;
    -- Recorded first: see thaw.accounts_keep_hold.
    INSERT INTO thaw.manual_actions AS d (what, actor, reason) VALUES ('prospect_erased', p_actor, p_reason) RETURNING d.id INTO action_id;
    counts := thaw.erase_found(thaw.find_mentions(person, mention, p_size), person, mention);
    UPDATE thaw.manual_actions AS d SET enrollments = (counts ->> 'gone')::integer WHERE d.id = action_id;
    RETURN QUERY SELECT count.key, count.value::bigint FROM jsonb_each_text(counts - 'gone') AS count;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.erase_prospect(
    prospect text, reason text, actor text DEFAULT current_user, workspace_key text DEFAULT NULL, also text[] DEFAULT '{}',
    size integer DEFAULT 10000
) RETURNS TABLE (table_name text, erased bigint, remaining bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    urls       text[];
    workspaces bigint;
    counts     jsonb;
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
    urls := coalesce(urls, ARRAY[erase_prospect.prospect]);
    SELECT jsonb_object_agg(done.table_name, done.erased) INTO counts
    FROM thaw.erase_person(urls, erase_prospect.also, erase_prospect.reason, erase_prospect.actor, erase_prospect.size) AS done;
    RETURN QUERY
    SELECT remaining.table_name, coalesce((counts ->> remaining.table_name)::bigint, 0), remaining.mentions
    FROM thaw.count_mentions(urls || erase_prospect.also) AS remaining;
END;
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION thaw.erase_prospect(text, text, text, text, text[], integer) IS
    'Erases a person, given by a URL or by the platform''s ID of a prospect: enrollments in all campaigns and workspaces, and every mention in history, audit log, messages, webhook bodies and jobs. also: other texts to erase, such as the name. size: at most so many rows of each table. Returns, per table, how many rows were erased and how many still mention the person; while the latter is not 0, call it again. Cannot be undone. For the owner of the schema and roles that were granted it.';

REVOKE ALL ON FUNCTION thaw.text_columns(), thaw.mention_pattern(text[]), thaw.count_mentions(text[]),
    thaw.mention_tables(), thaw.find_mentions(text, text, integer), thaw.erase_found(jsonb, text, text),
    thaw.erase_person(text[], text[], text, text, integer), thaw.erase_prospect(text, text, text, text, text[], integer) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.erase_prospect(text, text, text, text, text[], integer);
DROP FUNCTION thaw.erase_person(text[], text[], text, text, integer);
DROP FUNCTION thaw.erase_found(jsonb, text, text);
DROP FUNCTION thaw.find_mentions(text, text, integer);
DROP FUNCTION thaw.mention_tables();
DROP FUNCTION thaw.count_mentions(text[]);
DROP FUNCTION thaw.mention_pattern(text[]);
DROP FUNCTION thaw.text_columns();

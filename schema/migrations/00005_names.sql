-- How text finds rows: the search of the lists, and the names that commands, URLs and functions
-- take.

-- +goose Up

-- Search finds workspaces, accounts and campaigns by the start of their keys, and by words of their
-- names. The indexes on keys compare bytes, so that a prefix is a range on every server. All these
-- columns hardly ever change, so a signal still updates no index.
--
-- The end of such a range: the prefix followed by the greatest character. chr() and not an escaped
-- literal, whose meaning depends on server settings.
-- +goose StatementBegin
CREATE FUNCTION thaw.end_of_range(beginning text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN end_of_range.beginning || chr(1114111);
-- +goose StatementEnd

-- A name as people type it: lower case, without accents and apostrophes, one space between words.
-- "Zoë  O’Brien" is "zoe obrien". The first 400 characters count, so that every name fits into an
-- index.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_key(text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN btrim(regexp_replace(regexp_replace(
    replace(replace(replace(translate(lower(normalize(left(search_key.text, 400), NFKD)),
        chr(322) || chr(321) || chr(248) || chr(216) || chr(273) || chr(272) || chr(305), 'lloodd' || 'i'),
        chr(223), 'ss'), chr(230), 'ae'), chr(339), 'oe'),
    $re$['`\u00b4\u0300-\u036f\u02b9-\u02bc\u2018-\u201b\u2032\u200b-\u200f\u00ad\ufeff]+$re$, '', 'g'),
    $re$[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+$re$, ' ', 'g'));
-- +goose StatementEnd

-- The words of a key and a name, for an index.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_words(key text, name text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_tsvector(string_to_array(
    btrim(thaw.search_key(search_words.key) || ' ' || thaw.search_key(search_words.name)), ' '));
-- +goose StatementEnd

-- Each word of a text as the start of a word. Null if the text has no word: then nothing is found.
-- +goose StatementBegin
CREATE FUNCTION thaw.search_query(text text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg(quote_literal(w.word) || ':*', ' & ')::tsquery
    FROM unnest(string_to_array(thaw.search_key(search_query.text), ' ')) AS w (word) WHERE w.word <> '');
-- +goose StatementEnd

CREATE INDEX workspaces_key_search_idx ON thaw.workspaces (lower(key) COLLATE "C");
CREATE INDEX workspaces_words_idx ON thaw.workspaces USING gin (thaw.search_words(key, name));
CREATE INDEX accounts_id_search_idx ON thaw.accounts (lower(provider_account_id) COLLATE "C");
CREATE INDEX accounts_words_idx ON thaw.accounts USING gin (thaw.search_words(provider_account_id, display_name));
CREATE INDEX campaigns_key_search_idx ON thaw.campaigns (lower(key) COLLATE "C");
CREATE INDEX campaigns_words_idx ON thaw.campaigns USING gin (thaw.search_words(key, name));

-- The rows that a name identifies: a key, a provider account ID or a URL or, if none has it, the
-- platform's own ID. Commands, the API, pages and SQL functions all call these functions, so a name
-- means the same everywhere. The caller limits the workspaces, and refuses a name that several rows
-- have. They have no SET clause, so that the planner can inline them.
-- +goose StatementBegin
CREATE FUNCTION thaw.workspaces_named(
    p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT w.id FROM thaw.workspaces AS w WHERE w.key = p_name AND w.id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT w.id FROM thaw.workspaces AS w
    WHERE w.external_id = p_name AND w.id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT EXISTS (
            SELECT FROM thaw.workspaces AS k WHERE k.key = p_name AND k.id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.accounts_named(
    p_name text, p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    -- By the index of the search.
    SELECT a.id FROM thaw.accounts AS a
    WHERE lower(a.provider_account_id) COLLATE "C" = lower(p_name) COLLATE "C" AND a.provider_account_id = p_name
        AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT a.id FROM thaw.accounts AS a
    WHERE a.external_id = p_name AND a.workspace_id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT EXISTS (
            SELECT FROM thaw.accounts AS k
            WHERE lower(k.provider_account_id) COLLATE "C" = lower(p_name) COLLATE "C" AND k.provider_account_id = p_name
                AND k.workspace_id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION thaw.campaigns_named(p_name text, p_workspace_id bigint) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = p_workspace_id AND c.key = p_name
    UNION ALL
    SELECT c.id FROM thaw.campaigns AS c
    WHERE c.workspace_id = p_workspace_id AND c.external_id = p_name
        AND NOT EXISTS (SELECT FROM thaw.campaigns AS k WHERE k.workspace_id = p_workspace_id AND k.key = p_name);
END;
-- +goose StatementEnd

-- The enrollments of several prospects, each given as the URLs or the ID under which it may be
-- known.
-- +goose StatementBegin
CREATE FUNCTION thaw.enrollments_named(
    p_names text[], p_first_workspace bigint DEFAULT 0, p_last_workspace bigint DEFAULT 9223372036854775807
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    SELECT e.id FROM thaw.enrollments AS e
    WHERE e.prospect_url = ANY (p_names) AND e.workspace_id BETWEEN p_first_workspace AND p_last_workspace
    UNION ALL
    SELECT e.id FROM thaw.enrollments AS e
    WHERE e.external_id = ANY (p_names) AND e.workspace_id BETWEEN p_first_workspace AND p_last_workspace
        AND NOT e.prospect_url = ANY (p_names)
        AND NOT EXISTS (
            SELECT FROM thaw.enrollments AS k
            WHERE k.prospect_url = e.external_id AND k.workspace_id BETWEEN p_first_workspace AND p_last_workspace);
END;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION thaw.enrollments_named(text[], bigint, bigint);
DROP FUNCTION thaw.campaigns_named(text, bigint);
DROP FUNCTION thaw.accounts_named(text, bigint, bigint);
DROP FUNCTION thaw.workspaces_named(text, bigint, bigint);
DROP INDEX thaw.campaigns_words_idx, thaw.campaigns_key_search_idx, thaw.accounts_words_idx,
    thaw.accounts_id_search_idx, thaw.workspaces_words_idx, thaw.workspaces_key_search_idx;
DROP FUNCTION thaw.search_query(text);
DROP FUNCTION thaw.search_words(text, text);
DROP FUNCTION thaw.search_key(text);
DROP FUNCTION thaw.end_of_range(text);

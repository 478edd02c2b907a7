-- The rights that are missing, each with the statement that grants it, the kind of the rows that
-- are affected, and whether the triggers need it. $1 is the role that owns Thaw's schema, $2 the
-- columns that it reads or writes (privilege). $3 are the functions that the triggers call, and $4
-- the roles with whose rights they run.
WITH columns AS (
    SELECT t.oid, n.oid AS schema_oid, n.nspname AS schema, t.relname AS name, g."column", g.privilege, g.kind
    FROM jsonb_to_recordset($2::jsonb) AS g (schema text, "table" text, "column" text, privilege text, kind text)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = g.schema
    JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.relname = g."table"
), missing (place, kind, is_of_triggers, role, what) AS (
    SELECT 1, min(c.kind), false, $1::text, format('USAGE ON SCHEMA %I', c.schema)
    FROM columns AS c WHERE NOT has_schema_privilege($1::text, c.schema_oid, 'USAGE')
    GROUP BY c.schema
    UNION ALL
    SELECT 2, min(c.kind), false, $1::text, format('%s (%s) ON %I.%I', c.privilege, string_agg(DISTINCT quote_ident(c."column"), ', '), c.schema, c.name)
    FROM columns AS c
    WHERE NOT has_column_privilege($1::text, c.oid, c."column", c.privilege)
    GROUP BY c.privilege, c.schema, c.name
    UNION ALL
    SELECT 3, 'accounts', true, o.role, 'USAGE ON SCHEMA thaw' FROM unnest($4::text[]) AS o (role) WHERE NOT has_schema_privilege(o.role, 'thaw', 'USAGE')
    UNION ALL
    SELECT 4, coalesce(substring(f.name FROM '^thaw\.take_([a-z]+)'), 'accounts'), true, o.role, 'EXECUTE ON FUNCTION ' || f.name
    FROM unnest($4::text[]) AS o (role) CROSS JOIN unnest($3::text[]) AS f (name) WHERE NOT has_function_privilege(o.role, f.name, 'EXECUTE')
)
SELECT m.kind, m.is_of_triggers, m.role, format('GRANT %s TO %I', m.what, m.role) AS "grant"
FROM missing AS m
ORDER BY m.place, m.what, m.role;

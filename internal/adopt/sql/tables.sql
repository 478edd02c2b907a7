-- Tables, views and their like that a mapping can name, without those of Thaw, of Postgres and of
-- extensions: all, or the named ones ($3 schemas, $4 names). One more row than the limit is read,
-- so that a longer list is noticed.
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
    c.relpersistence = 't' AS is_temporary, c.relispartition AS is_partition,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    greatest(c.reltuples, 0)::bigint AS rows
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'thaw', 'thaw_adopt', $1)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    AND ($3::text[] IS NULL OR (n.nspname, c.relname) IN (SELECT t.schema, t.name FROM unnest($3::text[], $4::text[]) AS t (schema, name)))
ORDER BY n.nspname, c.relname
LIMIT $2 + 1;

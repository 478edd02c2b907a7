-- The triggers whose functions are Thaw's, with what makes them work.
SELECT n.nspname::text AS schema, c.relname::text AS table_name, t.tgname::text AS name, f.proname::text AS function,
    t.tgenabled IN ('O', 'A') AS is_enabled,
    (t.tgtype & 1) = 0 AND (t.tgtype & 66) = 0 AS is_after_statement,
    concat_ws(' ', CASE WHEN (t.tgtype & 4) <> 0 THEN 'INSERT' END, CASE WHEN (t.tgtype & 8) <> 0 THEN 'DELETE' END,
        CASE WHEN (t.tgtype & 16) <> 0 THEN 'UPDATE' END,
        CASE WHEN (t.tgtype & 32) <> 0 THEN 'TRUNCATE' END) AS event,
    concat_ws(' ', 'OLD TABLE AS ' || t.tgoldtable::text, 'NEW TABLE AS ' || t.tgnewtable::text) AS referencing
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE f.pronamespace = to_regnamespace('thaw_adopt') AND NOT t.tgisinternal
ORDER BY n.nspname, c.relname, t.tgname;

-- The functions of Thaw's triggers.
SELECT f.proname::text AS name, f.prosrc AS body, pg_catalog.pg_get_userbyid(f.proowner)::text AS owner,
    f.prosecdef AND f.proconfig = '{"search_path=pg_catalog, pg_temp"}' AS is_safe
FROM pg_catalog.pg_proc AS f
WHERE f.pronamespace = to_regnamespace('thaw_adopt')
ORDER BY f.proname;

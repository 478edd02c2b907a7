-- What "thaw adopt" granted and is still granted, as statements that revoke it: on the platform's
-- tables ($1 schemas, $2 names) to the role that owns Thaw's schema, and on that schema to the
-- owners of the tables. It reads the catalog, because a mapping may no longer fit the tables.
WITH thaw AS (
    SELECT n.oid, n.nspowner AS role, n.nspacl FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'thaw'
), tables AS (
    SELECT c.oid, c.relowner AS owner, c.relacl, n.oid AS schema_oid, n.nspname AS schema, n.nspowner AS schema_owner, n.nspacl,
        format('%I.%I', n.nspname, c.relname) AS name
    FROM unnest($1::text[], $2::text[]) AS t (schema, name)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
), grants (place, what, role) AS (
    SELECT 1, x.privilege_type || ' ON ' || t.name, x.grantee
    FROM tables AS t CROSS JOIN thaw CROSS JOIN LATERAL pg_catalog.aclexplode(t.relacl) AS x
    WHERE x.grantee = thaw.role AND t.owner <> thaw.role AND x.privilege_type IN ('SELECT', 'UPDATE')
    UNION
    SELECT 2, format('%s (%s) ON %s', x.privilege_type, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name), x.grantee
    FROM tables AS t CROSS JOIN thaw
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND NOT a.attisdropped
    CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS x
    WHERE x.grantee = thaw.role AND t.owner <> thaw.role AND x.privilege_type IN ('SELECT', 'UPDATE')
    GROUP BY x.privilege_type, t.name, x.grantee
    UNION
    SELECT 3, format('USAGE ON SCHEMA %I', t.schema), x.grantee
    FROM tables AS t CROSS JOIN thaw CROSS JOIN LATERAL pg_catalog.aclexplode(t.nspacl) AS x
    WHERE x.grantee = thaw.role AND t.schema_owner <> thaw.role AND x.privilege_type = 'USAGE'
    UNION
    SELECT 4, format('EXECUTE ON FUNCTION thaw.%I(%s)', f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)), x.grantee
    FROM pg_catalog.pg_proc AS f CROSS JOIN thaw CROSS JOIN LATERAL pg_catalog.aclexplode(f.proacl) AS x
    WHERE f.pronamespace = thaw.oid AND x.grantee <> thaw.role AND x.grantee IN (SELECT t.owner FROM tables AS t)
        AND f.proname IN ('take_workspaces', 'take_accounts', 'take_campaigns', 'take_enrollments', 'note_adopt_failure', 'take_changes', 'confirm_changes')
    UNION
    SELECT 5, 'USAGE ON SCHEMA thaw', x.grantee
    FROM thaw CROSS JOIN LATERAL pg_catalog.aclexplode(thaw.nspacl) AS x
    WHERE x.grantee <> thaw.role AND x.privilege_type = 'USAGE' AND x.grantee IN (SELECT t.owner FROM tables AS t)
)
SELECT format('REVOKE %s FROM %I', g.what, pg_catalog.pg_get_userbyid(g.role)) AS revoke
FROM grants AS g
ORDER BY g.place, revoke;

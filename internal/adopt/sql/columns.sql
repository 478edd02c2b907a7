-- The columns of the tables. A domain counts as the type below it.
SELECT a.attrelid::bigint AS table_oid, a.attname::text AS name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    base.typname::text AS base_type, base.typcategory::text AS category,
    a.attnotnull AS is_not_null,
    a.attgenerated <> '' AS is_generated,
    a.atthasdef OR a.attidentity <> '' AS has_default,
    coalesce((
        SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = base.oid), '{}') AS labels
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type AS base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = ANY ($1::bigint[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum;

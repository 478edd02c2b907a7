-- Foreign keys of one column.
SELECT c.conrelid::bigint AS table_oid, a.attname::text AS column_name, c.confrelid::bigint AS target_oid, f.attname::text AS target_column
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_catalog.pg_attribute AS f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
WHERE c.contype = 'f' AND c.conrelid = ANY ($1::bigint[]::oid[]) AND cardinality(c.conkey) = 1 AND c.conparentid = 0
ORDER BY c.conrelid, a.attname;

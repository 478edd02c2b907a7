-- CHECK constraints of one column, from which a proposal reads the words of a state.
SELECT c.conrelid::bigint AS table_oid, a.attname::text AS column_name, pg_catalog.pg_get_constraintdef(c.oid) AS definition
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'c' AND c.conrelid = ANY ($1::bigint[]::oid[]) AND cardinality(c.conkey) = 1
ORDER BY c.conrelid, a.attname;

-- CHECK constraints, with the columns that they mention. A proposal reads the words of a state from
-- those of one column; a plan tries what Thaw writes with all of them.
SELECT c.conrelid::bigint AS table_oid, c.conname::text AS name, pg_catalog.pg_get_constraintdef(c.oid) AS definition,
    pg_catalog.pg_get_expr(c.conbin, c.conrelid) AS condition,
    array(
        SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_constraint AS c
WHERE c.contype = 'c' AND c.conrelid = ANY ($1::bigint[]::oid[]) AND cardinality(c.conkey) > 0
ORDER BY c.conrelid, c.conname;

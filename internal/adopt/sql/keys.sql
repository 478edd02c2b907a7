-- Per valid index: whether it is unique for all rows, and its columns in order. An index on an
-- expression ends the list, and a partial index is not unique for all rows.
SELECT i.indrelid::bigint AS table_oid,
    i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AS is_unique,
    i.indisprimary AS is_primary,
    i.indpred IS NOT NULL AS is_partial,
    array(
        SELECT a.attname::text
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.position <= i.indnkeyatts
        ORDER BY k.position) AS columns
FROM pg_catalog.pg_index AS i
WHERE i.indrelid = ANY ($1::bigint[]::oid[]) AND i.indisvalid
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid;

-- The partitions of the tables at every level, and the tables that inherit from them.
WITH RECURSIVE children AS (
    SELECT i.inhparent AS parent, i.inhrelid AS child
    FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = ANY ($1::bigint[]::oid[])
    UNION
    SELECT c.parent, i.inhrelid FROM children AS c JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.child
)
SELECT c.parent::bigint AS table_oid, n.nspname::text AS schema, t.relname::text AS name, t.relkind::text AS kind
FROM children AS c
JOIN pg_catalog.pg_class AS t ON t.oid = c.child
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
ORDER BY c.parent, n.nspname, t.relname;

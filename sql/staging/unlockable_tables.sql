-- Tables that this role may not lock for reading, as pg_dump does: that takes SELECT on the whole table, which grants on each
-- of its columns are not.
-- Run by hand: psql -v schema=public -f sql/staging/unlockable_tables.sql
SELECT relation.relname::text AS "table"
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind IN ('r', 'p')
    AND NOT pg_catalog.has_table_privilege(relation.oid, 'SELECT')
ORDER BY
    relation.relname;

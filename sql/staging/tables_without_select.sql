-- Tables that this role may not read as a whole. pg_dump locks each table, which takes SELECT on all of it: grants on each
-- of its columns are too little.
-- Run by hand: psql -v schema=public -f sql/staging/tables_without_select.sql
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

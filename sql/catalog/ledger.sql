-- Whether evodoctor has a ledger in this database, and whether this role may read it. No row: there is none.
SELECT
    pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
    AND pg_catalog.bool_and(pg_catalog.has_table_privilege(class.oid, 'SELECT')) AS is_readable
FROM
    pg_catalog.pg_namespace AS namespace
    JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid AND class.relname IN ('run', 'applied_fix', 'quarantine', 'quarantine_entry')
WHERE
    namespace.nspname = 'evodoctor'
    AND pg_catalog.obj_description(namespace.oid, 'pg_namespace') LIKE 'evodoctor ledger%'
GROUP BY
    namespace.oid;

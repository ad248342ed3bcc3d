-- The schemas of this database that have Evolution's tables and that this role may read.
SELECT namespace.nspname::text AS name
FROM
    pg_catalog.pg_namespace AS namespace
    JOIN pg_catalog.pg_class AS instance ON instance.relnamespace = namespace.oid AND instance.relname = 'Instance'
    JOIN pg_catalog.pg_class AS setting ON setting.relnamespace = namespace.oid AND setting.relname = 'Setting'
WHERE
    instance.relkind IN ('r', 'p')
    AND pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
    AND pg_catalog.has_table_privilege(instance.oid, 'SELECT')
ORDER BY
    namespace.nspname;

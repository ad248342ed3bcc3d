-- The locks that this transaction holds on tables of Evolution's schema and of whatever its keys refer to.
SELECT
    pg_catalog.format('%I.%I', namespace.nspname, relation.relname) AS table_name,
    lock.mode AS mode
FROM
    pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_class AS relation ON relation.oid = lock.relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    lock.pid = pg_catalog.pg_backend_pid()
    AND lock.database = (SELECT database.oid FROM pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database())
    AND relation.relkind IN ('r', 'p')
    AND namespace.nspname NOT IN ('pg_catalog', 'information_schema', 'evodoctor')
ORDER BY
    table_name, mode;

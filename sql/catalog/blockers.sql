-- Who holds a lock on one of our tables that would make a change wait, other than this session.
SELECT DISTINCT
    activity.pid AS pid,
    COALESCE(NULLIF(activity.application_name, ''), 'unnamed application') AS application,
    activity.usename::text AS role,
    activity.state AS state,
    pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - activity.xact_start)::text AS transaction_age,
    pg_catalog.format('%I.%I', namespace.nspname, relation.relname) AS table_name
FROM
    pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = lock.relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    lock.granted
    AND lock.pid <> pg_catalog.pg_backend_pid()
    AND lock.database = (SELECT database.oid FROM pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database())
    AND relation.relkind IN ('r', 'p')
    AND namespace.nspname = :'schema'
    AND relation.relname IN (SELECT pg_catalog.jsonb_array_elements_text(:'tables'::jsonb))
    AND lock.mode IN (SELECT pg_catalog.jsonb_array_elements_text(:'modes'::jsonb))
ORDER BY
    transaction_age DESC, pid;

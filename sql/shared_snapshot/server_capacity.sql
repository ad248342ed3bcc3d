-- How many more connections there is room for, as far as this role can see: those that the server keeps for others are
-- not counted, and null is no limit. How many processes the server gives one query of its own accord, and how long this role
-- lets a statement run, in milliseconds.
SELECT
    pg_catalog.pg_backend_pid() AS pid,
    pg_catalog.has_function_privilege('pg_catalog.pg_export_snapshot()', 'EXECUTE') AS can_export,
    pg_catalog.current_setting('max_connections')::bigint
        - pg_catalog.current_setting('superuser_reserved_connections')::bigint
        - COALESCE(pg_catalog.current_setting('reserved_connections', true)::bigint, 0)
        - (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_stat_get_db_numbackends(database.oid)), 0)::bigint FROM pg_catalog.pg_database AS database) AS of_server,
    (
        SELECT database.datconnlimit - pg_catalog.pg_stat_get_db_numbackends(database.oid)::bigint
        FROM pg_catalog.pg_database AS database
        WHERE database.datname = pg_catalog.current_database() AND database.datconnlimit >= 0
    ) AS of_database,
    (
        SELECT role.rolconnlimit - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS activity WHERE activity.usesysid = role.oid)
        FROM pg_catalog.pg_roles AS role
        WHERE role.rolname = SESSION_USER AND role.rolconnlimit >= 0 AND NOT role.rolsuper
    ) AS of_role,
    1 + LEAST(
        pg_catalog.current_setting('max_parallel_workers_per_gather')::bigint,
        pg_catalog.current_setting('max_parallel_workers')::bigint,
        pg_catalog.current_setting('max_worker_processes')::bigint
    ) AS processes,
    NULLIF(pg_catalog.date_part('epoch', pg_catalog.current_setting('statement_timeout')::interval) * 1000, 0)::bigint AS statement_timeout;

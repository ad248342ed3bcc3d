-- What tells this database from another one of the same name, on another server or restored on this one. Managed servers
-- may keep the system identifier to themselves.
SELECT
    database.oid::bigint AS database_oid,
    CASE
        WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            THEN (SELECT control.system_identifier::text FROM pg_catalog.pg_control_system() AS control)
    END AS system_identifier
FROM
    pg_catalog.pg_database AS database
WHERE
    database.datname = pg_catalog.current_database();

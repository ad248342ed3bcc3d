-- What this server and database are, and who asks. The system identifier tells two servers with a database of the
-- same name apart; managed servers may refuse it.
SELECT
    pg_catalog.current_setting('server_version') AS server_version,
    pg_catalog.current_database()::text AS database,
    (SELECT database.oid::bigint FROM pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database()) AS database_oid,
    current_user::text AS role,
    pg_catalog.pg_is_in_recovery() AS in_recovery,
    CASE
        WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            THEN (SELECT control.system_identifier::text FROM pg_catalog.pg_control_system() AS control)
    END AS system_identifier;

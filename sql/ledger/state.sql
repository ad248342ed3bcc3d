-- Whether there is a ledger, in which format, and whether this role could create or use one.
SELECT
    namespace.oid IS NOT NULL AS exists,
    pg_catalog.obj_description(namespace.oid, 'pg_namespace') AS comment,
    COALESCE(pg_catalog.has_schema_privilege(namespace.oid, 'USAGE'), false) AS is_usable,
    COALESCE(pg_catalog.pg_has_role(namespace.nspowner, 'USAGE'), false) AS is_owned,
    pg_catalog.pg_get_userbyid(namespace.nspowner)::text AS owner,
    -- The schema may have been given to another role without what is in it.
    (
        SELECT pg_catalog.min(pg_catalog.pg_get_userbyid(class.relowner)::text)
        FROM pg_catalog.pg_class AS class
        WHERE class.relnamespace = namespace.oid AND class.relkind = 'r' AND NOT pg_catalog.pg_has_role(class.relowner, 'USAGE')
    ) AS tables_owner,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS can_create
FROM
    (SELECT 'evodoctor'::name AS name) AS wanted
    LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = wanted.name;

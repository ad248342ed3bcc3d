-- What default privileges (ALTER DEFAULT PRIVILEGES) have given others on evodoctor's schema and its tables, as the
-- statements that take it away again: the quarantine holds whatever Evolution's rows hold.
SELECT
    pg_catalog.format('REVOKE ALL ON SCHEMA "evodoctor" FROM %I', pg_catalog.pg_get_userbyid(granted.grantee)) AS statement
FROM
    pg_catalog.pg_namespace AS namespace
    CROSS JOIN LATERAL pg_catalog.aclexplode(namespace.nspacl) AS granted
WHERE
    namespace.nspname = 'evodoctor'
    AND granted.grantee NOT IN (0, namespace.nspowner)
UNION
SELECT
    pg_catalog.format('REVOKE ALL ON "evodoctor".%I FROM %I', class.relname, pg_catalog.pg_get_userbyid(granted.grantee))
FROM
    pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace AND namespace.nspname = 'evodoctor'
    CROSS JOIN LATERAL pg_catalog.aclexplode(class.relacl) AS granted
WHERE
    class.relkind = 'r'
    AND granted.grantee NOT IN (0, class.relowner)
ORDER BY
    statement;

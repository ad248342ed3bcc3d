-- What default privileges (ALTER DEFAULT PRIVILEGES) have given others on evodoctor's schema and its tables, as the
-- statements that take it away again: the quarantine holds whatever Evolution's rows hold.
SELECT
    pg_catalog.format('REVOKE ALL ON SCHEMA "evodoctor" FROM %s', grantee.name) AS statement
FROM
    pg_catalog.pg_namespace AS namespace
    CROSS JOIN LATERAL pg_catalog.aclexplode(namespace.nspacl) AS granted
    CROSS JOIN LATERAL (
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(granted.grantee)) END AS name
    ) AS grantee
WHERE
    namespace.nspname = 'evodoctor'
    AND granted.grantee <> namespace.nspowner
UNION
SELECT
    pg_catalog.format('REVOKE ALL ON "evodoctor".%I FROM %s', class.relname, grantee.name)
FROM
    pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace AND namespace.nspname = 'evodoctor'
    CROSS JOIN LATERAL pg_catalog.aclexplode(class.relacl) AS granted
    CROSS JOIN LATERAL (
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(granted.grantee)) END AS name
    ) AS grantee
WHERE
    class.relkind = 'r'
    AND granted.grantee <> class.relowner
ORDER BY
    statement;

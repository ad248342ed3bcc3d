-- Every table of this role's.
SELECT
    namespace.nspname AS schema,
    relation.relname AS name
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_roles AS owner ON owner.oid = relation.relowner
WHERE
    relation.relkind = 'r'
    AND relation.relpersistence <> 't'
    AND owner.rolname = CURRENT_USER
ORDER BY
    namespace.nspname,
    relation.relname;

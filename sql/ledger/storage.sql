-- What the schema "evodoctor" takes, in bytes.
SELECT
    COALESCE(pg_catalog.sum(pg_catalog.pg_total_relation_size(class.oid)), 0)::bigint AS bytes
FROM
    pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace AND namespace.nspname = 'evodoctor'
WHERE
    class.relkind = 'r';

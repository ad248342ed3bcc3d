-- Whether something that is no unfinished index has the name.
SELECT
    EXISTS (
        SELECT
        FROM
            pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
            LEFT JOIN pg_catalog.pg_index AS index ON index.indexrelid = class.oid
        WHERE
            namespace.nspname = :'schema'
            AND class.relname = :'name'
            AND (index.indexrelid IS NULL OR index.indisvalid)
    ) AS is_taken;

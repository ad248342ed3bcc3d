-- An index, and what a REINDEX CONCURRENTLY of it has left behind beside it.
SELECT
    class.relname::text AS name,
    relation.relname::text AS table_name,
    index.indisvalid AND index.indisready AND index.indislive AS is_valid,
    class.relname <> :'name' AS is_leftover
FROM
    pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND (
        class.relname = :'name'
        OR NOT index.indisvalid
        AND class.relname ~ '_cc(new|old)[0-9]*$'
        -- A long name is cut off before the ending.
        AND pg_catalog.strpos(:'name', pg_catalog.regexp_replace(class.relname, '_cc(new|old)[0-9]*$', '')) = 1
        AND index.indrelid IN (
            SELECT own.indrelid
            FROM
                pg_catalog.pg_index AS own
                JOIN pg_catalog.pg_class AS own_class ON own_class.oid = own.indexrelid
            WHERE own_class.relnamespace = namespace.oid AND own_class.relname = :'name'
        )
    );

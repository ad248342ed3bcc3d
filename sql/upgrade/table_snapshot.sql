-- What a migration changes, as this transaction sees it: every table with its file, its columns, and the rows that this
-- session has treated. Takes no lock.
SELECT
    relation.oid::bigint AS oid,
    namespace.nspname::text AS schema,
    relation.relname::text AS name,
    pg_catalog.format('%I.%I', namespace.nspname, relation.relname) AS quoted,
    relation.relfilenode::bigint AS file,
    ARRAY(
        SELECT attribute.attnum::integer
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ORDER BY attribute.attnum
    ) AS numbers,
    ARRAY(
        SELECT attribute.attname::text
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ORDER BY attribute.attnum
    ) AS columns,
    pg_catalog.pg_stat_get_xact_tuples_inserted(relation.oid) AS inserted,
    pg_catalog.pg_stat_get_xact_tuples_updated(relation.oid) AS updated,
    pg_catalog.pg_stat_get_xact_tuples_deleted(relation.oid) AS removed
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    relation.relkind IN ('r', 'p')
    AND namespace.nspname NOT IN ('pg_catalog', 'information_schema', 'evodoctor')
ORDER BY
    namespace.nspname, relation.relname;

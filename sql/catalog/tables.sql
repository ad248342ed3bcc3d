-- The tables of Evolution's schema: their columns, which of them may be null, the primary key, and who owns them.
SELECT
    relation.relname::text AS name,
    relation.relkind::text AS kind,
    pg_catalog.pg_get_userbyid(relation.relowner)::text AS owner,
    pg_catalog.pg_has_role(relation.relowner, 'USAGE') AS is_owned,
    pg_catalog.has_table_privilege(relation.oid, 'SELECT') AS is_readable,
    ARRAY(
        SELECT attribute.attname::text
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ORDER BY attribute.attnum
    ) AS columns,
    ARRAY(
        SELECT attribute.attname::text
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            AND attribute.attnotnull
        ORDER BY attribute.attnum
    ) AS not_null_columns,
    ARRAY(
        SELECT attribute.attname::text
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            AND attribute.attgenerated = ''
        ORDER BY attribute.attnum
    ) AS stored_columns,
    ARRAY(
        SELECT pg_catalog.format_type(attribute.atttypid, attribute.atttypmod)
        FROM pg_catalog.pg_attribute AS attribute
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            AND attribute.attgenerated = ''
        ORDER BY attribute.attnum
    ) AS stored_types,
    ARRAY(
        SELECT attribute.attname::text
        FROM
            pg_catalog.pg_index AS index
            CROSS JOIN LATERAL pg_catalog.unnest(index.indkey::int2[]) WITH ORDINALITY AS key (attnum, position)
            JOIN pg_catalog.pg_attribute AS attribute
                ON attribute.attrelid = index.indrelid AND attribute.attnum = key.attnum
        WHERE index.indrelid = relation.oid AND index.indisprimary AND key.position <= index.indnkeyatts
        ORDER BY key.position
    ) AS primary_key,
    ARRAY(
        SELECT trigger.tgname::text
        FROM pg_catalog.pg_trigger AS trigger
        WHERE trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
        ORDER BY trigger.tgname
    ) AS triggers
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY
    relation.relname;

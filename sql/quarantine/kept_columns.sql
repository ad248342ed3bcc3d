-- The columns that a table of the quarantine has from Evolution's table.
SELECT
    attribute.attname::text AS name
FROM
    pg_catalog.pg_attribute AS attribute
    JOIN pg_catalog.pg_class AS relation ON relation.oid = attribute.attrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    namespace.nspname = 'evodoctor'
    AND relation.relname = :'relation'
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
    AND attribute.attname NOT LIKE 'evodoctor %'
ORDER BY
    attribute.attnum;

-- The foreign keys to one table whose referring columns no index leads with. For each row that is removed from that table,
-- the server reads the whole referring table.
SELECT
    child.relname::text AS child_table,
    key.conname::text AS name,
    GREATEST(child.reltuples::bigint, pg_catalog.pg_stat_get_live_tuples(child.oid), 0) AS rows,
    (
        SELECT pg_catalog.array_agg(attribute.attname::text ORDER BY part.position)
        FROM
            pg_catalog.unnest(key.conkey) WITH ORDINALITY AS part (attnum, position)
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = key.conrelid AND attribute.attnum = part.attnum
    ) AS child_columns,
    child_namespace.nspname = :'schema' AS is_in_schema
FROM
    pg_catalog.pg_constraint AS key
    JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid
    JOIN pg_catalog.pg_namespace AS parent_namespace ON parent_namespace.oid = parent.relnamespace
    JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
    JOIN pg_catalog.pg_namespace AS child_namespace ON child_namespace.oid = child.relnamespace
WHERE
    key.contype = 'f'
    AND parent_namespace.nspname = :'schema'
    AND parent.relname = :'table_name'
    AND child.relkind = 'r'
    AND COALESCE((pg_catalog.to_jsonb(key) ->> 'conenforced')::boolean, true)
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_index AS index
        WHERE
            index.indrelid = key.conrelid
            AND index.indkey[0] = ANY (key.conkey)
            AND index.indisvalid
            AND index.indisready
            AND NOT index.indcheckxmin
            AND (
                index.indpred IS NULL
                OR index.indexrelid IN (SELECT own.oid FROM pg_catalog.pg_class AS own WHERE own.relname LIKE 'evodoctor\_%')
            )
    )
ORDER BY
    child.relname, key.conname;

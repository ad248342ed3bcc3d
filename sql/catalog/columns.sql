-- What is known of each column of the ordinary tables of Evolution's schema: whether an index leads from its values to
-- the rows, and what ANALYZE saw. Tables with partitions or heirs, views and the like are left out.
SELECT
    relation.relname::text AS table_name,
    attribute.attname::text AS column_name,
    attribute.attcollation::bigint AS collation,
    COALESCE(coll.collisdeterministic, true) AS is_deterministic,
    pg_catalog.format_type(attribute.atttypid, NULL) AS type,
    -- Else a reading of an index visits most rows in the table as well.
    relation.relallvisible >= relation.relpages / 2 AS is_visible,
    -- Only such an index is read in the order of the column's values, and holds every row.
    EXISTS (
        SELECT
        FROM
            pg_catalog.pg_index AS index
            JOIN pg_catalog.pg_class AS itself ON itself.oid = index.indexrelid
            JOIN pg_catalog.pg_am AS method ON method.oid = itself.relam
            JOIN pg_catalog.pg_opclass AS class ON class.oid = (index.indclass::oid[])[0]
        WHERE
            index.indrelid = relation.oid
            AND (index.indkey::int2[])[0] = attribute.attnum
            AND (index.indcollation::oid[])[0] = attribute.attcollation
            AND index.indisvalid
            AND index.indisready
            AND NOT index.indcheckxmin
            AND index.indpred IS NULL
            AND method.amname = 'btree'
            AND class.opcdefault
    ) AS is_indexed,
    CASE
        WHEN statistics.n_distinct < 0 THEN -statistics.n_distinct * GREATEST(relation.reltuples, 0)
        WHEN statistics.n_distinct > 0 THEN statistics.n_distinct
    END::float8 AS distinct_values,
    pg_catalog.current_setting('server_version_num')::integer AS server_version,
    -- In pages.
    (SELECT setting.setting::bigint FROM pg_catalog.pg_settings AS setting WHERE setting.name = 'shared_buffers') AS cache
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
    LEFT JOIN pg_catalog.pg_collation AS coll ON coll.oid = attribute.attcollation
    LEFT JOIN pg_catalog.pg_stats AS statistics
        ON statistics.schemaname = namespace.nspname
        AND statistics.tablename = relation.relname
        AND statistics.attname = attribute.attname
        AND NOT statistics.inherited
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind = 'r'
    AND NOT relation.relhassubclass
    AND NOT relation.relispartition
ORDER BY
    relation.relname, attribute.attnum;

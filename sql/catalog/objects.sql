-- The objects of Evolution's schema in the form in which the facts describe a release: enums, tables, columns, indexes
-- and foreign keys. `form` is what an object is recognised by, whatever its name; `definition` is what may differ.
-- Prisma's own table is left out, and so are primary keys' indexes and the copies that partitions inherit.
SELECT
    'enum' AS kind, type.typname::text AS "table", type.typname::text AS form, type.typname::text AS name,
    pg_catalog.jsonb_build_object('values', pg_catalog.jsonb_agg(label.enumlabel ORDER BY label.enumsortorder)) AS definition
FROM
    pg_catalog.pg_type AS type
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = type.typnamespace AND namespace.nspname = :'schema'
    JOIN pg_catalog.pg_enum AS label ON label.enumtypid = type.oid
GROUP BY
    type.oid, type.typname
UNION ALL
SELECT
    object.kind, relation.relname::text, object.form, object.name, object.definition
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace AND namespace.nspname = :'schema'
    CROSS JOIN LATERAL (
        SELECT
            'table' AS kind, relation.relname::text AS form, relation.relname::text AS name,
            pg_catalog.jsonb_build_object('primary_key', (
                SELECT pg_catalog.jsonb_agg(attribute.attname ORDER BY part.position)
                FROM
                    pg_catalog.pg_constraint AS key
                    CROSS JOIN LATERAL pg_catalog.unnest(key.conkey) WITH ORDINALITY AS part (attnum, position)
                    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = part.attnum
                WHERE key.conrelid = relation.oid AND key.contype = 'p'
            )) AS definition
        UNION ALL
        SELECT
            'column', attribute.attname::text, attribute.attname::text,
            -- Inside its own schema a type needs no schema's name, as in the facts.
            pg_catalog.jsonb_build_object(
                'type', pg_catalog.replace(pg_catalog.format_type(attribute.atttypid, attribute.atttypmod), pg_catalog.format('%I.', :'schema'), ''),
                'not_null', attribute.attnotnull,
                'default', CASE
                    WHEN attribute.attidentity <> '' THEN 'GENERATED AS IDENTITY'
                    ELSE pg_catalog.replace(pg_catalog.pg_get_expr(preset.adbin, preset.adrelid), pg_catalog.format('%I.', :'schema'), '')
                END
            )
        FROM
            pg_catalog.pg_attribute AS attribute
            LEFT JOIN pg_catalog.pg_attrdef AS preset ON preset.adrelid = attribute.attrelid AND preset.adnum = attribute.attnum
        WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        UNION ALL
        SELECT
            'index',
            CASE
                WHEN index.indpred IS NULL AND index.indexprs IS NULL
                    THEN pg_catalog.concat(CASE WHEN index.indisunique THEN 'UNIQUE ' END, '(', columns.names, ')')
                ELSE pg_catalog.pg_get_indexdef(index.indexrelid)
            END,
            class.relname::text,
            '{}'::jsonb
        FROM
            pg_catalog.pg_index AS index
            JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
            CROSS JOIN LATERAL (
                SELECT pg_catalog.string_agg(attribute.attname, ', ' ORDER BY part.position) AS names
                FROM
                    pg_catalog.unnest(index.indkey::int2[]) WITH ORDINALITY AS part (attnum, position)
                    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = part.attnum
                WHERE part.position <= index.indnkeyatts
            ) AS columns
        WHERE index.indrelid = relation.oid AND NOT index.indisprimary
        UNION ALL
        SELECT
            'key',
            pg_catalog.concat(
                '(', child.names, ') -> ', CASE WHEN parent.relnamespace <> namespace.oid THEN parent.relnamespace::regnamespace::text || '.' END,
                parent.relname, ' (', referenced.names, ')'
            ),
            key.conname::text,
            pg_catalog.jsonb_build_object('on_delete', on_delete.action, 'on_update', on_update.action)
        FROM
            pg_catalog.pg_constraint AS key
            JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid
            JOIN (VALUES ('a', 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT')) AS on_delete (letter, action) ON on_delete.letter = key.confdeltype::text
            JOIN (VALUES ('a', 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT')) AS on_update (letter, action) ON on_update.letter = key.confupdtype::text
            CROSS JOIN LATERAL (
                SELECT pg_catalog.string_agg(attribute.attname, ', ' ORDER BY part.position) AS names
                FROM
                    pg_catalog.unnest(key.conkey) WITH ORDINALITY AS part (attnum, position)
                    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = key.conrelid AND attribute.attnum = part.attnum
            ) AS child
            CROSS JOIN LATERAL (
                SELECT pg_catalog.string_agg(attribute.attname, ', ' ORDER BY part.position) AS names
                FROM
                    pg_catalog.unnest(key.confkey) WITH ORDINALITY AS part (attnum, position)
                    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = key.confrelid AND attribute.attnum = part.attnum
            ) AS referenced
        WHERE key.conrelid = relation.oid AND key.contype = 'f' AND key.conparentid = 0
    ) AS object
WHERE
    relation.relkind IN ('r', 'p')
    AND relation.relname <> '_prisma_migrations';

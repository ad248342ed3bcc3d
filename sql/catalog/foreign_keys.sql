-- Every foreign key that is declared on a table of Evolution's schema, by whomever, and those of other schemas that
-- refer to one: removing a row cascades there too. The copies that partitions inherit are left out; the key of the
-- partitioned table speaks for them.
-- Newer columns of pg_constraint are read through jsonb, so that one text serves every server version.
-- Run by hand: psql -v schema=public -v trusted="$(sed 's/;$//' sql/catalog/trusted_roles.sql)" -f sql/catalog/foreign_keys.sql
WITH trusted AS MATERIALIZED (
    :trusted
)
SELECT
    key.conname::text AS name,
    child_namespace.nspname::text AS child_schema,
    child.relname::text AS child_table,
    child_columns.names AS child_columns,
    parent_namespace.nspname::text AS parent_schema,
    parent.relname::text AS parent_table,
    parent_columns.names AS parent_columns,
    key.confdeltype::text AS delete_action,
    key.confupdtype::text AS update_action,
    key.confmatchtype::text AS match_type,
    key.condeferrable AS is_deferrable,
    key.condeferred AS is_deferred,
    key.convalidated AS is_validated,
    COALESCE((pg_catalog.to_jsonb(key) ->> 'conenforced')::boolean, true) AS is_enforced,
    COALESCE((pg_catalog.to_jsonb(key) ->> 'conperiod')::boolean, false) AS is_temporal,
    -- obj_description() would plan a query of its own for each key.
    comment.description AS comment,
    -- Whose relation it involves, where that is a role that is not trusted.
    CASE
        WHEN child.relowner NOT IN (SELECT trusted.oid FROM trusted) THEN pg_catalog.pg_get_userbyid(child.relowner)::text
        WHEN parent.relowner NOT IN (SELECT trusted.oid FROM trusted) THEN pg_catalog.pg_get_userbyid(parent.relowner)::text
    END AS stranger
FROM
    pg_catalog.pg_constraint AS key
    JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
    JOIN pg_catalog.pg_namespace AS child_namespace ON child_namespace.oid = child.relnamespace
    JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid
    JOIN pg_catalog.pg_namespace AS parent_namespace ON parent_namespace.oid = parent.relnamespace
    LEFT JOIN pg_catalog.pg_description AS comment
        ON comment.objoid = key.oid AND comment.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND comment.objsubid = 0
    CROSS JOIN LATERAL (
        SELECT pg_catalog.array_agg(attribute.attname::text ORDER BY part.position) AS names
        FROM
            pg_catalog.unnest(key.conkey) WITH ORDINALITY AS part (attnum, position)
            JOIN pg_catalog.pg_attribute AS attribute
                ON attribute.attrelid = key.conrelid AND attribute.attnum = part.attnum
    ) AS child_columns
    CROSS JOIN LATERAL (
        SELECT pg_catalog.array_agg(attribute.attname::text ORDER BY part.position) AS names
        FROM
            pg_catalog.unnest(key.confkey) WITH ORDINALITY AS part (attnum, position)
            JOIN pg_catalog.pg_attribute AS attribute
                ON attribute.attrelid = key.confrelid AND attribute.attnum = part.attnum
    ) AS parent_columns
WHERE
    :'schema' IN (child_namespace.nspname, parent_namespace.nspname)
    AND key.contype = 'f'
    AND key.conparentid = 0
ORDER BY
    child_namespace.nspname, child.relname, key.conname;

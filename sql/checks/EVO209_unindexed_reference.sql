-- code: EVO209
-- name: unindexed-reference
-- title: slow deletion of instances
-- severity: advice
-- consequence: slow
-- releases: 2.0.0-beta..
-- summary: deleting an instance reads a large table completely
-- why: Postgres looks up the rows that refer to a row which is deleted, and without an index on the referring columns it reads
--   the whole table, once for every deleted row. On a table of millions of messages DELETE /instance/delete takes minutes, times
--   out in the proxy (504), and holds its locks until the end. Releases from 2.2.0 have some of these indexes; one of your own
--   does not disturb an upgrade as long as its name is not upstream's. The number of rows is an estimate from the server's
--   statistics, which ANALYZE updates.
-- fix: manual
-- matches: 504
-- matches: Gateway Time-out
-- matches: statement timeout
-- matches: Transaction API error
-- answers: http=504 text="instance/delete"
-- answers: text="instance/delete … 504"
-- answers: message=statement-timeout text="DELETE FROM"
WITH key AS (
    SELECT
        pg_constraint.conname,
        child.oid AS child,
        child.relname AS child_name,
        parent.relname AS parent_name,
        GREATEST(child.reltuples, 0)::bigint AS rows,
        pg_catalog.pg_relation_size(child.oid) AS bytes,
        pg_constraint.conkey,
        ARRAY(
            SELECT attribute.attname::text
            FROM
                pg_catalog.unnest(pg_constraint.conkey) WITH ORDINALITY AS part (attnum, position)
                JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = child.oid AND attribute.attnum = part.attnum
            ORDER BY part.position
        ) AS columns
    FROM
        pg_catalog.pg_constraint
        JOIN pg_catalog.pg_class AS child ON child.oid = pg_constraint.conrelid
        JOIN pg_catalog.pg_class AS parent ON parent.oid = pg_constraint.confrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND pg_constraint.contype = 'f'
        AND pg_constraint.conparentid = 0
        -- Below that a scan takes a moment.
        AND child.reltuples >= 100000
        AND NOT EXISTS (
            SELECT
            FROM pg_catalog.pg_index AS index
            WHERE
                index.indrelid = child.oid
                AND index.indisvalid
                AND index.indpred IS NULL
                -- Its first columns are those of the key, in whatever order.
                AND (index.indkey::int2[])[0 : pg_catalog.cardinality(pg_constraint.conkey) - 1] @> pg_constraint.conkey
        )
)
SELECT
    key.child_name || '.' || pg_catalog.array_to_string(key.columns, '+') AS subject,
    pg_catalog.concat(
        CASE
            WHEN key.parent_name = 'Instance' THEN 'deleting one instance reads'
            ELSE pg_catalog.format('deleting each row of "%s", which an instance does for all its rows, reads', key.parent_name)
        END,
        pg_catalog.format(
            ' about %s rows of "%s" (%s), because no index begins with the columns of "%s"; CREATE INDEX CONCURRENTLY %I ON %I.%I (%s) helps, and does not block writes',
            key.rows, key.child_name, pg_catalog.pg_size_pretty(key.bytes), key.conname,
            key.child_name || '_' || pg_catalog.array_to_string(key.columns, '_') || '_evodoctor_idx', :'schema', key.child_name,
            (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part.name), ', ' ORDER BY part.position) FROM pg_catalog.unnest(key.columns) WITH ORDINALITY AS part (name, position))
        )
    ) AS detail,
    NULL::text AS predicate,
    key.rows AS count,
    pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object('constraint', key.conname, 'table', key.child_name, 'rows', key.rows, 'bytes', key.bytes)
    ) AS sample,
    key.child_name || '.' || pg_catalog.array_to_string(key.columns, '+') || ' -> ' || key.parent_name AS key
FROM
    key
ORDER BY
    key.rows DESC, key.child_name, key.conname;

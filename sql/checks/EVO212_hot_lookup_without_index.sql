-- code: EVO212
-- name: hot-lookup-without-index
-- title: message lookups without an index
-- severity: warning
-- consequence: slow
-- releases: 2.1.0..
-- summary: the server reads a large table for every message
-- why: For every update of a message (sent, delivered, read) the server looks for it by "instanceId" and "key" ->> 'id', and for
--   every message that comes in, where a bot is set up, for the contact's session by "instanceId" and "remoteJid". Upstream has
--   no index for either. With 200,000 messages one look-up takes 50 ms, with an index 0.1 ms; with many instances all cores are
--   busy with it, the pool of connections is used up (P2024), and every route waits. The number of rows is an estimate from the
--   server's statistics, which ANALYZE updates.
-- fix: safe
-- matches: all cores busy, and SELECT … "Message" … "key" ->> 'id' in pg_stat_activity
-- matches: duration: … "Message" … "instanceId" = $1 … ->>
-- answers: text="duration: … Message … ->>"
-- answers: message=statement-timeout text="Message … ->>"
WITH lookup (relname, name, columns, parts, what) AS (
    VALUES
        (
            'Message', 'Message_instanceId_key_id_evodoctor_idx', '"instanceId", (("key" ->> ''id''))',
            ARRAY['"instanceId"', '(key ->> ''id''::text)'], 'each update of a message'
        ),
        (
            'IntegrationSession', 'IntegrationSession_instanceId_remoteJid_evodoctor_idx', '"instanceId", "remoteJid"',
            ARRAY['"instanceId"', '"remoteJid"'], 'each message that comes in for a bot'
        )
),
large AS (
    SELECT
        lookup.*,
        relation.oid,
        -- Without ANALYZE there is no estimate (-1 since 14, 0 before); a page of messages holds about ten.
        CASE
            WHEN relation.reltuples > 0 THEN relation.reltuples::bigint
            ELSE pg_catalog.pg_relation_size(relation.oid) / 1024
        END AS rows,
        pg_catalog.pg_relation_size(relation.oid) AS bytes
    FROM
        lookup
        JOIN pg_catalog.pg_class AS relation ON relation.relname = lookup.relname
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND relation.relkind IN ('r', 'p')
        -- The columns are there, of the types that the look-up needs.
        AND (
            SELECT pg_catalog.count(*)
            FROM pg_catalog.pg_attribute AS attribute
            WHERE
                attribute.attrelid = relation.oid
                AND NOT attribute.attisdropped
                AND attribute.attname = ANY (CASE lookup.relname WHEN 'Message' THEN ARRAY['instanceId', 'key'] ELSE ARRAY['instanceId', 'remoteJid'] END)
        ) = 2
)
SELECT
    large.relname AS subject,
    pg_catalog.format(
        '%s reads about %s rows (%s), because there is no index by %s', large.what, large.rows, pg_catalog.pg_size_pretty(large.bytes), large.columns
    ) AS detail,
    NULL::text AS predicate,
    large.rows AS count,
    pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object(
            'table', large.relname, 'rows', large.rows, 'bytes', large.bytes,
            'index', pg_catalog.format('CREATE INDEX CONCURRENTLY %I ON %I.%I (%s)', large.name, :'schema', large.relname, large.columns)
        )
    ) AS sample,
    large.relname AS key,
    NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_class AS taken
        WHERE
            taken.relname = large.name
            AND taken.relnamespace = (SELECT namespace.oid FROM pg_catalog.pg_namespace AS namespace WHERE namespace.nspname = :'schema')
    ) AS fixable
FROM
    large
WHERE
    -- Below that a look-up takes a few milliseconds.
    large.rows >= 50000
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_index AS index
        WHERE
            index.indrelid = large.oid
            AND index.indisvalid
            AND index.indpred IS NULL
            AND (
                -- By the message's id or the contact first, or behind the instance.
                pg_catalog.pg_get_indexdef(index.indexrelid, 1, true) IN (large.parts[2], pg_catalog.btrim(large.parts[2], '()'))
                OR (
                    pg_catalog.pg_get_indexdef(index.indexrelid, 1, true) = large.parts[1]
                    AND pg_catalog.pg_get_indexdef(index.indexrelid, 2, true) IN (large.parts[2], pg_catalog.btrim(large.parts[2], '()'))
                )
            )
    )
ORDER BY
    large.rows DESC, large.relname;

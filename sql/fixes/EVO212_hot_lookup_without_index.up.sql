-- code: EVO212
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: Message IntegrationSession
-- after 2.1.0..: the look-ups take the index at once; no restart is needed. The name is none of upstream's, so no migration of an
--   upgrade meets it. On a large table let --online build it, which blocks no writes.
SELECT
    pg_catalog.format('CREATE INDEX %I ON %I.%I (%s)', lookup.name, :'schema', lookup.relname, lookup.columns) AS statement,
    pg_catalog.format('DROP INDEX %I.%I', :'schema', lookup.name) AS undo
FROM
    (
        VALUES
            ('Message', 'Message_instanceId_key_id_evodoctor_idx', '"instanceId", (("key" ->> ''id''))', '(key ->> ''id''::text)'),
            ('IntegrationSession', 'IntegrationSession_instanceId_remoteJid_evodoctor_idx', '"instanceId", "remoteJid"', '"remoteJid"')
    ) AS lookup (relname, name, columns, second)
    JOIN pg_catalog.pg_class AS relation ON relation.relname = lookup.relname
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind IN ('r', 'p')
    AND CASE WHEN relation.reltuples > 0 THEN relation.reltuples::bigint ELSE pg_catalog.pg_relation_size(relation.oid) / 1024 END >= 50000
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_class AS taken
        WHERE taken.relname = lookup.name AND taken.relnamespace = relation.relnamespace
    )
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_index AS index
        WHERE
            index.indrelid = relation.oid
            AND index.indisvalid
            AND index.indpred IS NULL
            AND (
                pg_catalog.pg_get_indexdef(index.indexrelid, 1, true) IN (lookup.second, pg_catalog.btrim(lookup.second, '()'))
                OR (
                    pg_catalog.pg_get_indexdef(index.indexrelid, 1, true) = '"instanceId"'
                    AND pg_catalog.pg_get_indexdef(index.indexrelid, 2, true) IN (lookup.second, pg_catalog.btrim(lookup.second, '()'))
                )
            )
    )
ORDER BY
    lookup.relname DESC;

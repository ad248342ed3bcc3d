-- What was written up to now: the write-ahead log of the whole server, and the files of tables and indexes. Of those that
-- were not there before (:'before' is what an earlier call gave as files, or '{}') also the size: this transaction made
-- them, so nobody else's lock is in the way of asking.
SELECT
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint AS wal,
    COALESCE(pg_catalog.jsonb_object_agg(relation.oid::text, relation.relfilenode::text), '{}'::jsonb)::text AS files,
    COALESCE(pg_catalog.sum(
        CASE
            WHEN :'before'::jsonb <> '{}'::jsonb AND :'before'::jsonb ->> relation.oid::text IS DISTINCT FROM relation.relfilenode::text
            THEN pg_catalog.pg_relation_size(relation.oid)
        END
    ), 0)::bigint AS fresh_bytes
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    relation.relkind IN ('r', 'i', 'm', 't')
    AND namespace.nspname NOT IN ('pg_catalog', 'information_schema', 'evodoctor');

-- What was written up to now: the write-ahead log of the whole server, and the size of files that are new.
SELECT
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint AS wal,
    (
        SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_relation_size(fresh.oid)), 0)::bigint
        FROM pg_catalog.unnest(:'fresh'::oid[]) AS fresh (oid)
    ) AS files;

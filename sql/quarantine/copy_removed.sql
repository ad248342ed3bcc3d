-- Copies rows that an upgrade is about to remove. Returns how many there are, a digest of all, and the last key.
WITH chosen AS (
    SELECT
        target.*
    FROM
        :table AS target
    WHERE
        :condition
    :in_batches
),
kept AS (
    INSERT INTO :kept AS kept
    SELECT
        :'run'::bigint,
        :'reason',
        :kept_columns
    FROM
        chosen AS target
    RETURNING
        :key AS key,
        :digest AS digest
)
SELECT
    pg_catalog.count(*)::bigint AS count,
    COALESCE(pg_catalog.sum(kept.digest::numeric), 0)::text AS digest,
    (SELECT pg_catalog.max(kept.key)::text FROM kept) AS last
FROM
    kept;

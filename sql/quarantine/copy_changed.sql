-- Copies the values that an upgrade is about to drop or overwrite, with the primary key. Returns how many rows there are, a
-- digest of all, and the last key.
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
        ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb)),
        NULL,
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

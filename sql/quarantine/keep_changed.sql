-- Copies what is changed in the marked rows. Returns per set of columns and reason how many rows there are, and a digest of
-- the old and the new values.
WITH kept AS (
    INSERT INTO :kept AS kept
    SELECT
        pg_catalog.current_setting('evodoctor.run')::bigint,
        marked."evodoctor reason",
        marked."evodoctor columns",
        marked."evodoctor change",
        :kept_columns
    FROM
        :marks AS marked
        JOIN :table AS target ON (:marked_key) = (:target_key)
    RETURNING
        kept."evodoctor columns" AS columns,
        kept."evodoctor reason" AS reason,
        pg_catalog.jsonb_hash_extended(kept."evodoctor change", :digest) AS digest
)
SELECT
    kept.reason,
    kept.columns,
    pg_catalog.count(*) AS count,
    pg_catalog.sum(kept.digest::numeric)::text AS digest
FROM
    kept
GROUP BY
    kept.columns, kept.reason
ORDER BY
    kept.columns, kept.reason;

-- Copies the rows that are marked to be removed. Returns per reason how many there are, and a digest of all: two dry runs
-- on the same rows agree, on other rows they do not.
WITH kept AS (
    INSERT INTO :kept AS kept
    SELECT
        pg_catalog.current_setting('evodoctor.run')::bigint,
        marked."evodoctor reason",
        :kept_columns
    FROM
        :marks AS marked
        JOIN :table AS target ON (:marked_key) = (:target_key)
    RETURNING
        kept."evodoctor reason" AS reason,
        :digest AS digest
)
SELECT
    kept.reason,
    CAST('{}' AS text[]) AS columns,
    pg_catalog.count(*) AS count,
    pg_catalog.sum(kept.digest::numeric)::text AS digest
FROM
    kept
GROUP BY
    kept.reason
ORDER BY
    kept.reason;

-- Moves rows that cannot come back, because what they refer to is gone, into the table that keeps them. Returns per reason how
-- many there are, the first of them, and what they refer to.
WITH moved AS (
    DELETE FROM :kept AS kept
    WHERE
        kept."evodoctor run" = ANY (:runs)
        AND :of_these
        AND (:reference) IS NOT NULL
        AND :not EXISTS (
            SELECT
            FROM (
                :parents
            ) AS parent
            WHERE (:parent_columns) = (:reference)
        )
        AND :is_new
    RETURNING
        kept.*
),
entry AS (
    INSERT INTO :left_table AS kept
    SELECT
        moved.*
    FROM
        moved
    RETURNING
        kept."evodoctor reason" AS reason,
        pg_catalog.concat_ws(', ', :kept_key) AS key,
        pg_catalog.concat_ws(', ', :reference) AS gone
)
SELECT
    entry.reason AS reason,
    pg_catalog.count(*) AS count,
    (pg_catalog.array_agg(entry.key ORDER BY entry.key COLLATE "C"))[1:5] AS keys,
    pg_catalog.count(DISTINCT entry.gone) AS gone_count,
    (pg_catalog.array_agg(DISTINCT entry.gone COLLATE "C"))[1:3] AS gone
FROM
    entry
GROUP BY
    entry.reason
ORDER BY
    entry.reason;

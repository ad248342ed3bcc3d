-- The places of rows that stand for one thing, a list for each of as many things as are asked for. Looked for without a lock:
-- whoever merges them takes what is still there.
WITH twice AS (
    SELECT
        :columns
    FROM
        :table
    WHERE
        (:columns) IS NOT NULL
    GROUP BY
        :columns
    HAVING
        pg_catalog.count(*) > 1
    LIMIT
        :'limit'::bigint
)
SELECT
    pg_catalog.jsonb_agg(target.ctid::text) AS places
FROM
    :table AS target
    JOIN twice ON (:target_columns) = (:twice_columns)
GROUP BY
    :twice_columns;

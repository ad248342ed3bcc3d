-- How many rows of a table would be kept, and how large they are.
SELECT
    pg_catalog.count(*)::bigint AS count,
    COALESCE(pg_catalog.sum(pg_catalog.pg_column_size(kept.*)), 0)::bigint AS bytes
FROM
    (
        SELECT
            :kept_columns
        FROM
            :table AS target
        WHERE
            :condition
    ) AS kept;

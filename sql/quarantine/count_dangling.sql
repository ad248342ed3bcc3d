-- How many of the rows that would come back from a table of the quarantine refer to a row that is neither there nor comes back.
SELECT
    pg_catalog.count(*) AS count
FROM
    :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND (:reference) IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM (
            :parents
        ) AS parent
        WHERE (:parent_columns) = (:reference)
    );

-- How many of the rows that one table of the quarantine holds refer to a row that is not there.
SELECT
    pg_catalog.count(*) AS count
FROM
    :kept AS child
WHERE
    child."evodoctor run" = ANY (:runs)
    AND (:child_columns) IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE (:parent_columns) = (:child_columns)
    );

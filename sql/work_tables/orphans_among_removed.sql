-- How many of the rows that are to be removed refer to nothing by one key.
SELECT
    pg_catalog.count(*) AS count
FROM
    :marks AS marked
    JOIN :child AS child ON (:marked_key) = (:child_key)
WHERE
    (:child_columns) IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE (:parent_columns) = (:child_columns)
    );

-- How many rows of a table that evodoctor cannot quarantine refer to rows that are to be removed.
SELECT
    pg_catalog.count(*) AS count
FROM
    :child AS child
WHERE
    EXISTS (
        SELECT
        FROM (:gone) AS gone
        WHERE (:gone_columns) = (:child_columns)
    );

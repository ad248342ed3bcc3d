-- How many of the changed rows are not in the table any more.
SELECT
    pg_catalog.count(*) AS count
FROM
    :kept AS kept
    LEFT JOIN :table AS target ON (:kept_key) = (:target_key)
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND :of_these
    AND NOT :is_there;

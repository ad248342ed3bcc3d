-- Rows that an upgrade has left of duplicates, with what all of them held together: of each column the value of the row that was
-- updated last and has one, and all elements of arrays. What was changed since the upgrade is left as it is.
SELECT
    :merged_key,
    :merged_columns
FROM
    (
        SELECT
            :target_key,
            :merging
        FROM
            :table AS target
            JOIN :kept AS kept ON (:kept_key) = (:target_key) AND kept."evodoctor run" = ANY (:runs)
            JOIN (
                SELECT
                    :kept_group,
                    :aggregates
                FROM
                    :kept AS kept
                WHERE
                    kept."evodoctor run" = ANY (:runs)
                GROUP BY
                    :kept_group
            ) AS whole ON (:whole_group) = (:target_group)
    ) AS merged
WHERE
    :is_other;

-- Rows that undo wrote and that are not in the table as they were: a trigger or a rule took or changed them.
-- The join is planned for all rows. Planned for the first few, it would look each row up by the index, and mostly there is none to
-- find.
WITH lost AS MATERIALIZED (
    SELECT
        pg_catalog.concat_ws(', ', :kept_key) AS key
    FROM
        :kept AS kept
        LEFT JOIN :table AS target ON (:kept_key) = (:target_key)
    WHERE
        kept."evodoctor run" = ANY (:runs)
        AND :of_these
        AND NOT (:is_as_before)
)
SELECT
    lost.key
FROM
    lost
LIMIT
    6;

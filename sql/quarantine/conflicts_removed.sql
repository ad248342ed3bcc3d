-- Removed rows of one table whose key is in use again.
-- The join is planned for all rows. Planned for the first few, it would look each row up by the index, and mostly there is none to
-- find.
WITH conflict AS MATERIALIZED (
    SELECT
        pg_catalog.concat_ws(', ', :kept_key) AS key
    FROM
        :kept AS kept
        JOIN :table AS target ON (:kept_key) = (:target_key)
    WHERE
        kept."evodoctor run" = ANY (:runs)
)
SELECT
    pg_catalog.format('a row with the key %s is in %s again', conflict.key, :'table_name') AS refusal
FROM
    conflict
LIMIT
    20;

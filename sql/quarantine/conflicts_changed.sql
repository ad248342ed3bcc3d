-- Changed rows of one table that have another value by now than the fix gave them.
-- The join is planned for all rows. Planned for the first few, it would look each row up by the index, and mostly there is none to
-- find.
WITH conflict AS MATERIALIZED (
    SELECT
        pg_catalog.concat_ws(', ', :kept_key) AS key,
        kept."evodoctor columns" AS columns
    FROM
        :kept AS kept
        JOIN :table AS target ON (:kept_key) = (:target_key)
    WHERE
        kept."evodoctor run" = ANY (:runs)
        AND kept."evodoctor columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
        AND NOT (:is_as_changed)
)
SELECT
    pg_catalog.format('the row %s of %s has a new value in %s', conflict.key, :'table_name', pg_catalog.array_to_string(conflict.columns, ', ')) AS refusal
FROM
    conflict
LIMIT
    20;

-- Changed rows of one table that have another value by now than the fix gave them.
SELECT
    pg_catalog.format('the row %s of %s has a new value in %s', pg_catalog.concat_ws(', ', :kept_key), :'table_name', pg_catalog.array_to_string(kept."evodoctor columns", ', ')) AS refusal
FROM
    :kept AS kept
    JOIN :table AS target ON (:kept_key) = (:target_key)
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND kept."evodoctor columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
    AND NOT (:is_as_changed)
LIMIT
    20;

-- Which of some rows are among those that undo cannot bring back.
SELECT
    pg_catalog.concat_ws(', ', :kept_key) AS key
FROM
    :left_table AS kept
WHERE
    pg_catalog.concat_ws(', ', :kept_key) = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'keys'::jsonb)));

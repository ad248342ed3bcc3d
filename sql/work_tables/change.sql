-- Gives the marked rows of one table the new values of their columns.
UPDATE :table AS target
SET
    :assignments
FROM
    :marks AS marked
WHERE
    (:marked_key) = (:target_key)
    AND marked."evodoctor columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb));

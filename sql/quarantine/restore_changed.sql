-- Puts the old values back into the columns that were changed.
UPDATE :table AS target
SET
    :assignments
FROM
    :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND kept."evodoctor columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
    AND (:kept_key) = (:target_key);

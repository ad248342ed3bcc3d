-- The columns that others refer to, of the rows that are marked to be removed, of one round or of all.
SELECT
    :parent_columns
FROM
    :parent AS parent
    JOIN :parent_marks AS marked ON (:marked_parent_key) = (:parent_key)
WHERE
    marked."evodoctor round" = COALESCE(NULLIF(:'round', '')::integer, marked."evodoctor round");


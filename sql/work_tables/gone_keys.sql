-- The primary keys of the rows that are marked to be removed, of one round or of all.
SELECT
    :marked_columns
FROM
    :parent_marks AS marked
WHERE
    marked."evodoctor round" = COALESCE(NULLIF(:'round', '')::integer, marked."evodoctor round");


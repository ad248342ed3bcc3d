-- Marks of one row. For a row that is changed: with the same change.
SELECT
    marked.*
FROM
    :marks AS marked
WHERE
    (:marked_key) = (:row_key)
    AND :is_same;

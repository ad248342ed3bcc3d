-- Removes the marked rows of one table. Children first: nothing is left for a key to cascade to.
DELETE FROM :table AS target
USING
    :marks AS marked
WHERE
    (:marked_key) = (:target_key);

-- Rows that have lost a reference with its column, and have a column of today for it that is still empty: the reference that was
-- kept, where the row that it names is still there.
SELECT
    :target_key,
    kept.:column AS "evodoctor value"
FROM
    :kept AS kept
    JOIN :table AS target ON (:kept_key) = (:target_key)
    JOIN :referenced AS referenced ON referenced.:referenced_key = kept.:column
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND target.:place IS NULL;

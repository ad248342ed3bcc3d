-- Rows whose value an upgrade has overwritten, with the one that was kept, in the words of today. A row that has another value by
-- now than the upgrade wrote is left as it is. Null is a value, too.
SELECT
    :target_key,
    :word AS "evodoctor value"
FROM
    :kept AS kept
    JOIN :table AS target ON (:kept_key) = (:target_key)
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND target.:column::pg_catalog.text = :'value'
    AND :word IS DISTINCT FROM target.:column::pg_catalog.text
    AND (:word IS NOT NULL OR :nullable AND kept.:column IS NULL);

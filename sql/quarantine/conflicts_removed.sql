-- Removed rows of one table whose key is in use again.
SELECT
    pg_catalog.format('a row with the key %s is in %s again', pg_catalog.concat_ws(', ', :kept_key), :'table_name') AS refusal
FROM
    :kept AS kept
    JOIN :table AS target ON (:kept_key) = (:target_key)
WHERE
    kept."evodoctor run" = ANY (:runs)
LIMIT
    20;

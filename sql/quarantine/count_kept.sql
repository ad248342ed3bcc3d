-- How many rows some runs have in a table of the quarantine, of those that fulfil a condition.
SELECT
    pg_catalog.count(*)::bigint AS count
FROM
    :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs)
    AND :condition;

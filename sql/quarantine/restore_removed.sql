-- Brings the removed rows of one table back.
INSERT INTO :table (:columns) OVERRIDING SYSTEM VALUE
SELECT
    :restored_columns
FROM
    :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs);

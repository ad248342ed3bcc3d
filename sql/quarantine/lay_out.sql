-- Lays what some runs have in a table of the quarantine out as an ordinary table.
CREATE TABLE :laid AS
SELECT
    :columns
FROM
    :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs);

-- Creates a work table for the rows of one table that a fix removes: their primary keys in their own types, why, and in
-- which round each was found. It is dropped again in the same transaction.
CREATE UNLOGGED TABLE :marks AS
SELECT
    :target_key,
    CAST(NULL AS text) AS "evodoctor reason",
    CAST(NULL AS integer) AS "evodoctor round"
FROM
    :table AS target
WITH NO DATA;

-- Creates a work table for the rows of one table that a fix changes: their primary keys in their own types, why, which
-- columns get which new values. It is dropped again in the same transaction.
CREATE UNLOGGED TABLE :marks AS
SELECT
    :target_key,
    CAST(NULL AS text) AS "evodoctor reason",
    CAST(NULL AS text[]) AS "evodoctor columns",
    CAST(NULL AS jsonb) AS "evodoctor change"
FROM
    :table AS target
WITH NO DATA;

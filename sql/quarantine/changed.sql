-- Creates the table that holds what one fix of a run changes in one table: the number of the run, why, which columns get which
-- new values, and the primary key and those columns as they were.
CREATE :persistence TABLE :kept AS
SELECT
    CAST(NULL AS bigint) AS "evodoctor run",
    CAST(NULL AS text) AS "evodoctor reason",
    CAST(NULL AS text[]) AS "evodoctor columns",
    CAST(NULL AS jsonb) AS "evodoctor change",
    :kept_columns
FROM
    :table AS target
WITH NO DATA;

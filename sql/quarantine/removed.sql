-- Creates the table that holds the rows which one fix of a run removes from one table: the number of the run, why, and the row.
-- Types of Evolution's or the user's own are kept as text: a table of ours must not keep them from being altered.
CREATE :persistence TABLE :kept AS
SELECT
    CAST(NULL AS bigint) AS "evodoctor run",
    CAST(NULL AS text) AS "evodoctor reason",
    :kept_columns
FROM
    :table AS target
WITH NO DATA;

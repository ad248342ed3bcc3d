-- Creates the table that keeps rows of one table of the quarantine which undo cannot bring back.
CREATE TABLE :left_table AS
SELECT
    kept.*
FROM
    :kept AS kept
WITH NO DATA;

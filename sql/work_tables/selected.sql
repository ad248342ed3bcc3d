-- What a fix's own query selects, in a work table, so that the query runs once.
CREATE UNLOGGED TABLE :selected AS
SELECT
    selection."table",
    selection."key",
    selection."change",
    selection."reason",
    :place AS "place"
FROM
    (:selection) AS selection;

-- The tables of which a fix's own query selects rows.
SELECT DISTINCT
    selected."table" AS "table"
FROM
    (:selection) AS selected
ORDER BY
    1;

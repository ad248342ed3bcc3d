-- The sets of columns that are changed in one table, and how many rows have each.
SELECT
    marked."evodoctor columns" AS columns,
    pg_catalog.count(*) AS count
FROM
    :marks AS marked
GROUP BY
    marked."evodoctor columns"
ORDER BY
    marked."evodoctor columns";

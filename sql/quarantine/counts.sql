-- How many rows of each table one fix of a run has in the quarantine, by what is done to them.
SELECT
    marked."table_name" AS table_name,
    marked."action" AS action,
    marked."columns" AS columns,
    pg_catalog.count(*) AS count
FROM
    "evodoctor"."quarantine" AS marked
WHERE
    marked."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND marked."code" = :'code'
GROUP BY
    marked."table_name", marked."action", marked."columns"
ORDER BY
    marked."table_name", marked."action", marked."columns";

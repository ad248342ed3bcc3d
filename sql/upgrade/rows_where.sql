-- How many rows of a table fulfil a condition.
SELECT
    pg_catalog.count(*) AS count
FROM
    :table AS target
WHERE
    :condition;

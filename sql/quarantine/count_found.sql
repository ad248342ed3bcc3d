-- How many rows a query finds.
SELECT
    pg_catalog.count(*)::bigint AS count
FROM
    (
        :found
    ) AS found;

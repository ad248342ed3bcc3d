-- The client names that instances have, with how many instances each has.
SELECT
    COALESCE(instance."clientName", '') AS name,
    pg_catalog.count(*) AS count
FROM
    :"schema"."Instance" AS instance
GROUP BY
    instance."clientName"
ORDER BY
    pg_catalog.count(*) DESC, instance."clientName";

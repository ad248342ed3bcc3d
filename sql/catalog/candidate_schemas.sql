-- The schemas that hold Evolution's tables: "Instance" and at least four of its oldest companions. One table of
-- that name could belong to any application.
SELECT
    namespace.nspname AS schema
FROM
    pg_catalog.pg_namespace AS namespace
    JOIN pg_catalog.pg_class AS relation ON relation.relnamespace = namespace.oid
WHERE
    relation.relkind IN ('r', 'p', 'v')
    AND relation.relname IN ('Instance', 'Session', 'Chat', 'Contact', 'Message', 'MessageUpdate', 'Setting', 'Webhook', 'Label', 'Proxy')
GROUP BY
    namespace.nspname
HAVING
    pg_catalog.count(*) >= 5
    AND pg_catalog.bool_or(relation.relname = 'Instance')
ORDER BY
    namespace.nspname;

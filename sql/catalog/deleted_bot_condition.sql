-- The condition of sessions whose bot was deleted, as text for people. In checks as :deleted_bot_condition.
-- Run by hand: psql -v schema=public -v bot_types="$(sed -n 's/^-- types: //p' sql/catalog/bots.sql)"
--   -v bot_tables="$(sed -n 's/^-- tables: //p' sql/catalog/bots.sql)" -f sql/catalog/deleted_bot_condition.sql
SELECT
    pg_catalog.concat(
        '"type" IN (',
        :'bot_types',
        ') AND "botId" NOT IN (',
        pg_catalog.string_agg(pg_catalog.format('SELECT "id" FROM %I.%I', :'schema', relname), ' UNION ALL '),
        ')'
    )
FROM
    pg_catalog.pg_class
WHERE
    relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :'schema')
    AND relkind IN ('r', 'p')
    AND relname IN (:bot_tables);

-- code: EVO607
-- name: bots-refuse-new-type
-- title: OpenAI bots stop the upgrade
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.0.3-beta
-- migration: 20240730152156
-- summary: OpenAI bots make the upgrade to 2.0.4 fail
-- why: The upgrade stops with 23502 'column "botType" of relation "OpenaiBot" contains null values' as soon as there is one
--   OpenAI bot: the column is dropped and added again with another type, is NOT NULL and has no default. Write the bots down,
--   remove them, and create them again after the upgrade.
-- detail: {count:1 OpenAI bot gets|# OpenAI bots get} a new column "botType" that may not be null and has no default (23502)
-- fix: none
-- matches: column "botType" of relation "OpenaiBot" contains null values
-- answers: message=column-has-nulls relation=OpenaiBot
SELECT
    'OpenaiBot' AS subject,
    'true' AS predicate,
    bot.count,
    bot.sample,
    'OpenaiBot.botType' AS key,
    'fails' AS effect,
    '23502' AS sqlstate,
    'OpenaiBot.botType' AS step,
    ARRAY[
        pg_catalog.format('CREATE TABLE %I."OpenaiBot_before_upgrade" AS TABLE %1$I."OpenaiBot";', :'schema'),
        pg_catalog.format('DELETE FROM %I."OpenaiBot";', :'schema')
    ] AS before
FROM
    (
        SELECT NULL::bigint AS count, NULL::jsonb AS sample
        -- only with OpenaiBot
        UNION ALL
        SELECT
            pg_catalog.count(*),
            (
                SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
                FROM (SELECT one."id", one."botType" FROM :"schema"."OpenaiBot" AS one ORDER BY one."id" LIMIT 5) AS example
            )
        FROM :"schema"."OpenaiBot" AS one
        -- end
    ) AS bot
WHERE
    bot.count > 0;

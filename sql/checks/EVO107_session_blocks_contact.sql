-- code: EVO107
-- name: session-blocks-contact
-- title: sessions that silence every bot
-- severity: warning
-- consequence: fails-requests
-- releases: 2.1.0..
-- summary: a bot session without a bot blocks every bot for its contact
-- why: The contact writes, no bot ever answers, and nothing is logged. The server finds a session of the contact that is not
--   closed, and expects that session's bot to answer; but the session names no bot, or a deleted one. Sessions without a bot come
--   from the upgrade to 2.1.0, which dropped the columns that named it without copying them; those of deleted bots from deleting
--   a bot while people talk to it. Sessions of a type that Evolution does not know are judged only when they name no bot.
-- detail unnamed: {count:1 session is not closed and names|# sessions are not closed and name} no bot, so no bot answers the
--   contact
-- detail deleted: {count:1 session is not closed and names a deleted bot|# sessions are not closed and name deleted bots}, so
--   no bot answers the contact
-- fix: quarantine
-- judges: IntegrationSession
-- matches: bot does not answer
-- matches: bot ignores contact
-- matches: bot stopped answering
-- joins: hash
-- One pass counts the sessions in 256 parts, by a hash of their ids, and notes the first and the last id of each part. The examples
-- are of these: to keep the ids of all, and to sort them, takes longer than to count them.
-- Run by hand:
--   psql -v schema=public
--     -v bots="$(sed 's/;$//' sql/catalog/bots.sql)" -v deleted_bot_condition="$(sed 's/;$//' sql/catalog/deleted_bot_condition.sql)"
--     -v bot_types="$(sed -n 's/^-- types: //p' sql/catalog/bots.sql)" -v bot_tables="$(sed -n 's/^-- tables: //p' sql/catalog/bots.sql)"
WITH bot AS (
    :bots
),
part AS MATERIALIZED (
    SELECT
        session."botId" IS NULL AS is_without_bot,
        pg_catalog.count(*) AS count,
        ARRAY[pg_catalog.min(session."id" COLLATE pg_catalog."C"), pg_catalog.max(session."id" COLLATE pg_catalog."C")] AS ids
    FROM
        :"schema"."IntegrationSession" AS session
        -- Behind OR the planner would look for the bot of each session by itself.
        LEFT JOIN bot ON bot."id" = session."botId"
    WHERE
        session."status" <> 'closed'
        AND bot."id" IS NULL
        AND (
            session."botId" IS NULL
            OR session."type" IN (:bot_types)
        )
    GROUP BY
        session."botId" IS NULL, pg_catalog.hashtext(session."id") & 255
)
SELECT
    'IntegrationSession' AS subject,
    CASE WHEN counted.is_without_bot THEN 'unnamed' ELSE 'deleted' END AS form,
    '"status" <> ''closed'' AND ' || CASE
        WHEN counted.is_without_bot THEN '"botId" IS NULL'
        ELSE (:deleted_bot_condition)
    END AS predicate,
    counted.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'parameters' - 'context' ORDER BY example."id")
        FROM
            (
                SELECT session.*
                FROM :"schema"."IntegrationSession" AS session
                WHERE
                    session."id" = ANY (
                        ARRAY(
                            SELECT DISTINCT noted."id" COLLATE pg_catalog."default"
                            FROM part CROSS JOIN LATERAL pg_catalog.unnest(part.ids) AS noted ("id")
                            WHERE part.is_without_bot = counted.is_without_bot
                            ORDER BY 1 LIMIT 5
                        )
                    )
                LIMIT 5
            ) AS example
    ) AS sample,
    CASE WHEN counted.is_without_bot THEN 'no bot' ELSE 'deleted bot' END AS key
FROM
    (
        SELECT part.is_without_bot, pg_catalog.sum(part.count)::bigint AS count
        FROM part
        GROUP BY part.is_without_bot
    ) AS counted;

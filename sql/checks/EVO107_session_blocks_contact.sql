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
-- fix: quarantine
-- judges: IntegrationSession
-- matches: bot does not answer
-- matches: bot ignores contact
-- matches: bot stopped answering
-- joins: hash
-- One pass counts the sessions in 256 parts, by a hash of their ids, and notes the first and the last id of each part. The examples
-- are of these: to keep the ids of all, and to sort them, takes longer than to count them.
WITH bot AS (
    SELECT "id" FROM :"schema"."Typebot"
    UNION ALL SELECT "id" FROM :"schema"."OpenaiBot"
    UNION ALL SELECT "id" FROM :"schema"."Dify"
    UNION ALL SELECT "id" FROM :"schema"."EvolutionBot"
    UNION ALL SELECT "id" FROM :"schema"."Flowise"
    -- only with N8n
    UNION ALL SELECT "id" FROM :"schema"."N8n"
    -- end
    -- only with Evoai
    UNION ALL SELECT "id" FROM :"schema"."Evoai"
    -- end
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
            OR session."type" IN ('typebot', 'openai', 'dify', 'evolution', 'flowise', 'n8n', 'evoai')
        )
    GROUP BY
        session."botId" IS NULL, pg_catalog.hashtext(session."id") & 255
)
SELECT
    'IntegrationSession' AS subject,
    pg_catalog.format(
        '%s not closed and %s, so no bot answers the contact',
        CASE counted.count WHEN 1 THEN '1 session is' ELSE counted.count || ' sessions are' END,
        CASE
            WHEN counted.is_without_bot THEN CASE counted.count WHEN 1 THEN 'names no bot' ELSE 'name no bot' END
            ELSE CASE counted.count WHEN 1 THEN 'names a deleted bot' ELSE 'name deleted bots' END
        END
    ) AS detail,
    '"status" <> ''closed'' AND ' || CASE
        WHEN counted.is_without_bot THEN '"botId" IS NULL'
        ELSE pg_catalog.concat(
            '"type" IN (''typebot'', ''openai'', ''dify'', ''evolution'', ''flowise'', ''n8n'', ''evoai'') AND "botId" NOT IN (',
            (SELECT pg_catalog.string_agg(pg_catalog.format('SELECT "id" FROM %I.%I', :'schema', relname), ' UNION ALL ')
            FROM pg_catalog.pg_class
            WHERE
                relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :'schema') AND relkind IN ('r', 'p')
                AND relname IN ('Typebot', 'OpenaiBot', 'Dify', 'EvolutionBot', 'Flowise', 'N8n', 'Evoai')),
            ')'
        )
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

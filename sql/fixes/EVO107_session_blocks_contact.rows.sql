-- code: EVO107
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- tables: IntegrationSession
-- upstream: 20240821120816
-- after 2.1.0..: the next message of the contact starts a new session with whatever bot its trigger fits. Messages keep
--   everything but the reference to the session. Nothing has to be restarted.
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
)
SELECT
    'IntegrationSession' AS "table",
    pg_catalog.jsonb_build_object('id', session."id") AS "key",
    CAST(NULL AS jsonb) AS "change",
    CASE WHEN session."botId" IS NULL THEN 'it names no bot' ELSE 'its bot was deleted' END AS "reason"
FROM
    :"schema"."IntegrationSession" AS session
WHERE
    session."status" <> 'closed'
    AND (
        session."botId" IS NULL
        OR session."type" IN ('typebot', 'openai', 'dify', 'evolution', 'flowise', 'n8n', 'evoai')
        AND NOT EXISTS (SELECT FROM bot WHERE bot."id" = session."botId")
    )
    -- In batches: the rows whose ids are in it.
    AND (:'batch' = '' OR session."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))));

-- code: EVO107
-- version: 3
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- tables: IntegrationSession
-- upstream: 20240821120816
-- after 2.1.0..: the next message of the contact starts a new session with whatever bot its trigger fits. Messages keep
--   everything but the reference to the session. Nothing has to be restarted.
WITH bot AS (
    :bots
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
        OR session."type" IN (:bot_types)
        AND NOT EXISTS (SELECT FROM bot WHERE bot."id" = session."botId")
    )
    -- In batches: the rows whose ids are in it.
    AND (:'batch' = '' OR session."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))));

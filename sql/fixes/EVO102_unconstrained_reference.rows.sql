-- code: EVO102
-- version: 3
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- tables: Chat IntegrationSession MessageUpdate
-- after 2.0.9..: chats show the labels that exist; a contact whose bot was deleted starts anew with the bots that are there.
--   Nothing has to be restarted.
-- In batches only the rows whose ids are in :'batch' are looked at.
-- Other elements of "labels" than texts and numbers are not known to be labels and stay.
WITH bot AS (
    :bots
)
SELECT
    'Chat' AS "table",
    pg_catalog.jsonb_build_object('id', chat."id") AS "key",
    pg_catalog.jsonb_build_object(
        'labels',
        COALESCE(pg_catalog.jsonb_agg(element.value ORDER BY element.position) FILTER (WHERE element.is_kept), '[]')
    ) AS "change",
    'labels that are gone are taken out' AS "reason"
FROM
    :"schema"."Chat" AS chat
    CROSS JOIN LATERAL (
        SELECT
            one.value,
            one.position,
            -- Which labels there are is read once into a hash: the index of the release may be missing.
            pg_catalog.jsonb_typeof(one.value) IN ('object', 'array')
                OR (chat."instanceId", one.value #>> '{}') IN (
                    SELECT label."instanceId", label."labelId"
                    FROM :"schema"."Label" AS label
                    WHERE label."instanceId" IS NOT NULL AND label."labelId" IS NOT NULL
                ) IS TRUE AS is_kept
        FROM
            pg_catalog.jsonb_array_elements(
                CASE WHEN pg_catalog.jsonb_typeof(chat."labels") = 'array' THEN chat."labels" ELSE '[]' END
            ) WITH ORDINALITY AS one (value, position)
    ) AS element
WHERE
    chat."labels" <> '[]'
    AND (:'batch' = '' OR chat."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))))
GROUP BY
    chat."id"
HAVING
    pg_catalog.bool_or(NOT element.is_kept)
UNION ALL
SELECT
    'MessageUpdate',
    pg_catalog.jsonb_build_object('id', entry."id"),
    NULL,
    'its message is gone'
FROM
    :"schema"."MessageUpdate" AS entry
WHERE
    NOT EXISTS (
        SELECT FROM :"schema"."Message" AS message
        WHERE message."key" ->> 'id' = entry."keyId" AND message."instanceId" = entry."instanceId"
    )
    AND (:'batch' = '' OR entry."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))))
-- only with IntegrationSession.botId
UNION ALL
SELECT
    'IntegrationSession',
    pg_catalog.jsonb_build_object('id', session."id"),
    NULL,
    'its bot was deleted'
FROM
    :"schema"."IntegrationSession" AS session
WHERE
    session."type" IN (:bot_types)
    AND session."botId" IS NOT NULL
    AND NOT EXISTS (SELECT FROM bot WHERE bot."id" = session."botId")
    AND (:'batch' = '' OR session."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))))
-- end
;

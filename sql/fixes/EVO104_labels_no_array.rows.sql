-- code: EVO104
-- version: 1
-- applicability: quarantine
-- hazards: changes-rows
-- tables: Chat
-- after 2.0.0-beta..: labels of these chats can be added and removed again. Nothing has to be restarted.
-- A value that is no label of the instance would be a reference to nothing, so it is not kept.
SELECT
    'Chat' AS "table",
    pg_catalog.jsonb_build_object('id', chat."id") AS "key",
    pg_catalog.jsonb_build_object(
        'labels',
        CASE
            WHEN label."labelId" IS NULL THEN pg_catalog.jsonb_build_array()
            ELSE pg_catalog.jsonb_build_array(label."labelId")
        END
    ) AS "change",
    CASE
        WHEN label."labelId" IS NOT NULL THEN 'a single label becomes an array'
        WHEN chat."labels" = 'null' THEN 'a JSON null becomes an empty array'
        ELSE 'a single value that is no label of the instance becomes an empty array'
    END AS "reason"
FROM
    :"schema"."Chat" AS chat
    LEFT JOIN LATERAL (
        SELECT DISTINCT label."labelId"
        FROM :"schema"."Label" AS label
        WHERE label."instanceId" = chat."instanceId" AND label."labelId" = chat."labels" #>> '{}'
    ) AS label ON true
WHERE
    pg_catalog.jsonb_typeof(chat."labels") IN ('null', 'number')
    OR (pg_catalog.jsonb_typeof(chat."labels") = 'string' AND chat."labels" #>> '{}' !~ '^\s*[[{"]');

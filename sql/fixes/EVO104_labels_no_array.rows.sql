-- code: EVO104
-- version: 2
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
            WHEN is_label.yes THEN pg_catalog.jsonb_build_array(chat."labels" #>> '{}')
            ELSE pg_catalog.jsonb_build_array()
        END
    ) AS "change",
    CASE
        WHEN is_label.yes THEN 'a single label becomes an array'
        WHEN chat."labels" = 'null' THEN 'a JSON null becomes an empty array'
        ELSE 'a single value that is no label of the instance becomes an empty array'
    END AS "reason"
FROM
    :"schema"."Chat" AS chat
    -- Which labels there are is read once into a hash: the index of the release may be missing.
    CROSS JOIN LATERAL (
        SELECT
            (chat."instanceId", chat."labels" #>> '{}') IN (
                SELECT label."instanceId", label."labelId"
                FROM :"schema"."Label" AS label
                WHERE label."instanceId" IS NOT NULL AND label."labelId" IS NOT NULL
            ) IS TRUE AS yes
    ) AS is_label
WHERE
    pg_catalog.jsonb_typeof(chat."labels") IN ('null', 'number')
    OR (pg_catalog.jsonb_typeof(chat."labels") = 'string' AND chat."labels" #>> '{}' !~ '^\s*[[{"]');

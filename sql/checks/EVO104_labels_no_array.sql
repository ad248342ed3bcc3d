-- code: EVO104
-- name: labels-no-array
-- severity: error
-- releases: 2.0.0-beta..
-- summary: the labels of a chat are no array
-- why: Labels of these chats can be neither added nor removed: it fails with "22023 cannot extract elements from a
--   scalar" (or "from an object") in the server's log, because the server takes the labels of a chat apart as an array.
--   They come from imports and hand-made updates; a JSON null is enough. A chat without labels has an empty array or an SQL NULL.
--   A single label becomes an array of it, if the instance has such a label. An object, and text that is itself JSON,
--   can be read in more ways than one, so they are left to you:
--   UPDATE "Chat" SET "labels" = '["1", "2"]' WHERE "id" = 'ID' with the labels you mean, or '[]' for none.
-- fix: quarantine
-- judges: Chat
-- matches: 22023 … cannot extract elements from a scalar
-- matches: cannot extract elements from a scalar
-- matches: cannot extract elements from an object
-- answers: message=scalar-elements
WITH odd AS (
    SELECT
        chat."id",
        chat."remoteJid",
        chat."labels",
        chat."instanceId",
        CASE
            WHEN pg_catalog.jsonb_typeof(chat."labels") IN ('null', 'number') THEN true
            WHEN pg_catalog.jsonb_typeof(chat."labels") = 'string' THEN chat."labels" #>> '{}' !~ '^\s*[[{"]'
            ELSE false
        END AS is_plain
    FROM
        :"schema"."Chat" AS chat
    WHERE
        pg_catalog.jsonb_typeof(chat."labels") <> 'array'
)
SELECT
    'Chat.labels' AS subject,
    pg_catalog.format(
        CASE
            WHEN numbered.is_plain THEN 'the labels of %s are a single value or a JSON null instead of an array'
            ELSE 'the labels of %s are an object, a truth value or JSON inside of text; which labels are meant is left to you'
        END,
        CASE pg_catalog.count(*) WHEN 1 THEN '1 chat' ELSE pg_catalog.count(*) || ' chats' END
    ) AS detail,
    CASE
        WHEN numbered.is_plain THEN
            'pg_catalog.jsonb_typeof("labels") IN (''null'', ''number'')'
                ' OR pg_catalog.jsonb_typeof("labels") = ''string'' AND "labels" #>> ''{}'' !~ ''^\s*[[{"]'''
        ELSE
            'pg_catalog.jsonb_typeof("labels") IN (''object'', ''boolean'')'
                ' OR pg_catalog.jsonb_typeof("labels") = ''string'' AND "labels" #>> ''{}'' ~ ''^\s*[[{"]'''
    END AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(numbered) - 'position' - 'is_plain' ORDER BY numbered.position) FILTER (WHERE numbered.position <= 5) AS sample,
    CASE WHEN numbered.is_plain THEN 'single value' ELSE 'unclear' END AS key,
    numbered.is_plain AS fixable
FROM
    (SELECT odd.*, pg_catalog.row_number() OVER (PARTITION BY odd.is_plain ORDER BY odd."id") AS position FROM odd) AS numbered
GROUP BY
    numbered.is_plain;

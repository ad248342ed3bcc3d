-- code: EVO104
-- name: labels-no-array
-- title: chat labels are not a list
-- severity: error
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: the labels of a chat are not an array
-- why: Labels of these chats can be neither added nor removed: it fails with "22023 cannot extract elements from a scalar" (or
--   "from an object") in the server's log, because the server reads the labels of a chat as an array. They come from imports and
--   hand-made updates; a JSON null is enough. A chat without labels has an empty array or an SQL NULL. A single label becomes an
--   array of it, if the instance has such a label. An object, and text that is itself JSON, can be read in several ways, so they
--   are left to you: UPDATE "Chat" SET "labels" = '["1", "2"]' WHERE "id" = 'ID' with the labels you mean, or '[]' for none.
-- detail plain: the labels of {count:1 chat|# chats} are a single value or a JSON null instead of an array
-- detail unclear: the labels of {count:1 chat|# chats} are an object, a boolean or JSON inside of text; which labels are meant
--   is left to you
-- fix: quarantine
-- judges: Chat
-- matches: 22023 … cannot extract elements from a scalar
-- matches: cannot extract elements from a scalar
-- matches: cannot extract elements from an object
-- answers: message=scalar-elements
-- joins: hash
-- Where there are many, only the first thousand are kept for the examples, and the others are counted: to keep the ids of all, and
-- to sort them, takes longer than to count them.
WITH odd AS NOT MATERIALIZED (
    SELECT
        chat."id",
        CASE pg_catalog.jsonb_typeof(chat."labels")
            WHEN 'string' THEN chat."labels" #>> '{}' !~ '^\s*[[{"]'
            WHEN 'null' THEN true
            WHEN 'number' THEN true
            ELSE false
        END AS is_plain
    FROM
        :"schema"."Chat" AS chat
    WHERE
        pg_catalog.jsonb_typeof(chat."labels") <> 'array'
),
front AS MATERIALIZED (
    SELECT odd."id", odd.is_plain FROM odd LIMIT 1001
),
counted AS (
    SELECT front.is_plain, pg_catalog.count(*) AS count
    FROM front
    WHERE (SELECT pg_catalog.count(*) FROM front) <= 1000
    GROUP BY front.is_plain
    UNION ALL
    SELECT odd.is_plain, pg_catalog.count(*)
    FROM odd
    WHERE (SELECT pg_catalog.count(*) FROM front) > 1000
    GROUP BY odd.is_plain
)
SELECT
    'Chat.labels' AS subject,
    CASE WHEN counted.is_plain THEN 'plain' ELSE 'unclear' END AS form,
    CASE
        WHEN counted.is_plain THEN
            'pg_catalog.jsonb_typeof("labels") IN (''null'', ''number'')'
                ' OR pg_catalog.jsonb_typeof("labels") = ''string'' AND "labels" #>> ''{}'' !~ ''^\s*[[{"]'''
        ELSE
            'pg_catalog.jsonb_typeof("labels") IN (''object'', ''boolean'')'
                ' OR pg_catalog.jsonb_typeof("labels") = ''string'' AND "labels" #>> ''{}'' ~ ''^\s*[[{"]'''
    END AS predicate,
    counted.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) ORDER BY example."id")
        FROM
            (
                SELECT chat."id", chat."remoteJid", chat."labels", chat."instanceId"
                FROM :"schema"."Chat" AS chat
                WHERE
                    chat."id" = ANY (
                        ARRAY(
                            (SELECT front."id" FROM front WHERE front.is_plain = counted.is_plain ORDER BY front."id" LIMIT 5)
                            UNION ALL
                            (
                                -- None of this kind is among the first.
                                SELECT odd."id"
                                FROM odd
                                WHERE
                                    odd.is_plain = counted.is_plain
                                    AND (SELECT pg_catalog.count(*) FROM front WHERE front.is_plain = counted.is_plain) = 0
                                LIMIT 5
                            )
                        )
                    )
                LIMIT 5
            ) AS example
    ) AS sample,
    CASE WHEN counted.is_plain THEN 'single value' ELSE 'unclear' END AS key,
    counted.is_plain AS fixable
FROM
    counted;

-- code: EVO113
-- name: message-stored-twice
-- title: messages stored more than once
-- severity: advice
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- summary: one instance holds the same message ("key" ->> 'id') in several rows
-- why: The server finds a message by its instance and "key" ->> 'id' and takes the first row that it finds. If there are several,
--   delivery and read marks, edits and deletions reach only one of them, and clients show the message more than once. No index
--   forbids it: rows come twice from a history that is imported again, a pairing with syncFullHistory, a second server or worker
--   at the same session, and a repeated insert after a timeout. First stop the cause: one server for each instance, and imports
--   that are not run again. Then remove the later rows with the condition that is shown; their updates and media go with them, so
--   keep a dump. Of a large table only a part of the messages is compared.
-- detail: {messages:1 message|# messages} of this instance {messages:is|are} stored more than once, {count:1 row|# rows} too
--   many{compared}
-- fix: manual
-- judges: Message
-- matches: the same message is stored twice
-- matches: duplicate key.id in Message
-- answers: text="duplicate … key.id"
-- In a large table only some of the ids are compared, always the same, so that the work does not grow beyond reading it once.
WITH share AS MATERIALIZED (
    SELECT
        GREATEST(
            1,
            CASE
                -- Without ANALYZE there is no estimate (-1 since 14, 0 before); a page of messages holds about ten.
                WHEN relation.reltuples > 0 THEN relation.reltuples::bigint
                ELSE pg_catalog.pg_relation_size(relation.oid) / 1024
            END / 100000
        )::integer AS parts
    FROM
        pg_catalog.pg_class AS relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema' AND relation.relname = 'Message'
),
repeated AS (
    SELECT message."instanceId", message."key" ->> 'id' AS key_id, pg_catalog.count(*) AS copies
    FROM :"schema"."Message" AS message
    WHERE
        pg_catalog.mod(
            pg_catalog.hashtext(message."key" ->> 'id') & 2147483647, (SELECT share.parts FROM share)
        ) = 0
    GROUP BY message."instanceId", message."key" ->> 'id'
    HAVING pg_catalog.count(*) > 1
),
ranked AS (
    SELECT
        repeated.*, pg_catalog.row_number() OVER (PARTITION BY repeated."instanceId" ORDER BY repeated.copies DESC, repeated.key_id) AS place
    FROM repeated
),
counted AS (
    SELECT
        ranked."instanceId",
        pg_catalog.count(*) AS count,
        pg_catalog.sum(ranked.copies - 1)::bigint AS surplus,
        pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object('key.id', ranked.key_id, 'rows', ranked.copies) ORDER BY ranked.place
        ) FILTER (WHERE ranked.place <= 5) AS sample
    FROM ranked
    GROUP BY ranked."instanceId"
)
SELECT
    pg_catalog.format('Message %s', pg_catalog.to_json(COALESCE(instance."name"::text, counted."instanceId"))) AS subject,
    pg_catalog.jsonb_build_object(
        'messages', counted.count,
        'compared', CASE WHEN share.parts > 1 THEN pg_catalog.format('; only one id in %s was compared', share.parts) END
    ) AS "values",
    pg_catalog.format(
        '"id" IN (SELECT later."id" FROM (SELECT one."id", pg_catalog.row_number() OVER (PARTITION BY one."key" ->> ''id'' '
        'ORDER BY one."messageTimestamp", one."id") AS place FROM %I."Message" AS one WHERE one."instanceId" = %L '
        'AND one."key" ->> ''id'' IS NOT NULL) AS later WHERE later.place > 1)',
        :'schema', counted."instanceId"
    ) AS predicate,
    counted.surplus AS count,
    counted.sample AS sample,
    counted."instanceId" AS key
FROM
    counted
    CROSS JOIN share
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = counted."instanceId"
ORDER BY
    counted.surplus DESC, counted."instanceId";

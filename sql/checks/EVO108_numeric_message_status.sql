-- code: EVO108
-- name: numeric-message-status
-- title: message status is a number
-- severity: warning
-- consequence: wrong-results
-- releases: 2.1.2..
-- summary: messages have a number as their status instead of a word
-- why: Counts of unread messages are wrong, and a message that was read long ago shows no status: the server compares with words
--   such as PENDING and READ, not with numbers. They come from the upgrade to 2.1.2, which turned the numbers 0 to 5 into the
--   texts "0" to "5". They mean ERROR, PENDING, SERVER_ACK, DELIVERY_ACK, READ and PLAYED. Any other number has no meaning, so it
--   is left to you: UPDATE "Message" SET "status" = 'READ' WHERE "id" = 'ID'.
-- detail known: the status of {count:1 message|# messages} is a number from 0 to 5 instead of the word for it
-- detail unknown: the status of {count:1 message|# messages} is a number without a meaning; the right status is left to you
-- fix: quarantine
-- judges: Message
-- matches: unread count … wrong
-- matches: unreadMessages
-- matches: status … cannot be cast
-- answers: text="column \"status\" cannot be cast"
-- reads: Message
-- suspects: "status" COLLATE pg_catalog."C" < 'A'
-- Run by hand:
-- psql -v suspects='SELECT * FROM "public"."Message"'
-- One pass counts the messages in 256 parts, by a hash of their ids, and notes the first and the last id of each part. The examples
-- are of these: to keep the ids of all, and to sort them, takes longer than to count them.
WITH part AS MATERIALIZED (
    SELECT
        numeric.is_known,
        pg_catalog.count(*) AS count,
        ARRAY[pg_catalog.min(numeric."id" COLLATE pg_catalog."C"), pg_catalog.max(numeric."id" COLLATE pg_catalog."C")] AS ids
    FROM
        (
            SELECT
                message."id",
                message."status" IN ('0', '1', '2', '3', '4', '5') AS is_known
            FROM
                (:suspects) AS message
            WHERE
                message."status" IN ('0', '1', '2', '3', '4', '5')
                -- Dearer, and seldom needed.
                OR message."status" ~ '^-?[0-9]+$'
        ) AS numeric
    GROUP BY
        numeric.is_known, pg_catalog.hashtext(numeric."id") & 255
)
SELECT
    'Message.status' AS subject,
    CASE WHEN counted.is_known THEN 'known' ELSE 'unknown' END AS form,
    CASE
        WHEN counted.is_known THEN '"status" IN (''0'', ''1'', ''2'', ''3'', ''4'', ''5'')'
        ELSE '"status" ~ ''^-?[0-9]+$'' AND "status" NOT IN (''0'', ''1'', ''2'', ''3'', ''4'', ''5'')'
    END AS predicate,
    counted.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) ORDER BY example."id")
        FROM
            (
                SELECT message."id", message."status", message."instanceId"
                FROM (:suspects) AS message
                WHERE
                    message."id" = ANY (
                        ARRAY(
                            SELECT DISTINCT noted."id" COLLATE pg_catalog."default"
                            FROM part CROSS JOIN LATERAL pg_catalog.unnest(part.ids) AS noted ("id")
                            WHERE part.is_known = counted.is_known
                            ORDER BY 1 LIMIT 5
                        )
                    )
                LIMIT 5
            ) AS example
    ) AS sample,
    CASE WHEN counted.is_known THEN '0 to 5' ELSE 'other numbers' END AS key,
    counted.is_known AS fixable
FROM
    (SELECT part.is_known, pg_catalog.sum(part.count)::bigint AS count FROM part GROUP BY part.is_known) AS counted;

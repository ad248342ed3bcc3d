-- code: EVO108
-- version: 2
-- applicability: quarantine
-- hazards: changes-rows
-- tables: Message
-- upstream: 20241006130306
-- after 2.1.2..: unread messages are counted by the words from the next message on. Nothing has to be restarted.
SELECT
    'Message' AS "table",
    pg_catalog.jsonb_build_object('id', message."id") AS "key",
    pg_catalog.jsonb_build_object('status', word.status) AS "change",
    pg_catalog.format('status %s becomes %s', word.number, word.status) AS "reason"
FROM
    :"schema"."Message" AS message
    JOIN (
        VALUES ('0', 'ERROR'), ('1', 'PENDING'), ('2', 'SERVER_ACK'), ('3', 'DELIVERY_ACK'), ('4', 'READ'), ('5', 'PLAYED')
    ) AS word (number, status) ON word.number = message."status"
WHERE
    -- In batches: the rows whose ids are in it.
    (:'batch' = '' OR message."id" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(NULLIF(:'batch', '')::jsonb))));

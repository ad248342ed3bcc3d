-- code: EVO611
-- name: status-overwritten
-- title: upgrade resets message status
-- severity: warning
-- consequence: loses-data
-- releases: 2.0.0-beta..2.1.2
-- migration: 20241006130306
-- summary: the upgrade to 2.2.0 makes every message pending
-- why: After the upgrade no message counts as read or delivered: the column "status" of "Message" becomes text, and every row
--   gets the status PENDING. The table is rewritten under a lock that blocks reads too, and then once more for the update: it
--   needs about three times its size on disk. A server of 2.1.2 keeps the numbers instead, as text (EVO108). The fix rewrites the
--   table once, before the upgrade, and keeps every status.
-- detail: every message gets the status PENDING: of {count} in all, {filled} with a status now
-- detail number: the status of {count:1 message|# messages} becomes text, as the number it was
-- fix: safe
-- matches: 20241006130306_alter_status_on_message_table
-- answers: migration=20241006130306
SELECT
    'Message' AS subject,
    CASE :'target' WHEN '2.1.2' THEN 'number' END AS form,
    pg_catalog.jsonb_build_object('filled', message.with_status) AS "values",
    'true' AS predicate,
    message.count,
    COALESCE(message.sample, '[]'::jsonb) AS sample,
    'Message.status' AS key,
    CASE :'target' WHEN '2.1.2' THEN NULL ELSE 'changes-rows' END AS effect,
    'Message' AS "table",
    CASE
        WHEN message.with_status = 0 THEN NULL
        WHEN is_number.answer THEN ARRAY[
            '# stop the server first: an older one cannot store messages from here on',
            pg_catalog.format('evodoctor fix EVO611 --to %s --apply --allow rewrites-table', :'target')
        ]
        ELSE ARRAY[
            pg_catalog.format('CREATE TABLE %I."Message_status_before_upgrade" AS SELECT "id", "status" FROM %1$I."Message" WHERE "status" IS NOT NULL;', :'schema')
        ]
    END AS before,
    is_number.answer AND message.with_status > 0 AS fixable,
    CASE WHEN message.with_status = 0 OR :'target' = '2.1.2' THEN 'advice' ELSE 'warning' END AS severity
FROM
    (
        SELECT every.count, COALESCE(held.with_status, 0) AS with_status, held.sample
        FROM
            (SELECT pg_catalog.count(*) AS count FROM :"schema"."Message") AS every
            CROSS JOIN (
                SELECT pg_catalog.sum(each.count)::bigint AS with_status, pg_catalog.jsonb_agg(pg_catalog.to_jsonb(each)) AS sample
                FROM
                    (
                        SELECT NULL::text AS status, 0::bigint AS count WHERE false
                        -- only with Message.status
                        UNION ALL
                        SELECT * FROM (
                            SELECT one."status"::text, pg_catalog.count(*)
                            FROM :"schema"."Message" AS one
                            WHERE one."status" IS NOT NULL
                            GROUP BY one."status"
                            ORDER BY pg_catalog.count(*) DESC
                        ) AS counted
                        -- end
                    ) AS each
            ) AS held
    ) AS message
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS attribute
            WHERE
                attribute.attrelid = pg_catalog.to_regclass(pg_catalog.format('%I."Message"', :'schema'))
                AND attribute.attname = 'status'
                AND NOT attribute.attisdropped
                AND attribute.atttypid = 'pg_catalog.int4'::pg_catalog.regtype
        )
    ) AS is_number (answer)
WHERE
    message.count > 0;

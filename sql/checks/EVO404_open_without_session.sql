-- code: EVO404
-- name: open-without-session
-- title: open instance without a session
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: an instance says it is connected, but there is no session to restore
-- why: GET /instance/fetchInstances shows the instance as open, messages fail, and after the next start of the server it asks for
--   a QR code: its row says open, but the keys of its WhatsApp session are not in "Session". Only instances on Baileys are
--   judged, for others keep no session. If no instance at all has a session here, the server probably keeps them in Redis
--   (CACHE_REDIS_SAVE_INSTANCES) or in files, and this is advice only. Otherwise log the instance out and in again: DELETE
--   /instance/logout/INSTANCE, then GET /instance/connect/INSTANCE and scan the code.
-- detail lost: {count:1 instance says|# instances say} open without a session in this database, although other instances have
--   theirs here
-- detail elsewhere: {count:1 instance says|# instances say} open without a session in this database; nor has any other, so the
--   server may keep sessions elsewhere
-- fix: manual
-- judges: Instance
-- matches: Connection Closed
-- matches: instance … open … QR code
-- matches: state open … not connected
-- answers: text="Connection Closed" http=428
-- answers: text="Error: Connection Closed"
-- answers: exact="Connection Closed"
-- answers: text="Connection Closed" text="isBoom"
-- joins: hash
WITH lost AS MATERIALIZED (
    SELECT instance."id", instance."name", instance."connectionStatus", instance."integration"
    FROM
        :"schema"."Instance" AS instance
    WHERE
        instance."connectionStatus" = 'open'
        AND instance."integration" = 'WHATSAPP-BAILEYS'
        AND NOT EXISTS (
            SELECT FROM :"schema"."Session" AS session
            -- How long it is stands in front of it: what is stored apart is not fetched for that.
            WHERE session."sessionId" = instance."id" AND pg_catalog.octet_length(session."creds") > 0
        )
)
SELECT
    'Instance' AS subject,
    CASE WHEN counted.is_any_stored THEN 'lost' ELSE 'elsewhere' END AS form,
    pg_catalog.format(
        '"connectionStatus" = ''open'' AND "integration" = ''WHATSAPP-BAILEYS'' AND NOT EXISTS ('
            'SELECT FROM %I."Session" AS session WHERE session."sessionId" = "Instance"."id" AND session."creds" <> '''')',
        :'schema'
    ) AS predicate,
    counted.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) ORDER BY example."name", example."id")
        FROM (SELECT lost.* FROM lost ORDER BY lost."name", lost."id" LIMIT 5) AS example
    ) AS sample,
    'open without session' AS key,
    CASE WHEN counted.is_any_stored THEN 'warning' ELSE 'advice' END AS severity
FROM
    (
        SELECT
            pg_catalog.count(*) AS count,
            EXISTS (SELECT FROM :"schema"."Session" AS session WHERE pg_catalog.octet_length(session."creds") > 0) AS is_any_stored
        FROM lost
    ) AS counted
WHERE
    counted.count > 0;

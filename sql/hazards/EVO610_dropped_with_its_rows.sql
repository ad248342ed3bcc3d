-- code: EVO610
-- name: dropped-with-its-rows
-- title: upgrade drops rows or columns
-- severity: warning
-- consequence: loses-data
-- releases: 2.0.0-beta..2.1.0
-- migration: 20240814202359 20240821120816 20240825130616 20240830193533
-- summary: a pending migration drops tables or columns that hold data
-- why: Data of users is lost in the upgrade, without an error: 2.0.9 drops all bot sessions and which message belonged to which,
--   2.1.0 drops which bot a session belongs to, without copying it (such a session then blocks every bot: EVO107), and the table
--   of generic bots; 2.1.1 drops the cache of WhatsApp numbers. Keep a copy if you need it.
-- detail removes-rows: the table is dropped with its {count:only row|# rows}
-- detail drops-values: in {count:1 row|# rows} what the columns {columns} hold is dropped
-- fix: none
-- matches: TypebotSession
-- matches: OpenaiSession
-- matches: DifySession
-- matches: GenericBot
-- matches: is_on_whatsapp
SELECT
    gone."table" AS subject,
    gone.effect AS form,
    pg_catalog.jsonb_build_object('columns', gone.columns) AS "values",
    gone.predicate,
    gone.count,
    '[]'::jsonb AS sample,
    pg_catalog.concat_ws(' ', gone.migration, gone."table") AS key,
    gone.migration,
    gone.effect,
    gone."table",
    ARRAY[pg_catalog.format('CREATE TABLE %I.%I AS SELECT * FROM %1$I.%I WHERE %s;', :'schema', gone."table" || '_before_' || gone.migration, gone."table", gone.predicate)] AS before
FROM
    (
        SELECT NULL::text AS migration, NULL::text AS "table", NULL::text AS effect, NULL::text AS columns, NULL::text AS predicate, 0::bigint AS count
        -- only with TypebotSession
        UNION ALL SELECT '20240814202359', 'TypebotSession', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."TypebotSession"
        -- end
        -- only with OpenaiSession
        UNION ALL SELECT '20240814202359', 'OpenaiSession', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."OpenaiSession"
        -- end
        -- only with DifySession
        UNION ALL SELECT '20240814202359', 'DifySession', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."DifySession"
        -- end
        UNION ALL
        SELECT '20240814202359', 'Message', 'drops-values', held.columns, held.predicate, pg_catalog.sum(held.count)::bigint
        FROM
            (
                SELECT NULL::text AS columns, NULL::text AS predicate, 0::bigint AS count
                -- only with Message.difySessionId
                UNION ALL
                SELECT
                    'typebotSessionId, openaiSessionId, difySessionId',
                    '"typebotSessionId" IS NOT NULL OR "openaiSessionId" IS NOT NULL OR "difySessionId" IS NOT NULL',
                    pg_catalog.count(*)
                FROM :"schema"."Message"
                WHERE "typebotSessionId" IS NOT NULL OR "openaiSessionId" IS NOT NULL OR "difySessionId" IS NOT NULL
                -- end
            ) AS held
        GROUP BY held.columns, held.predicate
        -- only with IntegrationSession.openaiBotId
        UNION ALL
        SELECT
            '20240821120816', 'IntegrationSession', 'drops-values', 'openaiBotId, difyId, typebotId',
            '"openaiBotId" IS NOT NULL OR "difyId" IS NOT NULL OR "typebotId" IS NOT NULL', pg_catalog.count(*)
        FROM :"schema"."IntegrationSession"
        WHERE "openaiBotId" IS NOT NULL OR "difyId" IS NOT NULL OR "typebotId" IS NOT NULL
        -- end
        -- only with GenericBot
        UNION ALL SELECT '20240825130616', 'GenericBot', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."GenericBot"
        -- end
        -- only with GenericBotSetting
        UNION ALL SELECT '20240825130616', 'GenericBotSetting', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."GenericBotSetting"
        -- end
        -- only with is_on_whatsapp
        UNION ALL SELECT '20240830193533', 'is_on_whatsapp', 'removes-rows', NULL, 'true', pg_catalog.count(*) FROM :"schema"."is_on_whatsapp"
        -- end
    ) AS gone
WHERE
    gone.count > 0;

-- code: EVO605
-- name: openai-duplicates
-- title: OpenAI duplicates stop upgrade
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.0.3-beta
-- migration: 20240722173259 20240723152648
-- summary: duplicate OpenAI credentials or settings violate a pending unique index
-- why: The upgrade stops with 23505 "could not create unique index": 2.0.3 makes the name of an OpenAI credential unique, and
--   lets the settings of only one instance use a credential. Older rows may violate that.
-- fix: none
-- matches: could not create unique index "OpenaiCreds_name_key"
-- matches: could not create unique index "OpenaiSetting_openaiCredsId_key"
-- answers: message=index-not-created constraint=OpenaiCreds_name_key
-- answers: message=index-not-created constraint=OpenaiSetting_openaiCredsId_key
-- answers: message=index-not-created constraint=OpenaiCreds_apiKey_key
SELECT
    twice.subject,
    pg_catalog.format('%s rows share %s, so the unique index %s cannot be built (23505)', twice.count, twice.subject, twice.step) AS detail,
    twice.predicate,
    twice.count,
    twice.sample,
    twice.step AS key,
    twice.migration,
    'fails' AS effect,
    '23505' AS sqlstate,
    twice.step,
    ARRAY['# ' || twice.mend] AS before
FROM
    (
        SELECT NULL::text AS subject, NULL::text AS predicate, 0::bigint AS count, NULL::jsonb AS sample, NULL::text AS step, NULL::text AS migration, NULL::text AS mend
        -- only with OpenaiCreds.name
        UNION ALL
        SELECT
            'OpenaiCreds.name',
            pg_catalog.format('"name" IN (SELECT "name" FROM %I."OpenaiCreds" GROUP BY "name" HAVING pg_catalog.count(*) > 1)', :'schema'),
            pg_catalog.sum(one.count)::bigint,
            pg_catalog.jsonb_agg(pg_catalog.to_jsonb(one) - 'position' ORDER BY one.position) FILTER (WHERE one.position <= 5),
            'OpenaiCreds_name_key',
            '20240722173259',
            'give each credential a name of its own'
        FROM
            (
                SELECT creds."name", pg_catalog.count(*) AS count, pg_catalog.row_number() OVER (ORDER BY creds."name") AS position
                FROM :"schema"."OpenaiCreds" AS creds
                WHERE creds."name" IS NOT NULL
                GROUP BY creds."name"
                HAVING pg_catalog.count(*) > 1
            ) AS one
        -- end
        -- only with OpenaiSetting.openaiCredsId
        UNION ALL
        SELECT
            'OpenaiSetting.openaiCredsId',
            pg_catalog.format('"openaiCredsId" IN (SELECT "openaiCredsId" FROM %I."OpenaiSetting" GROUP BY "openaiCredsId" HAVING pg_catalog.count(*) > 1)', :'schema'),
            pg_catalog.sum(one.count)::bigint,
            pg_catalog.jsonb_agg(pg_catalog.to_jsonb(one) - 'position' ORDER BY one.position) FILTER (WHERE one.position <= 5),
            'OpenaiSetting_openaiCredsId_key',
            '20240723152648',
            'give each instance''s settings a credential of their own'
        FROM
            (
                SELECT setting."openaiCredsId", pg_catalog.count(*) AS count, pg_catalog.row_number() OVER (ORDER BY setting."openaiCredsId") AS position
                FROM :"schema"."OpenaiSetting" AS setting
                GROUP BY setting."openaiCredsId"
                HAVING pg_catalog.count(*) > 1
            ) AS one
        -- end
    ) AS twice
WHERE
    twice.count > 0;

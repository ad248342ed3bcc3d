-- code: EVO606
-- name: sessions-refuse-new-status
-- title: bot sessions stop the upgrade
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.0.3-beta
-- migration: 20240729180347
-- summary: bot sessions make the upgrade to 2.0.4 fail half-way
-- why: The upgrade stops with 22P02 for every OpenAI session whose status is "open", which the new type does not have, or with
--   23502 for any Typebot session, whose status is dropped and added without a default. The first half commits by itself: after
--   23502 the new type is there, and running the migration again does not help. Sessions are short-lived: a conversation starts
--   again without them.
-- detail OpenaiSession: {count:1 OpenAI session has|# OpenAI sessions have} the status "open", which the new type does not have
--   (22P02)
-- detail TypebotSession: {count:1 Typebot session gets|# Typebot sessions get} a status column that may not be null and has no
--   default (23502)
-- fix: none
-- matches: invalid input value for enum "TypebotSessionStatus_new"
-- matches: column "status" of relation "TypebotSession" contains null values
-- answers: relation=TypebotSessionStatus_new
-- answers: message=column-has-nulls relation=TypebotSession
SELECT
    session.subject,
    session.subject AS form,
    session.predicate,
    session.count,
    session.sample,
    session.subject AS key,
    'fails' AS effect,
    session.sqlstate,
    session.step,
    ARRAY[pg_catalog.format('DELETE FROM %I.%I%s;', :'schema', session.subject, ' WHERE ' || session.predicate)] AS before
FROM
    (
        SELECT NULL::text AS subject, NULL::text AS predicate, 0::bigint AS count, NULL::jsonb AS sample, NULL::text AS sqlstate, NULL::text AS step
        -- only with OpenaiSession
        UNION ALL
        SELECT
            'OpenaiSession',
            '"status"::text = ''open''',
            pg_catalog.count(*),
            (
                SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
                FROM
                    (
                        SELECT one."id", one."remoteJid" FROM :"schema"."OpenaiSession" AS one
                        WHERE one."status"::text = 'open' ORDER BY one."id" LIMIT 5
                    ) AS example
            ),
            '22P02',
            'TypebotSessionStatus'
        FROM :"schema"."OpenaiSession" AS session
        WHERE session."status"::text = 'open'
        -- end
        -- only with TypebotSession
        UNION ALL
        SELECT
            'TypebotSession',
            'true',
            pg_catalog.count(*),
            (
                SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
                FROM (SELECT one."id", one."remoteJid" FROM :"schema"."TypebotSession" AS one ORDER BY one."id" LIMIT 5) AS example
            ),
            '23502',
            'TypebotSession.status'
        FROM :"schema"."TypebotSession" AS session
        -- end
    ) AS session
WHERE
    session.count > 0;

-- code: EVO106
-- name: foreign-credential-in-use
-- title: credential of another instance
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.3-beta..
-- summary: settings or bots use the OpenAI credential of another instance
-- why: They work, but they depend on another instance. Where the key to the credential blocks (EVO201), deleting the owner
--   answers 200 "Instance deleted" and leaves it half deleted: no state, 404 in fetchInstances, 403 when it is created again.
--   Where the key cascades, the settings or bots vanish silently with the owner, or with its credential. A shared credential may
--   be intended or a mistake, so it is left to you: give the instance a credential of its own with the same key (evodoctor
--   credentials share, after EVO202's fix), or point at another one: UPDATE "OpenaiSetting" SET "openaiCredsId" = 'CREDENTIAL'
--   WHERE "id" = 'ID' (likewise "OpenaiBot").
-- detail OpenaiBot: {count:1 bot uses|# bots use} a credential of another instance ({owners}); deleting that instance {effect}
-- detail OpenaiSetting: the settings of {count:1 instance|# instances} use a credential of another instance ({owners});
--   deleting that instance {effect}
-- fix: manual
-- judges: OpenaiCreds
-- matches: openaiCredsId … another instance
-- matches: Instance deleted … still there
-- matches: OpenaiBot_openaiCredsId_fkey
-- answers: code=23503 constraint=OpenaiBot_openaiCredsId_fkey
-- joins: hash
WITH held AS NOT MATERIALIZED (
    SELECT 'OpenaiSetting' AS relation, "id", "instanceId", "openaiCredsId" FROM :"schema"."OpenaiSetting"
    UNION ALL SELECT 'OpenaiBot', "id", "instanceId", "openaiCredsId" FROM :"schema"."OpenaiBot"
),
blocked AS (
    SELECT child.relname
    FROM
        pg_catalog.pg_constraint AS key
        JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
        JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
    WHERE
        namespace.nspname = :'schema' AND parent.relname = 'OpenaiCreds' AND key.contype = 'f' AND key.confdeltype IN ('r', 'a')
),
crossing AS MATERIALIZED (
    SELECT held.relation, held."id", credential."instanceId"
    FROM
        held
        JOIN :"schema"."OpenaiCreds" AS credential ON credential."id" = held."openaiCredsId"
    WHERE
        held."instanceId" <> credential."instanceId"
),
-- Of each owner once: there are fewer of them than of what crosses.
owning AS (
    SELECT crossing.relation, crossing."instanceId", pg_catalog.count(*) AS count
    FROM crossing
    GROUP BY crossing.relation, crossing."instanceId"
),
found AS (
    SELECT
        owning.relation,
        owning.relation IN (SELECT blocked.relname FROM blocked) AS is_blocking,
        pg_catalog.sum(owning.count)::bigint AS count,
        pg_catalog.string_agg(DISTINCT pg_catalog.format('%I', COALESCE(owner."name", owning."instanceId")), ', ') AS owners
    FROM
        owning
        LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = owning."instanceId"
    GROUP BY
        owning.relation
)
SELECT
    found.relation AS subject,
    found.relation AS form,
    pg_catalog.jsonb_build_object(
        'owners', CASE WHEN pg_catalog.length(found.owners) > 100 THEN pg_catalog.left(found.owners, 100) || '...' ELSE found.owners END,
        'effect', CASE WHEN found.is_blocking THEN 'stops half-way' ELSE 'takes them along' END
    ) AS "values",
    pg_catalog.format(
        'EXISTS (SELECT FROM %I."OpenaiCreds" AS credential WHERE credential."id" = %I."openaiCredsId" AND credential."instanceId" <> %I."instanceId")',
        :'schema', found.relation, found.relation
    ) AS predicate,
    found.count AS count,
    (
        SELECT
            pg_catalog.jsonb_agg(
                -- Looked up for these five, as a join would read both tables for them.
                pg_catalog.jsonb_build_object(
                    'id', example."id",
                    'instance', COALESCE((SELECT holder."name" FROM :"schema"."Instance" AS holder WHERE holder."id" = example."instanceId"), example."instanceId")
                )
                || (
                    SELECT
                        pg_catalog.jsonb_build_object(
                            'credential', credential."id",
                            'credential_name', credential."name",
                            'apiKey', credential."apiKey",
                            'credential_of', COALESCE(
                                (SELECT owner."name" FROM :"schema"."Instance" AS owner WHERE owner."id" = credential."instanceId"),
                                credential."instanceId"
                            )
                        )
                    FROM :"schema"."OpenaiCreds" AS credential
                    WHERE credential."id" = example."openaiCredsId"
                )
                ORDER BY example."id"
            )
        FROM
            (
                SELECT held.*
                FROM held
                WHERE
                    held.relation = found.relation
                    AND held."id" = ANY (
                        ARRAY(SELECT crossing."id" FROM crossing WHERE crossing.relation = found.relation ORDER BY crossing."id" LIMIT 5)
                    )
                LIMIT 5
            ) AS example
    ) AS sample,
    found.relation AS key,
    CASE WHEN found.is_blocking THEN 'warning' ELSE 'advice' END AS severity
FROM
    found;

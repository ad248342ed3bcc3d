-- code: EVO201
-- name: openai-credential-delete-blocked
-- title: credentials cannot be deleted
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.3..
-- summary: an OpenAI credential in use cannot be deleted
-- why: DELETE /openai/creds/ID/INSTANCE answers 500, with OpenaiSetting_openaiCredsId_fkey in the server's log: the key from
--   "OpenaiSetting" to "OpenaiCreds" is ON DELETE RESTRICT and its column is NOT NULL, so a credential cannot be deleted as long
--   as the settings of any instance use it. Deleting the instance that owns the credential fails in the same way when another
--   instance's settings use it: the API answers 200 and the instance stays, half deleted. Deleting a credential also deletes its
--   bots, of every instance, but not their open sessions, whose contacts every bot then ignores (EVO107); evodoctor credentials
--   release removes these too.
-- detail: {count:1 credential cannot be deleted, because the settings of an instance use it|# credentials cannot be deleted,
--   because the settings of instances use them}{left_to_you}
-- detail none: no credential is in use yet; the first one in use could not be deleted{left_to_you}
-- fix: safe
-- matches: OpenaiSetting_openaiCredsId_fkey
-- matches: P2003 … openaiCredsId
-- matches: violates RESTRICT setting of foreign key constraint … OpenaiSetting
-- matches: update or delete on table "OpenaiCreds" violates
-- answers: code=23503 constraint=OpenaiSetting_openaiCredsId_fkey
-- answers: code=23503 fields=openaiCredsId
-- answers: code=23503 column=openaiCredsId
-- answers: message=parent-in-use model=OpenaiSetting
-- answers: text="Error deleting openai creds"
-- answers: constraint=OpenaiSetting_openaiCredsId_fkey
-- joins: hash
WITH blocking AS (
    SELECT
        key.conname,
        pg_catalog.pg_get_constraintdef(key.oid) AS definition,
        -- The form that upstream creates is the one the fix can put back exactly.
        key.conname = 'OpenaiSetting_openaiCredsId_fkey' AND key.confdeltype = 'r' AND key.confupdtype = 'c'
            AND key.convalidated AND NOT key.condeferrable AND pg_catalog.obj_description(key.oid, 'pg_constraint') IS NULL
            AS is_upstreams
    FROM
        pg_catalog.pg_constraint AS key
        JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
        JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid
    WHERE
        namespace.nspname = :'schema'
        AND child.relname = 'OpenaiSetting'
        AND parent.relname = 'OpenaiCreds'
        AND key.contype = 'f'
        AND key.confdeltype IN ('r', 'a')
),
held AS MATERIALIZED (
    SELECT credential."id"
    FROM
        :"schema"."OpenaiCreds" AS credential
    WHERE
        EXISTS (SELECT FROM :"schema"."OpenaiSetting" AS setting WHERE setting."openaiCredsId" = credential."id")
)
SELECT
    pg_catalog.format('%I', blocking.conname) AS subject,
    pg_catalog.jsonb_build_object(
        'left_to_you',
        CASE WHEN NOT blocking.is_upstreams THEN pg_catalog.format('; the constraint differs from upstream''s (%s), so changing it is left to you', blocking.definition) END
    ) AS "values",
    pg_catalog.format('"id" IN (SELECT "openaiCredsId" FROM %I."OpenaiSetting")', :'schema') AS predicate,
    held.count AS count,
    held.sample AS sample,
    blocking.conname::text AS key,
    CASE WHEN held.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    blocking.is_upstreams AS fixable
FROM
    blocking
    CROSS JOIN (
        SELECT
            pg_catalog.count(*) AS count,
            (
                SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]'::jsonb)
                FROM
                    (
                        SELECT
                            credential."id",
                            credential."name",
                            credential."apiKey",
                            COALESCE(owner."name", credential."instanceId") AS owner,
                            pg_catalog.jsonb_agg(COALESCE(holder."name", setting."instanceId") ORDER BY holder."name") AS held_by
                        FROM
                            :"schema"."OpenaiCreds" AS credential
                            JOIN :"schema"."OpenaiSetting" AS setting ON setting."openaiCredsId" = credential."id"
                            LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = credential."instanceId"
                            LEFT JOIN :"schema"."Instance" AS holder ON holder."id" = setting."instanceId"
                        WHERE
                            credential."id" = ANY (ARRAY(SELECT held."id" FROM held ORDER BY held."id" LIMIT 5))
                        GROUP BY
                            credential."id", owner."name"
                        ORDER BY
                            credential."id"
                    ) AS example
            ) AS sample
        FROM
            held
    ) AS held;

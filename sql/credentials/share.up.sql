-- code: share
-- version: 2
-- applicability: safe
-- hazards: limits-undo
-- tables: OpenaiCreds
-- after 2.0.3..: the instance has a credential row of its own with the same key. Its settings and bots can use it at once;
--   the API reads, saves and deletes it like any other.
-- What stands in the way.
SELECT
    pg_catalog.format('there is no credential %s', :'credential') AS refusal
WHERE
    NOT EXISTS (SELECT FROM :"schema"."OpenaiCreds" AS credential WHERE credential."id" = :'credential')
UNION ALL
SELECT
    pg_catalog.format('there is no instance with the name %s', :'instance')
WHERE
    NOT EXISTS (SELECT FROM :"schema"."Instance" AS instance WHERE instance."name" = :'instance')
UNION ALL
SELECT
    pg_catalog.format('instance %s has this key already: credential %s', :'instance', twin."id")
FROM
    :"schema"."OpenaiCreds" AS credential
    JOIN :"schema"."OpenaiCreds" AS twin ON twin."apiKey" = credential."apiKey"
    JOIN :"schema"."Instance" AS instance ON instance."id" = twin."instanceId" AND instance."name" = :'instance'
WHERE
    credential."id" = :'credential'
UNION ALL
SELECT
    pg_catalog.format('credential %s is there already: this one was shared with instance %s before, and its key was changed since', :'new_id', :'instance')
FROM
    :"schema"."OpenaiCreds" AS credential
    JOIN :"schema"."OpenaiCreds" AS former ON former."id" = :'new_id' AND former."apiKey" IS DISTINCT FROM credential."apiKey"
WHERE
    credential."id" = :'credential'
UNION ALL
SELECT
    pg_catalog.format('instance %s has a credential with the name %s already: give the new one another with --name', :'instance', wanted.name)
FROM
    (
        SELECT COALESCE(NULLIF(:'name', ''), credential."name") AS name
        FROM :"schema"."OpenaiCreds" AS credential
        WHERE credential."id" = :'credential'
    ) AS wanted
WHERE
    EXISTS (
        SELECT
        FROM
            :"schema"."OpenaiCreds" AS taken
            JOIN :"schema"."Instance" AS instance ON instance."id" = taken."instanceId" AND instance."name" = :'instance'
        WHERE taken."name" = wanted.name
    )
    -- The index over all instances is named below.
    AND EXISTS (
        SELECT
        FROM
            pg_catalog.pg_index AS index
            JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
        WHERE
            namespace.nspname = :'schema'
            AND relation.relname = 'OpenaiCreds'
            AND index.indisunique
            AND ARRAY(
                SELECT attribute.attname::text AS name
                FROM pg_catalog.pg_attribute AS attribute
                WHERE attribute.attrelid = index.indrelid AND attribute.attnum = ANY ((index.indkey::int2[])[0 : index.indnkeyatts - 1])
                ORDER BY name
            ) = ARRAY['instanceId', 'name']
    )
UNION ALL
SELECT
    pg_catalog.format('the unique index %s covers all instances; %s', class.relname, CASE attribute.attname
        WHEN 'apiKey' THEN 'first: evodoctor fix EVO202 --apply'
        ELSE 'first: evodoctor fix EVO203 --apply, or give the new one another name with --name'
    END)
FROM
    pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = index.indkey[0]
WHERE
    namespace.nspname = :'schema'
    AND relation.relname = 'OpenaiCreds'
    AND index.indisunique
    AND index.indnkeyatts = 1
    AND (
        attribute.attname = 'apiKey'
        OR (
            attribute.attname = 'name'
            AND EXISTS (
                SELECT FROM :"schema"."OpenaiCreds" AS taken
                WHERE taken."name" = COALESCE(
                    NULLIF(:'name', ''),
                    (SELECT credential."name" FROM :"schema"."OpenaiCreds" AS credential WHERE credential."id" = :'credential')
                )
            )
        )
    );

-- The id is made from both, in the form that Prisma gives: the same in the rehearsal and for good.
INSERT INTO :"schema"."OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
SELECT
    :'new_id',
    COALESCE(NULLIF(:'name', ''), credential."name"),
    credential."apiKey",
    pg_catalog.timezone('UTC', pg_catalog.now()),
    instance."id"
FROM
    :"schema"."OpenaiCreds" AS credential
    CROSS JOIN :"schema"."Instance" AS instance
WHERE
    credential."id" = :'credential'
    AND instance."name" = :'instance';

SELECT
    pg_catalog.format('instance %s gets credential %s', :'instance', :'new_id') AS note;

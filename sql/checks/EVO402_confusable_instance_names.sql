-- code: EVO402
-- name: confusable-instance-names
-- title: instance names easily confused
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: the name of an instance is easily taken for another instance
-- why: Requests reach the wrong instance, or 404 "instance does not exist". A path has to give the name exactly: two names that
--   differ only in letter case or spaces are two instances, although people read them as one. A name that is the id or the phone
--   number of another instance sends requests for that one to this one. A name in the form of a UUID is taken for an id, which
--   paths do not accept. Renaming changes the URL for every client, so it is left to you: UPDATE "Instance" SET "name" = 'NEW'
--   WHERE "id" = 'ID', with the server stopped.
-- fix: manual
-- judges: Instance
-- matches: two instances … same name
-- matches: wrong instance
-- matches: instance name … letter case
-- joins: hash
WITH spelled AS (
    SELECT
        instance."id",
        instance."name",
        pg_catalog.lower(pg_catalog.regexp_replace(instance."name", '\s', '', 'g')) AS spelling,
        -- Only what looks like a phone number is compared with phone numbers.
        CASE
            WHEN instance."name" ~ '^[+0-9 ().-]*$' THEN NULLIF(pg_catalog.regexp_replace(instance."name", '[^0-9]', '', 'g'), '')
        END AS digits
    FROM
        :"schema"."Instance" AS instance
),
numbered AS (
    SELECT
        instance."id",
        instance."name",
        number.digits
    FROM
        :"schema"."Instance" AS instance
        CROSS JOIN LATERAL (
            SELECT pg_catalog.regexp_replace(instance."number", '[^0-9]', '', 'g') AS digits
            UNION
            SELECT pg_catalog.substring(instance."ownerJid", '^[0-9]+')
        ) AS number
    WHERE
        pg_catalog.length(number.digits) >= 8
),
-- Of those that are alike twenty are named, and a condition finds more.
alike AS (
    SELECT
        spelled.spelling,
        pg_catalog.count(*) AS count,
        (pg_catalog.array_agg(spelled."id" ORDER BY spelled."name"))[:20] AS ids,
        (pg_catalog.array_agg(spelled."name"::text ORDER BY spelled."name"))[:5] AS names
    FROM
        spelled
    GROUP BY
        spelled.spelling
    HAVING
        pg_catalog.count(*) > 1
),
-- Grouped before they are joined: many names that are the number of many instances would be as many pairs.
numbers AS (
    SELECT
        numbered.digits,
        pg_catalog.count(*) AS count,
        (pg_catalog.array_agg(numbered."id" ORDER BY numbered."name"))[:20] AS ids,
        (pg_catalog.array_agg(numbered."name"::text ORDER BY numbered."name"))[:20] AS names
    FROM
        numbered
    GROUP BY
        numbered.digits
),
confusable (key, severity, detail, predicate, count, ids) AS (
    SELECT
        'spelling ' || alike.spelling,
        'warning',
        pg_catalog.concat(
            pg_catalog.format('%s names differ in letter case or spaces only: ', alike.count),
            (
                SELECT pg_catalog.string_agg(pg_catalog.to_json(one.name)::text, ', ' ORDER BY one.position)
                FROM pg_catalog.unnest(alike.names) WITH ORDINALITY AS one (name, position)
            ),
            CASE WHEN alike.count > 5 THEN pg_catalog.format(' and %s more', alike.count - 5) END
        ),
        CASE
            WHEN alike.count > 20 THEN
                pg_catalog.format('pg_catalog.lower(pg_catalog.regexp_replace("name", ''\s'', '''', ''g'')) = %L', alike.spelling)
        END,
        alike.count,
        alike.ids
    FROM
        alike
    UNION ALL
    SELECT
        'id ' || named."id",
        'warning',
        pg_catalog.format('the name is the id of the instance %s', pg_catalog.to_json(other."name"::text)),
        NULL,
        2,
        ARRAY[named."id", other."id"]
    FROM
        spelled AS named
        JOIN :"schema"."Instance" AS other ON pg_catalog.lower(other."id") = named.spelling AND other."id" <> named."id"
    UNION ALL
    SELECT
        'number ' || named."id",
        'warning',
        pg_catalog.concat(
            'the name is the phone number of ',
            (
                SELECT pg_catalog.string_agg(pg_catalog.to_json(one.name)::text, ', ' ORDER BY one.position)
                FROM pg_catalog.unnest(numbers.names) WITH ORDINALITY AS one (name, position)
            ),
            CASE WHEN numbers.count > 20 THEN pg_catalog.format(' and %s more', numbers.count - 20) END
        ),
        CASE
            WHEN numbers.count > 20 THEN pg_catalog.format(
                '"id" = %1$L OR pg_catalog.regexp_replace("number", ''[^0-9]'', '''', ''g'') = %2$L'
                    ' OR pg_catalog.substring("ownerJid", ''^[0-9]+'') = %2$L',
                named."id", named.digits
            )
        END,
        1 + numbers.count,
        named."id" || numbers.ids
    FROM
        spelled AS named
        JOIN numbers ON numbers.digits = named.digits
    -- Several instances of one number, this one among them, share it on purpose.
    WHERE
        NOT EXISTS (SELECT FROM numbered AS own WHERE own."id" = named."id" AND own.digits = named.digits)
    UNION ALL
    SELECT 'uuid ' || named."id", 'advice', 'the name has the form of an id, which people try to use instead of names', NULL, 1, ARRAY[named."id"]
    FROM
        spelled AS named
    WHERE
        named.spelling ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
        AND NOT EXISTS (SELECT FROM :"schema"."Instance" AS other WHERE pg_catalog.lower(other."id") = named.spelling AND other."id" <> named."id")
)
SELECT
    pg_catalog.format('Instance %s', (SELECT pg_catalog.to_json("name"::text) FROM :"schema"."Instance" WHERE "id" = confusable.ids[1])) AS subject,
    confusable.detail AS detail,
    COALESCE(confusable.predicate, pg_catalog.format('"id" = ANY (%L)', confusable.ids)) AS predicate,
    confusable.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', instance."id", 'name', instance."name") ORDER BY instance."name")
        FROM :"schema"."Instance" AS instance
        WHERE instance."id" = ANY (confusable.ids[1:5])
    ) AS sample,
    confusable.key AS key,
    confusable.severity AS severity
FROM
    confusable
ORDER BY
    confusable.key;

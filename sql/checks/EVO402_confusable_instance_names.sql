-- code: EVO402
-- name: confusable-instance-names
-- severity: warning
-- releases: 2.0.0-beta..
-- summary: the name of an instance is easily taken for another instance
-- why: Requests reach the wrong instance, or 404 "instance does not exist". A path has to give the name exactly: two names
--   that differ only in letter case or spaces are two instances, although people read them as one. A name that is the id
--   or the phone number of another instance sends whatever was meant for that one to this one. A name in the form of a
--   UUID is taken for an id, which paths do not accept. Whether to rename, which changes the URL for every client, is
--   left to you: UPDATE "Instance" SET "name" = 'NEW' WHERE "id" = 'ID', with the server stopped.
-- fix: manual
-- judges: Instance
-- matches: two instances … same name
-- matches: wrong instance
-- matches: instance name … letter case
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
confusable (key, severity, detail, ids) AS (
    SELECT
        'spelling ' || spelled.spelling,
        'warning',
        pg_catalog.format('%s names differ in letter case or spaces only', pg_catalog.count(*)),
        pg_catalog.array_agg(spelled."id" ORDER BY spelled."name")
    FROM
        spelled
    GROUP BY
        spelled.spelling
    HAVING
        pg_catalog.count(*) > 1
    UNION ALL
    SELECT 'id ' || named."id", 'warning', pg_catalog.format('the name is the id of the instance %s', pg_catalog.to_json(other."name"::text)), ARRAY[named."id", other."id"]
    FROM
        spelled AS named
        JOIN :"schema"."Instance" AS other ON pg_catalog.lower(other."id") = named.spelling AND other."id" <> named."id"
    UNION ALL
    SELECT
        'number ' || named."id",
        'warning',
        'the name is the phone number of ' || pg_catalog.string_agg(pg_catalog.to_json(other."name"::text)::text, ', ' ORDER BY other."name"),
        named."id" || pg_catalog.array_agg(other."id" ORDER BY other."name")
    FROM
        spelled AS named
        JOIN numbered AS other ON other.digits = named.digits AND other."id" <> named."id"
    -- Several instances of one number, this one among them, share it on purpose.
    WHERE
        NOT EXISTS (SELECT FROM numbered AS own WHERE own."id" = named."id" AND own.digits = named.digits)
    GROUP BY
        named."id"
    UNION ALL
    SELECT 'uuid ' || named."id", 'advice', 'the name has the form of an id, which people try to use instead of names', ARRAY[named."id"]
    FROM
        spelled AS named
    WHERE
        named.spelling ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
        AND NOT EXISTS (SELECT FROM :"schema"."Instance" AS other WHERE pg_catalog.lower(other."id") = named.spelling AND other."id" <> named."id")
)
SELECT
    pg_catalog.format('Instance %s', (SELECT pg_catalog.to_json("name"::text) FROM :"schema"."Instance" WHERE "id" = confusable.ids[1])) AS subject,
    confusable.detail AS detail,
    pg_catalog.format('"id" = ANY (%L)', confusable.ids) AS predicate,
    pg_catalog.cardinality(confusable.ids)::bigint AS count,
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

-- code: EVO401
-- name: unaddressable-instance-name
-- title: instance names that break URLs
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: the name of an instance cannot be written in a URL, or only percent-encoded
-- why: No URL reaches an instance named "." or "..", which every client and proxy removes from a path, or one with an empty name
--   (up to 2.3.7 an empty ?instanceName= after a path does): it is listed, and cannot be used or deleted through the API. Rename
--   it with the server stopped: UPDATE "Instance" SET "name" = 'NEW' WHERE "id" = 'ID'. Every other name works when it is
--   percent-encoded once, also one with spaces at its ends, a slash, a question mark, a percent or number sign or a line end
--   (seen on 2.1.1, 2.2.3 and 2.3.7, through nginx too); the finding shows that form. The exception is a slash, behind a proxy
--   that decodes the path or strips a prefix. Up to 2.3.7 the API creates all of these.
-- fix: manual
-- judges: Instance
-- matches: instance "." does not exist
-- matches: an instance that is listed and cannot be deleted
-- answers: text="The \"..\" instance does not exist"
-- answers: text="The \".\" instance does not exist"
-- answers: text="The \"\" instance does not exist"
WITH odd AS (
    SELECT
        instance."id",
        instance."name",
        instance."name" IN ('', '.', '..') AS is_lost,
        pg_catalog.concat_ws(
            ' and ',
            CASE WHEN instance."name" = '' THEN 'is empty' END,
            CASE WHEN instance."name" IN ('.', '..') THEN 'is a path step' END,
            CASE WHEN instance."name" ~ '^\s' THEN 'begins with a space' END,
            CASE WHEN instance."name" ~ '\s$' THEN 'ends with a space' END,
            CASE WHEN instance."name" ~ '[/?%#]' THEN pg_catalog.format('contains "%s"', pg_catalog.substring(instance."name", '[/?%#]')) END,
            CASE WHEN instance."name" ~ '.[\u0001-\u001f\u007f].' THEN 'contains a control character' END
        ) AS why
    FROM
        :"schema"."Instance" AS instance
    WHERE
        instance."name" IN ('', '.', '..')
        OR instance."name" ~ '^\s|\s$|[/?%#\u0001-\u001f\u007f]'
),
-- As encodeURIComponent writes it: every byte but those that stand for themselves.
encoded AS (
    SELECT
        odd.*,
        (
            SELECT
                pg_catalog.string_agg(
                    CASE
                        WHEN byte.value BETWEEN 48 AND 57 OR byte.value BETWEEN 65 AND 90 OR byte.value BETWEEN 97 AND 122
                            OR byte.value IN (33, 39, 40, 41, 42, 45, 46, 95, 126) THEN pg_catalog.chr(byte.value)
                        ELSE '%' || pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(byte.value), 2, '0'))
                    END,
                    '' ORDER BY byte.position
                )
            FROM (
                SELECT position, pg_catalog.get_byte(bytes.value, position) AS value
                FROM
                    (SELECT pg_catalog.convert_to(odd."name", 'UTF8') AS value) AS bytes
                    CROSS JOIN LATERAL pg_catalog.generate_series(0, pg_catalog.octet_length(bytes.value) - 1) AS position
            ) AS byte
        ) AS form
    FROM
        odd
)
SELECT
    pg_catalog.format('Instance %s', pg_catalog.to_json(encoded."name"::text)) AS subject,
    CASE
        WHEN encoded.is_lost THEN pg_catalog.format('the name of the instance %s, so no URL reaches it', encoded.why)
        ELSE
            pg_catalog.format(
                'the name of the instance %s; in a URL it is %s%s', CASE encoded.why WHEN '' THEN 'contains a control character' ELSE encoded.why END,
                encoded.form, CASE WHEN encoded."name" LIKE '%/%' THEN ', which a proxy that strips a prefix from the path may break' ELSE '' END
            )
    END AS detail,
    pg_catalog.format('"id" = %L', encoded."id") AS predicate,
    CAST(1 AS bigint) AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('id', encoded."id", 'name', encoded."name")) AS sample,
    encoded."id" AS key,
    CASE WHEN encoded.is_lost THEN 'warning' ELSE 'advice' END AS severity
FROM
    encoded
ORDER BY
    encoded."name", encoded."id";

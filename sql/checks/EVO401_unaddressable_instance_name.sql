-- code: EVO401
-- name: unaddressable-instance-name
-- severity: warning
-- releases: 2.0.0-beta..
-- summary: the name of an instance cannot be written in a URL
-- why: The instance is listed, but every request that names it answers 404 "instance does not exist", and it cannot be
--   deleted through the API either. Until 2.4 names were accepted that are empty, begin or end with a space, or contain
--   a slash, a question mark, a percent sign, a number sign or control characters; none of these comes through a URL
--   unchanged. Renaming cures it, and changes the URL for every client, for Chatwoot's webhook and for proxies, so it is
--   left to you, with the server stopped: UPDATE "Instance" SET "name" = 'NEW' WHERE "id" = 'ID'.
-- fix: manual
-- judges: Instance
-- matches: instance does not exist … listed
-- matches: cannot delete instance
-- matches: instance name … slash
-- matches: instance name … space
WITH odd AS (
    SELECT
        instance."id",
        instance."name",
        pg_catalog.concat_ws(
            ' and ',
            CASE WHEN instance."name" = '' THEN 'is empty' END,
            CASE WHEN instance."name" ~ '^\s' THEN 'begins with a space' END,
            CASE WHEN instance."name" ~ '\s$' THEN 'ends with a space' END,
            CASE WHEN instance."name" ~ '[/?%#]' THEN pg_catalog.format('contains "%s"', pg_catalog.substring(instance."name", '[/?%#]')) END,
            CASE WHEN instance."name" ~ '.[\u0001-\u001f\u007f].' THEN 'contains a control character' END
        ) AS why
    FROM
        :"schema"."Instance" AS instance
    WHERE
        instance."name" = ''
        OR instance."name" ~ '^\s|\s$|[/?%#\u0001-\u001f\u007f]'
)
SELECT
    pg_catalog.format('Instance %s', pg_catalog.to_json(odd."name"::text)) AS subject,
    pg_catalog.format('the name of the instance %s, so no URL reaches it', CASE odd.why WHEN '' THEN 'contains a control character' ELSE odd.why END) AS detail,
    pg_catalog.format('"id" = %L', odd."id") AS predicate,
    CAST(1 AS bigint) AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('id', odd."id", 'name', odd."name")) AS sample,
    odd."id" AS key
FROM
    odd
ORDER BY
    odd."name", odd."id";

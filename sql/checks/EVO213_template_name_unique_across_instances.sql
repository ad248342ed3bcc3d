-- code: EVO213
-- name: template-name-unique-across-instances
-- title: template names cannot repeat
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.4..
-- summary: two instances cannot have message templates of the same name
-- why: POST /template/create fails with P2002 on name when any other instance of the server has a template of that name, although
--   Meta keeps templates per business account. The unique index "Template_name_key" covers all instances at once.
-- fix: safe
-- judges: Template
-- matches: Template_name_key
-- matches: P2002 … Template … `name`
-- answers: code=23505 constraint=Template_name_key
-- answers: code=23505 model=Template fields=name
-- answers: code=23505 fields=name
-- Run by hand: psql -v schema=public -v server_wide_keys="$(sed 's/;$//' sql/catalog/server_wide_keys.sql)"
WITH blocking AS (
    SELECT key.relname, key.definition, key.is_upstreams
    FROM (:server_wide_keys) AS key
    WHERE key.table_name = 'Template' AND key.column_name = 'name'
),
held AS (
    SELECT
        template."id",
        template."name",
        template."templateId",
        COALESCE(instance."name", template."instanceId") AS instance
    FROM
        :"schema"."Template" AS template
        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = template."instanceId"
    WHERE
        template."name" IS NOT NULL
)
SELECT
    pg_catalog.format('%I', blocking.relname) AS subject,
    pg_catalog.concat(
        CASE held.count
            WHEN 1 THEN '1 template has a name that no second instance can use'
            ELSE pg_catalog.format('%s templates have names that no second instance can use', held.count)
        END,
        CASE WHEN NOT blocking.is_upstreams THEN pg_catalog.format('; the index differs from upstream''s (%s), or its new name is taken, so changing it is left to you', blocking.definition) END
    ) AS detail,
    '"name" IS NOT NULL' AS predicate,
    held.count AS count,
    held.sample AS sample,
    blocking.relname::text AS key,
    blocking.is_upstreams AS fixable
FROM
    blocking
    CROSS JOIN (
        SELECT
            pg_catalog.count(*) AS count,
            (
                SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]'::jsonb)
                FROM (SELECT * FROM held ORDER BY held."id" LIMIT 5) AS example
            ) AS sample
        FROM
            held
    ) AS held
WHERE
    held.count > 0;

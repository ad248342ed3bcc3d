-- code: EVO213
-- name: template-name-unique-across-instances
-- title: template names cannot repeat
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.4..
-- summary: two instances cannot have message templates of the same name
-- why: POST /template/create fails with P2002 on name when any other instance of the server has a template of that name, although
--   Meta keeps templates per business account. The unique index "Template_name_key" covers all instances at once.
-- detail: {count:1 template has a name|# templates have names} that no second instance can use{left_to_you}
-- fix: safe
-- judges: Template
-- matches: Template_name_key
-- matches: P2002 … Template … `name`
-- answers: code=23505 constraint=Template_name_key
-- answers: code=23505 model=Template fields=name
-- answers: code=23505 fields=name
-- Run by hand: psql -v schema=public -v server_wide_keys="$(sed 's/;$//' sql/catalog/server_wide_keys.sql)"
SELECT
    pg_catalog.format('%I', key.relname) AS subject,
    pg_catalog.jsonb_build_object('left_to_you', key.left_to_you) AS "values",
    '"name" IS NOT NULL' AS predicate,
    held.count AS count,
    (
        SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]')
        FROM
            (
                SELECT template."id", template."name", template."templateId", COALESCE(instance."name", template."instanceId") AS instance
                FROM
                    :"schema"."Template" AS template
                    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = template."instanceId"
                WHERE template."name" IS NOT NULL
                ORDER BY template."id"
                LIMIT 5
            ) AS example
    ) AS sample,
    key.relname::text AS key,
    key.is_upstreams AS fixable
FROM
    (:server_wide_keys) AS key
    CROSS JOIN (SELECT pg_catalog.count(*) AS count FROM :"schema"."Template" AS template WHERE template."name" IS NOT NULL) AS held
WHERE
    key.table_name = 'Template' AND key.column_name = 'name'
    AND held.count > 0;

-- code: EVO213
-- Rows that the index of all instances would refuse; undo stops here and names them.
SELECT
    pg_catalog.format(
        'templates %s have the same name',
        pg_catalog.string_agg(pg_catalog.format('%s of instance %s', template."id", COALESCE(instance."name", template."instanceId")), ', ' ORDER BY template."id")
    ) AS refusal
FROM
    :"schema"."Template" AS template
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = template."instanceId"
WHERE
    template."name" IS NOT NULL
GROUP BY
    template."name"
HAVING
    pg_catalog.count(*) > 1
ORDER BY
    pg_catalog.min(template."id");

DROP INDEX :"schema"."Template_instanceId_name_key";

CREATE UNIQUE INDEX "Template_name_key" ON :"schema"."Template" ("name");

-- code: EVO204
-- Rows that the index of all instances would refuse; undo stops here and names them.
SELECT
    pg_catalog.format(
        'settings %s use the same credential',
        pg_catalog.string_agg(pg_catalog.format('%s of instance %s', setting."id", COALESCE(instance."name", setting."instanceId")), ', ' ORDER BY setting."id")
    ) AS refusal
FROM
    :"schema"."OpenaiSetting" AS setting
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = setting."instanceId"
WHERE
    setting."openaiCredsId" IS NOT NULL
GROUP BY
    setting."openaiCredsId"
HAVING
    pg_catalog.count(*) > 1
ORDER BY
    pg_catalog.min(setting."id");

DROP INDEX :"schema"."OpenaiSetting_openaiCredsId_idx";

CREATE UNIQUE INDEX "OpenaiSetting_openaiCredsId_key" ON :"schema"."OpenaiSetting" ("openaiCredsId");

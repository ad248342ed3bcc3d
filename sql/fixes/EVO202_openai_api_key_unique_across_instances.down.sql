-- code: EVO202
-- Rows that the index of all instances would refuse; undo stops here and names them.
SELECT
    pg_catalog.format(
        'credentials %s hold the same API key',
        pg_catalog.string_agg(pg_catalog.format('%s of instance %s', credential."id", COALESCE(instance."name", credential."instanceId")), ', ' ORDER BY credential."id")
    ) AS refusal
FROM
    :"schema"."OpenaiCreds" AS credential
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = credential."instanceId"
WHERE
    credential."apiKey" IS NOT NULL
GROUP BY
    credential."apiKey"
HAVING
    pg_catalog.count(*) > 1
ORDER BY
    pg_catalog.min(credential."id");

DROP INDEX :"schema"."OpenaiCreds_instanceId_apiKey_key";

CREATE UNIQUE INDEX "OpenaiCreds_apiKey_key" ON :"schema"."OpenaiCreds" ("apiKey");

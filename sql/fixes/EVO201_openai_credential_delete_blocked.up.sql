-- code: EVO201
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: OpenaiCreds OpenaiSetting
-- upstream: 20240718123923
-- after 2.0.3..2.2.3: DELETE on a credential in use answers 200 (seen on 2.1.1 and 2.2.3). The OpenAI settings of every
--   instance that used it go with it.
-- after 2.3.0..: DELETE on a credential in use answers 200. The OpenAI settings of every instance that used it go with
--   it; reading them afterwards returns the defaults.
-- Why not SET NULL: servers from 2.3.0 read the column as required. One null makes every read of the settings fail with
-- P2032, and the API cannot mend that.
ALTER TABLE :"schema"."OpenaiSetting"
    DROP CONSTRAINT "OpenaiSetting_openaiCredsId_fkey";

ALTER TABLE :"schema"."OpenaiSetting"
    ADD CONSTRAINT "OpenaiSetting_openaiCredsId_fkey" FOREIGN KEY ("openaiCredsId")
    REFERENCES :"schema"."OpenaiCreds" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What a cascade would now take with it across instances.
SELECT
    pg_catalog.format(
        'deleting credential %s (%s, of instance %s) now also removes the OpenAI settings of instance %s',
        credential."id", COALESCE(credential."name", 'no name'), COALESCE(owner."name", credential."instanceId"),
        pg_catalog.string_agg(COALESCE(holder."name", setting."instanceId"), ', ' ORDER BY holder."name")
    ) AS note
FROM
    :"schema"."OpenaiSetting" AS setting
    JOIN :"schema"."OpenaiCreds" AS credential ON credential."id" = setting."openaiCredsId"
    LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = credential."instanceId"
    LEFT JOIN :"schema"."Instance" AS holder ON holder."id" = setting."instanceId"
WHERE
    setting."instanceId" <> credential."instanceId"
GROUP BY
    credential."id", owner."name"
ORDER BY
    credential."id";

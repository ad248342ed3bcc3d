-- code: EVO201
-- version: 2
-- applicability: safe
-- hazards: blocks-writes
-- tables: OpenaiCreds OpenaiSetting
-- upstream: 20240718123923
-- after 2.0.3..2.2.3: DELETE on a credential in use answers 200 (seen on 2.1.1 and 2.2.3). The OpenAI settings and bots of every
--   instance that used it go with it. The sessions of such a bot stay, and an open one keeps every other bot from answering its
--   contact: evodoctor fix EVO107 afterwards, or evodoctor credentials release before, which takes them along.
-- after 2.3.0..: DELETE on a credential in use answers 200. The OpenAI settings and bots of every instance that used it go with
--   it; reading the settings afterwards returns the defaults. The sessions of such a bot stay, and an open one keeps every other
--   bot from answering its contact: evodoctor fix EVO107 afterwards, or evodoctor credentials release before, which takes them along.
-- Why not SET NULL: servers from 2.3.0 read the column as required. With Prisma's native engine a null was seen to make every read of
-- the settings fail with P2032, which the API cannot mend; with its JavaScript engine (6.19) reading and saving answered 200. CASCADE
-- works with both.
ALTER TABLE :"schema"."OpenaiSetting"
    DROP CONSTRAINT "OpenaiSetting_openaiCredsId_fkey";

ALTER TABLE :"schema"."OpenaiSetting"
    ADD CONSTRAINT "OpenaiSetting_openaiCredsId_fkey" FOREIGN KEY ("openaiCredsId")
    REFERENCES :"schema"."OpenaiCreds" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What a cascade would now take with it, of whichever instance.
SELECT
    pg_catalog.format(
        'deleting credential %s (%s, of instance %s) now also removes, of instance %s, %s',
        credential."id", COALESCE(credential."name", 'no name'), COALESCE(owner."name", credential."instanceId"),
        COALESCE(instance."name", held.instance_id),
        pg_catalog.concat_ws(
            ' and ',
            CASE WHEN held.settings > 0 THEN 'the OpenAI settings' END,
            CASE WHEN held.bots > 0 THEN pg_catalog.format('%s %s', CASE held.bots WHEN 1 THEN 'the bot' ELSE 'the bots' END, held.names) END
        )
    ) AS note
FROM
    (
        SELECT
            holder.credential_id,
            holder.instance_id,
            pg_catalog.count(*) FILTER (WHERE NOT holder.is_bot) AS settings,
            pg_catalog.count(*) FILTER (WHERE holder.is_bot) AS bots,
            pg_catalog.string_agg(holder.id, ', ' ORDER BY holder.id) FILTER (WHERE holder.is_bot) AS names
        FROM
            (
                SELECT setting."openaiCredsId" AS credential_id, setting."instanceId" AS instance_id, setting."id" AS id, false AS is_bot
                FROM :"schema"."OpenaiSetting" AS setting
                UNION ALL
                SELECT bot."openaiCredsId", bot."instanceId", bot."id", true
                FROM :"schema"."OpenaiBot" AS bot
            ) AS holder
        GROUP BY
            holder.credential_id, holder.instance_id
    ) AS held
    JOIN :"schema"."OpenaiCreds" AS credential ON credential."id" = held.credential_id
    LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = credential."instanceId"
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = held.instance_id
WHERE
    held.instance_id <> credential."instanceId"
    OR held.bots > 0
ORDER BY
    credential."id", instance."name", held.instance_id;

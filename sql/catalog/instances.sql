-- The instances: what a client could mean one by.
SELECT
    instance."id" AS id,
    instance."name"::text AS name,
    instance."number"::text AS number,
    instance."ownerJid"::text AS owner_jid,
    instance."token"::text AS token
FROM
    :"schema"."Instance" AS instance
ORDER BY
    instance."name";

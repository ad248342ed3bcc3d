-- code: EVO205
-- name: chat-index-missing
-- title: chats cannot be labelled
-- severity: error
-- consequence: fails-requests
-- releases: 2.2.1..
-- summary: chats cannot be labelled: the unique index that this needs is missing
-- why: When a chat is labelled in WhatsApp Business, the server writes the label with an upsert on ("instanceId", "remoteJid") of
--   "Chat". Without a unique index on exactly these columns Postgres refuses each with 42P10 "there is no unique or exclusion
--   constraint matching the ON CONFLICT specification", and the label is lost. The server does so since 2.2.1; upstream's index
--   arrives only with 2.3.7.
-- detail: {count:1 label|# labels} cannot be put on any chat (42P10), because "Chat" has no unique index for it{left_to_you}
-- detail none: no instance has labels yet; the first one could not be put on a chat{left_to_you}
-- fix: quarantine
-- matches: 42P10
-- matches: there is no unique or exclusion constraint matching the ON CONFLICT specification
-- matches: ON CONFLICT
-- matches: Chat_instanceId_remoteJid_key
-- answers: code=42P10
WITH wanted AS (
    SELECT relation.oid, relation.relnamespace
    FROM
        pg_catalog.pg_class AS relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND relation.relname = 'Chat'
        AND NOT EXISTS (
            SELECT
            FROM pg_catalog.pg_index AS index
            WHERE
                index.indrelid = relation.oid
                AND index.indisunique
                AND index.indimmediate
                AND index.indpred IS NULL
                AND index.indexprs IS NULL
                -- An invalid one serves nobody either, but it is rebuilt and not made again: EVO208.
                AND ARRAY(
                    SELECT attribute.attname::text AS name
                    FROM pg_catalog.pg_attribute AS attribute
                    WHERE attribute.attrelid = index.indrelid AND attribute.attnum = ANY ((index.indkey::int2[])[0 : index.indnkeyatts - 1])
                    ORDER BY name
                ) = ARRAY['instanceId', 'remoteJid']
        )
),
-- Anything of one of the two names stands in the fix's way.
taken AS (
    SELECT pg_catalog.string_agg(pg_catalog.format('"%s"', relation.relname), ', ') AS names
    FROM
        wanted
        JOIN pg_catalog.pg_class AS relation ON relation.relnamespace = wanted.relnamespace
    WHERE
        relation.relname IN ('Chat_instanceId_remoteJid_key', 'Chat_instanceId_remoteJid_evodoctor_key')
)
SELECT
    'Chat.instanceId+remoteJid' AS subject,
    pg_catalog.jsonb_build_object(
        'left_to_you', pg_catalog.concat(
            CASE WHEN taken.names IS NOT NULL THEN pg_catalog.format('; the name %s is taken by something else, so making the index is left to you', taken.names) END,
            CASE WHEN referring.exists THEN '; a foreign key refers to "Chat", so merging its rows and making the index is left to you' END
        )
    ) AS "values",
    NULL::text AS predicate,
    label.count AS count,
    label.sample AS sample,
    'Chat_instanceId_remoteJid_key' AS key,
    CASE WHEN label.count = 0 THEN 'advice' ELSE 'error' END AS severity,
    taken.names IS NULL AND NOT referring.exists AS fixable
FROM
    wanted
    CROSS JOIN taken
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint AS key WHERE key.contype = 'f' AND key.confrelid = wanted.oid) AS exists
    ) AS referring
    CROSS JOIN (
        SELECT
            pg_catalog.count(*) AS count,
            (
                SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]'::jsonb)
                FROM (
                    SELECT one."labelId", one."name", COALESCE(instance."name", one."instanceId") AS instance
                    FROM
                        :"schema"."Label" AS one
                        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = one."instanceId"
                    ORDER BY one."id"
                    LIMIT 5
                ) AS example
            ) AS sample
        FROM
            :"schema"."Label"
    ) AS label;

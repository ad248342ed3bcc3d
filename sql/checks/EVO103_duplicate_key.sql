-- code: EVO103
-- name: duplicate-key
-- title: duplicate rows
-- severity: error
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- each: unique-index
-- summary: duplicate rows violate a unique index of this release or of a later one
-- why: Two rows stand for one thing: the same chat, the same contact, the settings of one instance. Lists show it twice
--   (thousands of chats for hundreds of contacts), the server reads sometimes one row and sometimes the other, and what it writes
--   to one is missing in the other. The unique index cannot be built: CREATE UNIQUE INDEX, REINDEX and the migrations of an
--   upgrade stop with 23505 "could not create unique index", the container restarts in a loop with P3009, and a dump is restored
--   without the index. Upstream's own migration to 2.3.7 does remove duplicate chats, but keeps the wrong row: one that was never
--   updated wins over the newest, and the labels of the others are lost. Duplicates come from releases before the index, from
--   restores, and from an index that was dropped or built invalid.
-- detail: {count} rows of "{table}" stand for {things:one thing|# things} that may exist once; {state}{left_to_you}
-- fix: quarantine
-- matches: could not create unique index
-- matches: Chat_instanceId_remoteJid_key
-- matches: Contact_remoteJid_instanceId_key
-- matches: Label_labelId_instanceId_key
-- matches: is duplicated
-- answers: code=23505 fields=instanceId,remoteJid
-- answers: code=23505 model=Chat fields=instanceId,remoteJid
-- answers: code=23505 model=Contact fields=instanceId,remoteJid
-- answers: code=23505 constraint=Chat_instanceId_remoteJid_key
-- answers: code=23505 constraint=Contact_remoteJid_instanceId_key
-- answers: code=23505 fields=instanceId,labelId
-- answers: code=23505 constraint=Label_labelId_instanceId_key
-- answers: message=index-not-created
-- Run by hand for one index, for example:
--   psql -v schema=public -v subject='Contact (remoteJid, instanceId)' -v index=Contact_remoteJid_instanceId_key
--        -v table_name=Contact -v among='"public"."Contact"' -v columns='"remoteJid", "instanceId"'
--        -v expected_by=release -v holds=false -v is_invalid=false -v where='(…) IN (…)'
WITH twice AS (
    SELECT
        :columns,
        pg_catalog.count(*) AS "evodoctor rows"
    FROM
        :among AS target
    WHERE
        (:columns) IS NOT NULL
        -- EVO202, EVO203 and EVO204 take these away on purpose.
        AND :'index' NOT IN ('OpenaiCreds_apiKey_key', 'OpenaiCreds_name_key', 'OpenaiSetting_openaiCredsId_key')
    GROUP BY
        :columns
    HAVING
        pg_catalog.count(*) > 1
)
SELECT
    :'subject' AS subject,
    pg_catalog.jsonb_build_object(
        'table', :'table_name',
        'things', found.things,
        'state', pg_catalog.format(
            CASE
                WHEN :'holds'::boolean THEN 'the unique index "%s" claims to be valid and is corrupt: merge them by hand, then REINDEX it'
                WHEN :'is_invalid'::boolean THEN 'the unique index "%s" is there, but invalid'
                WHEN :'expected_by' = 'release' THEN 'the unique index "%s" of this release is missing'
                ELSE 'a later release builds the unique index "%s"'
            END,
            :'index'
        ),
        'left_to_you', CASE
            WHEN NOT merge.is_known THEN '; no rule says which of the rows is right, so merging them is left to you'
            WHEN merge.is_referred_to THEN '; a foreign key refers to this table, so merging them is left to you'
        END
    ) AS "values",
    :'where' AS predicate,
    found.count::bigint AS count,
    found.sample AS sample,
    :'index' AS key,
    CASE WHEN :'expected_by' = 'release' THEN 'error' ELSE 'warning' END AS severity,
    merge.is_known AND NOT merge.is_referred_to AND NOT :'holds'::boolean AS fixable
FROM
    (
        SELECT
            pg_catalog.sum(twice."evodoctor rows") AS count,
            pg_catalog.count(*) AS things,
            (
                SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'evodoctor rows' || pg_catalog.jsonb_build_object('rows', example."evodoctor rows"))
                FROM (SELECT * FROM twice ORDER BY twice."evodoctor rows" DESC, :columns LIMIT 5) AS example
            ) AS sample
        FROM
            twice
    ) AS found
    CROSS JOIN (
        SELECT
            -- Where two rows of a key are the same thing for certain. Two media of one file name are two messages' media.
            :'index' IN ('Chat_instanceId_remoteJid_key', 'Contact_remoteJid_instanceId_key', 'Label_labelId_instanceId_key', 'IsOnWhatsapp_remoteJid_key') AS is_known,
            EXISTS (SELECT FROM pg_catalog.pg_constraint AS key WHERE key.contype = 'f' AND key.confrelid = pg_catalog.format('%I.%I', :'schema', :'table_name')::pg_catalog.regclass) AS is_referred_to
    ) AS merge
WHERE
    found.count > 0;

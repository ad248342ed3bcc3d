-- code: EVO304
-- name: unknown-migration
-- title: unknown migration was applied
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- summary: a migration was applied that no release has
-- why: The history names a migration that is in no release: from a fork, from a pull request that was tried out, from a rolling
--   image that upstream withdrew, or from a release newer than this program. prisma migrate deploy ignores it and the server
--   starts, but the tables may have what no release expects: a later migration that creates the same fails with 42P07 or 42701
--   (P3018), and prisma migrate status says "The migrations from the database are not found locally".
-- fix: none
-- matches: The migrations from the database are not found locally
-- matches: migration … from the database … not found locally
-- answers: text="from the database are not found locally"
-- answers: text="migration … from the database … not found locally"
-- Run by hand: psql -v schema=public -v history='"public"."_prisma_migrations"' -v migrations='{"known": […], "withdrawn": […],
--   "never_released": […]}' (as src/database/release_facts.rs makes it)
WITH applied AS (
    SELECT history."migration_name"::text AS name, history."checksum"::text AS checksum, history."finished_at"
    FROM :history AS history
    WHERE history."finished_at" IS NOT NULL AND history."rolled_back_at" IS NULL
),
known AS (
    SELECT known.name
    FROM pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'known') AS known (name text)
),
withdrawn AS (
    SELECT withdrawn.name, content.sha256, content.note
    FROM
        pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'withdrawn') AS withdrawn (name text, contents jsonb)
        CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(withdrawn.contents) AS content (sha256 text, note text)
),
proposed AS (
    SELECT proposed.name, proposed.sha256, proposed.note
    FROM pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'never_released') AS proposed (name text, sha256 text, note text)
),
judged AS (
    SELECT
        applied.*,
        CASE
            WHEN EXISTS (SELECT FROM withdrawn WHERE withdrawn.name = applied.name) THEN 'withdrawn'
            WHEN EXISTS (SELECT FROM proposed WHERE proposed.name = applied.name) THEN 'proposed'
            WHEN applied.name COLLATE "C" > (SELECT pg_catalog.max(known.name COLLATE "C") FROM known) THEN 'newer'
            ELSE 'foreign'
        END AS origin
    FROM applied
    WHERE NOT EXISTS (SELECT FROM known WHERE known.name = applied.name)
)
SELECT
    judged.name AS subject,
    CASE judged.origin
        WHEN 'withdrawn' THEN
            'came with a rolling image and was withdrawn before a release; '
            || COALESCE((SELECT pg_catalog.min(withdrawn.note) FROM withdrawn WHERE withdrawn.sha256 = judged.checksum), 'its content is not one that the image had')
        WHEN 'proposed' THEN
            (
                SELECT
                    pg_catalog.format(
                        'was proposed to upstream, or was on a branch, and never released (%s%s); EVO206 shows what the tables have besides',
                        pg_catalog.min(proposed.note), CASE WHEN pg_catalog.bool_or(proposed.sha256 = judged.checksum) THEN '' ELSE '; here with other content' END
                    )
                FROM proposed
                WHERE proposed.name = judged.name
            )
        WHEN 'newer' THEN 'is newer than every migration that this evodoctor knows: from a newer release, or your own'
        ELSE 'is in no release: from a fork, or your own; EVO206 shows what the tables have besides'
    END AS detail,
    pg_catalog.format('"migration_name" = %L', judged.name) AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('checksum', judged.checksum, 'finished_at', judged."finished_at")) AS sample,
    judged.name AS key,
    CASE WHEN judged.origin IN ('newer', 'withdrawn') THEN 'advice' ELSE 'warning' END AS severity
FROM
    judged
ORDER BY
    judged.name;

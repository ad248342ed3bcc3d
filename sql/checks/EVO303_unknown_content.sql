-- code: EVO303
-- name: unknown-content
-- title: edited migration was applied
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- summary: a migration was applied with content that no release has
-- why: The checksum that Prisma recorded belongs to no known file of this name, from any release or rolling image: the file was
--   edited before it ran, came from a fork, or was checked out with other line ends. What it did to the tables is therefore not
--   certain, although the name looks right. prisma migrate deploy says nothing about it; prisma migrate dev says "The migration
--   was modified after it was applied" and offers to reset the database, which would remove everything. Content that upstream
--   itself changed under the same name, and content of rolling images, is known and not a finding.
-- fix: none
-- matches: was modified after it was applied
-- matches: were modified after they were applied
-- answers: text="modified after it was applied"
-- answers: text="modified after they were applied"
-- Run by hand: psql -v schema=public -v history='"public"."_prisma_migrations"' -v migrations='{"known": […]}'
-- (as src/database/release_facts.rs makes it)
WITH known AS (
    SELECT *
    FROM
        pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'known') AS known (name text, contents jsonb, unreleased jsonb)
)
SELECT
    known.name AS subject,
    pg_catalog.format(
        'was applied with the checksum %s..., which is in no release; known: %s',
        pg_catalog.left(history."checksum"::text, 12),
        (
            SELECT pg_catalog.string_agg(pg_catalog.format('%s... (%s)', pg_catalog.left(content.sha256, 12), pg_catalog.rtrim(content.releases, '.')), ', ')
            FROM pg_catalog.jsonb_to_recordset(known.contents) AS content (sha256 text, releases text)
        )
    ) AS detail,
    pg_catalog.format('"id" = %L', history."id") AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('checksum', history."checksum", 'finished_at', history."finished_at")) AS sample,
    pg_catalog.concat(known.name, ' ', pg_catalog.left(history."checksum"::text, 12)) AS key
FROM
    :history AS history
    JOIN known ON known.name = history."migration_name"
WHERE
    history."finished_at" IS NOT NULL
    AND history."rolled_back_at" IS NULL
    AND NOT EXISTS (
        SELECT FROM pg_catalog.jsonb_to_recordset(known.contents || known.unreleased) AS content (sha256 text)
        WHERE content.sha256 = history."checksum"
    )
ORDER BY
    known.name;

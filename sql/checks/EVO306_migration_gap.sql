-- code: EVO306
-- name: migration-gap
-- title: a migration was left out
-- severity: warning
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: a migration was left out, although later ones are applied
-- why: The next start of a server applies it after migrations that should follow it. If its objects exist already, created by
--   hand or by prisma db push, it fails with 42P07 or 42701 and the container restarts in a loop (P3018, then P3009); if it
--   removes or rewrites something, it does so to newer data. Such gaps come from deleted rows of _prisma_migrations, from resolve
--   --rolled-back where --applied was meant, and from partial restores. Until it is closed the release counts as the last one
--   that is complete.
-- detail: came with {since} and is not applied, although {count:a later one is|# later ones are}, the first of them {first}; if
--   its objects exist: npx prisma migrate resolve --applied {name}; if not, the next start runs it
-- fix: manual
-- matches: P3018
-- matches: A migration failed to apply. New migrations cannot be applied before the error is recovered from
-- Run by hand: psql -v schema=public -v history='"public"."_prisma_migrations"' -v migrations='{"known": […]}'
-- (as src/database/release_facts.rs makes it)
WITH known AS (
    SELECT
        known.*,
        EXISTS (
            SELECT FROM :history AS history
            WHERE history."migration_name" = known.name AND history."finished_at" IS NOT NULL AND history."rolled_back_at" IS NULL
        ) AS is_applied,
        -- Recorded ahead by a fix of EVO6xx (sql/upgrade/record.sql), on purpose: what comes before it is still to come.
        EXISTS (SELECT FROM :history AS history WHERE history."id" = pg_catalog.md5('evodoctor beforehand ' || known.name)::uuid::text) AS is_ahead
    FROM
        pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'known') AS known (position int, name text, since text)
)
SELECT
    known.name AS subject,
    pg_catalog.jsonb_build_object('since', known.since, 'first', later.first, 'name', known.name) AS "values",
    pg_catalog.format(
        '"migration_name" COLLATE "C" > %L AND "finished_at" IS NOT NULL AND "rolled_back_at" IS NULL', known.name
    ) AS predicate,
    later.count AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('missing', known.name, 'later', later.first)) AS sample,
    known.name AS key
FROM
    known
    CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS count, pg_catalog.min(other.name COLLATE "C") AS first
        FROM known AS other
        WHERE other.is_applied AND NOT other.is_ahead AND other.position > known.position
    ) AS later
WHERE
    NOT known.is_applied
    AND later.count > 0
    -- One that failed and is open is EVO301's.
    AND NOT EXISTS (
        SELECT FROM :history AS history
        WHERE history."migration_name" = known.name AND history."finished_at" IS NULL AND history."rolled_back_at" IS NULL
    )
ORDER BY
    known.position;

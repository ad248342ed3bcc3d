-- code: EVO302
-- name: no-history
-- title: no migration history: no start
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: Evolution's tables exist, but there is no migration history
-- why: The container does not start: "P3005 The database schema is not empty. Read more about how to baseline an existing
--   production database". There is no _prisma_migrations, or it is empty, as after prisma db push, after a restore of chosen
--   tables, or when it was emptied to get rid of P3009. Until the history says which migrations the tables already have, no
--   server of any release starts, and other checks are undecided too, because the release is unknown. The tables themselves are
--   compared with those of every release.
-- fix: safe
-- matches: P3005
-- matches: The database schema is not empty
-- matches: baseline an existing production database
-- answers: code=P3005
-- answers: relation=_prisma_migrations code=42P01
-- answers: text="The database schema is not empty"
-- first: NOT EXISTS (SELECT FROM :history AS history)
-- Run by hand: psql -v schema=public -v history='"public"."_prisma_migrations"' -v schemas='{"releases": […], "objects": […]}'
-- (as src/database/release_facts.rs makes it) -v objects="$(sed 's/;$//' sql/catalog/objects.sql)"
WITH found AS MATERIALIZED (
    :objects
),
known AS MATERIALIZED (
    SELECT known.*, found.form IS NOT NULL AS is_there
    FROM
        pg_catalog.jsonb_to_recordset(:'schemas'::jsonb -> 'objects') AS known (kind text, "table" text, form text, definition jsonb, releases jsonb)
        LEFT JOIN found
            ON found.kind = known.kind AND found."table" = known."table" AND found.form = known.form AND found.definition = known.definition
),
-- How many objects of the release are not there, or are there although it has none of the kind.
compared AS (
    SELECT release.position, release.version, release.migrations, pg_catalog.count(known.kind) AS distance
    FROM
        pg_catalog.jsonb_to_recordset(:'schemas'::jsonb -> 'releases') AS release (position int, version text, migrations jsonb)
        LEFT JOIN known ON known.is_there <> (known.releases @> pg_catalog.to_jsonb(release.position))
    WHERE
        NOT EXISTS (SELECT FROM :history AS history)
    GROUP BY
        release.position, release.version, release.migrations
),
nearest AS (
    SELECT
        compared.distance,
        pg_catalog.min(compared.position) AS first,
        pg_catalog.max(compared.position) AS last,
        -- Releases with the same tables may differ in migrations that leave no trace in them.
        pg_catalog.min(pg_catalog.jsonb_array_length(compared.migrations)) = pg_catalog.max(pg_catalog.jsonb_array_length(compared.migrations)) AS is_one
    FROM compared
    GROUP BY compared.distance
    ORDER BY compared.distance
    LIMIT 1
),
baseline AS (
    SELECT
        nearest.*,
        first.version || CASE WHEN first.version <> last.version THEN ' to ' || last.version ELSE '' END AS releases,
        pg_catalog.jsonb_array_length(last.migrations) AS count,
        entries.rows,
        entries.ids,
        pg_catalog.to_regclass(pg_catalog.format('%I."_prisma_migrations"', :'schema')) IS NULL AS is_missing
    FROM
        nearest
        JOIN compared AS first ON first.position = nearest.first
        JOIN compared AS last ON last.position = nearest.last
        CROSS JOIN LATERAL (
            SELECT
                pg_catalog.string_agg(
                    pg_catalog.format('(%L, %L, pg_catalog.now(), %L, pg_catalog.now(), 0)', entry.id, entry.checksum, entry.name), E',\n    ' ORDER BY entry.name
                ) AS rows,
                pg_catalog.string_agg(pg_catalog.quote_literal(entry.id), ', ' ORDER BY entry.name) AS ids
            FROM (
                SELECT pg_catalog.md5('evodoctor ' || item.name)::uuid::text AS id, item.name, item.checksum
                FROM pg_catalog.jsonb_to_recordset(last.migrations) AS item (name text, checksum text)
            ) AS entry
        ) AS entries
)
SELECT
    '_prisma_migrations' AS subject,
    pg_catalog.concat(
        CASE WHEN baseline.is_missing THEN 'is missing; ' ELSE 'is empty; ' END,
        CASE
            WHEN baseline.distance = 0 AND baseline.is_one THEN pg_catalog.format('the tables are exactly those of %s, whose %s migrations can be recorded', baseline.releases, baseline.count)
            WHEN baseline.distance = 0 THEN pg_catalog.format('the tables are those of %s, which differ in migrations that leave no trace in the tables', baseline.releases)
            ELSE pg_catalog.format('the tables are nearest to those of %s, but differ in %s of what the releases have', baseline.releases, baseline.distance)
        END,
        CASE WHEN baseline.distance > 0 OR NOT baseline.is_one THEN
            '; which migrations to record is left to you: npx prisma migrate resolve --applied NAME for each that the tables have'
        END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('release', best.version, 'differences', best.distance) ORDER BY best.distance, best.position DESC)
        FROM (SELECT * FROM compared ORDER BY compared.distance, compared.position DESC LIMIT 5) AS best
    ) AS sample,
    '_prisma_migrations' AS key,
    baseline.distance = 0 AND baseline.is_one AS fixable,
    ARRAY['_prisma_migrations'] AS tables,
    pg_catalog.array_remove(ARRAY[
        CASE WHEN baseline.is_missing THEN pg_catalog.format(
            'CREATE TABLE %I."_prisma_migrations" ("id" character varying(36) NOT NULL PRIMARY KEY, "checksum" character varying(64) NOT NULL, '
            '"finished_at" timestamp with time zone, "migration_name" character varying(255) NOT NULL, "logs" text, '
            '"rolled_back_at" timestamp with time zone, "started_at" timestamp with time zone NOT NULL DEFAULT now(), '
            '"applied_steps_count" integer NOT NULL DEFAULT 0)', :'schema')
        END,
        pg_catalog.format(
            E'INSERT INTO %I."_prisma_migrations" ("id", "checksum", "finished_at", "migration_name", "started_at", "applied_steps_count")\nVALUES\n    %s',
            :'schema', baseline.rows
        )
    ], NULL) AS repair,
    pg_catalog.array_remove(ARRAY[
        pg_catalog.format('DELETE FROM %I."_prisma_migrations" WHERE "id" IN (%s)', :'schema', baseline.ids),
        CASE WHEN baseline.is_missing THEN pg_catalog.format(
            'SELECT pg_catalog.format(%L, history."migration_name") AS refusal FROM %I."_prisma_migrations" AS history',
            'the server has recorded %s since', :'schema')
        END,
        CASE WHEN baseline.is_missing THEN pg_catalog.format('DROP TABLE %I."_prisma_migrations"', :'schema') END
    ], NULL) AS undo
FROM
    baseline;

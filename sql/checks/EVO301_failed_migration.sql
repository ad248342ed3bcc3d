-- code: EVO301
-- name: failed-migration
-- title: failed migration: no start
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: a migration failed, and the server does not start any more
-- why: The container restarts in a loop: "P3009 migrate found failed migrations in the target database, new migrations will not
--   be applied". A row of _prisma_migrations has neither finished_at nor rolled_back_at; Prisma looks at every such row, even if
--   its file is gone, and stops. Before the row is marked as rolled back, so that the next start runs the migration again, it
--   must be known that nothing of it is there: what is there already would make it fail with 42P07 or 42701. If all or a part of
--   it is there, there are several ways to continue, and a person has to choose. The Kafka migration as 2.3.4 shipped it fails in
--   every schema but "public" (42P01, relation "public.Instance" does not exist): update the server to 2.3.5 or later before it
--   starts again.
-- fix: quarantine
-- matches: P3009
-- matches: migrate found failed migrations
-- matches: The … migration started at … failed
-- matches: relation "public.Instance" does not exist
-- matches: P3018
-- answers: code=P3009
-- answers: code=P3018
-- answers: text="migrate found failed migrations"
-- answers: relation=public.Instance code=42P01
-- first: EXISTS (SELECT FROM :history AS history WHERE history."finished_at" IS NULL AND history."rolled_back_at" IS NULL)
-- Run by hand: psql -v schema=public -v history='"public"."_prisma_migrations"' -v objects="$(sed 's/;$//' sql/catalog/objects.sql)"
-- -v migrations='{"known": […]}' -v effects='{"2.3.7": […]}' (as src/database/release_facts.rs makes it)
WITH failed AS (
    SELECT
        history."migration_name"::text AS name,
        pg_catalog.count(*) AS count,
        pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object('id', history."id", 'started_at', history."started_at", 'error', pg_catalog.substring(history."logs", 'ERROR: [^\n]*'))
            ORDER BY history."started_at"
        ) AS sample,
        pg_catalog.max(pg_catalog.substring(history."logs", 'ERROR: ([^\n]*)')) AS error
    FROM
        :history AS history
    WHERE
        history."finished_at" IS NULL
        AND history."rolled_back_at" IS NULL
    GROUP BY
        history."migration_name"
),
known AS (
    SELECT known.*, :'effects'::jsonb -> known.since AS objects
    FROM pg_catalog.jsonb_to_recordset(:'migrations'::jsonb -> 'known') AS known (name text, since text, is_alone boolean)
),
-- What the release of the migration brought, and whether it is there. What lies in a table that is new as well is
-- spoken for by the table.
effect AS (
    SELECT
        failed.name,
        pg_catalog.format(CASE brought.kind WHEN 'column' THEN '%1$s %2$s.%3$s' ELSE '%1$s %3$s' END, brought.kind, brought."table", brought.name) AS object,
        CASE brought.change
            WHEN 'adds' THEN found.form IS NOT NULL
            WHEN 'removes' THEN found.form IS NULL
            ELSE found.definition IS NOT DISTINCT FROM brought.definition
        END AS is_done
    FROM
        failed
        JOIN known ON known.name = failed.name
        CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(known.objects) AS brought (kind text, "table" text, form text, name text, definition jsonb, change text)
        LEFT JOIN (:objects) AS found ON found.kind = brought.kind AND found."table" = brought."table" AND found.form = brought.form
    WHERE
        brought.kind IN ('table', 'enum')
        OR NOT known.objects @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('kind', 'table', 'name', brought."table", 'change', brought.change))
),
seen AS (
    SELECT
        effect.name,
        pg_catalog.count(*) AS total,
        pg_catalog.count(*) FILTER (WHERE effect.is_done) AS done,
        pg_catalog.string_agg(effect.object, ', ' ORDER BY effect.object) FILTER (WHERE effect.is_done) AS done_list,
        pg_catalog.string_agg(effect.object, ', ' ORDER BY effect.object) FILTER (WHERE NOT effect.is_done) AS open_list
    FROM
        effect
    GROUP BY
        effect.name
),
judged AS (
    SELECT
        failed.*,
        known.since,
        known.is_alone,
        seen.done_list,
        seen.open_list,
        CASE
            WHEN EXISTS (
                SELECT FROM :history AS other
                WHERE other."migration_name" = failed.name AND other."finished_at" IS NOT NULL AND other."rolled_back_at" IS NULL
            ) THEN 'applied'
            WHEN known.name IS NULL THEN 'unknown'
            WHEN COALESCE(seen.done, 0) = 0 THEN 'nothing'
            WHEN NOT known.is_alone THEN 'shared'
            WHEN seen.done = seen.total THEN 'everything'
            ELSE 'part'
        END AS verdict
    FROM
        failed
        LEFT JOIN known ON known.name = failed.name
        LEFT JOIN seen ON seen.name = failed.name
)
SELECT
    judged.name AS subject,
    pg_catalog.concat(
        'failed', CASE WHEN judged.error IS NOT NULL THEN pg_catalog.format(' with "%s"', judged.error) END, '; ',
        CASE judged.verdict
            WHEN 'applied' THEN 'another row says that it was applied since, so only this row blocks the start'
            WHEN 'unknown' THEN 'no release has it, so no server runs it again; only its row blocks the start'
            WHEN 'nothing' THEN 'nothing of it is there' || CASE WHEN judged.is_alone THEN COALESCE(pg_catalog.format(' (missing: %s)', judged.open_list), '') ELSE '' END
            WHEN 'everything' THEN pg_catalog.format(
                'all of it is there (%s): either it was done and only the record is missing (npx prisma migrate resolve --applied %s), '
                'or this was created by hand', judged.done_list, judged.name
            )
            WHEN 'part' THEN pg_catalog.format(
                'a part of it is there (%s), a part is not (%s): remove the one or add the other by hand, then npx prisma migrate resolve '
                'with --rolled-back or --applied %s', judged.done_list, judged.open_list, judged.name
            )
            ELSE pg_catalog.format(
                'of what the migrations of release %s create, %s is there and %s is not; whether any of it is from this migration is not '
                'certain. If none is: npx prisma migrate resolve --rolled-back %s',
                judged.since, judged.done_list, COALESCE(judged.open_list, 'nothing'), judged.name
            )
        END,
        CASE
            WHEN judged.error ~ '^must be owner of ' THEN
                '. It fails again until the role of the server owns that object: ALTER ... OWNER TO, as the owner of now or a superuser'
            WHEN judged.error ~ '^permission denied for ' THEN
                '. It fails again until the role of the server has this right: GRANT, as the owner or a superuser'
        END
    ) AS detail,
    pg_catalog.format('"migration_name" = %L AND "finished_at" IS NULL AND "rolled_back_at" IS NULL', judged.name) AS predicate,
    judged.count AS count,
    pg_catalog.jsonb_path_query_array(judged.sample, '$[0 to 4]') AS sample,
    judged.name AS key,
    judged.verdict IN ('applied', 'unknown', 'nothing') AS fixable
FROM
    judged
ORDER BY
    judged.name;

-- code: EVO206
-- name: schema-drift
-- title: tables differ from the release
-- severity: error
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: tables differ from what the release expects
-- why: The server uses the tables and columns of its release. If one is missing or of another type, requests fail with 500: "The
--   column does not exist" (P2022), "The table does not exist" (P2021), "Inconsistent column data" or "Error converting field …
--   found incompatible value of null" (P2032); a missing index makes them slow, a missing or changed foreign key keeps or deletes
--   other rows than the server expects. prisma migrate reports "up to date" nevertheless, because it compares the history and
--   never the tables. One manual repair is common and harmful: to be able to delete an OpenAI credential, people made
--   OpenaiSetting.openaiCredsId nullable with ON DELETE SET NULL. Servers from 2.3.0 on read that column as required: after the
--   first credential is deleted, every read of those settings fails with P2032. Extra objects of your own are advice: an upgrade
--   that creates one of the same name fails.
-- fix: safe
-- matches: P2022
-- matches: P2032
-- matches: Error converting field
-- matches: found incompatible value of "null"
-- matches: The column … does not exist in the current database
-- matches: The table … does not exist in the current database
-- answers: code=42703
-- answers: code=42P01
-- answers: code=P2023
-- answers: code=P2032
-- answers: text="Error converting field"
-- answers: code=3F000
-- answers: message=wrong-enum-value
-- first: objects
-- Run by hand: psql -v schema=public -v release_to=2.3.7 -v objects="$(sed 's/;$//' sql/catalog/objects.sql)"
-- -v expected='[…]' -v brought='{"migrations": […], "objects": {…}}' (as expected_objects.rs and release_facts.rs in src/database make them)
-- -v history='"public"."_prisma_migrations"'. Left to other checks: missing tables and columns whose migration
-- is known (EVO305) and the chat index (EVO205).
WITH found AS MATERIALIZED (
    :objects
),
expected AS MATERIALIZED (
    SELECT *
    FROM pg_catalog.jsonb_to_recordset(:'expected'::jsonb) AS expected (
        position int, kind text, "table" text, form text, name text, definition jsonb, repair text[], undo text[], migration text
    )
),
-- The forms that evodoctor's own fixes leave behind (EVO201 to EVO205, EVO211, EVO213 and EVO612): what stands in for what.
own (kind, "table", form, replacement, definition) AS (
    VALUES
        ('key', 'OpenaiSetting', '(openaiCredsId) -> OpenaiCreds (id)', '', '{"on_delete": "CASCADE", "on_update": "CASCADE"}'::jsonb),
        ('index', 'OpenaiCreds', 'UNIQUE (apiKey)', 'UNIQUE (instanceId, apiKey)', NULL),
        ('index', 'OpenaiCreds', 'UNIQUE (name)', 'UNIQUE (instanceId, name)', NULL),
        ('index', 'Template', 'UNIQUE (name)', 'UNIQUE (instanceId, name)', NULL),
        ('index', 'OpenaiSetting', 'UNIQUE (openaiCredsId)', '(openaiCredsId)', NULL),
        ('index', 'Chat', 'UNIQUE (instanceId, remoteJid)', 'UNIQUE (instanceId, remoteJid)', NULL),
        ('column', 'Instance', 'token', '', '{"type": "character varying(500)", "default": null, "not_null": false}'),
        ('column', 'Setting', '', 'wavoipToken', NULL)
),
-- What migrations recorded ahead by a fix of EVO6xx (sql/upgrade/record.sql) made, took away or changed.
ahead AS MATERIALIZED (
    SELECT object.*
    FROM
        (
            SELECT DISTINCT known.since
            FROM
                :history AS history
                JOIN pg_catalog.jsonb_to_recordset(:'brought'::jsonb -> 'migrations') AS known (name text, since text) ON known.name = history."migration_name"
            WHERE
                history."id" = pg_catalog.md5('evodoctor beforehand ' || known.name)::uuid::text
        ) AS release
        CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(:'brought'::jsonb -> 'objects' -> release.since)
            AS object (kind text, "table" text, form text, definition jsonb, change text)
),
drift AS (
    SELECT
        COALESCE(expected.kind, found.kind) AS kind,
        COALESCE(expected."table", found."table") AS "table",
        COALESCE(expected.name, found.name) AS name,
        COALESCE(expected.form, found.form) AS form,
        CASE WHEN found.form IS NULL THEN 'missing' WHEN expected.form IS NULL THEN 'extra' ELSE 'changed' END AS change,
        expected.definition AS wanted, found.definition AS seen, expected.repair, expected.undo, expected.position
    FROM
        expected
        FULL JOIN found ON found.kind = expected.kind AND found."table" = expected."table" AND found.form = expected.form
    WHERE
        expected.definition IS DISTINCT FROM found.definition
        AND NOT (found.form IS NULL AND expected.kind IN ('table', 'column') AND expected.migration IS NOT NULL)
        -- Indexes that evodoctor makes (EVO212) or proposes (EVO209) forbid nothing.
        AND (expected.form IS NULL AND found.kind = 'index' AND found.name LIKE '%\_evodoctor\_idx') IS NOT TRUE
        -- What belongs to a table that is missing or extra is spoken for by the table.
        AND (COALESCE(expected.kind, found.kind) IN ('table', 'enum') OR (
            EXISTS (SELECT FROM found AS at WHERE at.kind = 'table' AND at."table" = COALESCE(expected."table", found."table"))
            AND EXISTS (SELECT FROM expected AS at WHERE at.kind = 'table' AND at."table" = COALESCE(expected."table", found."table"))
        ))
        AND NOT EXISTS (
            SELECT FROM ahead
            WHERE
                ahead.kind = COALESCE(expected.kind, found.kind)
                AND ahead."table" = COALESCE(expected."table", found."table")
                AND ahead.form = COALESCE(expected.form, found.form)
                AND CASE ahead.change WHEN 'removes' THEN found.form IS NULL ELSE ahead.definition = found.definition END
        )
        AND NOT EXISTS (
            SELECT FROM own
            WHERE
                own.kind = COALESCE(expected.kind, found.kind)
                AND own."table" = COALESCE(expected."table", found."table")
                AND (
                    (own.form = expected.form AND own.definition = found.definition)
                    OR own.replacement = found.form
                    OR (own.form = expected.form AND (own.form = own.replacement OR EXISTS (
                        SELECT FROM found AS other WHERE other.kind = own.kind AND other."table" = own."table" AND other.form = own.replacement
                    )))
                )
        )
),
-- The hand repair: a credential that is deleted leaves settings without one.
hand AS (
    SELECT
        found.kind,
        pg_catalog.count(*) OVER () = 2 AND :'release_to' COLLATE "C" >= '2.3.0' AS is_fatal
    FROM found
    WHERE
        found."table" = 'OpenaiSetting'
        AND ((found.kind = 'column' AND found.form = 'openaiCredsId' AND NOT (found.definition ->> 'not_null')::boolean)
        OR (found.kind = 'key' AND found.form = '(openaiCredsId) -> OpenaiCreds (id)' AND found.definition ->> 'on_delete' = 'SET NULL'))
)
SELECT
    named.subject AS subject,
    pg_catalog.concat(
        CASE drift.change WHEN 'missing' THEN 'is missing' WHEN 'extra' THEN 'is not of this release' ELSE 'is not as the release has it: ' || differs.text END,
        CASE
            WHEN hand.kind IS NOT NULL THEN
                '; deleting a credential leaves settings with null, and servers from 2.3.0 on may then fail to read them (P2032): give those settings '
                'a credential or remove them, SET NOT NULL on the column, and recreate the key with ON DELETE CASCADE (as EVO201 does)'
            WHEN drift.change = 'extra' AND trait.demanding THEN '; it may not be null and has no default, so every row that the server writes is refused: ALTER COLUMN ... DROP NOT NULL'
            WHEN stand_in.kind IS NOT NULL THEN pg_catalog.format('; %s of this name is in its place: what is not a table, evodoctor does not repair', stand_in.kind)
            WHEN NOT feasible.is_so THEN '; it cannot be added to what is there, as columns are missing or of other types, or nothing makes what it refers to unique: ' || drift.repair[1]
            WHEN drift.change = 'missing' AND NOT trait.addable THEN '; rows may stand in the way, so adding it is left to you: ' || drift.repair[1]
        END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('expected', drift.wanted, 'found', drift.seen)) AS sample,
    drift.change || ' ' || named.subject AS key,
    CASE
        WHEN hand.is_fatal OR trait.demanding THEN 'error'
        WHEN drift.change = 'extra' THEN 'advice'
        WHEN drift.change = 'missing' AND drift.kind IN ('table', 'column', 'enum') THEN 'error'
        WHEN drift.kind = 'enum' THEN CASE WHEN drift.seen -> 'values' @> (drift.wanted -> 'values') THEN 'advice' ELSE 'error' END
        ELSE 'warning'
    END AS severity,
    trait.addable AND feasible.is_so AND stand_in.kind IS NULL AS fixable,
    ARRAY[drift."table"] AS tables,
    drift.repair AS repair,
    drift.undo AS undo
FROM
    drift
    LEFT JOIN hand ON hand.kind = drift.kind AND drift."table" = 'OpenaiSetting' AND drift.form LIKE '%openaiCredsId%' AND drift.change = 'changed'
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN drift.kind = 'column' THEN pg_catalog.format('column %s.%s', drift."table", drift.name)
            WHEN drift.kind IN ('index', 'key') THEN pg_catalog.format('%s %s of %s', drift.kind, drift.name, drift."table")
            ELSE pg_catalog.format('%s %s', drift.kind, drift.name)
        END AS subject
    ) AS named
    CROSS JOIN LATERAL (
        SELECT
            drift.change = 'missing' AND drift.form NOT LIKE 'UNIQUE %' AND (
                drift.kind <> 'column' OR NOT (drift.wanted ->> 'not_null')::boolean OR drift.wanted ->> 'default' IS NOT NULL
            ) AS addable,
            drift.change = 'extra' AND drift.kind = 'column' AND (drift.seen ->> 'not_null')::boolean AND drift.seen ->> 'default' IS NULL AS demanding
    ) AS trait
    -- An index or a key that is missing needs its columns, a key also equal types on both sides and something unique.
    CROSS JOIN LATERAL (
        SELECT NOT EXISTS (
            SELECT
            FROM
                (SELECT pg_catalog.regexp_match(drift.form, '^[^(]*\(([^)]*)\)(?: -> (.*) \(([^)]*)\))?$') AS parts) AS form
                CROSS JOIN LATERAL ROWS FROM (
                    pg_catalog.unnest(pg_catalog.string_to_array(form.parts[1], ', ')),
                    pg_catalog.unnest(pg_catalog.string_to_array(form.parts[3], ', '))
                ) AS pair (own, other)
                LEFT JOIN found AS own ON own.kind = 'column' AND own."table" = drift."table" AND own.form = pair.own
                LEFT JOIN found AS other ON other.kind = 'column' AND other."table" = form.parts[2] AND other.form = pair.other
            WHERE
                drift.change = 'missing'
                AND drift.kind IN ('index', 'key')
                AND (
                    (own.form IS NULL AND NOT EXISTS (
                        SELECT FROM expected AS coming
                        WHERE
                            coming.kind = 'column' AND coming."table" = drift."table" AND coming.form = pair.own AND coming.migration IS NULL
                            AND (NOT (coming.definition ->> 'not_null')::boolean OR coming.definition ->> 'default' IS NOT NULL)
                    ))
                    OR own.definition ->> 'type' <> other.definition ->> 'type'
                    OR EXISTS (
                        SELECT FROM found AS parent
                        WHERE
                            parent.kind = 'table' AND parent."table" = form.parts[2]
                            AND parent.definition -> 'primary_key' IS DISTINCT FROM pg_catalog.to_jsonb(pg_catalog.string_to_array(form.parts[3], ', '))
                            AND NOT EXISTS (
                                SELECT FROM found AS index
                                WHERE index.kind = 'index' AND index."table" = form.parts[2] AND index.form = pg_catalog.format('UNIQUE (%s)', form.parts[3])
                            )
                    )
                )
        ) AS is_so
    ) AS feasible
    -- A view, a foreign table and the like in the place of a table.
    LEFT JOIN LATERAL (
        SELECT CASE class.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' ELSE 'something else' END AS kind
        FROM
            pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace AND namespace.nspname = :'schema'
        WHERE drift.change = 'missing' AND drift.kind = 'table' AND class.relname = drift."table"
    ) AS stand_in ON true
    LEFT JOIN LATERAL (
        SELECT pg_catalog.string_agg(pg_catalog.format('%s is %s instead of %s', pg_catalog.replace(want.key, '_', ' '), drift.seen -> want.key, want.value), ', ' ORDER BY want.key) AS text
        FROM pg_catalog.jsonb_each(drift.wanted) AS want
        WHERE want.value IS DISTINCT FROM drift.seen -> want.key
    ) AS differs ON true
ORDER BY
    drift.position, named.subject;

-- code: EVO305
-- name: applied-but-absent
-- title: migration recorded, but not done
-- severity: error
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: a migration is recorded as applied, but its objects do not exist
-- why: The server says "The column wavoipToken does not exist" (P2022) and POST /instance/create answers 400, or its log says
--   that the table Kafka does not exist (P2021), while prisma migrate reports that everything is up to date. Two migrations can
--   succeed without doing their work here: up to 2.3.1 the one for wavoipToken searched the column in every schema, and skipped
--   it when another Evolution schema was visible; the Kafka migration of 2.3.4 always creates its table in "public". The same
--   happens when a column or a whole table was dropped by hand. Prisma never runs a migration again that is recorded as applied,
--   so no restart and no upgrade repairs it.
-- fix: safe
-- matches: The column … wavoipToken … does not exist
-- matches: column "wavoipToken" does not exist
-- matches: P2022
-- matches: P2021
-- matches: The table … Kafka … does not exist
-- answers: code=42703 column=wavoipToken
-- answers: code=42P01 relation=Kafka
-- first: objects
-- Run by hand: psql -v schema=public -v objects="$(sed 's/;$//' sql/catalog/objects.sql)" -v expected='[…]'
-- (as src/database/expected_objects.rs makes it). Everything that the release expects comes from a migration that is recorded as
-- applied, for that is how the release is known. Which one is certain where a release brought one only; the rest is
-- left to EVO206, and so is what people drop on purpose: indexes and keys.
WITH found AS MATERIALIZED (
    :objects
),
absent AS (
    SELECT
        expected.*,
        (
            SELECT pg_catalog.string_agg(pg_catalog.format('%I', namespace.nspname), ', ' ORDER BY namespace.nspname)
            FROM
                pg_catalog.pg_class AS relation
                JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
            WHERE
                relation.relname = expected."table"
                AND relation.relkind IN ('r', 'p')
                AND namespace.nspname <> :'schema'
                AND (
                    expected.kind = 'table'
                    OR EXISTS (
                        SELECT FROM pg_catalog.pg_attribute AS attribute
                        WHERE attribute.attrelid = relation.oid AND attribute.attname = expected.name AND NOT attribute.attisdropped
                    )
                )
        ) AS elsewhere
    FROM
        pg_catalog.jsonb_to_recordset(:'expected'::jsonb) AS expected (
            position int, kind text, "table" text, form text, name text, definition jsonb, repair text[], undo text[], migration text
        )
    WHERE
        expected.kind IN ('table', 'column')
        AND expected.migration IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM found
            WHERE found.kind = expected.kind AND found."table" = expected."table" AND found.form = expected.form
        )
        -- A column of a table that is not there comes with the table.
        AND (expected.kind = 'table' OR EXISTS (SELECT FROM found WHERE found.kind = 'table' AND found."table" = expected."table"))
)
SELECT
    CASE absent.kind WHEN 'table' THEN absent."table" ELSE pg_catalog.format('%s.%s', absent."table", absent.name) END AS subject,
    pg_catalog.concat(
        absent.migration, ' is recorded as applied, but the ', absent.kind, ' it creates does not exist',
        '; in the schema ' || absent.elsewhere || ' there is one of this name, which it may have found or created there; that one is not changed',
        CASE WHEN NOT is_addable.answer THEN '; it may not be null and has no default, so you decide the value for the rows: ' || absent.repair[1] END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('migration', absent.migration, 'elsewhere', absent.elsewhere)) AS sample,
    CASE absent.kind WHEN 'table' THEN absent."table" ELSE pg_catalog.format('%s.%s', absent."table", absent.name) END AS key,
    is_addable.answer AS fixable,
    ARRAY[absent."table"] AS tables,
    absent.repair AS repair,
    absent.undo AS undo
FROM
    absent
    CROSS JOIN LATERAL (
        SELECT absent.kind = 'table' OR NOT (absent.definition ->> 'not_null')::boolean OR absent.definition ->> 'default' IS NOT NULL
    ) AS is_addable (answer)
ORDER BY
    absent.position;

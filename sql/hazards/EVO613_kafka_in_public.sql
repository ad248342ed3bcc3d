-- code: EVO613
-- name: kafka-in-public
-- title: Kafka table in another schema
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.3.3
-- migration: 20250918182355
-- summary: the upgrade to 2.3.4 creates its Kafka table in the schema "public", or fails
-- why: The container stops with P3018, 42P01 'relation "public.Instance" does not exist', and then loops with P3009: 2.3.4 names
--   the schema "public" in its migration, whatever the connection string says. If another Evolution uses "public", the table is
--   created there, recorded as applied here, and missing here. 2.3.5 corrects this under the same name: upgrade to it directly,
--   or let the fix create the table first.
-- fix: safe
-- matches: relation "public.Instance" does not exist
-- matches: 20250918182355_add_kafka_integration
-- answers: relation=public.Instance code=42P01
-- answers: migration=20250918182355
-- answers: migration=20250918182355 code=42P01
WITH there AS (
    SELECT
        COALESCE(pg_catalog.bool_or(other.relname = 'Instance'), false) AS has_instance,
        pg_catalog.min(other.relname::text) FILTER (WHERE other.relname LIKE 'Kafka%') AS taken
    FROM
        pg_catalog.pg_class AS other
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = other.relnamespace
    WHERE
        namespace.nspname = 'public'
        AND other.relname IN ('Instance', 'Kafka', 'Kafka_pkey', 'Kafka_instanceId_key')
)
SELECT
    'Kafka' AS subject,
    CASE
        WHEN there.taken IS NOT NULL THEN pg_catalog.format('the migration of 2.3.4 fails with 42P07: public."%s" exists already', there.taken)
        WHEN there.has_instance THEN 'the migration of 2.3.4 creates the table in the schema "public", for the other Evolution there, and is recorded as applied here'
        ELSE 'the migration of 2.3.4 fails with 42P01: it needs public."Instance"'
    END AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    '[]'::jsonb AS sample,
    'Kafka' AS key,
    CASE WHEN there.taken IS NULL AND there.has_instance THEN 'goes-astray' ELSE 'fails' END AS effect,
    CASE WHEN there.taken IS NOT NULL THEN '42P07' WHEN NOT there.has_instance THEN '42P01' END AS sqlstate,
    'Kafka' AS step,
    ARRAY[pg_catalog.format('evodoctor fix EVO613 --to %s --apply', :'target')] AS before,
    pg_catalog.to_regclass(pg_catalog.format('%I."Kafka"', :'schema')) IS NULL AS fixable
FROM
    there
WHERE
    :'target' = '2.3.4'
    AND :'schema' <> 'public';

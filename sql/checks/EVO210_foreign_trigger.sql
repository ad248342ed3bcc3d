-- code: EVO210
-- name: foreign-trigger
-- title: triggers that are not Evolution's
-- severity: advice
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: a trigger that is not Evolution's runs on Evolution's tables
-- why: Evolution has no triggers of its own. An added trigger runs inside the server's writes, and an error in it fails the
--   server's request: 500 with "The column `new` does not exist in the current database" (P2022) when a message arrives, for
--   example. It also runs when rows are repaired or migrated, and an upgrade that drops or renames a column breaks it. It may be
--   intended, so it is left to you.
-- fix: manual
-- matches: The column `new` does not exist
-- matches: The column … new … does not exist in the current database
-- matches: P2022
-- matches: tuple to be updated was already modified by an operation triggered by the current command
-- answers: code=42703 column=new
-- answers: message=record-without-field
-- answers: code=27000
SELECT
    relation.relname || '.' || trigger.tgname AS subject,
    pg_catalog.concat(
        pg_catalog.format('calls %I.%I', function_namespace.nspname, function.proname),
        CASE WHEN trigger.tgtype & 2 <> 0 THEN ' before' WHEN trigger.tgtype & 64 <> 0 THEN ' instead of' ELSE ' after' END,
        pg_catalog.concat_ws(
            ',',
            CASE WHEN trigger.tgtype & 4 <> 0 THEN ' every insert' END,
            CASE WHEN trigger.tgtype & 16 <> 0 THEN ' every update' END,
            CASE WHEN trigger.tgtype & 8 <> 0 THEN ' every delete' END,
            CASE WHEN trigger.tgtype & 32 <> 0 THEN ' every truncate' END
        ),
        CASE
            WHEN trigger.tgenabled = 'D' THEN '; it is disabled now'
            ELSE pg_catalog.format('; if the server fails in it: ALTER TABLE %I.%I DISABLE TRIGGER %I, and ENABLE when it is corrected', :'schema', relation.relname, trigger.tgname)
        END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object(
            'trigger', pg_catalog.pg_get_triggerdef(trigger.oid),
            'language', (SELECT language.lanname FROM pg_catalog.pg_language AS language WHERE language.oid = function.prolang),
            'owner', pg_catalog.pg_get_userbyid(function.proowner)
        )
    ) AS sample,
    relation.relname || '.' || trigger.tgname AS key
FROM
    pg_catalog.pg_trigger AS trigger
    JOIN pg_catalog.pg_class AS relation ON relation.oid = trigger.tgrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
    JOIN pg_catalog.pg_namespace AS function_namespace ON function_namespace.oid = function.pronamespace
WHERE
    namespace.nspname = :'schema'
    AND NOT trigger.tgisinternal
    -- Somebody's own table in this schema is nobody else's business.
    AND pg_catalog.jsonb_exists(:'tables'::jsonb, relation.relname)
ORDER BY
    relation.relname, trigger.tgname;

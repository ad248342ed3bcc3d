-- Whether something of the user's own runs when a row of the table is removed.
SELECT
    EXISTS (
        SELECT
        FROM pg_catalog.pg_trigger AS trigger
        WHERE trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
    )
    OR EXISTS (
        SELECT
        FROM pg_catalog.pg_rewrite AS rule
        WHERE rule.ev_class = relation.oid
    ) AS has_triggers
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND relation.relname = :'table_name';

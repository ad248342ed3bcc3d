-- code: EVO751
-- name: ransom-note
-- title: ransom note
-- severity: advice
-- consequence: loses-data
-- releases: 2.0.0-beta..
-- summary: a table or a database of this server has the name of a ransom note
-- why: Servers that are open to the internet are found within hours: an intruder logs in with a weak or a well-known password,
--   drops the tables, and leaves a note in a table or a database of its own. The dropped data was seldom copied, so paying does
--   not bring it back. Do not publish port 5432 (127.0.0.1:5432:5432 in a compose file), give every role a new password, look for
--   roles that you did not create, and restore the last backup into a new server. Read its text to find out whether it is such a
--   note.
-- fix: manual
-- matches: README_TO_RECOVER
-- matches: your data has been backed up … bitcoin
-- answers: text="readme_to_recover"
-- answers: text="bitcoin … recover … database"
-- answers: text="bitcoin … database"
-- answers: text="BTC … to this address … database"
WITH named AS (
    SELECT namespace.nspname || '.' || relation.relname AS name, 'table' AS kind
    FROM
        pg_catalog.pg_class AS relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        relation.relkind IN ('r', 'p', 'v')
        AND namespace.nspname NOT LIKE 'pg\_%'
        AND namespace.nspname NOT IN ('information_schema', 'evodoctor')
        AND (
            relation.relname ~* '^(read_?me|read_?me_?(now|please|first)|please_?read(_?me)?|(how|read_?me)_?to_?recover.*|hacked(_by.*)?|warning)$'
            OR relation.relname ~* 'ransom|recover_?(your|my)_?(data|database|db|files)|restore_?your_?(data|db|database)'
            OR relation.relname ~* '^your_?(data|db)_?.*(backed|stolen|bitcoin)'
        )
    UNION ALL
    SELECT pg_database.datname, 'database'
    FROM pg_catalog.pg_database
    WHERE
        pg_database.datname ~* '^(read_?me(_.*)?|please_?read.*|how_?to_?recover.*|hacked(_by.*)?)$'
        OR pg_database.datname ~* 'ransom|recover_?(your|my)_?(data|database|db|files)'
        OR pg_database.datname ~* '^your_?(data|db)_?.*(backed|stolen|bitcoin)'
)
SELECT
    named.kind || ' ' || named.name AS subject,
    pg_catalog.format('this %s has the name of a note that intruders leave; read it, and see who else can log in', named.kind) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('kind', named.kind, 'name', named.name)) AS sample,
    named.kind || ' ' || named.name AS key
FROM
    named
ORDER BY
    named.kind, named.name;

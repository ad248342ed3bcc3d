-- code: EVO214
-- name: foreign-constraint
-- title: constraints not of Evolution
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: a constraint that is not Evolution's forbids what the server writes
-- why: The server writes what its release allows, and a constraint that somebody added, or that came with a branch of upstream or
--   another program on the same tables, refuses some of it: the request answers 500 with P2002 or P2004 on fields that no release
--   restricts, or the row is silently not saved. It may be intended, so it is left to you. Find out what it is for before you
--   drop it.
-- fix: manual
-- matches: violates check constraint
-- matches: P2004
-- answers: code=23514
-- answers: code=P2004
-- answers: message=check-violation
-- answers: code=23P01
-- Run by hand: psql -v schema=public -v tables='["Instance", …]' -v unique_keys='[{"table": "Instance", "columns": ["name"]}, …]'
-- (as src/database/release_facts.rs makes it)
WITH known AS (
    SELECT unique_key."table", unique_key.columns
    FROM pg_catalog.jsonb_to_recordset(:'unique_keys'::jsonb) AS unique_key ("table" text, columns text[])
),
relation AS (
    SELECT relation.oid, relation.relname
    FROM
        pg_catalog.pg_class AS relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND relation.relkind IN ('r', 'p')
        -- Somebody's own table in this schema is nobody else's business.
        AND pg_catalog.jsonb_exists(:'tables'::jsonb, relation.relname)
),
forbidding AS (
    SELECT
        relation.relname, class.relname AS name, 'unique index' AS kind,
        pg_catalog.pg_get_indexdef(index.indexrelid) AS definition,
        ARRAY(
            SELECT pg_catalog.pg_get_indexdef(index.indexrelid, position, true)
            FROM pg_catalog.generate_series(1, index.indnkeyatts) AS position
        ) AS parts,
        ARRAY(
            SELECT attribute.attname::text
            FROM
                pg_catalog.unnest(index.indkey::int2[]) WITH ORDINALITY AS part (attnum, position)
                JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = part.attnum
            WHERE part.position <= index.indnkeyatts
        ) AS columns
    FROM
        relation
        JOIN pg_catalog.pg_index AS index ON index.indrelid = relation.oid
        JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    WHERE
        (index.indisunique OR index.indisexclusion)
        AND NOT index.indisprimary
        AND index.indisready
    UNION ALL
    SELECT
        relation.relname, key.conname, 'check constraint', pg_catalog.pg_get_constraintdef(key.oid),
        ARRAY(
            SELECT pg_catalog.quote_ident(attribute.attname)
            FROM pg_catalog.pg_attribute AS attribute
            WHERE attribute.attrelid = key.conrelid AND attribute.attnum = ANY (key.conkey)
            ORDER BY attribute.attnum
        ),
        NULL
    FROM
        relation
        JOIN pg_catalog.pg_constraint AS key ON key.conrelid = relation.oid
    WHERE
        key.contype = 'c'
)
SELECT
    forbidding.relname || '.' || forbidding.name AS subject,
    pg_catalog.format(
        'this %s on %s is in no release, and forbids rows that Evolution writes: %s',
        forbidding.kind, pg_catalog.array_to_string(forbidding.parts, ', '), forbidding.definition
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object('name', forbidding.name, 'columns', forbidding.parts, 'definition', forbidding.definition)
    ) AS sample,
    forbidding.relname || '.' || forbidding.name AS key
FROM
    forbidding
WHERE
    -- What a release's own index on some of its columns forbids already, it does not forbid once more.
    NOT EXISTS (
        SELECT
        FROM known
        WHERE known."table" = forbidding.relname AND forbidding.columns @> known.columns
    )
ORDER BY
    forbidding.relname, forbidding.name;

-- code: EVO211
-- name: column-too-short
-- title: tokens over 255 characters fail
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..2.3.7
-- summary: an instance's token may not be longer than 255 characters
-- why: POST /instance/create with a longer token, as WhatsApp's own Cloud API gives them out, answers 400 or 500 with P2003 on
--   Setting_instanceId_fkey: the insert of the instance fails, the server ignores that, and then fails on the settings of an
--   instance that does not exist. 2.4.0 widens the column "token" of "Instance" to 500.
-- detail: the column is {type}; {count:1 instance has a token near that, or uses|# instances have a token near that, or use}
--   the Cloud API, whose tokens are longer{left_to_you}
-- detail none: the column is {type}; no token here comes near that, and no instance uses the Cloud API{left_to_you}
-- fix: safe
-- matches: Setting_instanceId_fkey
-- matches: Foreign key constraint violated … `Setting_instanceId_fkey
-- matches: Foreign key constraint failed … `Setting_instanceId_fkey
-- matches: violates foreign key constraint "Setting_instanceId_fkey"
-- matches: value too long for type character varying(255)
-- matches: P2000
-- answers: constraint=Setting_instanceId_fkey
-- answers: code=22001 model=Instance
-- answers: code=22001 width=255
-- answers: code=22001 column=token
WITH token AS (
    SELECT
        attribute.attrelid,
        attribute.attnum,
        pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type,
        (
            SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('"%s"', dependent.relname), ', ')
            FROM
                pg_catalog.pg_depend AS depend
                JOIN pg_catalog.pg_rewrite AS rewrite ON rewrite.oid = depend.objid
                JOIN pg_catalog.pg_class AS dependent ON dependent.oid = rewrite.ev_class
            WHERE
                depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                AND depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND depend.refobjid = attribute.attrelid
                AND depend.refobjsubid = attribute.attnum
        ) AS views
    FROM
        pg_catalog.pg_attribute AS attribute
        JOIN pg_catalog.pg_class AS relation ON relation.oid = attribute.attrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND relation.relname = 'Instance'
        AND attribute.attname = 'token'
        AND attribute.atttypid = 'pg_catalog.varchar'::pg_catalog.regtype
        AND attribute.atttypmod BETWEEN 4 AND 503
)
SELECT
    'Instance.token' AS subject,
    pg_catalog.jsonb_build_object(
        'type', token.type,
        'left_to_you', pg_catalog.concat(
            CASE WHEN token.type <> 'character varying(255)' THEN '; it differs from upstream''s, so widening it to character varying(500) is left to you' END,
            CASE
                WHEN token.views IS NOT NULL THEN pg_catalog.format(
                    '; %s uses the column, and has to be dropped before and created again afterwards, for the upgrade to 2.4.0 too: that is left to you',
                    token.views
                )
            END
        )
    ) AS "values",
    'pg_catalog.length("token") > 200 OR "integration" = ''WHATSAPP-BUSINESS''' AS predicate,
    near.count AS count,
    near.sample AS sample,
    'Instance.token' AS key,
    CASE WHEN near.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    token.type = 'character varying(255)' AND token.views IS NULL AS fixable
FROM
    token
    CROSS JOIN (
        SELECT
            pg_catalog.count(*) AS count,
            COALESCE(
                pg_catalog.jsonb_agg(
                    pg_catalog.jsonb_build_object('name', near."name", 'integration', near."integration", 'length', near.length)
                    ORDER BY near.position
                ) FILTER (WHERE near.position <= 5),
                '[]'::jsonb
            ) AS sample
        FROM
            (
                SELECT
                    instance."name",
                    instance."integration",
                    pg_catalog.length(instance."token") AS length,
                    pg_catalog.row_number() OVER (ORDER BY pg_catalog.length(instance."token") DESC NULLS LAST, instance."id") AS position
                FROM
                    :"schema"."Instance" AS instance
                WHERE
                    pg_catalog.length(instance."token") > 200
                    OR instance."integration" = 'WHATSAPP-BUSINESS'
            ) AS near
    ) AS near;

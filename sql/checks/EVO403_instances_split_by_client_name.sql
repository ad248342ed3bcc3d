-- code: EVO403
-- name: instances-split-by-client-name
-- title: instances of several client names
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: instances belong to several client names, and a server loads only one of them
-- why: Instances vanish after a restart or a move, or answer 500 with "reading 'textMessage'", although their rows are there: a
--   server loads only rows whose "clientName" is its own DATABASE_CONNECTION_CLIENT_NAME (evolution by default), and never those
--   without one. There are two explanations. Several servers may share the database, each with a name of its own; then nothing is
--   wrong, and a baseline hides this finding. Or the setting was changed, or left out once; then the rows keep the old name and
--   no server loads them. Only you know which it is. For the second, with the server stopped: UPDATE "Instance" SET "clientName"
--   = 'NAME' WHERE "clientName" IS NOT DISTINCT FROM 'OLD'.
-- fix: manual
-- judges: Instance
-- matches: reading 'textMessage'
-- matches: Cannot read properties of undefined … textMessage
-- matches: instances vanish
-- matches: instances disappeared
-- matches: clientName
-- answers: text="reading 'textMessage'"
-- answers: code=23505 constraint=Instance_name_key
-- answers: code=23505 model=Instance fields=name
WITH grouped AS (
    SELECT
        instance."clientName",
        pg_catalog.count(*) AS count,
        pg_catalog.count(*) FILTER (WHERE instance."connectionStatus" = 'open') AS open,
        pg_catalog.row_number() OVER (ORDER BY pg_catalog.count(*) DESC, instance."clientName") AS position
    FROM
        :"schema"."Instance" AS instance
    GROUP BY
        instance."clientName"
)
SELECT
    'Instance.clientName' AS subject,
    pg_catalog.format(
        'instances belong to %s client names (%s); either as many servers share the database, or no server loads some of them%s',
        pg_catalog.count(*),
        pg_catalog.string_agg(
            pg_catalog.format('%s: %s', COALESCE(grouped."clientName", 'none'), grouped.count), ', ' ORDER BY grouped.position
        ) FILTER (WHERE grouped.position <= 5) || CASE WHEN pg_catalog.count(*) > 5 THEN ', ...' ELSE '' END,
        CASE WHEN pg_catalog.bool_or(grouped."clientName" IS NULL) THEN '; those without one are loaded by no server' ELSE '' END
    ) AS detail,
    pg_catalog.format(
        '"clientName" IS DISTINCT FROM %L', (pg_catalog.array_agg(grouped."clientName" ORDER BY grouped.position))[1]
    ) AS predicate,
    pg_catalog.sum(grouped.count) FILTER (WHERE grouped.position > 1)::bigint AS count,
    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(grouped) - 'position' ORDER BY grouped.position) FILTER (WHERE grouped.position <= 5) AS sample,
    'clientName' AS key
FROM
    grouped
HAVING
    pg_catalog.count(*) > 1;

-- code: EVO101
-- name: orphaned-reference
-- title: rows that point to deleted rows
-- severity: error
-- consequence: loses-data
-- releases: 2.0.0-beta..
-- each: reference
-- summary: orphaned rows: they refer to rows that do not exist
-- why: The rows belong to something that does not exist any more: messages of a deleted instance, settings of a deleted bot. The
--   server still reads them, lists and counts come out wrong, and a dump of this database does not restore cleanly: pg_restore
--   reports "violates foreign key constraint", continues, and leaves the constraint out, so that the copy gets more orphaned
--   rows. Upgrades that rebuild a key fail on these rows too. They come from restores with triggers switched off, and from
--   constraints that were dropped, declared NOT VALID or never created. The catalog cannot be trusted here, so every key that the
--   release expects and every key that the database declares is compared row by row.
-- detail: {count:1 row refers|# rows refer} to {missing:a row|# rows} of "{parent}" that {missing:does|do} not exist; {state}
-- fix: quarantine
-- matches: P2003
-- matches: violates foreign key constraint
-- matches: Foreign key constraint failed
-- matches: Foreign key constraint violated
-- matches: is not present in table
-- answers: code=23503
-- answers: message=child-without-parent
-- How the rows are found is chosen for each key: a file in sql/orphans/ is put in for :found, one row of count, missing
-- and sample. Run by hand for one key, for example:
--   psql -v subject='Message.sessionId → IntegrationSession' -v parent_name=IntegrationSession
--        -v state='the constraint is missing' -v where='"sessionId" IS NOT NULL AND NOT EXISTS (…)'
--        -v found='SELECT 3 AS count, 2 AS missing, NULL::jsonb AS sample'
SELECT
    :'subject' AS subject,
    pg_catalog.jsonb_build_object('missing', found.missing, 'parent', :'parent_name', 'state', :'state') AS "values",
    :'where' AS predicate,
    found.count AS count,
    found.sample AS sample,
    :'subject' AS key
FROM
    (:found) AS found
WHERE
    found.count > 0;

-- code: EVO307
-- name: superseded-fix
-- title: fix replaced by an upgrade
-- severity: advice
-- consequence: none
-- releases: 2.0.0-beta..
-- summary: an upgrade has changed what a fix of evodoctor had repaired
-- why: Nothing is broken. A fix that was applied before an upgrade can be undone only as long as its objects are unchanged; one
--   of upstream's migrations has changed them since. Undoing it now would remove what the newer release needs, so evodoctor
--   refuses. The fix for this closes such runs in the history. What they keep in the quarantine stays until you drop it: the
--   tables "evodoctor"."quarantine_<run>_…".
-- fix: safe
-- matches: evodoctor.quarantine
-- Run by hand: psql -v schema=public -v superseded="$(sed 's/;$//' sql/ledger/superseded.sql)" -v upstream='{"EVO205": ["20251122003044"]}'
-- -v history='"public"."_prisma_migrations"'
WITH superseded AS (
    :superseded
)
SELECT
    pg_catalog.format('run %s', superseded.run) AS subject,
    pg_catalog.concat(
        pg_catalog.string_agg(
            pg_catalog.format('%s has been superseded by %s', superseded.code, pg_catalog.array_to_string(superseded.migrations[:3], ', '))
            || CASE WHEN pg_catalog.cardinality(superseded.migrations) > 3 THEN pg_catalog.format(' and %s more', pg_catalog.cardinality(superseded.migrations) - 3) ELSE '' END,
            '; ' ORDER BY superseded.position
        ),
        ' since it was applied on ' || superseded.release_from || COALESCE(' to ' || NULLIF(superseded.release_to, superseded.release_from), '')
    ) AS detail,
    NULL::text AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object('fix', superseded.code, 'applied_at', superseded.applied_at, 'migrations', superseded.migrations) ORDER BY superseded.position
    ) AS sample,
    superseded.run::text AS key
FROM
    superseded
GROUP BY
    superseded.run, superseded.release_from, superseded.release_to
ORDER BY
    superseded.run;

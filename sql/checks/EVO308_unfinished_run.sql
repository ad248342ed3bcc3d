-- code: EVO308
-- name: unfinished-run
-- title: unfinished run of fix --online
-- severity: warning
-- consequence: slow
-- releases: 2.0.0-beta..
-- summary: a run of fix --online was cut off before its end
-- why: What keeps others waiting for long, fix --online does after its commit: building indexes, validating keys. The program was
--   killed or interrupted before that was done, or it gave up waiting. An index that is half built serves no query, costs every
--   write, and where it is unique may already refuse rows; a key that is not validated holds for new rows only. Nothing is
--   lost, and the run goes on where it ended: evodoctor fix --online --apply. To take it back instead: evodoctor undo RUN.
--   While a run is still at work this is found too.
-- fix: manual
-- matches: is not finished
-- Run by hand: psql -v schema=public -v unfinished="$(sed 's/;$//' sql/ledger/unfinished.sql)"
WITH unfinished AS (
    :unfinished
)
SELECT
    pg_catalog.format('run %s', unfinished.run) AS subject,
    pg_catalog.format(
        '%s was applied by %s and is not finished: %s; evodoctor fix --online --apply goes on with it, evodoctor undo %s takes it back',
        pg_catalog.string_agg(DISTINCT unfinished.code, ', ' ORDER BY unfinished.code),
        unfinished.applied_by,
        pg_catalog.string_agg(unfinished.statement, '; ' ORDER BY unfinished.code, unfinished.position),
        unfinished.run
    ) AS detail,
    NULL::text AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.to_jsonb((
        pg_catalog.array_agg(
            pg_catalog.jsonb_build_object('fix', unfinished.code, 'applied_at', unfinished.applied_at, 'statement', unfinished.statement)
            ORDER BY unfinished.code, unfinished.position
        )
    )[:5]) AS sample,
    unfinished.run::text AS key
FROM
    unfinished
GROUP BY
    unfinished.run, unfinished.applied_by
ORDER BY
    unfinished.run;

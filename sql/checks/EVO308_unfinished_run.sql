-- code: EVO308
-- name: unfinished-run
-- title: unfinished run of fix --online
-- severity: warning
-- consequence: slow
-- releases: 2.0.0-beta..
-- summary: a run of fix --online was interrupted
-- why: fix --online runs statements that would block others after its commit: building indexes, validating keys. The program was
--   killed or interrupted before that, or it gave up waiting. An incomplete index serves no query, costs every write, and if it
--   is unique may already refuse rows; a key that is not validated is checked for new rows only. Nothing is lost, and this
--   continues the run: evodoctor fix --online --apply. To undo it instead: evodoctor undo RUN. A run that is still working is
--   found too.
-- fix: manual
-- matches: is not finished
-- Run by hand: psql -v schema=public -v unfinished="$(sed 's/;$//' sql/ledger/unfinished.sql)"
WITH unfinished AS (
    :unfinished
)
SELECT
    pg_catalog.format('run %s', unfinished.run) AS subject,
    pg_catalog.format(
        '%s was applied by %s and is not finished: %s; evodoctor fix --online --apply continues it, evodoctor undo %s undoes it',
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

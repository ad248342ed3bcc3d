-- How many bytes each run has in the quarantine: of a table that several runs share, by their share of its rows.
WITH kept AS (
    SELECT
        entry."relation" AS relation,
        entry."run" AS run,
        pg_catalog.sum(entry."count") AS count,
        pg_catalog.pg_total_relation_size(pg_catalog.to_regclass(pg_catalog.format('%I.%I', 'evodoctor', entry."relation"))) AS bytes
    FROM
        "evodoctor"."quarantine_entry" AS entry
    GROUP BY
        entry."relation", entry."run"
),
shared AS (
    SELECT kept.relation, pg_catalog.sum(kept.count) AS count
    FROM kept
    GROUP BY kept.relation
)
SELECT
    kept.run AS run,
    COALESCE(pg_catalog.sum(kept.bytes * kept.count / GREATEST(shared.count, 1)), 0)::bigint AS bytes
FROM
    kept
    JOIN shared ON shared.relation = kept.relation
GROUP BY
    kept.run;

-- The number of the run that begins, which every statement of it reads back.
SELECT
    pg_catalog.set_config('evodoctor.run', (COALESCE(pg_catalog.max(run."run"), 0) + 1)::text, true)::bigint AS run
FROM
    "evodoctor"."run" AS run;

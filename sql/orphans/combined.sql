-- What several steps found of one key, put together: passed on as it is, so that one file words the finding.
SELECT
    :'count'::bigint AS count,
    :'missing'::bigint AS missing,
    :'sample'::jsonb AS sample;

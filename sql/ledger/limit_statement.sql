-- The next statement takes no longer than one lock may be waited for. Tells how long it might take before.
WITH
    usual AS MATERIALIZED (
        SELECT pg_catalog.current_setting('statement_timeout') AS statement_timeout
    )
SELECT
    usual.statement_timeout AS statement_timeout,
    pg_catalog.set_config('statement_timeout', pg_catalog.current_setting('lock_timeout'), true) AS now
FROM
    usual;

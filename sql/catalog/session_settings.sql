-- What a query means must not depend on the role's or the database's own settings. Names resolve to the catalog first,
-- rows that row security would hide raise an error instead, and values are written the same on every server. All of it
-- ends with the transaction.
SET LOCAL search_path = pg_catalog, pg_temp;

SET LOCAL row_security = off;

SET LOCAL extra_float_digits = 1;

SET LOCAL "DateStyle" = 'ISO, MDY';

SET LOCAL "IntervalStyle" = 'postgres';

SET LOCAL "TimeZone" = 'UTC';

SET LOCAL bytea_output = 'hex';

SET LOCAL standard_conforming_strings = on;

SET LOCAL quote_all_identifiers = off;

SET LOCAL array_nulls = on;

SET LOCAL transform_null_equals = off;

-- The planner runs nothing of a CHECK constraint.
SET LOCAL constraint_exclusion = off;

-- Behind a pooler the connection itself has no name.
SELECT
    pg_catalog.set_config('application_name', 'evodoctor', true)
WHERE
    pg_catalog.current_setting('application_name') = '';

-- A slow check leaves the session waiting between queries.
SET LOCAL idle_in_transaction_session_timeout = 0;

-- A client that is gone ends its statement within a second. Servers from 14 on know how to look, where their system does.
SELECT
    pg_catalog.set_config('client_connection_check_interval', '1s', true)
WHERE
    pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL
    AND pg_catalog.version() LIKE '%linux%';

-- Many different queries, each run once: compiling them takes longer than running them.
SET LOCAL jit = off;

-- The settings of a transaction that changes something. Nothing is looked up by search_path, no row hides behind a
-- policy, and no statement stands in a lock queue for long.
SET LOCAL search_path = pg_catalog, pg_temp;

SET LOCAL row_security = off;

SET LOCAL standard_conforming_strings = on;

SET LOCAL "DateStyle" = 'ISO, MDY';

SET LOCAL "TimeZone" = 'UTC';

SET LOCAL extra_float_digits = 1;

SET LOCAL synchronous_commit = on;

-- A client that is gone ends its statement within a second (14 and later; before, when the statement ends).
SELECT
    pg_catalog.set_config('client_connection_check_interval', '1s', true)
WHERE
    pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL;

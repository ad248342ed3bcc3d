-- summary: one snapshot for every check, in a session whose settings cannot change what a query means
-- why: a role or database may have settings of its own. Names resolve to the catalog first, rows that row
--   security would hide raise an error instead, and values are written the same on every server.
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = off;
SET LOCAL extra_float_digits = 1;
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL TimeZone = 'UTC';
SET LOCAL bytea_output = 'hex';
SET LOCAL standard_conforming_strings = on;
-- A person reads a finding before the next query runs, or a slow check leaves the session waiting.
SET LOCAL idle_in_transaction_session_timeout = 0;

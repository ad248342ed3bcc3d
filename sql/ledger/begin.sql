-- What a transaction that changes something needs besides the settings of every session.
SET LOCAL synchronous_commit = on;

-- A client that is gone ends its statement within a second (14 and later; before, when the statement ends).
SELECT
    pg_catalog.set_config('client_connection_check_interval', '1s', true)
WHERE
    pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL;

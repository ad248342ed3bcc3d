-- What a transaction that changes something needs besides the settings of every session.
SET LOCAL synchronous_commit = on;

-- A change holds locks that others wait for, and nobody is asked anything meanwhile: a client that stands still for so long
-- is stopped, suspended or cut off, and does not keep them.
SET LOCAL idle_in_transaction_session_timeout = '15s';

-- As a replica, keys would not hold for what is written here. Whoever may not set this is refused by the server.
SELECT
    pg_catalog.set_config('session_replication_role', 'origin', true)
WHERE
    pg_catalog.current_setting('session_replication_role') <> 'origin';

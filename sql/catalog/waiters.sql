-- Whether any session waits for a lock that this one holds.
SELECT
    EXISTS (
        SELECT
        FROM pg_catalog.pg_locks AS lock
        WHERE
            NOT lock.granted
            AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(lock.pid))
    ) AS is_waited_for;

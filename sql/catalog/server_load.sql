-- How busy the server is: by how long and by how many bytes the slowest standby is behind (null: none, or this role may not see
-- it), and how many sessions of this database wait for a lock. Roles without pg_monitor see no standby's lag. The time is that of
-- what was replayed last: of a standby whose replay stands still only the bytes grow.
SELECT
    (
        SELECT pg_catalog.date_part('epoch', pg_catalog.max(COALESCE(standby.replay_lag, standby.flush_lag, standby.write_lag)))
        FROM pg_catalog.pg_stat_replication AS standby
    ) AS lag_seconds,
    (
        SELECT pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), standby.replay_lsn))::bigint
        FROM pg_catalog.pg_stat_replication AS standby
    ) AS lag_bytes,
    (
        SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_stat_activity AS session
        WHERE
            session.datname = pg_catalog.current_database()
            AND session.wait_event_type = 'Lock'
            AND session.pid <> pg_catalog.pg_backend_pid()
    ) AS waiting,
    COALESCE(
        (
            SELECT pg_catalog.pg_has_role(current_user, role.oid, 'USAGE')
            FROM pg_catalog.pg_roles AS role
            WHERE role.rolname = 'pg_monitor'
        ),
        false
    ) AS sees_lag;

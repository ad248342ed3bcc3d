-- Who holds the locks that a change needs for itself: evodoctor's own, and the one that Prisma's migrations take.
SELECT
    activity.pid AS pid,
    true AS holds,
    '{}'::text[] AS tables,
    activity.usename::text AS role,
    NULLIF(activity.application_name, '') AS application,
    pg_catalog.host(activity.client_addr) AS client,
    activity.state AS state,
    NULL::text AS prepared,
    false AS is_autovacuum,
    false AS prevents_wraparound,
    activity.backend_type IS NULL AS is_hidden,
    pg_catalog.to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - activity.xact_start)::bigint AS since_seconds,
    pg_catalog.to_char(activity.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS query_since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - activity.query_start)::bigint AS query_seconds,
    current_user::text AS asking,
    0::bigint AS deadlock_timeout_ms
FROM
    pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE
    lock.locktype = 'advisory'
    AND lock.granted
    AND lock.pid <> pg_catalog.pg_backend_pid()
    AND lock.database = (SELECT database.oid FROM pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database())
    AND lock.objsubid = 1
    AND (lock.classid::bigint << 32) | lock.objid::bigint = :'key'::bigint;

-- The session that runs a statement of ours, how far it is, and whom it waits for: one row for each, or one without any.
WITH
    builder AS (
        SELECT activity.pid AS pid
        FROM pg_catalog.pg_stat_activity AS activity
        WHERE
            activity.datname = pg_catalog.current_database()
            AND activity.pid <> pg_catalog.pg_backend_pid()
            AND activity.state = 'active'
            AND pg_catalog.left(:'statement', GREATEST(pg_catalog.length(activity.query), 60)) = activity.query
    )
SELECT
    builder.pid AS builder,
    progress.phase AS phase,
    progress.blocks_done AS blocks_done,
    progress.blocks_total AS blocks_total,
    blocker.pid IS NOT NULL AS is_waiting,
    NULLIF(blocker.pid, 0) AS pid,
    true AS holds,
    ARRAY[:'table'] AS tables,
    activity.usename::text AS role,
    NULLIF(activity.application_name, '') AS application,
    pg_catalog.host(activity.client_addr) AS client,
    activity.state AS state,
    NULL::text AS prepared,
    COALESCE(activity.backend_type = 'autovacuum worker', activity.pid IS NOT NULL AND activity.usesysid IS NULL) AS is_autovacuum,
    COALESCE(activity.query LIKE '%(to prevent wraparound)%', false) AS prevents_wraparound,
    activity.pid IS NOT NULL AND activity.backend_type IS NULL AS is_hidden,
    pg_catalog.to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - activity.xact_start)::bigint AS since_seconds,
    pg_catalog.to_char(activity.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS query_since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - activity.query_start)::bigint AS query_seconds,
    current_user::text AS asking,
    (SELECT setting.setting::bigint FROM pg_catalog.pg_settings AS setting WHERE setting.name = 'deadlock_timeout') AS deadlock_timeout_ms
FROM
    builder
    LEFT JOIN pg_catalog.pg_stat_progress_create_index AS progress ON progress.pid = builder.pid
    LEFT JOIN LATERAL (
        SELECT DISTINCT blocking.pid FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(builder.pid)) AS blocking (pid)
    ) AS blocker ON true
    LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = blocker.pid
ORDER BY
    since_seconds DESC NULLS LAST, pid;

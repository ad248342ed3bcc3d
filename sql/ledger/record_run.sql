INSERT INTO "evodoctor"."run" ("run", "target_schema", "tool_version", "release_from", "release_to", "plan_hash", "series")
VALUES (
    pg_catalog.current_setting('evodoctor.run')::bigint,
    :'schema',
    :'tool_version',
    NULLIF(:'release_from', ''),
    NULLIF(:'release_to', ''),
    :'plan_hash',
    NULLIF(:'series', '')::bigint
);

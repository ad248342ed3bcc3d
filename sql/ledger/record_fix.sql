INSERT INTO "evodoctor"."applied_fix" (
    "run", "position", "code", "version", "checksum", "tables", "ddl_before", "ddl_after", "steps"
)
VALUES (
    pg_catalog.current_setting('evodoctor.run')::bigint,
    :'position'::integer,
    :'code',
    :'version'::integer,
    :'checksum',
    ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'tables'::jsonb)),
    :'ddl_before'::jsonb,
    :'ddl_after'::jsonb,
    :'steps'::jsonb
);

-- Writes down which table of the quarantine holds which rows of the run.
INSERT INTO "evodoctor"."quarantine_entry" (
    "run", "position", "code", "table_name", "action", "columns", "reason", "count", "digest", "sample", "relation"
)
VALUES (
    :'run'::bigint,
    :'position'::integer,
    :'code',
    :'table_name',
    :'action',
    ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb)),
    :'reason',
    :'count'::bigint,
    :'digest',
    :'sample',
    :'relation'
);

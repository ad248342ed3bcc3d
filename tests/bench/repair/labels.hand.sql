CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "Chat" AS x WHERE pg_catalog.jsonb_typeof(x."labels") = 'string';

UPDATE "Chat" AS x SET "labels" = pg_catalog.jsonb_build_array(x."labels") WHERE pg_catalog.jsonb_typeof(x."labels") = 'string';

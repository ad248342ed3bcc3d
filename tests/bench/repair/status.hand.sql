CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "Message" AS x WHERE x."status" IN ('0', '1', '2', '3', '4', '5');

UPDATE "Message" AS x SET "status" = 'READ' WHERE x."status" IN ('0', '1', '2', '3', '4', '5');

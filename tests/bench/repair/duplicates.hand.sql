CREATE TEMPORARY TABLE lost AS
SELECT ranked.place
FROM (
    SELECT
        ctid AS place,
        pg_catalog.row_number() OVER (PARTITION BY "remoteJid", "instanceId" ORDER BY "updatedAt" DESC NULLS LAST, "createdAt" DESC) AS position
    FROM "Contact"
) AS ranked
WHERE ranked.position > 1;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "Contact" AS x JOIN lost ON lost.place = x.ctid;

DELETE FROM "Contact" AS x USING lost WHERE lost.place = x.ctid;

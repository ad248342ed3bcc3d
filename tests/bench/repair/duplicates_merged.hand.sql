-- The same as duplicates.hand.sql, and the row that stays takes over what it lacks, as the fix does.
CREATE TEMPORARY TABLE lost AS
SELECT ranked.place
FROM (
    SELECT
        ctid AS place,
        pg_catalog.row_number() OVER (PARTITION BY "remoteJid", "instanceId" ORDER BY "updatedAt" DESC NULLS LAST, "createdAt" DESC) AS position
    FROM "Contact"
) AS ranked
WHERE ranked.position > 1;
ANALYZE lost;
-- What the row that stays lacks, and the removed one has.
CREATE TEMPORARY TABLE known AS
SELECT x."id", COALESCE(x."pushName", other."pushName") AS name, COALESCE(x."profilePicUrl", other."profilePicUrl") AS picture
FROM
    lost
    JOIN "Contact" AS other ON other.ctid = lost.place
    JOIN "Contact" AS x ON x."remoteJid" = other."remoteJid" AND x."instanceId" = other."instanceId" AND x."id" <> other."id"
WHERE
    x."pushName" IS NULL AND other."pushName" IS NOT NULL
    OR x."profilePicUrl" IS NULL AND other."profilePicUrl" IS NOT NULL;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "Contact" AS x JOIN lost ON lost.place = x.ctid
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Contact" AS x JOIN known ON known."id" = x."id";

DELETE FROM "Contact" AS x USING lost WHERE lost.place = x.ctid;
UPDATE "Contact" AS x SET "pushName" = known.name, "profilePicUrl" = known.picture FROM known WHERE known."id" = x."id";

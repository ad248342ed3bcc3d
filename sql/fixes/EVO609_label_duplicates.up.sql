-- code: EVO609
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows blocks-writes
-- tables: Label _prisma_migrations
-- rows: EVO103 Label_labelId_instanceId_key
-- upstream: 20240813003116
-- records: found
-- after 2.0.0-beta..2.0.9-rc: each instance has each label once, the index that keeps it so is upstream's, and the server's
--   next start skips the migration, which would also have stopped for its older index where that is missing (42704).
-- An older index that holds its promise leaves no duplicates: what is called so here is something else, or broken.
SELECT
    pg_catalog.format('%s exists already: see what evodoctor fix EVO601 says of it', taken.name) AS refusal
FROM
    (VALUES ('Label_labelId_instanceId_key')) AS taken (name)
WHERE
    pg_catalog.to_regclass(pg_catalog.format('%I.%I', :'schema', taken.name)) IS NOT NULL
UNION ALL
SELECT
    'Label_labelId_key is unique and there are duplicates all the same: it is broken, so drop it (DROP INDEX) and run this again'
FROM
    pg_catalog.pg_index AS index
WHERE
    index.indexrelid = pg_catalog.to_regclass(pg_catalog.format('%I."Label_labelId_key"', :'schema'))
    AND index.indisunique;

SELECT
    pg_catalog.format('DROP INDEX %I."Label_labelId_key"', :'schema') AS statement,
    pg_catalog.pg_get_indexdef(index.indexrelid) AS undo
FROM
    pg_catalog.pg_index AS index
WHERE
    index.indexrelid = pg_catalog.to_regclass(pg_catalog.format('%I."Label_labelId_key"', :'schema'));

SELECT
    pg_catalog.format('CREATE UNIQUE INDEX "Label_labelId_instanceId_key" ON %I."Label" ("labelId", "instanceId")', :'schema') AS statement,
    pg_catalog.format('DROP INDEX %I."Label_labelId_instanceId_key"', :'schema') AS undo;

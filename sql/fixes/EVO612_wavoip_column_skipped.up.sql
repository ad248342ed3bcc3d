-- code: EVO612
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: Setting _prisma_migrations
-- upstream: 20250116001415
-- records: found
-- after 2.0.0-beta..2.2.0: the column is there before a server asks for it, and the migration, which would have skipped it, is
--   skipped itself. An older server does not notice a column that may be null.
ALTER TABLE :"schema"."Setting" ADD COLUMN "wavoipToken" character varying(100);

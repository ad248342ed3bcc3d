-- code: EVO612
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: Setting
-- upstream: 20250116001415
-- after 2.0.0-beta..2.2.0: the column is there before a server asks for it. The migration runs as ever, finds it and adds
--   nothing. An older server does not notice a column that may be null.
-- Why the migration is left to run: it does nothing any more, and recorded ahead it would have the history claim 2.2.1.
ALTER TABLE :"schema"."Setting" ADD COLUMN "wavoipToken" character varying(100);

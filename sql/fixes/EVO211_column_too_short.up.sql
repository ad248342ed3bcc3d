-- code: EVO211
-- version: 1
-- applicability: safe
-- hazards: blocks-writes limits-undo
-- tables: Instance
-- upstream: 20251216143054
-- after 2.0.0-beta..2.3.7: POST /instance/create takes tokens of up to 500 characters. It is exactly what upstream's migration
--   20251216143054 makes of the column, which then changes nothing.
-- No wider: that migration would fail with 22001 on a longer token.
ALTER TABLE :"schema"."Instance"
    ALTER COLUMN "token" TYPE character varying(500);

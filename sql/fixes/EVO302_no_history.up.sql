-- code: EVO302
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- each: finding
-- after 2.0.0-beta..: a server of the release that the tables are of starts; a newer one applies the migrations that are
--   still to come. Read what they do first. The checksums are upstream's, so nothing tells this record from one that
--   Prisma wrote, but for applied_steps_count, which is 0 as after prisma migrate resolve.
:repair;

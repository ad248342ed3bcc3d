-- code: EVO305
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- each: finding
-- upstream: 20250116001415 20250918182355
-- after 2.0.0-beta..: what failed for the missing column or table works at once, without a restart. Prisma's record stays
--   as it is: it says applied, and now it is. A table of the same name in another schema keeps its rows.
:repair;

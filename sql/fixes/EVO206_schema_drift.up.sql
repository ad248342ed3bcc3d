-- code: EVO206
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- each: finding
-- after 2.0.0-beta..: what failed for the missing thing works at once, without a restart. Only what is missing is added;
--   nothing that is there is changed or removed.
:repair;

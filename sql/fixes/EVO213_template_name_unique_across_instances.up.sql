-- code: EVO213
-- version: 1
-- applicability: safe
-- hazards: blocks-writes limits-undo
-- tables: Template
-- upstream: 20240725184147
-- after 2.0.4..: a second instance can have a template of the same name; within one instance names stay unique. It has not been
--   tried with a server: send one template from either instance afterwards, and undo if one gets the other's.
DROP INDEX :"schema"."Template_name_key";

CREATE UNIQUE INDEX "Template_instanceId_name_key" ON :"schema"."Template" ("instanceId", "name");

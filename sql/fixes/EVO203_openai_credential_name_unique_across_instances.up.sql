-- code: EVO203
-- version: 1
-- applicability: safe
-- hazards: blocks-writes limits-undo
-- tables: OpenaiCreds
-- upstream: 20240722173259
-- after 2.0.3..2.2.3: POST /openai/creds with a name that another instance uses answers 201 (seen on 2.1.1 and 2.2.3).
-- after 2.3.0..: POST /openai/creds with a name that another instance uses answers 201.
DROP INDEX :"schema"."OpenaiCreds_name_key";

CREATE UNIQUE INDEX "OpenaiCreds_instanceId_name_key" ON :"schema"."OpenaiCreds" ("instanceId", "name");

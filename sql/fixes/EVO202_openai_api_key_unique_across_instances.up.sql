-- code: EVO202
-- version: 1
-- applicability: safe
-- hazards: blocks-writes limits-undo
-- tables: OpenaiCreds
-- upstream: 20240718121437
-- after 2.0.3..2.2.3: POST /openai/creds with the same key answers 201 for a second instance, and still fails for the
--   same instance twice (seen on 2.1.1 and 2.2.3).
-- after 2.3.0..: the API itself still answers 400 "This API key is already registered" for a second instance, because the
--   server looks for the key before it writes. A credential row inserted by SQL for the second instance works fully.
DROP INDEX :"schema"."OpenaiCreds_apiKey_key";

CREATE UNIQUE INDEX "OpenaiCreds_instanceId_apiKey_key" ON :"schema"."OpenaiCreds" ("instanceId", "apiKey");

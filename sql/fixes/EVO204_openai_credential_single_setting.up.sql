-- code: EVO204
-- version: 1
-- applicability: safe
-- hazards: blocks-writes limits-undo
-- tables: OpenaiSetting
-- upstream: 20240723152648
-- after 2.0.3..2.2.3: the settings of several instances can use one credential, through the API too (200; seen on 2.1.1 and
--   2.2.3).
-- after 2.3.0..: the API itself still answers 500 (P2011) for a second instance. Settings pointed at the credential by SQL
--   read and save fine. One credential row per instance (EVO202) is the way that the API supports.
DROP INDEX :"schema"."OpenaiSetting_openaiCredsId_key";

CREATE INDEX "OpenaiSetting_openaiCredsId_idx" ON :"schema"."OpenaiSetting" ("openaiCredsId");

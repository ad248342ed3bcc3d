-- code: EVO201
ALTER TABLE :"schema"."OpenaiSetting"
    DROP CONSTRAINT "OpenaiSetting_openaiCredsId_fkey";

ALTER TABLE :"schema"."OpenaiSetting"
    ADD CONSTRAINT "OpenaiSetting_openaiCredsId_fkey" FOREIGN KEY ("openaiCredsId")
    REFERENCES :"schema"."OpenaiCreds" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;

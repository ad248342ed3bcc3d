-- The throwaway database of `evodoctor demo`: release 2.1.1 after two years of a small company. The sales team's instance
-- was deleted by hand, a restore ran with triggers off, somebody dropped a constraint that was in the way, and everybody
-- uses one OpenAI key.
SET session_replication_role = replica;

INSERT INTO :"schema"."Instance" ("id", "name", "connectionStatus", "number", "token", "clientName", "ownerJid")
VALUES
    ('7a0f3c52-9a1e-4a35-8c0b-54e1b86f0d11', 'support', 'open', '5511999990001', '5E2B1A0C-DEMO-4D1F-9C77-0F3A2B1C4D5E', 'evolution', '5511999990001@s.whatsapp.net'),
    ('c2d84b1e-6f0d-47f7-a2a5-2f8f0f6f7b22', 'beta store', 'open', '5511999990002', '9B7D5F3E-DEMO-4C2A-8E66-1A2B3C4D5E6F', 'evolution', '5511999990002@s.whatsapp.net'),
    ('e91b7a60-3b5c-4b0e-9d43-8f1d2f3a4c33', 'Billing', 'close', '5511999990003', '1F2E3D4C-DEMO-4B5A-9788-6A5B4C3D2E1F', 'evolution', NULL);

INSERT INTO :"schema"."Setting" (
    "id", "rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory", "updatedAt", "instanceId"
)
SELECT
    'cm2settings' || instance."name", false, false, false, false, false, false, '2024-10-01', instance."id"
FROM
    :"schema"."Instance" AS instance;

INSERT INTO :"schema"."OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
VALUES
    ('cm2credential0001', 'default', 'sk-demo-3f9b2c7a51d04e86', '2024-10-01', '7a0f3c52-9a1e-4a35-8c0b-54e1b86f0d11'),
    ('cm2credential0002', 'sales', 'sk-demo-a81d6e0f47c25b93', '2024-10-01', '00000000-dead-4000-8000-000000000000');

-- The settings of "beta store" use the credential of "support".
INSERT INTO :"schema"."OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
VALUES ('cm2setting0001', 'cm2credential0001', 'c2d84b1e-6f0d-47f7-a2a5-2f8f0f6f7b22', '2024-10-01');

INSERT INTO :"schema"."IntegrationSession" ("id", "sessionId", "remoteJid", "status", "updatedAt", "instanceId")
VALUES ('cm2session0001', 'typebot-1', '5511988887777@s.whatsapp.net', 'opened', '2024-10-01', '7a0f3c52-9a1e-4a35-8c0b-54e1b86f0d11');

INSERT INTO :"schema"."Message" (
    "id", "key", "pushName", "messageType", "message", "source", "messageTimestamp", "instanceId", "sessionId"
)
SELECT
    'cm2message' || pg_catalog.lpad(number::text, 4, '0'),
    pg_catalog.jsonb_build_object('id', '3EB0' || number, 'fromMe', number % 2 = 0, 'remoteJid', '5511988887777@s.whatsapp.net'),
    'Ana',
    'conversation',
    pg_catalog.jsonb_build_object('conversation', 'message ' || number),
    'android',
    1727740800 + number,
    CASE
        WHEN number <= 40 THEN '00000000-dead-4000-8000-000000000000'
        ELSE '7a0f3c52-9a1e-4a35-8c0b-54e1b86f0d11'
    END,
    CASE
        WHEN number BETWEEN 41 AND 55 THEN 'cm2session-removed'
        WHEN number > 150 THEN 'cm2session0001'
    END
FROM
    pg_catalog.generate_series(1, 200) AS number;

INSERT INTO :"schema"."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT
    'cm2update' || pg_catalog.lpad(number::text, 4, '0'),
    '3EB0' || number,
    '5511988887777@s.whatsapp.net',
    true,
    'READ',
    'cm2message' || pg_catalog.lpad(number::text, 4, '0'),
    '7a0f3c52-9a1e-4a35-8c0b-54e1b86f0d11'
FROM
    pg_catalog.generate_series(21, 60) AS number;

SET session_replication_role = origin;

ALTER TABLE :"schema"."Message"
    DROP CONSTRAINT "Message_sessionId_fkey";

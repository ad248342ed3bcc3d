-- code: EVO613
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: Instance _prisma_migrations
-- upstream: 20250918182355
-- records: found
-- after 2.0.0-beta..2.3.3: the table is in Evolution's own schema, recorded with the checksum of 2.3.5, whose migration makes it
--   there; the server's next start skips that of 2.3.4, which would have looked in "public". An older server does not
--   notice the table. What another Evolution has in "public" is left alone.
CREATE TABLE :"schema"."Kafka" (
    "id" text NOT NULL,
    "enabled" boolean NOT NULL DEFAULT false,
    "events" jsonb NOT NULL,
    "createdAt" timestamp without time zone DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp without time zone NOT NULL,
    "instanceId" text NOT NULL,
    CONSTRAINT "Kafka_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "Kafka_instanceId_key" ON :"schema"."Kafka" ("instanceId");

ALTER TABLE :"schema"."Kafka"
    ADD CONSTRAINT "Kafka_instanceId_fkey" FOREIGN KEY ("instanceId") REFERENCES :"schema"."Instance" ("id") ON UPDATE CASCADE ON DELETE CASCADE;

-- summary: Prisma's own table, as `prisma migrate deploy` makes it on Postgres
CREATE TABLE :"schema"."_prisma_migrations" (
    "id" character varying(36) NOT NULL PRIMARY KEY,
    "checksum" character varying(64) NOT NULL,
    "finished_at" timestamp with time zone,
    "migration_name" character varying(255) NOT NULL,
    "logs" text,
    "rolled_back_at" timestamp with time zone,
    "started_at" timestamp with time zone NOT NULL DEFAULT now(),
    "applied_steps_count" integer NOT NULL DEFAULT 0
);

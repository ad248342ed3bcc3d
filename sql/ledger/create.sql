-- evodoctor's own schema: what was applied, and every row that a fix removed or changed. Prisma never looks here.
-- Numbers are given under the run's lock and not by sequences: a sequence would move in a dry run. Runs on a ledger of an
-- older format as well, and brings it up to this one.
CREATE SCHEMA IF NOT EXISTS "evodoctor";

REVOKE ALL ON SCHEMA "evodoctor" FROM PUBLIC;

COMMENT ON SCHEMA "evodoctor" IS 'evodoctor ledger, format 3';

CREATE TABLE IF NOT EXISTS "evodoctor"."run" (
    "run" bigint PRIMARY KEY,
    "target_schema" text NOT NULL,
    "applied_at" timestamptz NOT NULL DEFAULT pg_catalog.now(),
    "applied_by" text NOT NULL DEFAULT current_user,
    "tool_version" text NOT NULL,
    "release_from" text,
    "release_to" text,
    "plan_hash" text NOT NULL,
    "undone_at" timestamptz,
    "undone_by" text,
    -- Superseded by an upgrade, and done with (EVO307).
    "closed_at" timestamptz,
    "closed_by" text
);

CREATE TABLE IF NOT EXISTS "evodoctor"."applied_fix" (
    "run" bigint NOT NULL REFERENCES "evodoctor"."run" ("run"),
    "position" integer NOT NULL,
    "code" text NOT NULL,
    "version" integer NOT NULL,
    "checksum" text NOT NULL,
    -- The tables it touched, their canonical DDL before and after, and what undo needs to know.
    "tables" text[] NOT NULL,
    "ddl_before" jsonb NOT NULL,
    "ddl_after" jsonb NOT NULL,
    "steps" jsonb NOT NULL,
    PRIMARY KEY ("run", "position")
);

CREATE TABLE IF NOT EXISTS "evodoctor"."quarantine" (
    "run" bigint NOT NULL,
    "code" text NOT NULL,
    "table_schema" text NOT NULL,
    "table_name" text NOT NULL,
    "action" text NOT NULL CHECK ("action" IN ('removed', 'changed')),
    -- The columns that were changed; empty for a removed row.
    "columns" text[] NOT NULL,
    -- The primary key's columns and values.
    "key" jsonb NOT NULL,
    "reason" text NOT NULL,
    -- The row before. Where jsonb cannot hold a value exactly (a JSON null is not an SQL NULL), "literal" has the
    -- server's own text of it, by column.
    "row" jsonb NOT NULL,
    "literal" jsonb,
    -- The new values of the changed columns.
    "change" jsonb
);

-- Format 1 had a key of seven columns, which took longer to keep than the rows. What marks rows marks none twice.
ALTER TABLE "evodoctor"."quarantine" DROP CONSTRAINT IF EXISTS "quarantine_pkey";

CREATE INDEX IF NOT EXISTS "quarantine_run_idx" ON "evodoctor"."quarantine" ("run", "code", "table_name", "action");

-- Batches of one fix, named by the number of the first of them; null for a run that stands alone.
ALTER TABLE "evodoctor"."run" ADD COLUMN IF NOT EXISTS "series" bigint;

REVOKE ALL ON ALL TABLES IN SCHEMA "evodoctor" FROM PUBLIC;

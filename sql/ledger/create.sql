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

-- What a fix of a run removed or changed, per table, reason and set of columns. The rows are in tables of their own, named by
-- "relation": "quarantine_1_1" and so on.
CREATE TABLE IF NOT EXISTS "evodoctor"."quarantine_entry" (
    "run" bigint NOT NULL,
    "position" integer NOT NULL,
    "code" text NOT NULL,
    "table_name" text NOT NULL,
    "action" text NOT NULL CHECK ("action" IN ('removed', 'changed')),
    -- The columns that were changed; empty for removed rows.
    "columns" text[] NOT NULL,
    "reason" text NOT NULL,
    "count" bigint NOT NULL,
    "digest" text NOT NULL,
    -- Five of the rows, as the plan showed them, secrets masked: JSON in ASCII, which every encoding has.
    "sample" text NOT NULL,
    "relation" text NOT NULL,
    PRIMARY KEY ("run", "position")
);

CREATE INDEX IF NOT EXISTS "quarantine_entry_relation_idx" ON "evodoctor"."quarantine_entry" ("relation");

-- Formats 1 and 2 kept all rows as jsonb in one table, "quarantine". Where it is, undo still reads it.
-- Batches of one fix, named by the number of the first of them; null for a run that stands alone.
ALTER TABLE "evodoctor"."run" ADD COLUMN IF NOT EXISTS "series" bigint;

REVOKE ALL ON ALL TABLES IN SCHEMA "evodoctor" FROM PUBLIC;

-- What every case begins with: instances that are there, and one, "gone", that is not. Rows are written as a restore with its
-- triggers off writes them: the keys claim to be valid.
SET session_replication_role = replica;

INSERT INTO "Instance" ("id", "name")
SELECT 'i' || n, 'instance ' || n FROM pg_catalog.generate_series(1, 50) AS n;

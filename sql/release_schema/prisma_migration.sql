-- summary: one applied migration, a second after the one before it on the day the release came out
INSERT INTO :"schema"."_prisma_migrations"
    ("id", "checksum", "finished_at", "migration_name", "started_at", "applied_steps_count")
VALUES (
    :'id',
    :'checksum',
    :'date'::timestamp with time zone + :number * interval '1 second' + interval '20 milliseconds',
    :'name',
    :'date'::timestamp with time zone + :number * interval '1 second',
    1
);

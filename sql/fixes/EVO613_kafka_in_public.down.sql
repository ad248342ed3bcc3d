-- code: EVO613
SELECT
    'the table Kafka holds rows by now' AS refusal
FROM
    :"schema"."Kafka" AS kafka
LIMIT
    1;

DROP TABLE :"schema"."Kafka";

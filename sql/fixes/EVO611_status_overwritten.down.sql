-- code: EVO611
SELECT
    pg_catalog.format('%s messages have the status %s by now, which no number stands for', pg_catalog.count(*), message."status") AS refusal
FROM
    :"schema"."Message" AS message
WHERE
    message."status" NOT IN ('ERROR', 'PENDING', 'SERVER_ACK', 'DELIVERY_ACK', 'READ', 'PLAYED')
GROUP BY
    message."status";

ALTER TABLE :"schema"."Message"
    ALTER COLUMN "status" TYPE integer USING CASE "status"
        WHEN 'ERROR' THEN 0
        WHEN 'PENDING' THEN 1
        WHEN 'SERVER_ACK' THEN 2
        WHEN 'DELIVERY_ACK' THEN 3
        WHEN 'READ' THEN 4
        WHEN 'PLAYED' THEN 5
    END;

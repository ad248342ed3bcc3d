-- code: EVO211
-- Tokens that came since and do not fit any more; undo stops here and names their instances.
SELECT
    pg_catalog.format('the token of instance %s is %s characters long', COALESCE(instance."name", instance."id"), pg_catalog.length(instance."token")) AS refusal
FROM
    :"schema"."Instance" AS instance
WHERE
    pg_catalog.length(instance."token") > 255
ORDER BY
    instance."id";

ALTER TABLE :"schema"."Instance"
    ALTER COLUMN "token" TYPE character varying(255);

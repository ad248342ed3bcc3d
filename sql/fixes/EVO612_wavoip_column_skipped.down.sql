-- code: EVO612
SELECT
    'the column Setting.wavoipToken holds values by now' AS refusal
FROM
    :"schema"."Setting" AS setting
WHERE
    setting."wavoipToken" IS NOT NULL
LIMIT
    1;

ALTER TABLE :"schema"."Setting" DROP COLUMN "wavoipToken";

-- code: EVO608
-- name: contact-cleanup
-- title: upgrade removes contacts
-- severity: warning
-- consequence: loses-data
-- releases: 2.0.0-beta..2.0.9-rc
-- migration: 20240811183328
-- summary: the upgrade to 2.0.9 removes duplicate contacts, and may take hours
-- why: Before contacts become unique per instance, upstream removes duplicates and keeps an arbitrary row of each group, so a
--   name or a picture may be lost. It compares every row with the list of rows to keep. If that list does not fit into work_mem,
--   the server searches all of it for every contact: 75,000 contacts take a moment, twice as many do not finish within minutes,
--   even without any duplicate. The planner decides this from its own estimate, which is asked here. The fix does it in one pass
--   before the upgrade, keeps the newest contact with the missing values from the others, and records the migration as applied.
-- detail twice: {contacts:1 contact is|# contacts are} there more than once, {count:1 row is|# rows are} removed, and which row
--   stays is arbitrary
-- detail quadratic: the clean-up searches a list of {count} rows for each of {count} contacts, about {millions} million
--   comparisons, because the list does not fit into work_mem ({work_mem})
-- fix: quarantine
-- matches: Contact_remoteJid_instanceId_key
-- answers: migration=20240811183328
WITH twice AS (
    SELECT contact."instanceId", contact."remoteJid", pg_catalog.count(*) AS count
    FROM :"schema"."Contact" AS contact
    GROUP BY contact."instanceId", contact."remoteJid"
    HAVING pg_catalog.count(*) > 1
),
size AS (
    SELECT pg_catalog.count(*) AS rows FROM :"schema"."Contact"
)
SELECT
    'Contact' AS subject,
    'twice' AS form,
    pg_catalog.jsonb_build_object('contacts', groups.count) AS "values",
    pg_catalog.format(
        '"id" IN (SELECT "id" FROM (SELECT "id", pg_catalog.row_number() OVER (PARTITION BY "instanceId", "remoteJid") AS place '
        'FROM %I."Contact") AS ranked WHERE place > 1)', :'schema'
    ) AS predicate,
    groups.removed AS count,
    groups.sample,
    'Contact.twice' AS key,
    'removes-rows' AS effect,
    'Contact' AS "table",
    ARRAY[pg_catalog.format('evodoctor fix EVO608 --to %s --apply --allow deletes-rows,changes-rows', :'target')] AS before,
    'warning' AS severity
FROM
    (
        SELECT
            pg_catalog.count(*) AS count,
            pg_catalog.sum(twice.count - 1)::bigint AS removed,
            (
                SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
                FROM (SELECT * FROM twice AS one ORDER BY one.count DESC, one."remoteJid" LIMIT 5) AS example
            ) AS sample
        FROM twice
    ) AS groups
WHERE
    groups.count > 0
UNION ALL
SELECT
    'Contact',
    'quadratic',
    pg_catalog.jsonb_build_object(
        'millions', pg_catalog.ceil(size.rows::double precision * size.rows / 2e6)::text,
        'work_mem', pg_catalog.current_setting('work_mem')
    ),
    NULL,
    size.rows,
    '[]'::jsonb,
    'Contact.quadratic',
    'blocks',
    NULL,
    ARRAY[pg_catalog.format('evodoctor fix EVO608 --to %s --apply --allow deletes-rows,changes-rows', :'target')],
    'error'
FROM
    size
WHERE
    :'plan' NOT LIKE '%hashed SubPlan%'
    AND size.rows > 1000;

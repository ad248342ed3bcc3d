-- What keeps a migration that is refused from being done already: `differs` is null where all that it makes is there in
-- exactly upstream's form, and what it drops is gone (src/upgrade/already_applied.rs).
WITH found AS MATERIALIZED (
    :objects
)
SELECT
    known.number,
    (
        SELECT pg_catalog.string_agg(left_over.what, ', ' ORDER BY left_over.what)
        FROM (
            SELECT pg_catalog.jsonb_array_elements_text(known.undone) AS what
            UNION
            SELECT wanted.what
            FROM pg_catalog.jsonb_to_recordset(known.objects) AS wanted (what text, forms jsonb)
            WHERE NOT EXISTS (
                SELECT FROM
                    pg_catalog.jsonb_to_recordset(wanted.forms) AS form (kind text, "table" text, form text, name text, definition jsonb)
                    JOIN found
                        ON found.kind = form.kind AND found."table" = form."table" AND found.form = form.form
                        AND found.name = form.name AND found.definition = form.definition
                WHERE
                    -- An index or a key can have the form, and yet find nothing or keep nothing out.
                    NOT EXISTS (
                        SELECT FROM pg_catalog.pg_index AS index
                        WHERE
                            form.kind = 'index'
                            AND index.indexrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', :'schema', form.name))
                            AND NOT (index.indisvalid AND pg_catalog.pg_get_indexdef(index.indexrelid) ~ ' USING btree \([^() ]+(, [^() ]+)*\)$')
                    )
                    AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_constraint AS key
                        WHERE
                            form.kind = 'key'
                            AND key.conrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', :'schema', form."table"))
                            AND key.conname = form.name
                            AND (NOT key.convalidated OR key.condeferrable)
                    )
            )
        ) AS left_over
    ) AS differs
FROM
    pg_catalog.jsonb_to_recordset(:'done'::jsonb) AS known (number text, undone jsonb, objects jsonb);

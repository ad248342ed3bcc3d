-- Doubles of every function, operator and type of pg_catalog, in the schema "lies".
CREATE SCHEMA lies;

SET search_path = pg_catalog;

DO $body$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT
            proname,
            pg_get_function_identity_arguments(oid) AS arguments,
            CASE WHEN prokind = 'f' THEN pg_get_function_result(oid) ELSE 'text' END AS result
        FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT proretset
    LOOP
        BEGIN
            EXECUTE format(
                'CREATE FUNCTION lies.%I(%s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN RAISE ''a look-alike of %s ran''; END $$',
                one.proname, one.arguments, one.result, one.proname
            );
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    FOR one IN SELECT oprname, oprcode, oprleft, oprright FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft <> 0
    LOOP
        BEGIN
            EXECUTE format(
                'CREATE OPERATOR lies.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = lies.%I)',
                one.oprname, one.oprleft::regtype, one.oprright::regtype, one.oprcode::text
            );
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    FOR one IN
        SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0
    LOOP
        BEGIN
            EXECUTE format('CREATE DOMAIN lies.%I AS pg_catalog.%I CHECK (false)', one.typname, one.typname);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    FOR one IN
        SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
    LOOP
        EXECUTE format('CREATE TABLE lies.%I ()', one.relname);
    END LOOP;
END
$body$;

CREATE TABLE lies."Instance" ("id" pg_catalog.text);

CREATE TABLE lies."_prisma_migrations" ("id" pg_catalog.text);

RESET search_path;

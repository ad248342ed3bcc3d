//! What a role or a database has set for itself, and doubles of Postgres's own functions, operators and types in front of
//! the search_path: none of it changes what is found, shown or done.

use crate::hostile::all_commands::{assert_same, story, troubled};
use crate::support::database::{TestDatabase, execute};

/// Doubles of what `pg_catalog` has, in the schema `lies`: each raises an error. What cannot be doubled (pseudo-types) is
/// passed over.
const DOUBLES: &str = include_str!("look_alikes.sql");

/// Settings under which the same text means something else, is written in another way, or may not run.
const SETTINGS: &[(&str, &str)] = &[
    ("array_nulls", "off"),
    ("backslash_quote", "off"),
    ("bytea_output", "escape"),
    ("client_encoding", "LATIN1"),
    ("client_min_messages", "error"),
    ("DateStyle", "'German, DMY'"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "-15"),
    ("from_collapse_limit", "1"),
    ("geqo_threshold", "2"),
    ("idle_in_transaction_session_timeout", "'200ms'"),
    ("IntervalStyle", "sql_standard"),
    ("join_collapse_limit", "1"),
    ("lock_timeout", "'2s'"),
    ("plan_cache_mode", "force_generic_plan"),
    ("quote_all_identifiers", "on"),
    ("restrict_nonsystem_relation_kind", "'view, foreign-table'"),
    ("row_security", "off"),
    ("search_path", "lies, pg_catalog, evolution_api"),
    ("session_replication_role", "replica"),
    ("standard_conforming_strings", "off"),
    ("statement_timeout", "'30s'"),
    ("synchronous_commit", "off"),
    ("TimeZone", "'Asia/Kathmandu'"),
    ("transaction_timeout", "'30s'"),
    ("transform_null_equals", "on"),
    ("xmloption", "document"),
];

/// Default privileges open new tables to everybody; an event trigger looks at whatever is altered.
const HABITS: &str = "
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
    CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM object_identity FROM pg_event_trigger_ddl_commands(); END $$;
    CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION public.note();";

#[tokio::test]
async fn settings_and_look_alikes_change_nothing() {
    let (plain, connection) = troubled("evolution_api").await;
    drop(connection);
    let hostile = TestDatabase::copy_of(&plain).await;
    let mut connection = hostile.connect().await;
    execute(&mut connection, DOUBLES).await;
    let doubles = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'lies'::regnamespace";
    let doubles: i64 = sqlx::query_scalar(doubles).fetch_one(&mut connection).await.expect("a count");
    assert!(doubles > 1500, "only {doubles} functions have a double");
    execute(&mut connection, HABITS).await;
    let known = "SELECT name FROM pg_settings";
    let known: Vec<String> = sqlx::query_scalar(known).fetch_all(&mut connection).await.expect("a list");
    // Some came with newer servers.
    for (name, value) in SETTINGS.iter().filter(|(name, _)| known.iter().any(|known| known == name)) {
        execute(&mut connection, &format!("ALTER DATABASE {} SET \"{name}\" = {value}", hostile.name()))
            .await;
    }
    let (plain, told) = (story(&plain.url()), story(&hostile.url()));
    assert_same("a hostile set-up", &plain, &told);

    // Only the owner may read the quarantine.
    let open = "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
                LATERAL aclexplode(c.relacl || n.nspacl) AS a
                WHERE n.nspname = 'evodoctor' AND a.grantee <> c.relowner";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(open, 0);
}

//! Repairs by the owner of Evolution's tables, who is not a superuser: what that role may not do is left alone, or
//! reported.

use evodoctor::database::ident::SqlFragment;
use sqlx::Row;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor, on};
use crate::support::roles;

/// A database that belongs to a role of its own, and the role's connection string.
async fn owned(stem: &str) -> (TestDatabase, String) {
    let database = Fixture::read(stem, "bad").database("public").await;
    let mut connection = database.connect().await;
    let role = format!("owner_of_{}", database.name());
    execute(&mut connection, &format!("CREATE ROLE {role} LOGIN")).await;
    execute(&mut connection, &format!("ALTER DATABASE {} OWNER TO {role}", database.name())).await;
    execute(&mut connection, &format!("ALTER SCHEMA public OWNER TO {role}")).await;
    let tables = sqlx::query(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    for row in tables.fetch_all(&mut connection).await.expect("a list") {
        let table = SqlFragment::qualified("public", row.get("relname"));
        execute(&mut connection, &format!("ALTER TABLE {table} OWNER TO {role}")).await;
    }
    let url = database.url().replace("postgres@", &format!("{role}@"));
    (database, url)
}

fn apply(code: &str, url: &str) -> Run {
    evodoctor(&["fix", code, "--apply", "--format", "json", "--database-url", url])
}

/// Gives everything back to the superuser, so that the role can go with its database.
async fn give_back(database: &TestDatabase) {
    let mut connection = database.connect().await;
    let role = format!("owner_of_{}", database.name());
    execute(
        &mut connection,
        &format!("REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"),
    )
    .await;
}

#[tokio::test]
async fn an_index_stays_valid_that_only_a_superuser_could_break() {
    let (database, url) = owned("EVO208_invalid_index").await;
    let run = apply("EVO208", &url);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("stays valid"), "{}", run.stdout);
    let run = evodoctor(&["check", "--select", "EVO208", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    give_back(&database).await;
}

#[tokio::test]
async fn keys_are_validated_and_triggers_left_to_a_superuser() {
    let (database, url) = owned("EVO207_key_not_validated").await;
    let run = apply("EVO207", &url);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let left = evodoctor(&["check", "--select", "EVO207", "--format", "json", "--database-url", &url]).json();
    let left = left["findings"].as_array().expect("a list");
    assert_eq!(left.len(), 4, "the key that was NOT VALID is repaired");
    for finding in left {
        assert_eq!(finding["fix"]["applicability"], "manual");
        assert!(finding["detail"].as_str().expect("a sentence").contains("only a superuser"));
    }
    let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    give_back(&database).await;
}

/// A role that may write to the ledger could put statements there for a superuser to run.
#[tokio::test]
async fn a_superuser_does_not_run_what_the_ledger_of_another_role_holds() {
    let (database, url) = owned("EVO208_invalid_index").await;
    assert_eq!(apply("EVO208", &url).code, Some(0));
    let run = evodoctor(&["undo", "1", "--apply", "--database-url", &database.url()]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    let owner = format!("owner_of_{}", database.name());
    assert!(run.stderr.contains(&format!("connect as {owner:?}")), "{}", run.stderr);
    give_back(&database).await;
}

const APPLY: [&str; 4] = ["fix", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"];

/// Whatever is missing is said before the first statement, in a dry run as well; then it is given as was said, and helps.
#[tokio::test]
async fn all_missing_rights_are_reported_at_once_beforehand() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    let other = roles::reader(&mut connection, "evolution_api").await;
    execute(
        &mut connection,
        &format!(
            r#"DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO {role}', current_database());
                EXECUTE format('REVOKE CREATE ON DATABASE %I FROM {role}', current_database()); END $$;
            ALTER SCHEMA evolution_api OWNER TO postgres; GRANT USAGE ON SCHEMA evolution_api TO {role};
            ALTER TABLE evolution_api."Media" OWNER TO {other}; GRANT ALL ON evolution_api."Media" TO {role};
            REVOKE DELETE, UPDATE ON evolution_api."MessageUpdate" FROM {role};
            -- A log of every statement that came as far as to touch rows or tables.
            CREATE TABLE public.log (tag text); GRANT ALL ON public.log TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC;
            CREATE FUNCTION public.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'too late'; END $$;
            CREATE TRIGGER log BEFORE DELETE OR UPDATE ON evolution_api."Message" EXECUTE FUNCTION public.log()"#
        ),
    )
    .await;
    let before = state(&mut connection, &[]).await;
    let url = database.url_as(&role);
    let grants = [
        format!(r#"GRANT CREATE ON DATABASE "{}" TO "{role}""#, database.name()),
        format!(r#"GRANT CREATE ON SCHEMA "evolution_api" TO "{role}""#),
        format!(r#"ALTER TABLE "evolution_api"."Media" OWNER TO "{role}""#),
        format!(r#"GRANT UPDATE, DELETE ON "evolution_api"."MessageUpdate" TO "{role}""#),
    ];
    let says: Vec<&str> = grants.iter().map(String::as_str).chain([r#""Media""#, "EVO101", &other]).collect();
    for arguments in [&["fix"][..], &APPLY] {
        let run = on(&url, arguments).ends(2);
        run.clone().complains(&says);
        assert!(!run.stderr.contains("too late"), "{}", run.stderr);
        assert_eq!(state(&mut connection, &[]).await, before);
    }
    let batches = ["fix", "EVO101", "--batch=1", "--apply", "--allow", "deletes-rows,changes-rows"];
    on(&url, &batches).ends(2).complains(&[&grants[0], &grants[2], &grants[3]]);
    assert_eq!(state(&mut connection, &[]).await, before, "no batch was begun");
    execute(&mut connection, &grants.join(";")).await;
    execute(&mut connection, r#"DROP TRIGGER log ON evolution_api."Message""#).await;
    on(&url, &APPLY).ends(0);
    on(&url, &["undo", "1"]).ends(1);
    // Nor is a way back begun that the role may not go.
    execute(&mut connection, &format!(r#"ALTER TABLE evolution_api."Media" OWNER TO {other}"#)).await;
    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&[r#""Media""#, &grants[2]]);
}

/// Row-level security that holds for the owner too would hide rows that hang on those to be removed.
#[tokio::test]
async fn rows_hidden_by_a_forced_policy_are_reported_beforehand() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    execute(
        &mut connection,
        r#"ALTER TABLE evolution_api."MessageUpdate" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"#,
    )
    .await;
    let before = state(&mut connection, &[]).await;
    let url = database.url_as(&role);
    for arguments in [&["fix"][..], &APPLY] {
        on(&url, arguments).ends(2).complains(&[
            "does not see all rows of \"MessageUpdate\" (EVO101",
            r#"ALTER TABLE "evolution_api"."MessageUpdate" NO FORCE ROW LEVEL SECURITY"#,
        ]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    // Without FORCE an owner sees everything.
    execute(&mut connection, r#"ALTER TABLE evolution_api."MessageUpdate" NO FORCE ROW LEVEL SECURITY"#)
        .await;
    on(&url, &APPLY).ends(0);
}

/// A member that does not inherit (PostgreSQL 16 says so for each grant) owns nothing until it becomes the owner.
#[tokio::test]
async fn a_member_that_does_not_inherit_is_told_how_to_become_the_owner() {
    let database =
        Fixture::read("EVO202_openai_api_key_unique_across_instances", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let owner = roles::owner(&mut connection, "evolution_api").await;
    let member = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!("ALTER ROLE {member} NOINHERIT; GRANT {owner} TO {member}")).await;
    let url = database.url_as(&member);
    let option = format!("options=-c%20role%3D{owner}");
    on(&url, &["fix", "EVO202"]).ends(2).complains(&["does not own", &owner, &option]);
    // What it says helps, and all of it is the owner's then.
    let url = format!("{url}&{option}");
    on(&url, &["fix", "EVO202", "--apply"]).ends(0);
    let of = "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class
              WHERE relnamespace = 'evodoctor'::regnamespace";
    let of: Vec<String> = sqlx::query_scalar(of).fetch_all(&mut connection).await.expect("a list");
    assert_eq!(of, [owner]);
    on(&url, &["undo", "1", "--apply"]).ends(0);
}

/// The ledger's schema may have been given away without its tables, or belong to another role completely.
#[tokio::test]
async fn a_ledger_of_several_owners_is_reported_beforehand() {
    let database =
        Fixture::read("EVO202_openai_api_key_unique_across_instances", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    on(&database.url(), &["fix", "EVO202", "--apply"]).ends(0);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    let role = roles::owner(&mut connection, "evolution_api").await;
    let url = database.url_as(&role);
    execute(
        &mut connection,
        &format!(
            "GRANT USAGE ON SCHEMA evodoctor TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA evodoctor TO {role}"
        ),
    )
    .await;
    let schema = format!("ALTER SCHEMA \"evodoctor\" OWNER TO \"{role}\"");
    on(&url, &["fix", "EVO202"]).ends(2).complains(&[
        "does not own the schema \"evodoctor\"",
        "\"postgres\" does",
        &schema,
    ]);
    execute(&mut connection, &schema).await;
    let table = |name| format!("ALTER TABLE \"evodoctor\".\"{name}\" OWNER TO \"{role}\"");
    on(&url, &["fix", "EVO202"]).ends(2).complains(&["not the ledger's tables in it", &table("run")]);
    for name in ["run", "applied_fix", "quarantine_entry"] {
        execute(&mut connection, &table(name)).await;
    }
    on(&url, &["fix", "EVO202", "--apply"]).ends(0);
}

/// What a superuser makes for Evolution belongs to Evolution, or the server could not read its own table.
#[tokio::test]
async fn created_objects_belong_to_evolutions_role() {
    for member in [false, true] {
        let database = Fixture::read("EVO305_applied_but_absent", "bad").database("evolution_api").await;
        let mut connection = database.connect().await;
        let owner = roles::owner(&mut connection, "evolution_api").await;
        let url = if member {
            let member = roles::reader(&mut connection, "evolution_api").await;
            execute(
                &mut connection,
                &format!(
                    "GRANT {owner} TO {member};
                     DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {member}', current_database()); END $$"
                ),
            )
            .await;
            database.url_as(&member)
        } else {
            database.url()
        };
        let before = state(&mut connection, &["evodoctor"]).await;
        let run = on(&url, &["fix", "EVO305", "--apply", "-v"]).ends(0);
        assert!(run.stdout.contains("OWNER TO"), "{}", run.stdout);
        let strangers = format!(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'evolution_api'::regnamespace
                 AND pg_get_userbyid(relowner) <> '{owner}'"
        );
        let strangers = sqlx::query_scalar(sqlx::AssertSqlSafe(strangers));
        let strangers: Vec<String> = strangers.fetch_all(&mut connection).await.expect("a list");
        assert!(strangers.is_empty(), "{strangers:?}");
        on(&url, &["undo", "1", "--apply"]).ends(0);
        assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
    }
}

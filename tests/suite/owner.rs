//! Repairs by the role that owns Evolution's tables and is no superuser: what it may not do is left alone, or said.

use evodoctor::database::quote::Fragment;
use sqlx::Row;

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor};

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
        let table = Fragment::qualified("public", row.get("relname"));
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

/// Whoever may write to the ledger could put statements there for a superuser to run.
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

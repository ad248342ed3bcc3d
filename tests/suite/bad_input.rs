//! Bad input gets a clear error and exit 2, and nothing is lost.

use std::fs;

use serde_json::Value;
use sqlx::PgConnection;
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::on;
use crate::support::roles;

const APPLY: [&str; 4] = ["fix", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"];

async fn broken() -> (TestDatabase, PgConnection) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let connection = database.connect().await;
    (database, connection)
}

#[tokio::test]
async fn codes_that_do_not_exist_or_have_no_fix() {
    let (database, mut connection) = broken().await;
    let before = state(&mut connection, &[]).await;
    let url = database.url();
    on(&url, &["fix", "EVO020"]).ends(2).complains(&["there is no code EVO020", "evodoctor explain lists"]);
    on(&url, &["fix", "EVO1O1", "--apply"]).ends(2).complains(&["did you mean EVO101?"]);
    on(&url, &["fix", "nonsense", "--apply"]).ends(2).complains(&["evodoctor explain lists every code"]);
    on(&url, &["check", "--select", "EVO020"]).ends(2).complains(&["there is no code EVO020"]);
    on(&url, &["check", "--ignore", "EVO020"]).ends(2).complains(&["there is no code EVO020"]);
    on(&url, &["fix", "EVO501", "--apply"])
        .ends(2)
        .complains(&["EVO501 has no automatic fix", "these have a fix: EVO101"]);
    assert_eq!(state(&mut connection, &[]).await, before);
    // Lower case is accepted.
    on(&url, &["fix", "evo101"]).ends(1);
}

#[tokio::test]
async fn a_role_that_owns_nothing() {
    let (database, mut connection) = broken().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(
        &mut connection,
        &format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA evolution_api TO {role};
             DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$"
        ),
    )
    .await;
    let before = state(&mut connection, &[]).await;
    let said = ["does not own", &role, "connect as \"postgres\""];
    on(&database.url_as(&role), &APPLY).ends(2).complains(&said);
    on(&database.url_as(&role), &["fix", "EVO202"]).ends(2).complains(&said);
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn a_role_that_may_not_create_the_ledger() {
    let (database, mut connection) = broken().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    execute(
        &mut connection,
        &format!("DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM {role}', current_database()); END $$"),
    )
    .await;
    let before = state(&mut connection, &[]).await;
    let grant = format!("GRANT CREATE ON DATABASE \"{}\" TO \"{role}\"", database.name());
    on(&database.url_as(&role), &APPLY).ends(2).complains(&["may not create the schema", &grant]);
    assert_eq!(state(&mut connection, &[]).await, before);
    // What it says helps.
    execute(&mut connection, &grant).await;
    on(&database.url_as(&role), &APPLY).ends(0);
}

/// A ledger that another role made: the message names that role.
#[tokio::test]
async fn a_ledger_of_another_role() {
    let (database, mut connection) = broken().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    on(&database.url(), &["fix", "EVO202", "--apply"]).ends(0);
    let before = state(&mut connection, &[]).await;
    for arguments in [&APPLY[..], &["undo", "1", "--apply"], &["history"]] {
        on(&database.url_as(&role), arguments).ends(2).complains(&["evodoctor", "connect as \"postgres\""]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    on(&database.url_as(&role), &["check"]).ends(1);
}

#[tokio::test]
async fn several_schemas_or_none_are_an_error() {
    let (database, mut connection) = broken().await;
    let url = database.url();
    on(&url, &["check", "--schema", "other"]).ends(2).complains(&[
        "schema \"other\"",
        "holds no Evolution tables",
        "\"evolution_api\"",
    ]);
    let release = evodoctor::evolution::release::Release::find("2.3.7").expect("known");
    evodoctor::database::release_schema::create_release_schema(&mut connection, "other", release)
        .await
        .expect("built");
    let before = state(&mut connection, &[]).await;
    for arguments in [&["check"][..], &APPLY, &["history"]] {
        on(&url, arguments).ends(2).complains(&["\"evolution_api\"", "\"other\"", "--schema"]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    on(&url, &["check", "--schema", "other"]).ends(0);
    on(&url, &["check", "--schema", "evolution_api"]).ends(1);

    let empty = TestDatabase::empty().await;
    on(&empty.url(), &["check"]).ends(2).complains(&["holds no Evolution tables", empty.name()]);
    on(&empty.url(), &APPLY).ends(2).complains(&["holds no Evolution tables"]);
    let left = state(&mut empty.connect().await, &[]).await;
    assert!(!left.contains("evodoctor"), "{left}");
}

/// Without `_prisma_migrations` the expected keys are unknown: clean data is not reported as clean.
#[tokio::test]
async fn an_unknown_release_is_undecided() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, "DROP TABLE evolution_api.\"_prisma_migrations\"").await;
    // A missing history is a finding of its own; besides that nothing is found, and the checks are undecided.
    on(&database.url(), &["check"]).ends(1);
    let report = on(&database.url(), &["check", "--ignore", "EVO302", "--format", "json"]).ends(3).json();
    let orphans = check(&report, "EVO101");
    assert_eq!(orphans["outcome"], "undecided");
    assert!(orphans["reason"].as_str().unwrap().contains("release is unknown"), "{orphans}");
    assert_eq!(report["release"], Value::Null);
    // What the database declares is compared all the same.
    execute(
        &mut connection,
        r#"SET session_replication_role = replica; INSERT INTO evolution_api."Session" ("id", "sessionId")
        VALUES ('x', 'gone')"#,
    )
    .await;
    on(&database.url(), &["check", "--ignore", "EVO302"]).ends(1);
}

fn check<'a>(report: &'a Value, code: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["code"] == code).expect("the check was run")
}

#[tokio::test]
async fn files_that_cannot_be_written() {
    let (database, mut connection) = broken().await;
    let before = state(&mut connection, &[]).await;
    let folder = TempDir::new().expect("a folder");
    let nowhere = folder.path().join("missing").join("report.json");
    let nowhere = nowhere.to_str().expect("UTF-8");
    let url = database.url();
    on(&url, &["check", "--output", nowhere]).ends(2).complains(&["cannot be written", nowhere]);
    on(&url, &["fix", "--plan-out", nowhere]).ends(2).complains(&["could not be written", nowhere]);
    // Refused before the work, not after the commit.
    let arguments: Vec<&str> = APPLY.iter().copied().chain(["--output", nowhere]).collect();
    on(&url, &arguments).ends(2).complains(&["cannot be written", nowhere]);
    assert_eq!(state(&mut connection, &[]).await, before);
    let good = folder.path().join("report.json");
    on(&url, &["check", "--format", "json", "--output", good.to_str().unwrap()]).ends(1);
    let report: Value = serde_json::from_str(&fs::read_to_string(good).unwrap()).unwrap();
    assert_eq!(report["command"], "check");
}

#[tokio::test]
async fn a_foreign_schema_named_evodoctor_is_refused() {
    let (database, mut connection) = broken().await;
    execute(&mut connection, "CREATE SCHEMA evodoctor; CREATE TABLE evodoctor.run (mine text)").await;
    let before = state(&mut connection, &[]).await;
    let url = database.url();
    for arguments in [&APPLY[..], &["fix"], &["undo", "1", "--apply"], &["history"]] {
        on(&url, arguments).ends(2).complains(&["that is not evodoctor's ledger", "rename that schema"]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    // Examining needs no ledger.
    on(&url, &["check"]).ends(1);
    // A ledger of a later version is not touched either.
    execute(&mut connection, "COMMENT ON SCHEMA evodoctor IS 'evodoctor ledger, format 9'").await;
    on(&url, &APPLY).ends(2).complains(&["has another format"]);
}

#[tokio::test]
async fn runs_that_do_not_exist() {
    let (database, mut connection) = broken().await;
    let before = state(&mut connection, &[]).await;
    on(&database.url(), &["undo", "99", "--apply"]).ends(2).complains(&["there is no run 99"]);
    on(&database.url(), &["undo", "1"]).ends(2).complains(&["there is no run 1", "evodoctor history"]);
    on(&database.url(), &["undo", "first"]).ends(2);
    assert_eq!(state(&mut connection, &[]).await, before);
}

//! `preflight --migrations` runs the pending files for real, says what each does, and leaves a live database as it was.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use evodoctor::evolution::release::Release;
use evodoctor::upgrade::hazard::all_hazards;
use serde_json::{Value, json};

use crate::dumps::{Dumps, snapshot};
use crate::support::checkout::Checkout;
use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, ended, on, start_on};

mod folders;

const SCHEMA: &str = "evolution_api";

fn live<'a>(path: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let path = path.to_str().expect("UTF-8");
    [&["preflight", "--migrations", path, "--rehearse-on-live"], more].concat()
}

fn rehearsed(database: &TestDatabase, checkout: &Checkout) -> Run {
    on(&database.url(), &live(checkout.root(), &["--format", "json"]))
}

fn files(report: &Value) -> &[Value] {
    report["preflight"]["rehearsal"]["files"].as_array().expect("a list")
}

fn last(report: &Value) -> &Value {
    files(report).last().expect("a file was pending")
}

/// 2.3.7 and one file of a release to come, on a database of 2.3.7.
async fn newer(sql: &str) -> (TestDatabase, Checkout) {
    let database = TestDatabase::new("2.3.7", SCHEMA).await;
    (database, Checkout::of("2.3.7").with("20991231000000_to_come", sql))
}

#[tokio::test]
async fn every_upgrade_passes_as_predicted_and_is_rolled_back() {
    let newest = Release::newest();
    let checkout = Checkout::of(newest.version());
    let mut seen = 0;
    for release in Release::all() {
        let count = release.migrations().count();
        if count == seen || release == newest {
            continue;
        }
        seen = count;
        let database = TestDatabase::new(release.version(), SCHEMA).await;
        let mut connection = database.connect().await;
        let before = state(&mut connection, &[]).await;
        // The licence that the newest release wants is a warning of its own, and none about the files.
        let is_pending = count < newest.migrations().count();
        let report = rehearsed(&database, &checkout).ends(i32::from(is_pending)).json();
        let findings = report["findings"].as_array().expect("a list").iter();
        let codes =
            findings.filter(|finding| finding["severity"] != "advice").map(|finding| &finding["code"]);
        assert_eq!(codes.collect::<Vec<_>>(), if is_pending { vec!["EVO731"] } else { vec![] }, "{release}");
        let rehearsal = &report["preflight"]["rehearsal"];
        assert_eq!(rehearsal["committed"], false);
        assert_eq!(rehearsal["release"], newest.version());
        assert_eq!(files(&report).len(), newest.migrations().count() - count, "{release}");
        for file in files(&report) {
            assert_eq!(file["outcome"], "passes", "{release}: {file:#}");
            assert_eq!(file["differences"], json!([]), "{release}: {file:#}");
            assert_eq!(file["reached"], true);
            assert!(file["predicted"].is_object());
        }
        assert_eq!(state(&mut connection, &[]).await, before, "{release}");
    }
    assert!(seen > 50);
}

/// The databases that a hazard spares are those of the test above, in all but a few rows.
#[tokio::test]
async fn each_hazard_happens_as_predicted() {
    for hazard in all_hazards().iter().filter(|hazard| hazard.rule.code != "EVO604") {
        let fixture = Fixture::read(&hazard.stem, "bad");
        let to = fixture.to.as_deref().expect("an upgrade has an end");
        let checkout = Checkout::of(to);
        let database = fixture.database(SCHEMA).await;
        let report = on(&database.url(), &live(checkout.root(), &["--to", to, "--format", "json"])).json();
        let mut fails = false;
        for file in files(&report) {
            assert_eq!(file["reached"], !fails, "{}: {file:#}", hazard.stem);
            // What comes after a failure rests on what that left.
            if fails {
                break;
            }
            assert_eq!(file["differences"], json!([]), "{}: {file:#}", hazard.stem);
            fails = file["outcome"] == "fails";
        }
        let predicted = report["preflight"]["pending"].as_array().expect("a list");
        assert_eq!(fails, predicted.iter().any(|one| one["outcome"] == "fails"), "{}", hazard.stem);
    }
}

#[tokio::test]
async fn a_failure_is_reported_with_its_line_and_the_rest_still_runs() {
    let sql = "-- A comment; with a semicolon.\nCREATE TABLE \"New\" (\n  \"id\" text\n);\n\
               ALTER TABLE \"Instance\"\n  ADD COLUMN \"token\" text;\nDROP TABLE \"Nowhere\"";
    let (database, checkout) = newer(sql).await;
    let checkout = checkout.with("20991231000001_after", "ALTER TABLE \"New\" ADD COLUMN \"more\" integer;");
    let report = rehearsed(&database, &checkout).ends(1).json();
    let [first, second] = files(&report) else { panic!("{report:#}") };
    let errors = first["errors"].as_array().expect("a list");
    assert_eq!((&errors[0]["sqlstate"], &errors[0]["line"]), (&json!("42701"), &json!(5)));
    assert_eq!((&errors[1]["sqlstate"], &errors[1]["line"]), (&json!("42P01"), &json!(7)));
    assert_eq!(first["statements"], 3);
    assert_eq!(first["release"], Value::Null);
    // The table exists anyway, as if the failure had been corrected.
    assert_eq!((&second["outcome"], &second["reached"]), (&json!("passes"), &json!(false)));
    let finding = &report["findings"][0];
    assert_eq!((&finding["code"], &finding["count"]), (&json!("EVO616"), &json!(2)));

    let run = on(&database.url(), &live(checkout.root(), &[])).ends(1);
    for text in
        ["FAILS 42701 line 5", "exists already", "ALTER TABLE \"Instance\" ADD COLUMN", "not reached (ok)"]
    {
        assert!(run.stdout.contains(text), "no {text:?} in {}", run.stdout);
    }
    assert!(run.stdout.contains("Prisma stops there"), "{}", run.stdout);
}

#[tokio::test]
async fn broken_sql_points_at_its_line() {
    let (database, checkout) =
        newer("ALTER TABLE \"Chat\" ADD COLUMN a text;\n\nALTER TABLE \"Chat\"\n  ADD COLUM b text;\n").await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    let error = &last(&report)["errors"][0];
    assert_eq!((&error["sqlstate"], &error["line"]), (&json!("42601"), &json!(4)));
}

/// A statement that hides others in what only the server takes for their end is refused, not split by it.
#[tokio::test]
async fn no_statement_escapes_the_rolled_back_transaction() {
    let hidden = "SET standard_conforming_strings = off;\nSELECT 'a\\''; COMMIT; -- '\n;\n\
                  DO $$ BEGIN COMMIT; END $$;\nCREATE TABLE \"Left\" (a integer);\nCOMMIT;\n\
                  ROLLBACK;\nABORT;\nEND;\nCREATE TABLE \"Behind\" (a integer);\nPREPARE TRANSACTION 'x';\n";
    let (database, checkout) = newer(hidden).await;
    let mut connection = database.connect().await;
    let before = state(&mut connection, &[]).await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    assert_eq!(last(&report)["commits"], json!([6, 9]));
    let errors = last(&report)["errors"].as_array().expect("a list");
    let states: Vec<&Value> = errors.iter().map(|error| &error["sqlstate"]).collect();
    assert_eq!(states, ["42601", "2D000"], "{errors:#?}");
    assert_eq!(last(&report)["not_rehearsed"].as_array().expect("a list").len(), 3);
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn a_file_with_its_own_commit_is_reported() {
    let (database, checkout) =
        newer("BEGIN;\nALTER TABLE \"Chat\" ADD COLUMN a text;\nCOMMIT;\nDROP TABLE \"Nowhere\";\n").await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    assert_eq!(last(&report)["commits"], json!([3]));
    assert_eq!(last(&report)["errors"][0]["committed_up_to"], 3);
    assert!(report["findings"][0]["detail"].as_str().expect("a text").contains("COMMIT in line 3 stay"));
}

#[tokio::test]
async fn statements_outside_of_transactions_are_skipped_not_failed() {
    let index = "CREATE INDEX CONCURRENTLY \"to_come\" ON \"Chat\" (\"name\");";
    let (database, checkout) = newer(index).await;
    let report = rehearsed(&database, &checkout).ends(3).json();
    assert_eq!(last(&report)["outcome"], "undecided");
    assert!(last(&report)["not_rehearsed"][0]["reason"].as_str().expect("a text").contains("only statement"));

    // With another statement beside it Prisma's query is a transaction, and fails.
    let (database, checkout) = newer(&format!("{index}\nSELECT 1;")).await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    assert_eq!(last(&report)["errors"][0]["sqlstate"], "25001");
}

#[tokio::test]
async fn a_new_value_of_an_enum_can_be_used_by_the_next_file_only() {
    let (add, use_it) = (
        "ALTER TYPE \"DeviceMessage\" ADD VALUE 'fridge';",
        "UPDATE \"Message\" SET \"source\" = 'fridge' WHERE \"id\" = 'none';",
    );
    let (database, checkout) = newer(add).await;
    let checkout = checkout.with("20991231000001_uses", use_it);
    let report = rehearsed(&database, &checkout).ends(3).json();
    assert_eq!(last(&report)["outcome"], "undecided");
    let dumps = Dumps::new();
    let dump = dumps.dump(&database, "evolution.dump", &["-Fc"]);
    let path = checkout.root().to_str().expect("UTF-8");
    let arguments = ["preflight", "--migrations", path, "--format", "json"];
    let report = snapshot(&dump, &arguments).ends(0).json();
    assert_eq!(last(&report)["outcome"], "passes");

    let (database, checkout) = newer(&format!("{add}\n{use_it}")).await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    assert_eq!(last(&report)["errors"][0]["sqlstate"], "55P04");
}

#[tokio::test]
async fn lost_rows_and_values_are_counted() {
    let sql = "DELETE FROM \"Instance\" WHERE \"id\" = 'i1';\nTRUNCATE \"Contact\";\nDROP TABLE \"Label\";\n\
               ALTER TABLE \"Instance\" DROP COLUMN \"number\", ADD COLUMN \"number\" text;\n\
               INSERT INTO \"Chat\" (\"id\", \"remoteJid\", \"instanceId\", \"updatedAt\") VALUES ('c9', 'x', 'i2', now());\n";
    let (database, checkout) = newer(sql).await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "SET search_path = evolution_api;
         INSERT INTO \"Instance\" (\"id\", \"name\", \"number\", \"updatedAt\") VALUES ('i1', 'a', '1', now()), ('i2', 'b', '2', now()), ('i3', 'c', NULL, now());
         INSERT INTO \"Chat\" (\"id\", \"remoteJid\", \"instanceId\", \"updatedAt\") VALUES ('c1', 'x', 'i1', now()), ('c2', 'y', 'i1', now());
         INSERT INTO \"Contact\" (\"id\", \"remoteJid\", \"instanceId\", \"updatedAt\") VALUES ('k1', 'x', 'i2', now());
         INSERT INTO \"Label\" (\"id\", \"labelId\", \"name\", \"color\", \"instanceId\", \"updatedAt\") VALUES ('l1', '1', 'n', '1', 'i2', now())",
    )
    .await;
    let before = state(&mut connection, &[]).await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    let rows = &last(&report)["rows"];
    let counts = |table: &str| {
        let row = &rows[table];
        [&row["inserted"], &row["updated"], &row["removed"], &row["values_dropped"]]
            .map(|n| n.as_i64().unwrap())
    };
    assert_eq!(counts("Instance"), [0, 0, 1, 1], "{rows:#}");
    assert_eq!(counts("Chat"), [1, 0, 2, 0], "{rows:#}");
    assert_eq!(counts("Contact"), [0, 0, 1, 0], "{rows:#}");
    assert_eq!(counts("Label"), [0, 0, 1, 0], "{rows:#}");
    assert_eq!(last(&report)["outcome"], "loses-data");
    assert!(report["findings"].as_array().expect("a list").iter().all(|finding| finding["code"] == "EVO617"));
    let locks = last(&report)["locks"].as_array().expect("a list");
    let mode =
        |table: &str| locks.iter().find(|lock| lock["table"] == table).map(|lock| lock["mode"].clone());
    assert_eq!(mode("evolution_api.\"Contact\""), Some(json!("AccessExclusiveLock")), "{locks:?}");
    assert_eq!(mode("evolution_api.\"Label\""), Some(json!("AccessExclusiveLock")), "{locks:?}");
    assert!(last(&report)["wal_bytes"].as_i64().expect("a number") > 0);
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn values_of_rows_stay_out_of_errors() {
    let (database, checkout) = newer(
        "CREATE UNIQUE INDEX \"to_come\" ON \"Instance\" (\"token\");\n\
         ALTER TABLE \"Instance\" ALTER COLUMN \"token\" TYPE integer USING (\"token\"::integer);\n",
    )
    .await;
    execute(
        &mut database.connect().await,
        "INSERT INTO evolution_api.\"Instance\" (\"id\", \"name\", \"token\", \"updatedAt\")
         VALUES ('a', 'a', 'verysecret-token', now()), ('b', 'b', 'verysecret-token', now())",
    )
    .await;
    let run = rehearsed(&database, &checkout).ends(1);
    assert!(!run.stdout.contains("verysecret"), "{}", run.stdout);
    let report = run.json();
    assert_eq!(last(&report)["errors"][0]["sqlstate"], "23505");
    assert_eq!(last(&report)["errors"][0]["detail"], "Key (token) is duplicated.");
    assert_eq!(last(&report)["errors"][1]["sqlstate"], "22P02");
}

#[tokio::test]
async fn a_dump_is_rehearsed_file_by_file_and_committed() {
    let fixture = Fixture::read("EVO614_wrong_chat_survives", "bad");
    let database = fixture.database(SCHEMA).await;
    let dumps = Dumps::new();
    let dump = dumps.dump(&database, "evolution.dump", &["-Fc"]);
    let checkout = Checkout::of("2.3.7")
        .with("20991231000000_alone", "CREATE INDEX CONCURRENTLY \"to_come\" ON \"Chat\" (\"name\");")
        .with("20991231000001_uses", "DROP INDEX \"to_come\";\nCOMMIT;\nUPDATE \"Chat\" SET \"name\" = 'x';");
    let path = checkout.root().to_str().expect("UTF-8");
    let report = snapshot(&dump, &["preflight", "--migrations", path, "--format", "json"]).ends(1).json();
    assert_eq!(report["preflight"]["rehearsal"]["committed"], true);
    let [known, alone, uses] = files(&report) else { panic!("{report:#}") };
    assert_eq!((&known["outcome"], &known["differences"]), (&json!("loses-data"), &json!([])));
    assert_eq!(known["rows"]["Chat"]["removed"], 4);
    assert_eq!((&alone["outcome"], &uses["outcome"]), (&json!("passes"), &json!("passes")));
    assert!(uses["rows"]["Chat"]["updated"].as_i64().expect("a number") > 0);
    let run = snapshot(&dump, &["preflight", "--migrations", path]).ends(1);
    assert!(run.stdout.contains("each committed"), "{}", run.stdout);
}

#[tokio::test]
async fn applied_migrations_are_compared_with_the_folder() {
    let database = TestDatabase::new("2.3.6", SCHEMA).await;
    let text = "ALTER TABLE \"Chat\" ADD COLUMN a text;\n";
    let checkout = Checkout::empty()
        .with("20240609181238_init", "SELECT 1;")
        .with("20990101000000_applied", text)
        .with("20990101000001_pending", text);
    let windows = "e".repeat(64);
    let insert = |name: &str, checksum: &str, finished: &str, rolled_back: &str| {
        format!(
            "INSERT INTO evolution_api._prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at)
             VALUES (md5(random()::text), '{checksum}', '{name}', {finished}, {rolled_back})"
        )
    };
    let mut connection = database.connect().await;
    execute(&mut connection, &insert("20990101000000_applied", &windows, "now()", "NULL")).await;
    execute(&mut connection, &insert("20990101000001_pending", &windows, "now()", "now()")).await;
    let report = rehearsed(&database, &checkout).ends(0).json();
    let rehearsal = &report["preflight"]["rehearsal"];
    assert_eq!(files(&report).len(), 1, "what was rolled back is run again: {rehearsal:#}");
    assert_eq!(last(&report)["name"], "20990101000001_pending");
    let changed: Vec<&Value> =
        rehearsal["changed"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(changed, ["20240609181238_init", "20990101000000_applied"]);
    assert_eq!(rehearsal["missing"].as_array().expect("a list").len(), 55);

    // A failed one keeps Prisma from starting; what comes is rehearsed all the same.
    execute(&mut connection, &insert("20990101000001_pending", &windows, "NULL", "NULL")).await;
    let report = rehearsed(&database, &checkout).ends(1).json();
    assert_eq!((&last(&report)["outcome"], &last(&report)["reached"]), (&json!("passes"), &json!(false)));
    assert_eq!(report["preflight"]["starts"], false);
}

#[tokio::test]
async fn to_ends_the_rehearsal_at_that_releases_last_migration() {
    let database = TestDatabase::new("2.2.3", SCHEMA).await;
    let checkout = Checkout::of("2.3.7").with("20991231000000_to_come", "SELECT 1;");
    let report = on(&database.url(), &live(&checkout.migrations(), &["--to", "2.3.0", "--format", "json"]))
        .ends(0)
        .json();
    let target = Release::find("2.3.0").expect("known");
    let newest = target.migrations().last().expect("it has some").name.as_str();
    assert_eq!(last(&report)["name"], newest);
    let report =
        on(&database.url(), &live(&checkout.root().join("prisma"), &["--format", "json"])).ends(0).json();
    assert_eq!(last(&report)["name"], "20991231000000_to_come");
    assert_eq!(report["preflight"]["to"], "2.3.7");
}

#[tokio::test]
async fn a_live_database_is_touched_with_consent_only() {
    let (database, checkout) = newer("DROP TABLE \"Chat\";").await;
    let path = checkout.root().to_str().expect("UTF-8");
    on(&database.url(), &["preflight", "--migrations", path]).ends(2).complains(&[
        "holds every lock",
        "not rolled back",
        "Nothing has been run",
        "--snapshot evolution.dump",
        "--rehearse-on-live",
    ]);
    on(&database.url(), &["preflight", "--rehearse-on-live"]).ends(2).complains(&["--migrations"]);
}

#[tokio::test]
async fn a_locked_table_is_retried() {
    let (database, checkout) = newer("ALTER TABLE \"Chat\" ADD COLUMN a text;").await;
    let mut blocker = database.connect().await;
    execute(&mut blocker, "BEGIN; LOCK TABLE evolution_api.\"Chat\" IN ACCESS SHARE MODE").await;
    let child = start_on(&database.url(), &live(checkout.root(), &[]));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    execute(&mut blocker, "COMMIT").await;
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    run.complains(&["waiting:", "attempt 2 in"]);
}

#[tokio::test]
async fn ctrl_c_rolls_back() {
    let (database, checkout) =
        newer("ALTER TABLE \"Chat\" ADD COLUMN a text;\nSELECT pg_catalog.pg_sleep(60);").await;
    let mut connection = database.connect().await;
    let before = state(&mut connection, &[]).await;
    let child = start_on(&database.url(), &live(checkout.root(), &[]));
    let sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                  AND wait_event = 'PgSleep')";
    let is_sleeping = async |connection: &mut sqlx::PgConnection| {
        sqlx::query_scalar::<_, bool>(sleeps).fetch_one(connection).await.expect("readable")
    };
    while !is_sleeping(&mut connection).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
    assert!(interrupted.expect("kill is there").status.success());
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(2);
    run.complains(&["interrupted", "nothing has been changed"]);
    while is_sleeping(&mut connection).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(state(&mut connection, &[]).await, before);
}

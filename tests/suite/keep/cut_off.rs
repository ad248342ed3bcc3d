//! A run that keeps rows is killed at any moment: Evolution's rows are unchanged, a partial copy is not taken for a
//! complete one, and the next run keeps everything.

use evodoctor::evolution::release::Release;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::{SCHEMA, row};
use crate::support::database::{TestDatabase, execute};
use crate::support::kill_points::{ENDS, End, cut_off, moment};
use crate::support::program::on;
use crate::support::sample_rows::{Contents, contents, fill};
use crate::support::wire_proxy::{At, Side, Wire};

const KEEP: [&str; 9] =
    ["preflight", "--to", "2.3.7", "--keep", "--apply", "--batch", "1", "--fail-on", "never"];

/// The sessions of the program.
const OTHERS: &str =
    "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

#[tokio::test]
async fn an_interrupted_run_is_discarded_and_the_next_keeps_all() {
    let database = TestDatabase::new("2.0.9-rc", SCHEMA).await;
    let mut connection = database.connect().await;
    fill(&mut connection, SCHEMA, Release::find("2.0.9-rc").expect("known"), &[]).await;
    let before = contents(&mut connection, SCHEMA).await;
    connection.close().await.expect("a clean end");
    let whole = TestDatabase::copy_of(&database).await;
    let mut connection = database.connect().await;
    let wire = Wire::to(whole.socket());
    on(&wire.url(whole.name()), &KEEP).ends(0);
    let messages = wire.count();

    let wire = Wire::to(database.socket());
    let url = wire.url(database.name());
    let mut chance = SmallRng::seed_from_u64(22);
    let mut unfinished = 0;
    for end in ENDS {
        // In the middle of the batches; killed, also at its first commit and at some moment.
        let middle = At::Message(messages * 19 / 20, Side::Before);
        let all = [middle, At::Commit(Side::Before), moment(&mut chance, messages)];
        for at in all.into_iter().take(if end == End::Killed { 3 } else { 1 }) {
            let what = format!("{end:?} at {at:?} of {messages}");
            let run = cut_off(&wire, &url, &KEEP, (at, end), &mut connection, OTHERS).await;
            assert!(!run.stderr.contains("panicked"), "{what}: {run:?}");
            quiet(&mut connection).await;
            assert_eq!(contents(&mut connection, SCHEMA).await, before, "{what}");
            unfinished += i32::from(expect_truth(&mut connection, &database.url(), &what).await);
            if end != End::Killed {
                continue;
            }
            // The next one lets go of it.
            let report = on(&database.url(), &[&KEEP[..], &["--format", "json"]].concat()).ends(0).json();
            expect_all(&mut connection, &database, &report["preflight"]["keep"], &before, &what).await;
        }
    }
    assert!(unfinished >= 3, "only {unfinished} of them were cut off between two batches");
    let report = on(&database.url(), &[&KEEP[..], &["--format", "json"]].concat()).ends(0).json();
    expect_all(&mut connection, &database, &report["preflight"]["keep"], &before, "at the end").await;
}

/// The state of the newest open run, if there is one: finished only with all rows. Returns true if it is not.
async fn expect_truth(connection: &mut PgConnection, url: &str, what: &str) -> bool {
    let ledger = "SELECT pg_catalog.to_regclass('evodoctor.run') IS NOT NULL AS exists";
    if row(connection, ledger).await["exists"] == false {
        return false;
    }
    let newest = r#"SELECT "run", ("steps" #>> '{kept,finished}')::boolean AS finished,
        (SELECT sum("count") FROM evodoctor.quarantine_entry AS entry WHERE entry.run = applied_fix.run)::bigint AS rows
        FROM evodoctor.applied_fix WHERE "run" IN (SELECT "run" FROM evodoctor.run WHERE "undone_at" IS NULL AND "closed_at" IS NULL) ORDER BY 1 DESC LIMIT 1"#;
    let newest = row(connection, newest).await;
    let Some(run) = newest["run"].as_i64() else { return false };
    let history = on(url, &["history"]).ends(0).stdout;
    let line = history.lines().find(|line| line.trim_start().starts_with(&format!("{run} ")));
    let line = line.unwrap_or_else(|| panic!("{what}: run {run} is not in {history}"));
    if newest["finished"] == true {
        assert!(!line.contains("not finished"), "{what}: {history}");
        return false;
    }
    assert!(line.contains("not finished"), "{what}: {history}");
    let undone = on(url, &["undo", &run.to_string()]).ends(0);
    assert!(!undone.stdout.contains("brought back"), "{what}: {undone:?}");
    true
}

/// Every row of the newest run, byte for byte, and no table of one that was let go.
async fn expect_all(
    connection: &mut PgConnection,
    database: &TestDatabase,
    keep: &Value,
    before: &Contents,
    what: &str,
) {
    let run = keep["run"].as_i64().expect("a run").to_string();
    on(&database.url(), &["undo", &run, "--into-schema", "kept", "--apply"]).ends(0);
    let kept = contents(connection, "kept").await;
    let rows: usize = kept.values().map(|rows| rows.len()).sum();
    assert_eq!(Some(rows), keep["rows"].as_u64().and_then(|rows| usize::try_from(rows).ok()), "{what}");
    for (table, rows) in &kept {
        for (id, row) in rows {
            for (column, value) in row {
                assert_eq!(before[table][id].get(column), Some(value), "{what}: {table} {id} {column}");
            }
        }
    }
    execute(connection, "DROP SCHEMA kept CASCADE").await;
    let tables = "SELECT count(*) AS n FROM pg_catalog.pg_class
        WHERE relnamespace = 'evodoctor'::regnamespace AND relkind = 'r' AND relname LIKE 'quarantine\\_%\\_%'";
    let parts = keep["parts"].as_array().expect("a list").len();
    let left = row(connection, tables).await["n"].clone();
    assert_eq!(left.as_u64(), u64::try_from(parts).ok(), "{what}: tables of another run are left");
}

/// Waits until the server has ended the program's sessions.
async fn quiet(connection: &mut PgConnection) {
    let started = std::time::Instant::now();
    let left = format!("SELECT count(*) AS n FROM pg_stat_activity WHERE {OTHERS}");
    while row(connection, &left).await["n"] != 0 {
        assert!(started.elapsed().as_secs() < 20, "a session of the program stays");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

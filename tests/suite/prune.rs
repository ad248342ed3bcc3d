//! `history --prune` and `--older-than`: kept rows are dropped only if they cannot be needed any more, or with consent.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, on};

const CONSENT: &str = "deletes-rows,changes-rows,limits-undo";

async fn applied() -> (TestDatabase, PgConnection) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let connection = database.connect().await;
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", CONSENT]).ends(0);
    (database, connection)
}

fn history(database: &TestDatabase, arguments: &[&str]) -> Run {
    on(&database.url(), &[&["history"], arguments].concat())
}

async fn kept_tables(connection: &mut PgConnection) -> i64 {
    let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'evodoctor' AND tablename LIKE 'quarantine\\_%\\_%'
        AND tablename <> 'quarantine_entry'";
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.expect("a count").get(0)
}

#[tokio::test]
async fn a_run_that_can_be_undone_is_pruned_with_consent_only() {
    let (database, mut connection) = applied().await;
    let listed = history(&database, &["--format", "json"]).ends(0).json();
    let run = &listed["runs"][0];
    assert!(run["quarantined"].as_i64() > Some(0) && run["kept_bytes"].as_i64() > Some(0), "{listed}");
    assert_eq!(listed["storage"]["rows"], run["quarantined"]);
    assert!(listed["storage"]["bytes"].as_i64() >= run["kept_bytes"].as_i64(), "{listed}");
    history(&database, &[])
        .ends(0)
        .says(&["the schema \"evodoctor\" takes", "the oldest for less than an hour"]);

    let before = state(&mut connection, &[]).await;
    let dry = history(&database, &["--prune", "1"]).ends(1);
    dry.says(&["would drop for good", "--prune 1 --apply --allow deletes-rows,limits-undo"]);
    for allow in [&[][..], &["--allow", "deletes-rows"], &["--allow", "limits-undo"]] {
        history(&database, &[&["--prune", "1", "--apply"], allow].concat())
            .ends(2)
            .complains(&["without consent"]);
    }
    assert_eq!(state(&mut connection, &[]).await, before, "nothing has changed so far");

    let consent = ["--prune", "1", "--apply", "--allow", "deletes-rows,limits-undo"];
    history(&database, &consent).ends(0).says(&["pruned:"]);
    assert_eq!(kept_tables(&mut connection).await, 0);
    let listed = history(&database, &["--format", "json"]).ends(0).json();
    assert_eq!(listed["runs"][0]["quarantined"], 0);
    assert!(listed["runs"][0]["pruned_at"].is_string(), "{listed}");
    on(&database.url(), &["undo", "1"]).ends(2).complains(&["run 1 was pruned at"]);
    history(&database, &["--prune", "1"]).ends(0).says(&["nothing to prune", "run 1 keeps no rows"]);
    history(&database, &["--prune", "7"]).ends(2).complains(&["there is no run 7"]);
    // What comes later is not disturbed.
    on(&database.url(), &["check", "--select", "EVO101"]).ends(0);
}

#[tokio::test]
async fn old_runs_are_pruned_once_they_can_no_longer_be_undone() {
    let (database, mut connection) = applied().await;
    let old = ["--older-than", "90d"];
    history(&database, &old).ends(0).says(&["nothing to prune"]);
    execute(&mut connection, "UPDATE evodoctor.run SET applied_at = now() - interval '100 days'").await;
    history(&database, &old).ends(0).says(&["run 1 can still be undone", "the oldest for 100 days"]);
    let apply = [&old[..], &["--apply", "--allow", "deletes-rows"]].concat();
    history(&database, &apply).ends(0).says(&["nothing to prune"]);
    assert!(kept_tables(&mut connection).await > 0);

    execute(&mut connection, "UPDATE evodoctor.run SET closed_at = now(), closed_by = 'x'").await;
    history(&database, &old).ends(1).says(&["would drop for good"]);
    history(&database, &apply).ends(0).says(&["pruned:"]);
    assert_eq!(kept_tables(&mut connection).await, 0);
}

#[tokio::test]
async fn batches_share_tables_and_are_pruned_one_by_one() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    on(&database.url(), &["fix", "EVO101", "--batch", "10", "--apply", "--allow", CONSENT]).ends(0);
    let kept = || -> Vec<i64> {
        let listed = history(&database, &["--format", "json"]).ends(0).json();
        let runs = listed["runs"].as_array().unwrap().iter();
        runs.map(|run| run["quarantined"].as_i64().unwrap()).collect()
    };
    let before = kept();
    assert!(before.len() > 1 && before.last() > Some(&0), "there is more than one batch: {before:?}");
    execute(&mut connection, "UPDATE evodoctor.run SET applied_at = now() - interval '2 days' WHERE run = 1")
        .await;
    let old = ["--older-than", "1d", "--apply", "--allow", "deletes-rows,limits-undo"];
    history(&database, &old).ends(0).says(&["of run 1"]);
    let mut expected = before;
    *expected.last_mut().unwrap() = 0;
    assert_eq!(kept(), expected, "the first run keeps nothing, the others what they kept");
    assert!(kept_tables(&mut connection).await > 0);
}

//! Checks run in parallel on one snapshot, end when they are told to, and leave nothing running on the server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

use evodoctor::database::session::Session;
use evodoctor::database::shared_snapshot::{self, SharedSnapshot};
use evodoctor::database::url::ConnectTarget;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::database::{TestDatabase, execute, looks_after_clients};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, ended, on, start_on};
use crate::support::roles;

const OURS: &str =
    "FROM pg_stat_activity WHERE application_name = 'evodoctor' AND datname = current_database()";

/// How many of our connections meet a condition, once it is this many.
async fn until(connection: &mut PgConnection, condition: &str, wanted: i64) {
    let sql = format!("SELECT count(*) {OURS} AND {condition}");
    for _ in 0..3000 {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_one(&mut *connection)
            .await
            .expect("a number");
        if count == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {wanted} connections with {condition}");
}

/// A database in which two references and a unique index of "Media" take a minute each to look at. With OFFSET no planner looks
/// into the view: those before 14 leave out the sleep, where no row of the table is asked for.
async fn slow() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api;
        ALTER TABLE "Media" RENAME TO "StoredMedia";
        CREATE VIEW "Media" AS SELECT stored.* FROM (SELECT pg_sleep(60)) AS late (nothing) LEFT JOIN "StoredMedia" AS stored ON true OFFSET 0"#,
    )
    .await;
    (database, connection)
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

async fn end_of(child: Child) -> Run {
    tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends")
}

fn reason<'r>(report: &'r Value, code: &str) -> &'r Value {
    let checks = report["checks"].as_array().expect("a list");
    &checks.iter().find(|check| check["code"] == code).expect("the check is listed")["reason"]
}

#[tokio::test]
async fn several_connections_give_the_same_report_as_one() {
    let database = Fixture::read("EVO101_orphaned_reference", "everything").database("we\"ird").await;
    let mut reports = Vec::new();
    for jobs in ["1", "4"] {
        for paranoid in [&[][..], &["--paranoid"]] {
            let options = [&["check", "--format", "json", "--show-rows", "--jobs", jobs], paranoid].concat();
            let mut report = on(&database.url(), &options).ends(1).json();
            for check in report["checks"].as_array_mut().expect("a list") {
                check["duration_ms"] = Value::Null;
            }
            reports.push(report);
        }
    }
    assert!(reports[0]["findings"].as_array().is_some_and(|findings| findings.len() > 10));
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:#?}");
}

#[tokio::test]
async fn a_role_that_may_only_select_has_several_connections_too() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let role = roles::reader(&mut database.connect().await, "evolution_api").await;
    let report = on(&database.url_as(&role), &["check", "--format", "json", "--jobs", "3"]).ends(1).json();
    assert_eq!(report["summary"]["undecided"], 0, "{report}");
}

/// Rows written after the snapshot was taken are not seen, also not by connections that join later.
#[tokio::test]
async fn all_connections_see_the_same() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let target = ConnectTarget::parse(&database.url()).expect("a connection string");
    let mut first = Session::open(&target).await.expect("a connection");
    first.begin_snapshot().await.expect("a snapshot");
    let snapshot = SharedSnapshot::export(first.connection(), &target).await.expect("exported");
    let sql = r#"INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i', 'late')"#;
    execute(&mut database.connect().await, sql).await;
    let (mut second, pid) = snapshot.join().await.expect("another connection");
    for session in [&mut first, &mut second] {
        let count: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM evolution_api."Instance""#)
            .persistent(false)
            .fetch_one(session.connection())
            .await
            .expect("readable");
        assert_eq!(count, 0);
        let writes = sqlx::raw_sql(r#"DELETE FROM evolution_api."Instance""#);
        assert!(writes.execute(session.connection()).await.is_err(), "the snapshot can be written to");
    }
    drop(second);
    // Only our own processes are cancelled.
    shared_snapshot::cancel_backends(&target, &[pid]).await.expect("a third connection");
}

#[tokio::test]
async fn without_free_connections_one_runs_all_checks() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    let url = database.url_as(&role);
    let alone = on(&url, &["check", "--format", "json", "--show-rows", "--jobs", "4", "-vv"]).ends(1);
    alone.clone().complains(&["goes on with fewer connections", "too many connections for role"]);
    assert_eq!(alone.json()["summary"]["undecided"], 0);
    assert_eq!(
        alone.json()["findings"],
        on(&database.url(), &["check", "--format", "json", "--show-rows"]).json()["findings"]
    );
}

#[tokio::test]
async fn a_table_under_an_exclusive_lock_is_undecided() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut blocker = database.connect().await;
    execute(&mut blocker, r#"BEGIN; LOCK TABLE evolution_api."Media" IN ACCESS EXCLUSIVE MODE"#).await;
    let options = ["check", "--format", "json", "--jobs", "3", "--select", "EVO101,EVO202"];
    let report = on(&database.url(), &options).ends(3).json();
    let why = reason(&report, "EVO101").as_str().expect("a reason");
    assert!(why.contains("Media.messageId") && why.contains("a lock was not released in time"), "{why}");
    assert_eq!(*reason(&report, "EVO202"), Value::Null);
}

#[tokio::test]
async fn checks_after_the_timeout_are_undecided() {
    let (database, mut connection) = slow().await;
    for jobs in ["1", "3"] {
        // What takes no time is done before: checks of the schema would find something.
        let codes = "EVO101,EVO103";
        let options = ["check", "--select", codes, "--format", "json", "--jobs", jobs, "--timeout", "1500ms"];
        let report = on(&database.url(), &options).ends(3).json();
        until(&mut connection, "true", 0).await;
        let why = reason(&report, "EVO101").as_str().expect("a reason");
        assert!(why.contains("not finished within --timeout 1500ms"), "{why}");
    }
    on(&database.url(), &["check", "--timeout", "soon"]).ends(2).complains(&["write 90s, 5m or 1h30m"]);
}

#[tokio::test]
async fn ctrl_c_reports_what_is_known_and_leaves_nothing_running() {
    let (database, mut connection) = slow().await;
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "updatedAt") VALUES ('c', 'j', 'gone', now())"#,
    )
    .await;
    let child = start_on(&database.url(), &["check", "--format", "json", "--jobs", "4"]);
    until(&mut connection, "wait_event = 'PgSleep'", 3).await;
    interrupt(&child);
    let report = end_of(child).await.ends(1).complains(&["interrupted"]).json();
    until(&mut connection, "true", 0).await;
    let why = reason(&report, "EVO101").as_str().expect("a reason");
    assert!(why.contains("interrupted: Media.instanceId → Instance, Media.messageId → Message"), "{why}");
    assert_eq!(report["findings"][0]["key"], "Chat.instanceId → Instance");
}

/// Without a second connection to cancel with, the server itself notices that the client is gone.
#[tokio::test]
async fn a_second_ctrl_c_ends_at_once() {
    let (database, mut connection) = slow().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    let mut child = start_on(&database.url_as(&role), &["check", "--format", "json"]);
    until(&mut connection, "wait_event = 'PgSleep'", 1).await;
    // One press, which timeout or npm passes on although the terminal has sent it already.
    interrupt(&child);
    tokio::time::sleep(Duration::from_millis(50)).await;
    interrupt(&child);
    let mut said = String::new();
    let stderr = child.stderr.as_mut().expect("piped");
    BufReader::new(stderr).read_line(&mut said).expect("it says something");
    assert!(said.contains("Ctrl-C again"), "{said:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(child.try_wait().expect("a child").is_none(), "it ended before the second press");
    interrupt(&child);
    let run = end_of(child).await.ends(130);
    assert_eq!(run.stdout, "");
    if looks_after_clients(&mut connection).await {
        until(&mut connection, "true", 0).await;
    }
}

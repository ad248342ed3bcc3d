//! Promise 8: it waits politely, gives up politely, and two runs do not get into each other's way.

mod load;
mod lock_blockers;
mod prisma;
mod two_runs;

use std::process::Child;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, Talking, on, start_on};

const ORPHANS: [&str; 5] = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];
const SHARED_KEY: [&str; 3] = ["fix", "EVO202", "--apply"];

async fn broken() -> (TestDatabase, PgConnection) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let connection = database.connect().await;
    (database, connection)
}

/// A session that holds something, under the name of an application.
async fn blocker(database: &TestDatabase, sql: &str) -> (PgConnection, i32) {
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "SET application_name = 'nightly backup'; SET search_path = evolution_api; BEGIN",
    )
    .await;
    execute(&mut connection, sql).await;
    let pid =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.expect("a number");
    (connection, pid)
}

/// Lets go when the program has said that it will try again.
async fn let_go(blocker: &mut PgConnection, child: Child) -> Run {
    let talking = Talking::listen(child).once("attempt 2 in").await;
    execute(blocker, "COMMIT").await;
    talking.end().await.ends(0)
}

/// Runs the program while `sql` is held, and lets go when it waits.
async fn released_in_time(arguments: &[&str], sql: &str) -> (Run, i32) {
    let (database, _connection) = broken().await;
    let (mut blocker, pid) = blocker(&database, sql).await;
    let run = let_go(&mut blocker, start_on(&database.url(), arguments)).await;
    on(&database.url(), &["check", "--select", arguments[1]]).ends(0);
    (run, pid)
}

#[tokio::test]
async fn a_fix_retries_until_a_reader_ends() {
    let (run, pid) = released_in_time(&SHARED_KEY, r#"SELECT FROM "OpenaiCreds""#).await;
    let process = format!("process {pid} (nightly backup");
    run.complains(&["waiting:", &process, "idle in transaction", "attempt 2 in"]);
}

#[tokio::test]
async fn a_fix_retries_until_a_writer_ends() {
    let sql = r#"UPDATE "Message" SET "participant" = NULL"#;
    let (run, pid) = released_in_time(&ORPHANS, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
}

/// A session that holds a table exclusively blocks checks, too: that is not "nothing to do".
#[tokio::test]
async fn a_fix_retries_until_it_can_read() {
    let sql = r#"LOCK TABLE "OpenaiCreds" IN ACCESS EXCLUSIVE MODE"#;
    let (run, pid) = released_in_time(&SHARED_KEY, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
    released_in_time(&ORPHANS, sql).await;
}

/// A row that is held keeps only itself from being removed; no lock on the table tells of it.
#[tokio::test]
async fn a_fix_retries_until_a_row_lock_ends() {
    let sql = r#"SELECT FROM "Message" WHERE "id" = 'm1' FOR UPDATE"#;
    let (run, pid) = released_in_time(&ORPHANS, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
}

/// If only rows change, readers do not block and are not named.
#[tokio::test]
async fn a_reader_does_not_block_row_repairs() {
    let (database, _connection) = broken().await;
    let (_blocker, _) = blocker(&database, r#"SELECT FROM "MessageUpdate""#).await;
    let started = Instant::now();
    let run = on(&database.url(), &["fix", "EVO101", "--format", "json"]).ends(1);
    assert!(!run.stderr.contains("waiting"), "{}", run.stderr);
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// The ledger is waited for like any other table, for reading and for writing.
#[tokio::test]
async fn a_fix_retries_until_the_ledger_is_unlocked() {
    let (database, _connection) = broken().await;
    on(&database.url(), &SHARED_KEY).ends(0);
    let free = async |sql: &str, arguments: &[&str]| {
        let (mut blocker, pid) = blocker(&database, sql).await;
        let run = let_go(&mut blocker, start_on(&database.url(), arguments)).await;
        run.complains(&[&format!("process {pid} (nightly backup"), "holds a lock on run"]);
    };
    free("LOCK TABLE evodoctor.run IN SHARE MODE", &["undo", "1", "--apply"]).await;
    free("LOCK TABLE evodoctor.run IN SHARE MODE", &SHARED_KEY).await;
    free("LOCK TABLE evodoctor.run IN ACCESS EXCLUSIVE MODE", &["undo", "2", "--apply"]).await;
    free("LOCK TABLE evodoctor.run IN ACCESS EXCLUSIVE MODE", &SHARED_KEY).await;
}

#[tokio::test]
async fn a_fix_gives_up_after_wait() {
    let (database, mut connection) = broken().await;
    let before = state(&mut connection, &[]).await;
    let (_blocker, pid) = blocker(&database, r#"SELECT FROM "OpenaiCreds""#).await;
    let once = on(&database.url(), &["fix", "EVO202", "--apply", "--wait", "0"]).ends(2);
    assert!(!once.stderr.contains("waiting:"), "{}", once.stderr);
    once.complains(&["gave up waiting for a lock after 1 attempt:", "--wait 5m"]);
    let run = on(&database.url(), &["fix", "EVO202", "--apply", "--wait", "2s"]).ends(2);
    run.complains(&[
        "gave up waiting for a lock after",
        "attempts in",
        &format!("process {pid} (nightly backup"),
        &format!("SELECT pg_terminate_backend({pid})"),
        "nothing has been changed",
    ]);
    assert_eq!(state(&mut connection, &[]).await, before);
    on(&database.url(), &["fix", "EVO202", "--wait", "soon"]).ends(2).complains(&["write 90s, 5m or 1h30m"]);
}

//! Promise 8: it waits politely, gives up politely, and two runs do not get into each other's way.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, ended, on, start_on};
use crate::support::state::state;

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

/// Runs the program while `sql` is held, and lets go after a while.
async fn released_in_time(arguments: &[&str], sql: &str) -> (Run, i32) {
    let (database, _connection) = broken().await;
    let (mut blocker, pid) = blocker(&database, sql).await;
    let child = start_on(&database.url(), arguments);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    execute(&mut blocker, "COMMIT").await;
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    on(&database.url(), &["check", "--select", arguments[1]]).ends(0);
    (run, pid)
}

#[tokio::test]
async fn it_tries_again_until_a_reader_is_gone() {
    let (run, pid) = released_in_time(&SHARED_KEY, r#"SELECT FROM "OpenaiCreds""#).await;
    let process = format!("process {pid} (nightly backup");
    run.complains(&["waiting:", &process, "idle in transaction", "attempt 2 of 6"]);
}

#[tokio::test]
async fn it_tries_again_until_a_writer_is_gone() {
    let sql = r#"UPDATE "Message" SET "participant" = NULL"#;
    let (run, pid) = released_in_time(&ORPHANS, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
}

/// Somebody who holds a table exclusively is in the way of looking, too: that is no reason to find nothing to do.
#[tokio::test]
async fn it_tries_again_until_it_can_look() {
    let sql = r#"LOCK TABLE "OpenaiCreds" IN ACCESS EXCLUSIVE MODE"#;
    let (run, pid) = released_in_time(&SHARED_KEY, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
    released_in_time(&ORPHANS, sql).await;
}

/// A row that is held keeps only itself from being removed; no lock on the table tells of it.
#[tokio::test]
async fn it_tries_again_until_a_row_is_free() {
    let sql = r#"SELECT FROM "Message" WHERE "id" = 'm1' FOR UPDATE"#;
    let (run, pid) = released_in_time(&ORPHANS, sql).await;
    run.complains(&[&format!("process {pid} (nightly backup")]);
}

/// Where only rows change, readers are no hindrance and are not named.
#[tokio::test]
async fn a_reader_does_not_hold_up_the_treatment_of_rows() {
    let (database, _connection) = broken().await;
    let (_blocker, _) = blocker(&database, r#"SELECT FROM "MessageUpdate""#).await;
    let started = Instant::now();
    let run = on(&database.url(), &["fix", "EVO101", "--format", "json"]).ends(1);
    assert!(!run.stderr.contains("waiting"), "{}", run.stderr);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn it_gives_up_and_nobody_waited_long_for_it() {
    let (database, mut connection) = broken().await;
    let before = state(&mut connection, &[]).await;
    let (_blocker, pid) = blocker(&database, r#"SELECT FROM "OpenaiCreds""#).await;
    let url = database.url();
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(on(&url, &SHARED_KEY)));

    // A client that goes on writing: it queues behind whoever waits for an exclusive lock.
    let mut client = database.connect().await;
    let write = r#"UPDATE evolution_api."OpenaiCreds" SET "updatedAt" = "updatedAt" WHERE "id" = 'c1'"#;
    let (mut longest, mut writes) = (Duration::ZERO, 0);
    let run = loop {
        let started = Instant::now();
        sqlx::raw_sql(AssertSqlSafe(write))
            .execute(&mut client)
            .await
            .expect("nobody is in the way for ever");
        longest = longest.max(started.elapsed());
        writes += 1;
        match is_done.try_recv() {
            Ok(run) => break run,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    run.ends(2).complains(&[
        "gave up waiting for a lock after 6 attempts",
        &format!("process {pid} (nightly backup"),
        "nothing has been changed",
    ]);
    // The last attempt waits for 3 seconds, and the machine may be busy.
    assert!(longest < Duration::from_millis(4500), "a client waited for {longest:?}");
    assert!(longest > Duration::from_millis(300), "the fix never stood in the queue, so this shows nothing");
    assert!(writes > 50, "clients came through {writes} times only");
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn of_two_fixes_at_once_one_works() {
    let (database, mut connection) = broken().await;
    let (mut blocker, _) = blocker(&database, r#"SELECT FROM "OpenaiCreds""#).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let first = start_on(&database.url(), &SHARED_KEY);
    // The second comes while the first stands in the queue, where it has its own lock already. Between attempts the
    // first has none; then the second waits as well.
    let mut second = None;
    for _ in 0..6 {
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut connection).await.expect("readable") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut child = start_on(&database.url(), &["fix", "EVO203", "--apply"]);
        tokio::time::sleep(Duration::from_millis(400)).await;
        if child.try_wait().expect("a child").is_some() {
            second = Some(ended(child));
            break;
        }
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
    let second = second.expect("the two met").ends(2);
    second.complains(&["another evodoctor is changing this database right now", "nothing has been changed"]);
    execute(&mut blocker, "COMMIT").await;
    tokio::task::spawn_blocking(|| ended(first)).await.expect("it ends").ends(0);
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    assert_eq!(history["runs"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn prismas_migrations_go_first() {
    let (database, mut connection) = broken().await;
    on(&database.url(), &["fix", "EVO203", "--apply"]).ends(0);
    let before = state(&mut connection, &[]).await;
    let (mut blocker, _) = blocker(&database, "SELECT pg_advisory_lock(72707369)").await;
    for arguments in [&SHARED_KEY[..], &["fix"], &["undo", "1", "--apply"]] {
        on(&database.url(), arguments)
            .ends(2)
            .complains(&["prisma migrate is at work", "nothing has been changed"]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    on(&database.url(), &["check"]).ends(1);
    execute(&mut blocker, "SELECT pg_advisory_unlock(72707369)").await;
    on(&database.url(), &SHARED_KEY).ends(0);
}

//! Under load: while a long reader blocks a fix, no other session waits longer than one lock timeout of the fix.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::blocker;
use crate::support::database::execute;
use crate::support::fixtures::Fixture;
use crate::support::load::{Load, NOTICED, Waits};
use crate::support::program::{ended, on, start_on};

/// Longer than any lock timeout, however noisy the machine is.
const ENDLESS: f64 = 3.0;

/// Keys that are not validated, of both tables that the writers change.
const NOT_VALID: &str = r#"ALTER TABLE evolution_api."Chat" DROP CONSTRAINT "Chat_instanceId_fkey";
ALTER TABLE evolution_api."Chat" ADD CONSTRAINT "Chat_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES evolution_api."Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
ALTER TABLE evolution_api."Message" DROP CONSTRAINT "Message_instanceId_fkey";
ALTER TABLE evolution_api."Message" ADD CONSTRAINT "Message_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES evolution_api."Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID"#;

#[tokio::test]
async fn under_load_writers_wait_no_longer_than_the_fix() {
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let Some(load) = Load::start(&database) else { return };
    let (mut reader, pid) = blocker(&database, r#"SELECT FROM "Chat""#).await;

    // The naive way: all others queue behind the statement, as long as the reader lives.
    let watching = Waits::watch(&database).await;
    execute(&mut connection, "SET statement_timeout = '4s'").await;
    let naive = sqlx::raw_sql(AssertSqlSafe(r#"BEGIN; LOCK TABLE evolution_api."Chat""#))
        .execute(&mut connection)
        .await;
    assert!(naive.is_err(), "the reader is in the way");
    execute(&mut connection, "ROLLBACK").await;
    // Sessions that queued there have to wake up first.
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '0.2 s')";
    while sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut connection).await.expect("readable") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let naive = watching.longest().await;
    assert!(
        naive > ENDLESS,
        "nobody waited behind a lock that never comes ({naive} s), so this shows nothing"
    );

    let watching = Waits::watch(&database).await;
    let url = database.url();
    let fix = ["fix", "EVO205", "--apply", "--allow", "deletes-rows,changes-rows"];
    let patient: Vec<&str> = fix.into_iter().chain(["--wait", "6s"]).collect();
    let run = tokio::task::spawn_blocking({
        let (url, patient) = (url.clone(), patient.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        move || on(&url, &patient.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let run = run.await.expect("it ends").ends(2);
    run.complains(&["attempt 4 in", "gave up waiting for a lock", &format!("process {pid} (nightly backup")]);
    let polite = watching.longest().await;
    assert!(polite < NOTICED, "somebody waited for {polite} s");

    // When the reader is gone, it comes through between the writers.
    let child = start_on(&url, &fix);
    tokio::time::sleep(Duration::from_millis(500)).await;
    execute(&mut reader, "COMMIT").await;
    tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    let latencies = load.end();
    let longest = latencies.last().copied().unwrap_or_default();
    eprintln!(
        "{} transactions; the longest wait was {naive:.2} s behind LOCK TABLE, {polite:.2} s behind the fix; \
         the longest transaction of all took {longest:.2} s",
        latencies.len()
    );
    assert!(latencies.len() > 100, "there was no load");
}

/// The writers lock Message, then Chat. A change that takes Chat first finds, at any time, a writer who has Message and waits
/// for Chat: it gets both only when it takes them as the writers do, whether it takes them for one fix or one after the other.
#[tokio::test]
async fn locks_are_taken_in_the_order_of_the_writers() {
    for codes in [&["EVO207"][..], &["EVO205", "EVO207"]] {
        let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
        execute(&mut database.connect().await, NOT_VALID).await;
        let Some(load) = Load::hesitant(&database, Duration::from_millis(20)) else { return };
        let watching = Waits::watch(&database).await;
        let fix = ["--apply", "--allow", "deletes-rows,changes-rows,limits-undo", "--wait", "1m"];
        let arguments: Vec<&str> = ["fix"].iter().chain(codes).chain(&fix).copied().collect();
        let child = start_on(&database.url(), &arguments);
        let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
        let longest = watching.longest().await;
        load.end();
        let attempts = 1 + run.stderr.lines().filter(|line| line.contains("waiting: attempt")).count();
        eprintln!("{codes:?}: {attempts} attempts; the longest wait for a lock was {longest:.2} s");
        assert!(longest < NOTICED, "somebody waited for {longest} s\n{}", run.stderr);
        let select = ["check", "--select", "EVO205,EVO207"];
        on(&database.url(), &select).ends(i32::from(codes.len() == 1));
    }
}

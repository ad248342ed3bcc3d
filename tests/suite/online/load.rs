//! Under load: an index is built and a key validated while writers write, and no writer is blocked.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::{ALLOW, INDEX, is_valid, reader, text, unfinished, without_index};
use crate::support::database::execute;
use crate::support::load::{Load, NOTICED, Waits};
use crate::support::program::{Talking, on, start_on};

/// Chats that take a moment to index and to check, and a key of theirs that is not validated.
const MORE: &str = r#"INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "updatedAt")
    SELECT 'more' || n, n || '@s.whatsapp.net', 'i1', now() FROM generate_series(1, 20000) AS n;
ALTER TABLE evolution_api."Chat" DROP CONSTRAINT "Chat_instanceId_fkey";
ALTER TABLE evolution_api."Chat" ADD CONSTRAINT "Chat_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES evolution_api."Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID"#;

/// The number of messages the writers have brought in so far.
async fn written(connection: &mut PgConnection) -> usize {
    let sql = r#"SELECT count(*)::text FROM evolution_api."Message" WHERE "id" LIKE 'load%'"#;
    text(connection, sql).await.parse().expect("a number")
}

async fn is_validated(connection: &mut PgConnection) -> bool {
    let sql = "SELECT convalidated::text FROM pg_constraint WHERE conname = 'Chat_instanceId_fkey'";
    text(connection, sql).await == "true"
}

#[tokio::test]
async fn builds_and_validations_do_not_block_under_load() {
    let database = without_index().await;
    let mut connection = database.connect().await;
    execute(&mut connection, MORE).await;
    let Some(load) = Load::start(&database) else { return };
    // The build has to wait for who has a snapshot, whatever he reads.
    let mut reader = reader(&database, "Media").await;
    let pid = text(&mut reader, "SELECT pg_backend_pid()::text").await;
    let watching = Waits::watch(&database).await;
    let fix = ["fix", "EVO205", "EVO207", "--online", "--apply", "--allow", ALLOW, "--wait", "5m"];
    let waits = format!("waits for process {pid} (monthly report");
    let talking = Talking::listen(start_on(&database.url(), &fix)).once(&waits).await;
    // While it waits for that session, for as long as the session holds the table, all others continue.
    let (before, begun) = (written(&mut connection).await, Instant::now());
    while written(&mut connection).await < before + 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody can write");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(is_valid(&mut connection).await, Some(false));
    execute(&mut reader, "COMMIT").await;
    let run = talking.end().await.ends(0);
    let longest = watching.longest().await;
    let latencies = load.end();
    eprintln!(
        "{} transactions, {} of them before the build waited; the longest wait for a lock was {longest:.2} s, the \
         longest transaction took {:.2} s",
        latencies.len(),
        before,
        latencies.last().copied().unwrap_or_default()
    );
    assert!(longest < NOTICED, "somebody waited for {longest} s\n{}", run.stderr);

    // All of it is done, all of it is known, and what the writers wrote is there, also after the way back.
    assert_eq!(is_valid(&mut connection).await, Some(true));
    assert!(is_validated(&mut connection).await);
    assert_eq!(unfinished(&database), 0);
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    let [run] = history["runs"].as_array().expect("a list").as_slice() else { panic!("{history:#}") };
    let codes: Vec<&str> =
        run["fixes"].as_array().expect("a list").iter().filter_map(|fix| fix["code"].as_str()).collect();
    assert_eq!(codes, ["EVO205", "EVO207"], "{history:#}");
    on(&database.url(), &["check", "--select", "EVO103,EVO205,EVO207,EVO208,EVO308"]).ends(0);
    let all = written(&mut connection).await;
    assert_eq!(all, latencies.len());
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(written(&mut connection).await, all);
    assert!(!is_validated(&mut connection).await);
    let index = format!("SELECT count(*)::text FROM pg_class WHERE relname = '{INDEX}'");
    assert_eq!(text(&mut connection, &index).await, "0");
}

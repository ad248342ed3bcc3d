//! Under load: while a long reader keeps a fix waiting, nobody else waits longer than the fix stands in the queue.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;

use super::blocker;
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::mortal::signal;
use crate::support::program::{ended, on, start_on};

/// What a server does all the time: messages come in, their chats change and are looked at.
const EVOLUTION: &str = r#"\set n random(1, 1000000000)
\set chat random(1, 3)
BEGIN;
INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
    VALUES ('load' || :n || '-' || :client_id || '-' || clock_timestamp(), '{"id": "x"}', 'conversation', '{"conversation": "hello"}', 'web', 1, 'i1');
UPDATE evolution_api."Chat" SET "updatedAt" = now() WHERE "id" = 'c' || :chat;
SELECT count(*) FROM evolution_api."Chat" WHERE "instanceId" = 'i1';
END;
\sleep 5 ms
"#;

/// The longest that a moment in the queue lasts, by the program's own word.
const MOMENT: f64 = 0.5;

/// How long others may wait until it is noticed on a machine that does ten things at once.
const NOISE: f64 = 1.0;

/// What is longer than that, however noisy it is.
const ENDLESS: f64 = 3.0;

/// Writers, who write until they are dropped.
struct Load {
    pgbench: Child,
    directory: TempDir,
}

fn pgbench() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let places = places.map(|version| version.path().join("bin/pgbench"));
    let in_path = env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join("pgbench"))
        .collect::<Vec<_>>();
    places.chain(in_path).find(|program| program.exists())
}

impl Load {
    fn start(program: &Path, database: &TestDatabase) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("script"), EVOLUTION).expect("writable");
        let options = database.options();
        let mut command = Command::new(program);
        command.args([
            "-n",
            "-c",
            "4",
            "-j",
            "1",
            "-T",
            "600",
            "-l",
            "--log-prefix=latency",
            "-f",
            "script",
            "-U",
            "postgres",
        ]);
        command.arg("-h").arg(options.get_socket().expect("tests connect through one"));
        command.args(["-p", &options.get_port().to_string(), database.name()]);
        command.current_dir(directory.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(directory.path().join("complaints")).expect("writable"));
        Self { pgbench: command.spawn().expect("it starts"), directory }
    }

    /// Ends it; the latency of every transaction in seconds.
    fn end(mut self) -> Vec<f64> {
        signal("-INT", self.pgbench.id());
        self.pgbench.wait().expect("it ends");
        let complaints =
            std::fs::read_to_string(self.directory.path().join("complaints")).unwrap_or_default();
        assert!(!complaints.contains("ERROR"), "{complaints}");
        let files = std::fs::read_dir(self.directory.path()).expect("readable").flatten();
        let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("latency"));
        let text: String = logs.map(|log| std::fs::read_to_string(log.path()).expect("text")).collect();
        // client, transaction, microseconds, script, when
        let latency = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
        text.lines().filter_map(latency).map(|microseconds| microseconds / 1e6).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.pgbench.kill();
        let _ = self.pgbench.wait();
    }
}

/// The longest wait for a lock that the server sees one of the writers in, in seconds, until told to end. By the server's
/// clock: how busy this machine is with other things is not in it.
async fn longest_wait(mut connection: PgConnection, is_over: Arc<AtomicBool>) -> f64 {
    let waits = "SELECT COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - query_start))::float8, 0) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'pgbench' AND wait_event_type = 'Lock'";
    let mut longest = 0.0_f64;
    while !is_over.load(Ordering::Relaxed) {
        let wait: f64 = sqlx::query_scalar(waits).fetch_one(&mut connection).await.expect("readable");
        longest = longest.max(wait);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    longest
}

#[tokio::test]
async fn under_load_nobody_waits_longer_than_the_fix_does() {
    let Some(program) = pgbench() else {
        assert!(env::var_os("CI").is_none(), "there is no pgbench; tests/setup.sh installs it");
        eprintln!("\n*** NOT TESTED: there is no pgbench on this machine; it comes with postgresql ***\n");
        return;
    };
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let load = Load::start(&program, &database);
    let (mut reader, pid) = blocker(&database, r#"SELECT FROM "Chat""#).await;
    let watch = async || {
        let is_over = Arc::new(AtomicBool::new(false));
        (tokio::spawn(longest_wait(database.connect().await, Arc::clone(&is_over))), is_over)
    };

    // The way of somebody who just types it: everybody stands behind him, as long as the reader lives.
    let (watching, is_over) = watch().await;
    execute(&mut connection, "SET statement_timeout = '4s'").await;
    let naive = sqlx::raw_sql(AssertSqlSafe(r#"BEGIN; LOCK TABLE evolution_api."Chat""#))
        .execute(&mut connection)
        .await;
    assert!(naive.is_err(), "the reader is in the way");
    execute(&mut connection, "ROLLBACK").await;
    // Whoever stood there has to wake up first.
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '0.2 s')";
    while sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut connection).await.expect("readable") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let naive = watching.await.expect("it ends");
    assert!(
        naive > ENDLESS,
        "nobody waited behind a lock that never comes ({naive} s), so this shows nothing"
    );

    let (watching, is_over) = watch().await;
    let url = database.url();
    let fix = ["fix", "EVO205", "--apply", "--allow", "deletes-rows,changes-rows"];
    let patient: Vec<&str> = fix.into_iter().chain(["--wait", "6s"]).collect();
    let run = tokio::task::spawn_blocking({
        let (url, patient) = (url.clone(), patient.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        move || on(&url, &patient.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let run = run.await.expect("it ends").ends(2);
    run.complains(&["attempt 4 in", "gave up waiting for a lock", &format!("process {pid} (nightly backup")]);
    is_over.store(true, Ordering::Relaxed);
    let polite = watching.await.expect("it ends");
    assert!(polite < MOMENT + NOISE, "somebody waited for {polite} s");

    // When the reader is gone, it comes through between the writers.
    let child = start_on(&url, &fix);
    tokio::time::sleep(Duration::from_millis(500)).await;
    execute(&mut reader, "COMMIT").await;
    tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    let mut latencies = load.end();
    latencies.sort_by(f64::total_cmp);
    let longest = latencies.last().copied().unwrap_or_default();
    eprintln!(
        "{} transactions; the longest wait was {naive:.2} s behind LOCK TABLE, {polite:.2} s behind the fix; the longest \
         transaction of all took {longest:.2} s",
        latencies.len()
    );
    assert!(latencies.len() > 100, "there was no load");
}

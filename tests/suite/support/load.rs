//! Load as Evolution makes it, by pgbench, and how long it is kept waiting.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgConnection;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::database::TestDatabase;
use super::killable_server::signal;

/// What a server does all the time: messages come in, their chats change and are looked at.
const EVOLUTION: &str = r#"\set n random(1, 1000000000)
\set chat random(1, 3)
BEGIN;
INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
    VALUES ('load' || :n || '-' || :client_id || '-' || clock_timestamp(), '{"id": "x"}', 'conversation', '{"conversation": "hello"}', 'web', 1, 'i1');
\sleep :pause ms
UPDATE evolution_api."Chat" SET "updatedAt" = now() WHERE "id" = 'c' || :chat;
SELECT count(*) FROM evolution_api."Chat" WHERE "instanceId" = 'i1';
END;
\sleep 5 ms
"#;

/// The longest acceptable wait: half a second, which is the program's longest lock timeout, and a second for a machine
/// that does ten things at once.
pub const NOTICED: f64 = 0.5 + 1.0;

/// Writers, who write until they are dropped.
pub struct Load {
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
    /// Starts four of them; none if there is no pgbench on this machine.
    pub fn start(database: &TestDatabase) -> Option<Self> {
        Self::hesitant(database, Duration::ZERO)
    }

    /// The same, with a pause between the lock on Message and the one on Chat.
    pub fn hesitant(database: &TestDatabase, pause: Duration) -> Option<Self> {
        let Some(program) = pgbench() else {
            assert!(env::var_os("CI").is_none(), "there is no pgbench; tests/setup.sh installs it");
            eprintln!(
                "\n*** NOT TESTED: there is no pgbench on this machine; it comes with postgresql ***\n"
            );
            return None;
        };
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
            "-D",
            &format!("pause={}", pause.as_millis()),
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
        Some(Self { pgbench: command.spawn().expect("it starts"), directory })
    }

    /// Ends it; none of its transactions has failed. The latency of each in seconds, the shortest first.
    pub fn end(mut self) -> Vec<f64> {
        // As when its time is up: every client comes to the end of its transaction, and all of the log is written.
        signal("-ALRM", self.pgbench.id());
        let status = self.pgbench.wait().expect("it ends");
        let complaints =
            std::fs::read_to_string(self.directory.path().join("complaints")).unwrap_or_default();
        assert!(status.success() && !complaints.contains("ERROR"), "{status}: {complaints}");
        let files = std::fs::read_dir(self.directory.path()).expect("readable").flatten();
        let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("latency"));
        let text: String = logs.map(|log| std::fs::read_to_string(log.path()).expect("text")).collect();
        // client, transaction, microseconds, script, when
        let latency = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
        let mut all: Vec<f64> =
            text.lines().filter_map(latency).map(|microseconds| microseconds / 1e6).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.pgbench.kill();
        let _ = self.pgbench.wait();
    }
}

/// Looks at how long writers wait for locks.
pub struct Waits {
    watching: JoinHandle<f64>,
    is_over: Arc<AtomicBool>,
}

impl Waits {
    /// Begins to look.
    pub async fn watch(database: &TestDatabase) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let watching = tokio::spawn(longest_wait(database.connect().await, Arc::clone(&is_over)));
        Self { watching, is_over }
    }

    /// Ends; the longest wait until now, in seconds.
    pub async fn longest(self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.await.expect("it ends")
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

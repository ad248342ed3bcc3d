//! One throwaway server for all test processes.
//!
//! Under nextest every test is a process of its own, and a server costs a second to make. So the first test
//! starts it in a process of its own, the *keeper*, and every test process holds a shared lock on the file
//! `users` as long as it lives. The keeper asks for the same lock exclusively: it gets it when the last test is
//! gone. It then waits for newcomers, such as the next test of the same run, and ends; the server goes with it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, thread};

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// Picks another server version for the tests: a directory with `initdb` and `postgres`.
const BINARIES: &str = "EVODOCTOR_TEST_PG_BIN";

/// Set for the keeper only.
const KEEPER: &str = "EVODOCTOR_TEST_KEEPER";

/// How long the server is kept for newcomers.
const GRACE: Duration = Duration::from_secs(10);

/// How long a test waits for the server, which a loaded machine may need.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The server that all tests share: its socket's directory, found again by every process.
pub struct Cluster {
    socket: PathBuf,
    port: u16,
    /// Held until the process ends; the keeper waits for it.
    _use: File,
}

impl Cluster {
    /// The shared server, started when it does not run.
    pub async fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _one = STARTING.lock().await;
        if CLUSTER.get().is_none() {
            let _ = CLUSTER.set(find_or_start().await);
        }
        CLUSTER.get().expect("just set")
    }

    /// How to connect to a database as superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(&self.socket)
            .port(self.port)
            .username("postgres")
            .database(database)
    }

    /// The connection string of a database, as a user of the program would type it.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@localhost:{}/{database}?host={}", self.port, self.socket.display())
    }
}

/// Where the processes meet: one folder for each server version.
fn meeting_place() -> PathBuf {
    let version: String = env::var(BINARIES).unwrap_or_else(|_| "default".to_owned());
    let name: String = version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster").join(name);
    fs::create_dir_all(&place).expect("the target directory is writable");
    place
}

fn lock_file(name: &str) -> File {
    let path = meeting_place().join(name);
    File::options().create(true).append(true).open(path).expect("the lock file opens")
}

async fn find_or_start() -> Cluster {
    let in_use = lock_file("users");
    in_use.lock_shared().expect("the keeper gives the lock back");
    let starting = lock_file("starting");
    starting.lock().expect("whoever starts the server finishes");
    if let Some((socket, port)) = running().await {
        return Cluster { socket, port, _use: in_use };
    }
    start_keeper();
    let started = Instant::now();
    loop {
        if let Some((socket, port)) = running().await {
            return Cluster { socket, port, _use: in_use };
        }
        let log = fs::read_to_string(meeting_place().join("keeper.log")).unwrap_or_default();
        assert!(!log.contains("panicked"), "the shared server did not start:\n{log}");
        assert!(started.elapsed() < START_LIMIT, "the shared server does not answer:\n{log}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The address that the keeper published, if a server answers there.
async fn running() -> Option<(PathBuf, u16)> {
    let address = fs::read_to_string(meeting_place().join("address")).ok()?;
    let (port, socket) = address.split_once(' ')?;
    let (port, socket) = (port.parse().ok()?, PathBuf::from(socket));
    let options = PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .socket(&socket)
        .port(port)
        .username("postgres")
        .database("postgres");
    options.connect().await.ok()?.close().await.ok()?;
    Some((socket, port))
}

/// Starts this test binary again, as the process that owns the server.
#[expect(clippy::zombie_processes, reason = "the keeper outlives the test that starts it")]
fn start_keeper() {
    let log = File::create(meeting_place().join("keeper.log")).expect("the target directory is writable");
    // A group of its own: nextest ends the group of a test, and Ctrl-C the group of the terminal.
    Command::new(env::current_exe().expect("a test binary has a path"))
        .args(["--exact", "support::cluster::keep_the_server", "--ignored", "--nocapture"])
        .env(KEEPER, "1")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the test binary starts again");
}

/// Not a test: the process that owns the shared server.
#[tokio::test]
#[ignore = "the process behind the shared server; started by the tests themselves"]
async fn keep_the_server() {
    if env::var_os(KEEPER).is_none() {
        return;
    }
    let settings = [
        ("max_connections", "200"),
        // Locks, dead rows and plans stay what the test made them.
        ("autovacuum", "off"),
        // To block without a process.
        ("max_prepared_transactions", "10"),
        ("max_wal_size", "512MB"),
        ("checkpoint_timeout", "1h"),
    ];
    let options = ScratchServerOptions {
        binaries: env::var_os(BINARIES).map(PathBuf::from),
        parent: in_memory(),
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..ScratchServerOptions::default()
    };
    let server = ScratchServer::start(options).await.expect("the shared server starts");
    let place = meeting_place();
    let draft = place.join("address.new");
    fs::write(&draft, format!("{} {}", server.port(), server.directory().display())).expect("writable");
    fs::rename(draft, place.join("address")).expect("writable");

    let users = lock_file("users");
    loop {
        users.lock().expect("the tests give the lock back when they end");
        users.unlock().expect("held");
        thread::sleep(GRACE);
        if users.try_lock().is_ok() {
            break;
        }
    }
    // Under the lock: a newcomer waits here, finds no address, and starts a server of its own.
    fs::remove_file(place.join("address")).expect("written above");
    drop(server);
}

/// A place in memory with room for all tests, if there is one: copying a database there takes a tenth of the
/// time. Containers often have 64 MB, which is too little.
pub fn in_memory() -> Option<PathBuf> {
    let output = Command::new("df").args(["-Pk", "/dev/shm"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let free_kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    (free_kib > 2 * 1024 * 1024).then(|| PathBuf::from("/dev/shm"))
}

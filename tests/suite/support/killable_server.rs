//! A server of a test's own that may be killed, and is started again on what it left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions, binaries};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

/// Runs a server until the other end of the pipe on stdin is closed.
const AGAIN: &str = r#"exec 3<&0
"$1/postgres" -D "$2/data" -c fsync=off -c full_page_writes=off -c unix_socket_directories="$2" -c listen_addresses= \
    -c port=5432 -c autovacuum=off </dev/null >>"$2/log" 2>&1 3<&- &
server=$!
( read -r _ <&3; kill -QUIT "$server" ) &
watch=$!
wait "$server"
kill "$watch""#;

/// The server.
pub struct Mortal {
    /// Made it, ran it first, and removes its directory.
    made: ScratchServer,
    again: Option<Child>,
    binaries: PathBuf,
}

impl Mortal {
    /// Makes and starts it.
    pub async fn start() -> Self {
        let chosen = std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from);
        let settings = vec![("autovacuum".to_owned(), "off".to_owned())];
        let options =
            ScratchServerOptions { binaries: chosen.clone(), settings, ..ScratchServerOptions::default() };
        let made = ScratchServer::start(options).await.expect("it starts");
        let binaries = chosen.unwrap_or_else(|| binaries::find_binaries().expect("it was found just now"));
        Self { made, again: None, binaries }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.made.directory().join(".s.PGSQL.5432")
    }

    /// The directory with its data.
    pub fn directory(&self) -> &Path {
        self.made.directory()
    }

    /// How to connect to its database.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.made.connect_options(database)
    }

    /// A connection, as soon as it lets anybody in.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let started = Instant::now();
        loop {
            match self.options(database).connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(started.elapsed() < Duration::from_secs(60), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of the process that all others come from; `None` when it does not run.
    pub fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.made.directory().join("data/postmaster.pid")).ok()?;
        let pid: u32 = file.lines().next()?.parse().ok()?;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    /// Starts it again after its end. What is left of the one before may need a moment to go.
    pub async fn start_again(&mut self) {
        let started = Instant::now();
        while self.options("postgres").connect().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not come back");
            let runs = self.again.as_mut().is_some_and(|again| matches!(again.try_wait(), Ok(None)));
            if self.postmaster().is_none() && !runs {
                self.end_again();
                self.again = Some(self.spawn());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn spawn(&self) -> Child {
        let owner = self.made.directory().metadata().expect("it is there");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", AGAIN, "again"]).arg(&self.binaries).arg(self.made.directory());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir(self.made.directory()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command.spawn().expect("a shell starts")
    }

    fn end_again(&mut self) {
        if let Some(mut again) = self.again.take() {
            drop(again.stdin.take());
            let _ = again.wait();
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.end_again();
    }
}

/// Sends a signal to a process that may have ended.
pub fn signal(name: &str, pid: impl ToString) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

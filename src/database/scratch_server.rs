//! A throwaway Postgres server: created in a private directory, reached through a private socket, removed with its
//! owner.
//!
//! The server is run by a small shell script, `server/guard.sh`, which stops it and removes its directory as soon as
//! the process that started it ends. Nothing depends on a destructor.

pub mod binaries;
mod stale_directories;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::Rng;
use rand::distr::Alphanumeric;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;

use crate::error::user_error;

/// Makes and runs the server, and outlives its owner by the moment it takes to clean up.
const GUARD: &str = include_str!("scratch_server/guard.sh");

/// The longest that a server may take to start; a loaded machine needs a few seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The prefix of the name of every server's directory.
const PREFIX: &str = "evodoctor-";

/// The longest path of a unix socket that every system takes (macOS 104 bytes with the end mark, Linux 108).
const SOCKET_PATH_LIMIT: usize = 103;

/// Settings that make it quick. Its data is not meant to survive anything.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
];

/// The settings of a throwaway server.
#[derive(Debug, Clone, Default)]
pub struct ScratchServerOptions {
    /// The directory with `initdb` and `postgres`; `None` looks for it.
    pub binaries: Option<PathBuf>,
    /// Settings as in `postgresql.conf`, the last of a name wins.
    pub settings: Vec<(String, String)>,
    /// Files laid into the server's own directory, readable by the server only: name and content. A setting
    /// reaches them as `../name` (TLS files) or `name` (`hba_file`).
    pub files: Vec<(String, Vec<u8>)>,
    /// Where to make its directory; `None` is the system's place for temporary files.
    pub parent: Option<PathBuf>,
    /// A directory for its data that outlives it, empty or left by an earlier server; `None` is one in its own directory.
    pub data: Option<PathBuf>,
    /// True if to listen on a free port of 127.0.0.1 as well, with a random password.
    pub tcp: bool,
}

/// A running server. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct ScratchServer {
    guard: Child,
    /// The guard waits for the end of this pipe.
    alive: Option<ChildStdin>,
    directory: TempDir,
    port: u16,
    password: String,
    version: String,
    /// Locked as long as this process lives: see [`stale_directories`].
    _owner: File,
}

impl ScratchServer {
    /// Makes a server and waits until it answers.
    ///
    /// # Errors
    /// When there are no server programs (the next step installs them), or when it does not start (with the end
    /// of its own log).
    pub async fn start(options: ScratchServerOptions) -> Result<Self> {
        let binaries = match &options.binaries {
            Some(directory) => binaries::expect_binaries(directory)?,
            None => binaries::find_binaries()?,
        };
        let place = parent_directory(options.parent.as_deref());
        stale_directories::remove_stale(&place);
        let (directory, owner) = private_directory(&place)?;
        // Postgres refuses to run as root.
        let user = if directory.path().metadata()?.uid() == 0 { Some(unprivileged_user()?) } else { None };
        let port = if options.tcp { free_port()? } else { 5432 };
        let password: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
        lay_files(directory.path(), &options.files, &password, user)?;
        if let Some(data) = &options.data {
            keep_data(directory.path(), data, user)?;
        }

        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "evodoctor-server"]).arg(directory.path()).arg(&binaries);
        command.args(server_arguments(&options, directory.path(), port));
        command.env_clear().envs(environment(directory.path()));
        command.current_dir(directory.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = user {
            // With a uid, the standard library also gives up root's supplementary groups.
            command.uid(uid).gid(gid);
        }
        let mut guard = command.spawn().context("the throwaway server cannot be started")?;
        let alive = guard.stdin.take();
        let version = String::new();
        let mut server = Self { guard, alive, directory, port, password, version, _owner: owner };
        server.wait_until_ready().await?;
        tracing::debug!(version = server.version, directory = %server.directory.path().display(), "server started");
        Ok(server)
    }

    /// Returns the options for a connection to one of its databases, as its superuser and through its socket.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(self.directory.path())
            .port(self.port)
            .username("postgres")
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("evodoctor")
    }

    /// The connection string for one of its databases, as Prisma writes it for a socket.
    pub fn url(&self, database: &str) -> String {
        let directory = self.directory.path().to_string_lossy();
        format!(
            "postgresql://postgres@localhost:{}/{}?host={}",
            self.port,
            encode(database),
            encode(&directory).replace("%2F", "/"),
        )
    }

    /// The connection string over TCP, with the password; only of use with [`ScratchServerOptions::tcp`].
    pub fn tcp_url(&self, database: &str) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{}", self.password, self.port, encode(database))
    }

    /// The port of its socket, and of 127.0.0.1 with [`ScratchServerOptions::tcp`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory that holds its data, socket and log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its version as it names it, such as `15.14 (Debian 15.14-0+deb12u1)`.
    pub fn version(&self) -> &str {
        &self.version
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let options = self.connect_options("postgres");
        let socket = self.directory.path().join(format!(".s.PGSQL.{}", self.port));
        let started = Instant::now();
        loop {
            if socket.exists()
                && let Ok(mut connection) = options.connect().await
            {
                self.version = version(&mut connection).await?;
                connection.close().await?;
                return Ok(());
            }
            if self.directory.path().join("ended").exists() || self.guard.try_wait()?.is_some() {
                return Err(self.not_started("the throwaway server did not start"));
            }
            if started.elapsed() > START_LIMIT {
                return Err(self.not_started("the throwaway server did not answer within a minute"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An error with the end of the server's log, which says why.
    fn not_started(&self, message: &str) -> anyhow::Error {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let mut text = format!("{message}; the end of its log:");
        for line in &lines[lines.len().saturating_sub(12)..] {
            write!(text, "\n    {line}").expect("writing to a string");
        }
        user_error(text, format!("see the log above; {} picks other server programs", binaries::VARIABLE))
    }
}

impl Drop for ScratchServer {
    fn drop(&mut self) {
        drop(self.alive.take());
        // An immediate shutdown takes milliseconds, and Postgres itself kills what hangs after five seconds.
        if let Err(error) = self.guard.wait() {
            tracing::warn!(%error, "the throwaway server may still be stopping");
        }
    }
}

/// Where a server's directory is made: in `wanted`, else the system's place for temporary files, unless its
/// socket's path would be too long there or the place is closed to the server's user.
pub fn parent_directory(wanted: Option<&Path>) -> PathBuf {
    let wanted = wanted.map_or_else(env::temp_dir, Path::to_owned);
    let socket = wanted.join(format!("{PREFIX}XXXXXX")).join(".s.PGSQL.65535");
    if socket.as_os_str().len() <= SOCKET_PATH_LIMIT && is_open_to_others(&wanted) {
        return wanted;
    }
    PathBuf::from("/tmp")
}

/// A directory that only its owner may enter, with the mark of a living owner in it.
fn private_directory(parent: &Path) -> Result<(TempDir, File)> {
    let private = fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(parent);
    let directory =
        directory.with_context(|| format!("cannot create a directory in {}", parent.display()))?;
    let owner = stale_directories::mark_in_use(directory.path())
        .context("the throwaway server's directory cannot be used")?;
    Ok((directory, owner))
}

/// True if another user may reach what lies below: as root the server runs as one.
fn is_open_to_others(directory: &Path) -> bool {
    directory.ancestors().all(|part| part.metadata().is_ok_and(|data| data.mode() & 0o001 != 0))
}

/// The user and group to run as instead of root.
fn unprivileged_user() -> Result<(u32, u32)> {
    let id = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    ["postgres", "nobody"]
        .iter()
        .find_map(|user| Some((id("-u", user)?, id("-g", user)?)))
        .filter(|(uid, _)| *uid != 0)
        .ok_or_else(|| {
            user_error(
                "Postgres refuses to run as root, and there is no user \"postgres\" or \"nobody\" to run \
                 it as",
                "run evodoctor as an ordinary user",
            )
        })
}

/// An unused port of 127.0.0.1.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Writes the superuser's password and the caller's files, and hands everything to the server's user.
fn lay_files(
    directory: &Path,
    files: &[(String, Vec<u8>)],
    password: &str,
    user: Option<(u32, u32)>,
) -> Result<()> {
    let password = ("password".to_owned(), password.as_bytes().to_vec());
    for (name, content) in files.iter().chain([&password]) {
        let path = directory.join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        if let Some((uid, gid)) = user {
            chown(&path, Some(uid), Some(gid))?;
        }
    }
    if let Some((uid, gid)) = user {
        chown(directory, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Links a directory that is kept to where the server's data belongs.
fn keep_data(directory: &Path, data: &Path, user: Option<(u32, u32)>) -> Result<()> {
    let cannot = || format!("the throwaway server cannot keep its data in {}", data.display());
    fs::create_dir_all(data).with_context(cannot)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).with_context(cannot)?;
    if let Some((uid, gid)) = user {
        chown(data, Some(uid), Some(gid)).with_context(cannot)?;
    }
    symlink(data.canonicalize()?, directory.join("data")).with_context(cannot)
}

/// The command line of `postgres`: our settings, then the caller's.
fn server_arguments(options: &ScratchServerOptions, directory: &Path, port: u16) -> Vec<String> {
    let fixed = [
        ("unix_socket_directories", directory.to_string_lossy().into_owned()),
        ("unix_socket_permissions", "0700".to_owned()),
        ("listen_addresses", if options.tcp { "127.0.0.1" } else { "" }.to_owned()),
        ("port", port.to_string()),
    ];
    let ours = SETTINGS.iter().map(|(name, value)| format!("{name}={value}"));
    let fixed = fixed.iter().map(|(name, value)| format!("{name}={value}"));
    let callers = options.settings.iter().map(|(name, value)| format!("{name}={value}"));
    ours.chain(fixed).chain(callers).flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// The server's environment: no PG* variable of the caller, messages in English, and no search for the time
/// zone.
pub(super) fn environment(directory: &Path) -> Vec<(String, String)> {
    let kept = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
    let kept = kept.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
    let ours = [("LC_ALL", "C"), ("TZ", "UTC")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let home = ("HOME".to_owned(), directory.to_string_lossy().into_owned());
    kept.chain(ours).chain([home]).collect()
}

async fn version(connection: &mut PgConnection) -> Result<String> {
    Ok(sqlx::query_scalar("SHOW server_version").persistent(false).fetch_one(connection).await?)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

//! The throwaway server: private, quick, and gone with its owner, however that ends.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use sqlx::{ConnectOptions, Connection};

fn options() -> ScratchServerOptions {
    ScratchServerOptions {
        binaries: env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from),
        ..ScratchServerOptions::default()
    }
}

#[tokio::test]
async fn a_scratch_server_uses_a_private_socket_and_leaves_nothing() {
    let server = ScratchServer::start(options()).await.unwrap();
    let directory = server.directory().to_owned();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(server.version().starts_with(|c: char| c.is_ascii_digit()), "{}", server.version());

    let mut connection = server.connect_options("postgres").connect().await.unwrap();
    let (address, encoding): (String, String) =
        sqlx::query_as("SELECT current_setting('listen_addresses'), current_setting('server_encoding')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!((address.as_str(), encoding.as_str()), ("", "UTF8"));
    connection.close().await.unwrap();

    let process = postmaster(&directory);
    drop(server);
    assert!(!directory.exists(), "the directory is still there");
    assert!(!is_alive(process), "the server still runs");
}

#[tokio::test]
async fn a_scratch_server_on_tcp_needs_its_password() {
    let server = ScratchServer::start(ScratchServerOptions { tcp: true, ..options() }).await.unwrap();
    let right = server.tcp_url("postgres").parse::<sqlx::postgres::PgConnectOptions>().unwrap();
    right.clone().connect().await.unwrap().close().await.unwrap();
    let refused = right.password("wrong").connect().await.unwrap_err();
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = ScratchServer::start(ScratchServerOptions { settings, ..options() }).await.unwrap_err();
    assert!(format!("{error:#}").contains("no_such_setting"), "{error:#}");
}

#[tokio::test]
async fn without_server_programs_the_error_names_the_directory() {
    let empty = tempfile::tempdir().unwrap();
    let binaries = Some(empty.path().to_owned());
    let error = ScratchServer::start(ScratchServerOptions { binaries, ..ScratchServerOptions::default() })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("holds no initdb"), "{error}");
}

/// The owner is ended in the two ways in which no destructor of it runs: SIGINT at the terminal, which reaches
/// its process group, and SIGKILL; while it serves, and while it is still being made.
#[test]
fn a_scratch_server_ends_with_its_killed_owner() {
    for (signal, number) in [("INT", 2), ("KILL", 9)] {
        for moment in ["initdb", "postmaster"] {
            let parent = tempfile::Builder::new().prefix("owner-").tempdir_in("/tmp").unwrap();
            fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
            let mut owner = start_owner(parent.path());
            let made = wait_for("the server's directory", || {
                let directory = fs::read_dir(parent.path()).unwrap().next()?.unwrap().path();
                let is_there = match moment {
                    "initdb" => directory.join("data/global").exists(),
                    _ => directory.join(".s.PGSQL.5432").exists(),
                };
                is_there.then_some(directory)
            });
            let process = (moment == "postmaster").then(|| postmaster(&made));
            let data = fs::metadata(made.join("data")).map(|data| data.ino());
            let group = format!("-{}", owner.id());
            assert!(Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap().success());
            assert_eq!(owner.wait().unwrap().signal(), Some(number));
            wait_for("the directory to go", || (!made.exists()).then_some(()));
            if let Ok(data) = data {
                assert!(!leaves_shared_memory(data), "shared memory is left after SIG{signal}");
            }
            if let Some(process) = process {
                assert!(!is_alive(process), "the server lives on after SIG{signal}");
            }
        }
    }
}

const OWNER: &str = "EVODOCTOR_TEST_OWNER";

/// Starts this binary again as a process that owns a server in a directory below `parent`.
fn start_owner(parent: &Path) -> std::process::Child {
    use std::os::unix::process::CommandExt;
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "scratch_server::own_a_server", "--ignored"])
        .env(OWNER, "1")
        .env("TMPDIR", parent)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test: the owner that the test above kills.
#[tokio::test]
#[ignore = "the process that a test kills; started by it"]
async fn own_a_server() {
    if env::var_os(OWNER).is_some() {
        let _server = ScratchServer::start(options()).await.unwrap();
        thread::sleep(Duration::from_secs(60));
    }
}

fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The server's process id.
fn postmaster(directory: &Path) -> u32 {
    let text = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

fn is_alive(process: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

/// True if a System V segment outlives its server. Postgres makes its key from the data directory's inode. Without the
/// list, which only Linux has, there is nothing to see.
fn leaves_shared_memory(inode: u64) -> bool {
    let list = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    list.lines().skip(1).any(|line| {
        let columns: Vec<u64> = line.split_whitespace().filter_map(|column| column.parse().ok()).collect();
        // key, shmid, perms, size, cpid, lpid, nattch, …
        columns.first() == Some(&inode) && columns.get(6) == Some(&0)
    })
}

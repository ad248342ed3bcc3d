//! PgBouncer in transaction mode, as `pgbouncer=true` announces it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use evodoctor::database::server::{Options, Server};
use tempfile::TempDir;

use super::{open, start};

/// A PgBouncer in transaction mode before the server; it ends with this value.
struct Bouncer {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start_bouncer(program: &Path, server: &Server) -> Bouncer {
    let directory = tempfile::Builder::new().prefix("bouncer-").tempdir_in("/tmp").unwrap();
    // It refuses to run as root too, so it runs as the server's user.
    let owner = server.directory().metadata().unwrap();
    chown(directory.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nlogfile =\n",
        server.directory().display(),
        server.port()
    );
    let configuration = configuration.replace("* = host", "* = user=postgres host");
    let file = directory.path().join("pgbouncer.ini");
    fs::write(&file, configuration).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = Command::new(program);
    command
        .arg("-q")
        .arg(&file)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        command.uid(owner.uid()).gid(owner.gid());
    }
    Bouncer { process: command.spawn().unwrap(), port, _directory: directory }
}

#[tokio::test]
async fn pgbouncer_in_transaction_mode_mixes_nothing_up() {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
    let Some(program) = places.iter().map(Path::new).find(|program| program.exists()) else {
        // Runners hide what a test that passes says, so in CI it does not pass.
        assert!(env::var_os("CI").is_none(), "there is no pgbouncer; tests/setup.sh installs it");
        eprintln!(
            "\n*** NOT TESTED: there is no pgbouncer on this machine; tests/setup.sh installs it ***\n"
        );
        return;
    };
    let server = start(Options::default()).await;
    let bouncer = start_bouncer(program, &server);
    let url = format!(
        "postgresql://postgres:x@127.0.0.1:{}/postgres?pgbouncer=true&schema=public&connection_limit=1",
        bouncer.port
    );
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", bouncer.port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "pgbouncer does not start");
        thread::sleep(Duration::from_millis(20));
    }
    // Four clients take turns on three server connections.
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(open(&url).await.unwrap());
    }
    for round in 0..3 {
        for session in &mut sessions {
            session.begin_snapshot().await.unwrap();
            let sum: i32 = sqlx::query_scalar("SELECT $1::integer + 1")
                .bind(round)
                .persistent(false)
                .fetch_one(session.connection())
                .await
                .unwrap();
            assert_eq!(sum, round + 1);
            session.end_snapshot().await.unwrap();
        }
    }
}

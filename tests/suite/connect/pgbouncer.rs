//! PgBouncer in front of everything, in every mode that it has.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

use super::open;
use crate::support::database::{TestDatabase, execute, looks_after_clients};
use crate::support::fixtures::Fixture;
use crate::support::killable_server::signal;
use crate::support::program::{Run, ended, on, start_on};

/// A PgBouncer before the server that the tests share; it ends with this value.
pub struct Bouncer {
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

impl Bouncer {
    /// In this mode, with so many connections, and with further settings; `None` where there is no such program.
    pub fn start(database: &TestDatabase, mode: &str, pool: u32, settings: &str) -> Option<Self> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        let Some(program) = places.iter().map(Path::new).find(|program| program.exists()) else {
            // Runners hide what a test that passes says, so in CI it does not pass.
            assert!(env::var_os("CI").is_none(), "there is no pgbouncer; tests/setup.sh installs it");
            eprintln!(
                "\n*** NOT TESTED: there is no pgbouncer on this machine; tests/setup.sh installs it ***\n"
            );
            return None;
        };
        let options = database.options();
        let socket = options.get_socket().expect("tests connect through one");
        let directory = tempfile::Builder::new().prefix("bouncer-").tempdir_in("/tmp").unwrap();
        // It refuses to run as root too, so it runs as the server's user.
        let owner = socket.metadata().unwrap();
        chown(directory.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "[databases]\n* = user=postgres host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {pool}\nlogfile =\n{settings}\n",
            socket.display(),
            options.get_port()
        );
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, configuration).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(&file).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let bouncer = Self { process: command.spawn().unwrap(), port, _directory: directory };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "pgbouncer does not start");
            thread::sleep(Duration::from_millis(20));
        }
        Some(bouncer)
    }

    /// Its connection string of a database, as Evolution's own names a pooler.
    pub fn url(&self, database: &TestDatabase) -> String {
        format!(
            "postgresql://postgres:x@127.0.0.1:{}/{}?pgbouncer=true&schema=evolution_api&connection_limit=1",
            self.port,
            database.name()
        )
    }

    /// A client of it, which prepares nothing.
    pub async fn connect(&self, database: &TestDatabase) -> PgConnection {
        self.options(database).connect().await.expect("it answers")
    }

    fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        let options = options.username("postgres").password("x").database(database.name());
        options
            .ssl_mode(sqlx::postgres::PgSslMode::Disable)
            .statement_cache_capacity(0)
            .extra_float_digits(None)
    }
}

/// No advisory lock is left on this database, by any of the pool's connections.
pub async fn expect_no_lock(database: &TestDatabase) {
    let mut connection = database.connect().await;
    let locks: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(&mut connection)
    .await
    .expect("readable");
    assert_eq!(locks, 0);
}

/// A database with orphans.
pub async fn broken() -> TestDatabase {
    Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await
}

const APPLY: [&str; 4] = ["fix", "--apply", "--allow", "deletes-rows,changes-rows"];

/// Every command, and what each ends with.
fn every_command(url: &str) -> Vec<Run> {
    let log = concat!(env!("CARGO_TARGET_TMPDIR"), "/pgbouncer.log");
    fs::write(
        log,
        "1.2.3.4 - - [10/Oct/2025:13:55:36 +0000] \"GET /instance/connect/alpha HTTP/1.1\" 404 2\n",
    )
    .expect("writable");
    let commands: [(&[&str], i32); 8] = [
        (&["check"], 1),
        (&["check", "--jobs", "2", "--paranoid"], 1),
        (&["fix"], 1),
        (&["preflight"], 0),
        (&["credentials", "list"], 0),
        (&["credentials", "release", "c1"], 1),
        (&["logs", log], 0),
        (&APPLY, 0),
    ];
    let run = |(arguments, code): (&[&str], i32)| {
        eprintln!("{arguments:?}");
        on(url, arguments).ends(code)
    };
    commands.into_iter().map(run).collect()
}

#[tokio::test]
async fn every_command_works_through_transaction_mode_and_leaves_nothing_behind() {
    let database = broken().await;
    let settings = "server_reset_query =\nmax_client_conn = 20";
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, settings) else { return };
    let url = bouncer.url(&database);
    tokio::task::spawn_blocking(move || every_command(&url)).await.expect("each ends as it should");
    expect_no_lock(&database).await;
}

#[tokio::test]
async fn session_mode_works_like_a_direct_connection() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "session", 3, "") else { return };
    let url = bouncer.url(&database);
    tokio::task::spawn_blocking(move || every_command(&url)).await.expect("each ends as it should");
    expect_no_lock(&database).await;
}

#[tokio::test]
async fn statement_mode_is_refused_with_reason_and_hint() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "statement", 2, "") else { return };
    let url = bouncer.url(&database);
    for arguments in [
        &["check"][..],
        &["fix"],
        &APPLY,
        &["history"],
        &["undo", "1"],
        &["preflight"],
        &["credentials", "list"],
        &["credentials", "share", "c1", "beta", "--apply"],
        &["check", "--jobs", "4"],
        &["fix", "EVO101", "--batch"],
    ] {
        let run = on(&url, arguments).ends(2);
        assert!(run.stdout.is_empty(), "{run:?}");
        run.complains(&[
            "this is PgBouncer in statement mode, which allows no transaction",
            "next: connect to Postgres directly, or to a pool in transaction or session mode",
        ]);
    }
    expect_no_lock(&database).await;
}

/// Four clients take turns on three server connections.
#[tokio::test]
async fn transaction_mode_keeps_clients_apart() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 3, "") else { return };
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(open(&bouncer.url(&database)).await.unwrap());
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

#[tokio::test]
async fn an_exhausted_pool_is_reported() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, "query_wait_timeout = 1") else { return };
    let mut other = bouncer.options(&database).connect().await.expect("it answers");
    execute(&mut other, "BEGIN").await;
    on(&bouncer.url(&database), &["check"]).ends(2).complains(&["query_wait_timeout", "raise pool_size"]);
    execute(&mut other, "COMMIT").await;
    on(&bouncer.url(&database), &["check"]).ends(1);
}

#[tokio::test]
async fn refused_settings_are_named() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, "") else { return };
    let url = format!("{}&options=-c%20statement_timeout%3D0", bouncer.url(&database));
    on(&url, &["check"])
        .ends(2)
        .complains(&["unsupported startup parameter: options", "ignore_startup_parameters"]);
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, "ignore_startup_parameters = options")
    else {
        return;
    };
    on(&format!("{}&options=-c%20statement_timeout%3D0", bouncer.url(&database)), &["check"]).ends(1);
}

/// A program that is killed behind it leaves no statement at work, and no lock; on a server before 14 none but the statement
/// that is running.
#[tokio::test]
async fn a_killed_program_leaves_no_running_statement() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, "") else { return };
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"CREATE FUNCTION public.sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
        CREATE TRIGGER sleep AFTER DELETE ON evolution_api."Message" EXECUTE FUNCTION public.sleep()"#,
    )
    .await;
    let url = bouncer.url(&database);
    let mut arguments = APPLY.to_vec();
    arguments.insert(1, "EVO101");
    let mut child = start_on(&url, &arguments);
    let sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())";
    let becomes = async |connection: &mut PgConnection, wanted: bool| {
        let started = Instant::now();
        while sqlx::query_scalar::<_, bool>(sleeps).fetch_one(&mut *connection).await.expect("readable")
            != wanted
        {
            assert!(started.elapsed() < Duration::from_secs(30), "asleep is never {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    becomes(&mut connection, true).await;
    signal("-KILL", child.id());
    child.wait().expect("it is dead");
    if !looks_after_clients(&mut connection).await {
        execute(
            &mut connection,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
        )
        .await;
    }
    becomes(&mut connection, false).await;
    expect_no_lock(&database).await;
    execute(&mut database.connect().await, r#"DROP TRIGGER sleep ON evolution_api."Message""#).await;
    let child = start_on(&url, &arguments);
    tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
}

#[tokio::test]
async fn indexes_are_built_online_through_a_pool_that_has_three_connections() {
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let arguments = ["fix", "EVO205", "--online", "--apply", "--allow", "deletes-rows,changes-rows"];
    let Some(small) = Bouncer::start(&database, "transaction", 1, "") else { return };
    on(&small.url(&database), &arguments).ends(2).complains(&[
        "--online needs three connections",
        "run 1 is committed, but this is not done yet: the build of index",
    ]);
    drop(small);
    let Some(bouncer) = Bouncer::start(&database, "transaction", 3, "") else { return };
    on(&bouncer.url(&database), &["fix", "--online", "--apply"]).ends(0);
    on(&bouncer.url(&database), &["undo", "1", "--apply"]).ends(0);
    on(&bouncer.url(&database), &arguments).ends(0);
    on(&database.url(), &["check", "--select", "EVO205,EVO208"]).ends(0);
    expect_no_lock(&database).await;
}

//! Connecting: every form of connection string against real servers, and every refusal with its next step.

mod named;
pub mod pgbouncer;
mod pooled;
pub mod tls;

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use evodoctor::database::ident::SqlFragment;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::database::session::Session;
use evodoctor::database::url::ConnectTarget;
use evodoctor::error::UserError;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::ConnectOptions;

use crate::support::cluster::Cluster;
use crate::support::database::{TestDatabase, execute};

/// Every character that ASCII has besides letters and digits, and some that it has not.
const PASSWORD: &str = "p@ss/w?rd#%25 &=+:;'\"\\|<>[]{}()$!*,.~^`-_ Ünïcödé €";

async fn start(options: ScratchServerOptions) -> ScratchServer {
    let binaries = env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from);
    ScratchServer::start(ScratchServerOptions { binaries, ..options }).await.expect("the server starts")
}

async fn open(url: &str) -> Result<Session, anyhow::Error> {
    Session::open(&ConnectTarget::parse(url)?).await
}

/// The error as the user sees all of it, the next step included.
async fn refused(url: &str) -> String {
    let error = open(url).await.expect_err(url);
    format!("{error:#} {:?}", error.downcast_ref::<UserError>().expect("every refusal has a next step"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// True if the session's connection is encrypted, as the server sees it.
async fn is_encrypted(url: &str) -> bool {
    let mut session = open(url).await.unwrap_or_else(|error| panic!("{url}: {error:#}"));
    sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .persistent(false)
        .fetch_one(session.connection())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_socket_url_opens_a_session_that_knows_its_server() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let target = ConnectTarget::parse(&format!("{}&schema=evolution_api", database.url())).unwrap();
    assert_eq!(target.schema.as_deref(), Some("evolution_api"));
    let mut session = Session::open(&target).await.unwrap();
    assert_eq!(session.database, database.name());
    assert_eq!(session.role, "postgres");
    assert!(session.server_version_num >= 120_000 && !session.is_in_recovery);
    let name: String = sqlx::query_scalar("SELECT current_setting('application_name')")
        .persistent(false)
        .fetch_one(session.connection())
        .await
        .unwrap();
    assert_eq!(name, "evodoctor");
    session.close().await.unwrap();
}

#[tokio::test]
async fn the_snapshot_is_one_moment_and_cannot_write() {
    let database = TestDatabase::new("2.1.1", "public").await;
    let mut other = database.connect().await;
    execute(&mut other, "CREATE TABLE public.pg_class (oid integer); CREATE TABLE public.moment (n integer)")
        .await;
    let name = SqlFragment::ident(database.name());
    execute(&mut other, &format!("ALTER DATABASE {name} SET search_path = public, pg_catalog")).await;
    execute(&mut other, &format!("ALTER DATABASE {name} SET IntervalStyle = 'iso_8601'")).await;

    let mut session = open(&database.url()).await.unwrap();
    session.begin_snapshot().await.unwrap();
    let count = "SELECT (SELECT count(*) FROM public.moment), (SELECT count(*) FROM pg_class) > 0, \
                 interval '1 day'::text = '1 day'";
    for _ in 0..2 {
        let row: (i64, bool, bool) =
            sqlx::query_as(count).persistent(false).fetch_one(session.connection()).await.unwrap();
        assert_eq!(row, (0, true, true), "(rows of others, the real catalog, the usual style)");
        execute(&mut other, "INSERT INTO public.moment VALUES (1)").await;
    }
    let error = sqlx::raw_sql("CREATE TABLE public.x ()")
        .execute(session.connection())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("read-only transaction"), "{error}");
    session.end_snapshot().await.unwrap();
    let row: (i64,) = sqlx::query_as("SELECT count(*) FROM public.moment")
        .persistent(false)
        .fetch_one(session.connection())
        .await
        .unwrap();
    assert_eq!(row.0, 2, "the snapshot outlives its end");
}

#[tokio::test]
async fn passwords_of_every_character_work_and_never_show() {
    let server = start(ScratchServerOptions { tcp: true, ..ScratchServerOptions::default() }).await;
    let mut admin = server.connect_options("postgres").connect().await.unwrap();
    let password = SqlFragment::literal(PASSWORD);
    execute(&mut admin, &format!("CREATE ROLE \"us er@x\" LOGIN PASSWORD {password}")).await;
    execute(&mut admin, "CREATE DATABASE \"da/ta base?\"").await;
    let url = |password: &str, database: &str| {
        let (user, database) = (encode("us er@x"), encode(database));
        format!("postgresql://{user}:{}@127.0.0.1:{}/{database}", encode(password), server.port())
    };
    let session = open(&url(PASSWORD, "da/ta base?")).await.unwrap();
    assert_eq!((session.role.as_str(), session.database.as_str()), ("us er@x", "da/ta base?"));

    let wrong = format!("{PASSWORD}SECRET");
    let message = refused(&url(&wrong, "da/ta base?")).await;
    assert!(
        message.contains("password authentication failed") && message.contains("percent-encoded"),
        "{message}"
    );
    assert!(!message.contains("SECRET") && !message.contains("p@ss"), "the password shows: {message}");
    let message = refused(&url(PASSWORD, "nothing")).await;
    assert!(message.contains("database \"nothing\" does not exist"), "{message}");
    assert!(!message.contains("p@ss"), "the password shows: {message}");
    let message = refused(&format!("postgresql://nobody@127.0.0.1:{}/postgres", server.port())).await;
    assert!(message.contains("nobody"), "{message}");
    let message = refused(&format!("{}?sslmode=require", server.tcp_url("postgres"))).await;
    assert!(message.contains("offers no TLS") && message.contains("sslmode=disable"), "{message}");
    for mode in ["disable", "allow", "prefer"] {
        assert!(!is_encrypted(&format!("{}?sslmode={mode}", server.tcp_url("postgres"))).await, "{mode}");
    }
    let strict = format!("{}?sslaccept=strict", server.tcp_url("postgres"));
    assert!(!is_encrypted(&strict).await, "Prisma prefers TLS, and goes on where the server has none");
}

#[tokio::test]
async fn connection_failures_are_distinguished() {
    let cluster = Cluster::get().await;
    let message = refused("postgresql://u:SECRET@127.0.0.1:1/d").await;
    assert!(message.contains("no server listens on 127.0.0.1:1"), "{message}");
    let message = refused("postgresql://u:SECRET@no-such-host.invalid/d").await;
    assert!(message.contains("no-such-host.invalid cannot be resolved here"), "{message}");
    let message = refused("postgresql://u:SECRET@/d?host=/no/such/directory").await;
    assert!(
        message.contains("no server listens on the socket /no/such/directory/.s.PGSQL.5432"),
        "{message}"
    );
    let message = refused(&cluster.url("postgres").replace("//postgres@", "//nobody@")).await;
    assert!(message.contains("role \"nobody\" does not exist"), "{message}");
    let message = refused("postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/no/such/ca.pem").await;
    assert!(message.contains("sslrootcert names /no/such/ca.pem"), "{message}");

    // A server that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let started = Instant::now();
    let message = refused(&format!("postgresql://u:SECRET@127.0.0.1:{port}/d?connect_timeout=1")).await;
    assert!(message.contains("does not answer within 1 s"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_full_server_and_a_refused_role_are_distinguished() {
    let hba = "local all postgres trust\nlocal all guest trust\nhost all guest 127.0.0.1/32 reject\n";
    let settings =
        [("hba_file", "hba.conf"), ("max_connections", "10"), ("superuser_reserved_connections", "3")];
    let server = start(ScratchServerOptions {
        tcp: true,
        files: vec![("hba.conf".to_owned(), hba.into())],
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..ScratchServerOptions::default()
    })
    .await;
    let mut admin = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut admin, "CREATE ROLE guest LOGIN; REVOKE CONNECT ON DATABASE template1 FROM PUBLIC").await;
    let guest = |database| server.url(database).replace("//postgres@", "//guest@");

    let message = refused(&format!("postgresql://guest@127.0.0.1:{}/postgres", server.port())).await;
    assert!(message.contains("pg_hba.conf"), "{message}");
    let message = refused(&guest("template1")).await;
    assert!(message.contains("GRANT CONNECT"), "{message}");
    let mut held = Vec::new();
    let message = loop {
        assert!(held.len() < 12, "the server is never full");
        match open(&guest("postgres")).await {
            Ok(session) => held.push(session),
            Err(error) => break format!("{error:#} {:?}", error.downcast_ref::<UserError>()),
        }
    };
    assert!(message.contains("max_connections"), "{message}");
}

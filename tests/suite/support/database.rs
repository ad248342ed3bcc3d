//! A database of its own for each test, copied from a template that is built once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::SystemTime;
use std::{env, process, thread};

use evodoctor::database::ident::SqlFragment;
use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::Release;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::cluster::Cluster;

/// A database that is dropped with this value.
pub struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
}

impl TestDatabase {
    /// A database as the release leaves it, with Evolution's tables in `schema`. `release` is a version such as
    /// `2.1.1`.
    pub async fn new(release: &str, schema: &str) -> Self {
        let release = Release::find(release).expect("a known release");
        let template = template(release, schema).await;
        Self::create(&format!("TEMPLATE {}", SqlFragment::ident(&template))).await
    }

    /// A database without anything of Evolution's.
    pub async fn empty() -> Self {
        Self::create("TEMPLATE template0").await
    }

    /// The same, in an encoding.
    pub async fn encoded(encoding: &str) -> Self {
        let clauses = format!("TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        Self::create(&clauses).await
    }

    /// A copy of another database, which must have no connections.
    pub async fn copy_of(other: &Self) -> Self {
        Self::create(&format!("TEMPLATE {}", SqlFragment::ident(&other.name))).await
    }

    async fn create(clauses: &str) -> Self {
        let cluster = Cluster::get().await;
        let name = format!("test_{}_{:08x}", process::id(), rand::random::<u32>());
        let mut admin = cluster.options("postgres").connect().await.expect("the shared server answers");
        let strategy = strategy(&mut admin).await;
        execute(&mut admin, &format!("CREATE DATABASE {} {clauses}{strategy}", SqlFragment::ident(&name)))
            .await;
        Self { cluster, name }
    }

    /// Its connection string, as a user of the program would type it. Carries no schema.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Its connection string for another role.
    pub fn url_as(&self, role: &str) -> String {
        self.url().replacen("postgres@", &format!("{role}@"), 1)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it as superuser.
    pub fn options(&self) -> PgConnectOptions {
        self.cluster.options(&self.name)
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        let options = self.options();
        let directory = options.get_socket().expect("tests connect through one");
        directory.join(format!(".s.PGSQL.{}", options.get_port()))
    }

    /// A connection as superuser.
    pub async fn connect(&self) -> PgConnection {
        self.options().connect().await.expect("the shared server answers")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let admin = self.cluster.options("postgres");
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}",
            SqlFragment::literal(&self.name)
        );
        let drop = format!("DROP DATABASE IF EXISTS {}", SqlFragment::ident(&self.name));
        // A destructor cannot await, and the test's own runtime may be gone. Best effort: the server goes soon.
        let worker = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut admin = admin.connect().await.ok()?;
                sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut admin).await.ok()?;
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await.ok()
            })
        });
        let _ = worker.join();
    }
}

/// The template for a release and schema, built by the first test that needs it.
async fn template(release: Release, schema: &str) -> String {
    let cluster = Cluster::get().await;
    let name = format!("template_{:016x}", fingerprint(release, schema));
    let mut admin = cluster.options("postgres").connect().await.expect("the shared server answers");
    if is_finished(&mut admin, &name).await {
        return name;
    }
    // One at a time; the lock goes with this connection.
    sqlx::query("SELECT pg_advisory_lock(hashtext($1))")
        .bind(&name)
        .execute(&mut admin)
        .await
        .expect("a lock");
    if !is_finished(&mut admin, &name).await {
        let quoted = SqlFragment::ident(&name);
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {quoted}")).await;
        let strategy = strategy(&mut admin).await;
        execute(&mut admin, &format!("CREATE DATABASE {quoted} TEMPLATE template0{strategy}")).await;
        let mut inside = cluster.options(&name).connect().await.expect("the new database answers");
        create_release_schema(&mut inside, schema, release).await.expect("the facts build a database");
        execute(&mut inside, "ANALYZE").await;
        sqlx::Connection::close(inside).await.expect("a clean end");
        // The mark of a finished template: an interrupted one is built again.
        execute(&mut admin, &format!("ALTER DATABASE {quoted} IS_TEMPLATE true")).await;
    }
    name
}

async fn is_finished(admin: &mut PgConnection, name: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)")
        .bind(name)
        .fetch_one(admin)
        .await
        .expect("pg_database is readable")
}

/// The server's version as a number, such as 150014.
pub async fn version(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT current_setting('server_version_num')::integer")
        .fetch_one(connection)
        .await
        .expect("every server has a version")
}

/// True if the server notices within a second that a client is gone, while it works for it. Those before 14 do not.
pub async fn looks_after_clients(connection: &mut PgConnection) -> bool {
    version(connection).await >= 140_000 && cfg!(target_os = "linux")
}

/// The quickest way to copy a small database, where there is a choice (since PostgreSQL 15).
async fn strategy(admin: &mut PgConnection) -> &'static str {
    if version(admin).await >= 150_000 { " STRATEGY FILE_COPY" } else { "" }
}

/// What a template depends on: what is asked for, and this build of the tests with the facts in it.
fn fingerprint(release: Release, schema: &str) -> u64 {
    let program = env::current_exe().expect("a test binary has a path");
    let built = program.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut hasher = DefaultHasher::new();
    (release.version(), schema, program, built).hash(&mut hasher);
    hasher.finish()
}

/// Runs statements, which a test writes itself.
///
/// # Panics
/// When the server refuses; the panic shows the SQL.
pub async fn execute(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await {
        panic!("{error}\n{sql}");
    }
}

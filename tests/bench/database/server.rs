//! The server that is measured, and the states that its database is brought into.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use evodoctor::database::ident::SqlFragment;
use evodoctor::database::query::execute;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use rustix::fs::{Advice, fadvise};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::distributions::Distribution;
use super::fill::{DATABASE, SCHEMA, distribute, fill};

/// In what state the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Analysed; no page is known to be visible to all.
    BeforeVacuum,
    /// Vacuumed, and in memory as far as there is room.
    Vacuumed,
    /// Vacuumed; before each run neither server nor system remember anything.
    Cold,
}

impl State {
    /// As the user names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeVacuum => "before-vacuum",
            Self::Vacuumed => "vacuumed",
            Self::Cold => "cold",
        }
    }
}

/// A server with the database in it.
pub struct Bench {
    data: PathBuf,
    server: Option<ScratchServer>,
    /// The database that is measured.
    database: String,
}

impl Bench {
    /// Starts the server on the data of an earlier run, or on new data.
    ///
    /// # Errors
    /// When there is no server, or no room.
    pub async fn open(data: Option<PathBuf>) -> Result<Self> {
        let cache = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-database");
        let mut bench =
            Self { data: data.unwrap_or_else(cache), server: None, database: DATABASE.to_owned() };
        bench.start().await?;
        Ok(bench)
    }

    /// Goes on with the database of so many messages, and fills it unless it is full.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn messages(&mut self, messages: u64) -> Result<()> {
        self.database = DATABASE.to_owned();
        let mark = format!("{messages} messages");
        self.filled(&mark, async |options| fill(&options, messages).await).await
    }

    /// Goes on with the database of a distribution, and fills it unless it is full.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn distribution(&mut self, distribution: &Distribution, rows: u64) -> Result<()> {
        self.database = format!("{DATABASE} {}", distribution.name);
        let mark = format!("{rows} rows of each table, {}", distribution.name);
        self.filled(&mark, async |options| distribute(&options, rows, distribution).await).await
    }

    /// Makes and fills the database, unless it has the mark of a full one.
    async fn filled(&self, mark: &str, fill: impl AsyncFnOnce(PgConnectOptions) -> Result<()>) -> Result<()> {
        let mut admin = self.admin().await?;
        let found: Option<Option<String>> = sqlx::query_scalar(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1",
        )
        .bind(&self.database)
        .fetch_optional(&mut admin)
        .await?;
        if found.flatten().as_deref() != Some(mark) {
            eprintln!("filling a database with {mark}, in {}", self.data.display());
            let name = SqlFragment::ident(&self.database);
            execute(&mut admin, format!("DROP DATABASE IF EXISTS {name}")).await?;
            // As on most servers, texts sort by a language and not by their bytes.
            let new = format!("CREATE DATABASE {name} TEMPLATE template0");
            let by_language = format!("{new} LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'");
            if execute(&mut admin, by_language).await.is_err() {
                execute(&mut admin, new).await?;
            }
            fill(self.options()).await?;
            execute(&mut admin, format!("COMMENT ON DATABASE {name} IS {}", SqlFragment::literal(mark)))
                .await?;
        }
        Ok(())
    }

    async fn start(&mut self) -> Result<()> {
        let settings = [
            ("autovacuum", "off"),
            ("shared_buffers", "1GB"),
            ("maintenance_work_mem", "512MB"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_wal_size", "8GB"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = ScratchServerOptions {
            settings,
            data: Some(self.data.clone()),
            ..ScratchServerOptions::default()
        };
        self.server = Some(ScratchServer::start(options).await?);
        Ok(())
    }

    async fn admin(&self) -> Result<PgConnection> {
        Ok(self.server().connect_options("postgres").connect().await?)
    }

    fn server(&self) -> &ScratchServer {
        self.server.as_ref().expect("it is started again whenever it is stopped")
    }

    /// How to connect to the database.
    pub fn options(&self) -> PgConnectOptions {
        self.server().connect_options(&self.database)
    }

    /// The connection string of the database.
    pub fn url(&self) -> String {
        self.server().url(&self.database)
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        self.server().version()
    }

    /// Waits until the server has no connection but this one, and has seen the others' processes end: what they worked is only
    /// counted then, and on a busy machine that is later than they are gone from `pg_stat_activity`.
    ///
    /// # Errors
    /// When the server is gone, or there is no /proc.
    pub async fn rest(&self) -> Result<()> {
        let mut admin = self.admin().await?;
        let lasting = "SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid() \
                       OR backend_type NOT IN ('client backend', 'parallel worker')";
        let lasting: Vec<i32> = sqlx::query_scalar(lasting).fetch_all(&mut admin).await?;
        let postmaster = self.postmaster()?;
        loop {
            let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
            let mut children = children.split_whitespace().map(str::parse::<i32>);
            if children.all(|child| child.is_ok_and(|child| lasting.contains(&child))) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The process that all others of the server are children of.
    fn postmaster(&self) -> Result<String> {
        let file = fs::read_to_string(self.data.join("postmaster.pid"))?;
        file.lines().next().map(str::to_owned).context("a running server has a process")
    }

    /// How long processors have worked for the server's connections that have ended, and for this process and those that it
    /// ran, in seconds.
    ///
    /// # Errors
    /// Where there is no /proc.
    pub fn worked(&self) -> Result<f64> {
        let ticks = |process: &str| -> Result<[u64; 4]> {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // Behind the name, which may hold anything, the 12th to 15th: user and system, own and of ended children.
            let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
            let fields: Vec<u64> =
                fields.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
            fields.try_into().ok().context("a process has times")
        };
        let [_, _, user, system] = ticks(&self.postmaster()?)?;
        let own: u64 = ticks("self")?.iter().sum();
        // A hundredth of a second, on every Linux.
        Ok((user + system + own) as f64 / 100.0)
    }

    /// Brings the database into a state.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn bring(&self, state: State) -> Result<()> {
        let mut connection = self.options().connect().await?;
        execute(&mut connection, "VACUUM (ANALYZE)".into()).await?;
        if state == State::BeforeVacuum {
            let forget = format!(
                "CREATE EXTENSION IF NOT EXISTS pg_visibility SCHEMA public;
                 SELECT public.pg_truncate_visibility_map(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = {}::regnamespace;
                 DROP EXTENSION pg_visibility;
                 ANALYZE",
                SqlFragment::literal(SCHEMA)
            );
            execute(&mut connection, forget)
                .await
                .context("pg_visibility comes with PostgreSQL's contrib modules")?;
        }
        Ok(())
    }

    /// Makes server and system forget the database.
    ///
    /// # Errors
    /// When the server does not come up again.
    pub async fn chill(&mut self) -> Result<()> {
        self.stop().await?;
        forget(&self.data)?;
        self.start().await
    }

    async fn stop(&mut self) -> Result<()> {
        // It is stopped at once, and must not have to recover.
        execute(&mut self.admin().await?, "CHECKPOINT".into()).await?;
        self.server = None;
        Ok(())
    }

    /// Stops the server; its data stays for the next run.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn close(mut self) -> Result<()> {
        self.stop().await
    }
}

/// Tells the system that the files below will not be needed.
fn forget(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if path.is_file() {
            let file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

//! A dump, restored into a throwaway server, to be examined like any database.
//!
//! A dump comes from outside, and is treated as hostile: see [`replay`]. What the server refuses is kept and reported,
//! because evodoctor is asked about constraints that cannot be restored.

mod archive;
mod archive_contents;
pub mod archive_header;
mod client_program;
pub mod confinement;
mod databases;
mod disk_space;
pub mod dump_connection;
mod dump_file;
mod dump_reader;
mod missing_types;
mod replay;
mod restore_error;
pub mod structure_copy;

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row};

pub use self::archive_header::DumpOrigin;
pub use self::restore_error::RestoreError;

use self::archive::Archive;
use self::confinement::Confinement;
use self::databases::RestoredDatabases;
use self::dump_file::{DumpFile, DumpFormat, damaged_error};
use self::dump_reader::DumpReader;
use self::replay::{ReplayResult, replay};
use super::query::{execute_file, query_file};
use super::scratch_server::binaries::{self, Purpose};
use super::scratch_server::{self, ScratchServer, ScratchServerOptions};
use super::sql_file::Variables;
use crate::error::user_error;
use crate::progress::{ProgressTask, Unit};

/// The role that owns a restored database.
pub const OWNER: &str = "evodoctor_snapshot";

/// Maximum number of jobs: more gain nothing, because Evolution has few large tables.
const MOST_JOBS: usize = 8;

/// Settings for a server that is filled once and then read.
const SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "1h"),
    ("autovacuum", "off"),
    ("shared_buffers", "256MB"),
    ("maintenance_work_mem", "256MB"),
    ("work_mem", "64MB"),
    ("max_locks_per_transaction", "256"),
];

/// A restored dump. Dropping it stops the server and removes everything.
#[derive(Debug)]
pub struct RestoredDump {
    server: ScratchServer,
    database: String,
    /// The restored objects, and those that could not be restored.
    pub origin: RestoreInfo,
}

/// Where a restored database comes from, and what is missing.
#[derive(Debug, Clone)]
pub struct RestoreInfo {
    /// The dump's name.
    pub file: String,
    /// pg_dump's name of the format.
    pub format: &'static str,
    /// The origin that the dump states.
    pub dumped: DumpOrigin,
    /// Relevant objects that could not be restored.
    pub complaints: Vec<RestoreError>,
    /// The number of other objects that could not be restored.
    pub ignored: usize,
    /// Tables whose rows the dump does not hold, or that could not be restored.
    pub without_rows: Vec<String>,
    /// True if any table has its rows.
    pub has_rows: bool,
}

impl RestoredDump {
    /// Restores the dump at `path`, `-` for stdin.
    ///
    /// # Errors
    /// When it is not a dump, is damaged, holds no Evolution tables, needs other programs than there are, or more room.
    pub async fn restore(path: &Path) -> Result<Self> {
        let source = DumpFile::detect(path)?;
        let purpose =
            Purpose::Restore { dump: &source.display_name(), is_archive: source.format != DumpFormat::Plain };
        let binaries = binaries::find_newest(purpose, source.major())?;
        disk_space::expect_disk_space(&source, &scratch_server::parent_directory(None))?;
        let server = ScratchServer::start(throwaway_options(&binaries)).await?;
        let mut databases = RestoredDatabases::new(&server).await?;
        let progress = ProgressTask::start("restoring");
        let fed = match source.format {
            DumpFormat::Plain => restore_plain(&source, &mut databases, &progress).await?,
            _ => restore_archive(&source, &binaries, &server, &mut databases, &progress).await?,
        };
        let names = databases.into_names();
        let mut origin = RestoreInfo {
            file: source.display_name(),
            format: source.format.as_str(),
            dumped: source.dumped,
            complaints: Vec::new(),
            ignored: 0,
            without_rows: Vec::new(),
            has_rows: false,
        };
        let (dumped, database) = choose(&server, &names, &origin.file, &fed).await?;
        origin.dumped.database = dumped.or(origin.dumped.database);
        progress.start_phase("statistics", None, Unit::Steps);
        finish(&server, &database, &fed, &mut origin).await?;
        let (complaints, ignored): (Vec<_>, Vec<_>) = fed.complaints.into_iter().partition(|c| c.has_bearing);
        origin.ignored = ignored.len();
        for refused in &ignored {
            tracing::debug!("not restored, and not needed: {}: {}", refused.object, refused.error);
        }
        origin.complaints = complaints;
        Ok(Self { server, database, origin })
    }

    /// The database's name where it was dumped, else the dump's.
    pub fn database_name(&self) -> String {
        self.origin.dumped.database.clone().unwrap_or_else(|| self.origin.file.clone())
    }

    /// Returns the options for a connection as its owner.
    pub fn connect_options(&self) -> PgConnectOptions {
        databases::connect_options(&self.server, &self.database)
    }
}

/// A server that is filled once and then read.
fn throwaway_options(binaries: &Path) -> ScratchServerOptions {
    let settings = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ScratchServerOptions { binaries: Some(binaries.to_owned()), settings, ..ScratchServerOptions::default() }
}

async fn restore_plain(
    source: &DumpFile,
    databases: &mut RestoredDatabases<'_>,
    progress: &ProgressTask,
) -> Result<ReplayResult> {
    progress.start_phase("statements", source.size, Unit::Bytes);
    let (reader, watch) = (source.clone(), progress.clone());
    let mut input = DumpReader::new(move || reader.open(move |read| watch.advance(read as u64)));
    let fed = replay(&mut input, databases).await.map_err(|error| cut_off(error, &source.display_name()))?;
    if fed.is_cut_off {
        return Err(damaged_error(&source.display_name()));
    }
    if fed.done == 0 {
        return Err(user_error(
            format!(
                "{} is not a dump of a Postgres database: the server accepted none of its statements",
                source.display_name()
            ),
            "give a dump that pg_dump or pg_dumpall made",
        ));
    }
    Ok(fed)
}

/// The statements before the rows, the rows, the statements after them.
async fn restore_archive(
    source: &DumpFile,
    binaries: &Path,
    server: &ScratchServer,
    databases: &mut RestoredDatabases<'_>,
    progress: &ProgressTask,
) -> Result<ReplayResult> {
    let program = archive::pg_restore_path(binaries);
    let path = if source.is_archive_file() {
        source.path.clone()
    } else {
        laid_out(source, server, progress).await?
    };
    let archive = Archive {
        confinement: Confinement::new(&program, &path, server.directory()).tried_on(&program),
        program,
        path,
        name: source.display_name(),
        environment: scratch_server::environment(server.directory()),
    };
    let contents = archive.contents()?;
    if !contents.has_tables && !contents.rows_of.is_empty() {
        return Err(replay::rows_only_error());
    }
    let jobs = available_parallelism().map_or(1, usize::from).min(MOST_JOBS);
    progress.start_phase("tables", None, Unit::Steps);
    let mut fed = feed_section(&archive, "pre-data", databases).await?;
    progress.start_phase("rows of tables", Some(contents.rows_of.len() as u64), Unit::Steps);
    let refused =
        archive.load_rows(source.format, jobs, &databases.first(), &contents, || progress.advance(1)).await?;
    fed.complaints.extend(refused);
    progress.start_phase("indexes and constraints", None, Unit::Steps);
    let last = feed_section(&archive, "post-data", databases).await?;
    fed.complaints.extend(last.complaints);
    fed.rows_of = contents.rows_of;
    Ok(fed)
}

async fn feed_section(
    archive: &Archive,
    section: &str,
    databases: &mut RestoredDatabases<'_>,
) -> Result<ReplayResult> {
    let (mut input, running) = archive.statements(section)?;
    let fed = replay(&mut input, databases).await?;
    match running.ended().await? {
        None => Ok(fed),
        Some(said) => Err(archive.refused(&said)),
    }
}

/// Writes an archive that is packed, or comes from stdin, into the server's directory, which is removed in any case.
async fn laid_out(
    source: &DumpFile,
    server: &ScratchServer,
    progress: &ProgressTask,
) -> Result<std::path::PathBuf> {
    progress.start_phase("unpacking", source.size, Unit::Bytes);
    let path = server.directory().join("dump");
    let (reader, watch, target) = (source.clone(), progress.clone(), path.clone());
    let copied = tokio::task::spawn_blocking(move || -> io::Result<u64> {
        let mut from = reader.open(move |read| watch.advance(read as u64))?;
        io::copy(&mut from, &mut File::create_new(target)?)
    });
    copied.await.context("unpacking")?.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull => disk_space::disk_full_error(),
        _ => cut_off(error.into(), &source.display_name()),
    })?;
    Ok(path)
}

/// Converts a read error: compressed data that ends early, or is damaged.
fn cut_off(error: anyhow::Error, name: &str) -> anyhow::Error {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let is_damage = |kind| {
        matches!(
            kind,
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Other
        )
    };
    if kind.is_some_and(is_damage) { error.context(damaged_error(name)) } else { error }
}

/// The database of the dump that holds Evolution's tables, with its name in the dump.
async fn choose(
    server: &ScratchServer,
    names: &[(Option<String>, String)],
    file: &str,
    fed: &ReplayResult,
) -> Result<(Option<String>, String)> {
    let (mut found, mut schemas) = (Vec::new(), Vec::new());
    for (dumped, name) in names {
        let mut connection = databases::connect_options(server, name).connect().await?;
        let path = "sql/catalog/candidate_schemas.sql";
        if !query_file(&mut connection, path, &Variables::default()).await?.is_empty() {
            found.push((dumped.clone(), name.clone()));
        }
        for (schema, _) in tables(&mut connection).await? {
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(no_evolution(file, &schemas, fed)),
        _ => {
            let names: Vec<String> =
                found.iter().map(|(dumped, _)| format!("{:?}", dumped.as_deref().unwrap_or("?"))).collect();
            Err(user_error(
                format!("{file} holds several databases with Evolution's tables: {}", names.join(", ")),
                "dump the one to examine: pg_dump --format=custom --file=evolution.dump DATABASE",
            ))
        }
    }
}

fn no_evolution(file: &str, schemas: &[String], fed: &ReplayResult) -> anyhow::Error {
    let holds = match schemas {
        [] => "no tables at all".to_owned(),
        schemas => {
            let names: Vec<String> = schemas.iter().map(|schema| format!("{schema:?}")).collect();
            format!("tables in {} only", names.join(", "))
        }
    };
    let refused = fed.complaints.iter().find(|complaint| complaint.has_bearing);
    let refused =
        refused.map(|c| format!("; the first that could not be restored: {}: {}", c.object, c.error));
    user_error(
        format!("{file} holds no Evolution tables: it holds {holds}{}", refused.unwrap_or_default()),
        "dump Evolution's database with the schema that its connection string names (schema=…)",
    )
}

async fn tables(connection: &mut PgConnection) -> Result<Vec<restore_error::TableName>> {
    let found = query_file(connection, "sql/restore/tables.sql", &Variables::default()).await?;
    found.iter().map(|row| Ok((row.try_get("schema")?, row.try_get("name")?))).collect()
}

/// Gathers statistics, which the checks use to choose a strategy, and closes the tables without rows.
async fn finish(
    server: &ScratchServer,
    database: &str,
    fed: &ReplayResult,
    origin: &mut RestoreInfo,
) -> Result<()> {
    let mut connection = databases::connect_options(server, database).connect().await?;
    execute_file(&mut connection, "sql/restore/analyze.sql", &Variables::default()).await?;
    let lost: Vec<_> = fed.complaints.iter().filter_map(|complaint| complaint.rows_of.as_ref()).collect();
    for table in tables(&mut connection).await? {
        if fed.rows_of.contains(&table) && !lost.contains(&&table) {
            origin.has_rows = true;
            continue;
        }
        let variables = Variables::for_schema(&table.0).text("table", &table.1);
        execute_file(&mut connection, "sql/restore/close_rows.sql", &variables).await?;
        origin.without_rows.push(table.1);
    }
    Ok(())
}

impl DumpFile {
    /// The major version of Postgres that can restore it; `None` when the dump does not tell. pg_restore reads
    /// archives of its own version and older ones; of a plain dump only the server's version counts.
    fn major(&self) -> Option<u32> {
        let major =
            |version: &Option<String>| version.as_deref()?.split(['.', ' ']).next()?.parse::<u32>().ok();
        match self.format {
            DumpFormat::Plain => major(&self.dumped.server),
            _ => major(&self.dumped.server).max(major(&self.dumped.program)),
        }
    }
}

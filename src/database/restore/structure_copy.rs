//! A database on a throwaway server with the structure of another one: tables first, then the caller fills them, then
//! indexes, keys and triggers; and its dump.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnection;

use super::client_program::{ClientProgram, WITHOUT_SERVER_OBJECTS};
use super::databases::{self, RestoredDatabases};
use super::dump_connection::DumpConnection;
use super::dump_reader::DumpReader;
use super::replay::replay;
use super::restore_error::RestoreError;
use super::throwaway_options;
use crate::database::scratch_server::binaries::{self, Purpose};
use crate::database::scratch_server::{self, ScratchServer};
use crate::error::user_error;

/// The longest that pg_dump waits for a lock, in milliseconds: as long as the snapshot's own sessions do.
const LOCK_WAIT_MS: u32 = 3000;

/// The original whose structure is copied.
pub struct Original<'o> {
    /// The connection of pg_dump to it.
    pub connection: &'o DumpConnection,
    /// The schema.
    pub schema: &'o str,
    /// Tables that stay out.
    pub excluded: &'o [String],
    /// The snapshot that it is to be read in, where one was exported.
    pub snapshot: Option<&'o str>,
}

/// The copy. Dropping it stops the server and removes everything.
pub struct StructureCopy {
    server: ScratchServer,
    pg_dump: PathBuf,
    database: String,
}

/// The directory with pg_dump, pg_restore and a server, of this major version at least.
///
/// # Errors
/// When there is none; the next step installs one.
pub fn find_programs(major: Option<u32>) -> Result<PathBuf> {
    binaries::find_newest(Purpose::Copy, major)
}

impl StructureCopy {
    /// Makes the tables, without indexes and keys. What the server refuses comes back.
    ///
    /// # Errors
    /// When the original cannot be read, or the server does not start.
    pub async fn create(binaries: &Path, original: &Original<'_>) -> Result<(Self, Vec<RestoreError>)> {
        let server = ScratchServer::start(throwaway_options(binaries)).await?;
        let mut databases = RestoredDatabases::new(&server).await?;
        let pg_dump = binaries.join("pg_dump");
        let refused = feed(&pg_dump, original, "pre-data", &mut databases).await?;
        let (_, database) = databases.into_names().remove(0);
        Ok((Self { server, pg_dump, database }, refused))
    }

    /// A connection that fills the tables.
    pub async fn connect(&self) -> Result<PgConnection> {
        Ok(databases::connect_options(&self.server, &self.database).connect().await?)
    }

    /// Makes indexes, keys and triggers. What the server refuses comes back.
    pub async fn finish(&self, original: &Original<'_>) -> Result<Vec<RestoreError>> {
        let mut databases = RestoredDatabases::attach(&self.server, &self.database).await?;
        feed(&self.pg_dump, original, "post-data", &mut databases).await
    }

    /// Writes the dump.
    pub async fn dump(&self, schema: &str, to: &Path) -> Result<()> {
        let options = self.server.connect_options(&self.database);
        let socket = options.get_socket().context("a socket")?;
        let mut command = Command::new(&self.pg_dump);
        command.args([
            "--format=custom",
            "--no-owner",
            "--no-acl",
            "--schema",
            &pattern(schema),
            "--no-password",
        ]);
        command.arg("--file").arg(to).env_clear();
        command.envs(scratch_server::environment(self.server.directory()));
        command.env("PGHOST", socket).env("PGPORT", options.get_port().to_string());
        command.env("PGUSER", options.get_username()).env("PGDATABASE", &self.database);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let running = ClientProgram::spawn("pg_dump", &mut command)?;
        match running.ended().await? {
            None => Ok(()),
            Some(said) => Err(user_error(
                format!("the snapshot cannot be written: {}", first_line(&said)),
                "give another path with --output",
            )),
        }
    }
}

async fn feed(
    pg_dump: &Path,
    original: &Original<'_>,
    section: &str,
    databases: &mut RestoredDatabases<'_>,
) -> Result<Vec<RestoreError>> {
    let mut command = Command::new(pg_dump);
    command.args(["--schema-only", "--no-password"]).arg(format!("--section={section}"));
    command.args(["--schema", &pattern(original.schema)]).args(WITHOUT_SERVER_OBJECTS);
    // A session that waits for an ACCESS EXCLUSIVE lock waits for the snapshot, and pg_dump would wait behind it for
    // ever.
    command.arg(format!("--lock-wait-timeout={LOCK_WAIT_MS}"));
    for table in original.excluded {
        command.arg(format!("--exclude-table={}.{}", pattern(original.schema), pattern(table)));
    }
    if let Some(snapshot) = original.snapshot {
        command.arg(format!("--snapshot={snapshot}"));
    }
    original.connection.apply(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = ClientProgram::spawn("pg_dump", &mut command)?;
    let stdout = running.stdout().context("piped")?;
    let fed = replay(&mut DumpReader::new(move || Ok(Box::new(stdout))), databases).await?;
    match running.ended().await? {
        None => Ok(fed.complaints),
        Some(said) => Err(user_error(
            format!("the structure of schema {:?} cannot be read: {}", original.schema, first_line(&said)),
            hint(&said),
        )),
    }
}

fn first_line(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

/// The hint for a failed pg_dump. The server's messages may be in any language; pg_dump's are English.
fn hint(said: &str) -> &'static str {
    if first_line(said).starts_with("connection to ") {
        "pg_dump opens its own connections: check that the server accepts three more from here, and that \
         psql connects with the same connection string"
    } else if said.contains("LOCK TABLE") {
        "another session holds an ACCESS EXCLUSIVE lock on a table of the schema, or waits for one: \
         run it again when that session has finished"
    } else {
        "check that pg_dump --schema-only works with the same connection string, then run it again"
    }
}

/// A name as pg_dump takes it, which else reads a pattern.
fn pattern(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

//! A database on a throwaway server with the structure of another one: tables first, then whoever made it fills them, then
//! indexes, keys and triggers; and its dump.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnection, PgSslMode};

use super::client_program::{ClientProgram, WITHOUT_SERVER_OBJECTS};
use super::databases::{self, RestoredDatabases};
use super::dump_reader::DumpReader;
use super::replay::replay;
use super::restore_error::RestoreError;
use super::throwaway_options;
use crate::database::scratch_server::{self, ScratchServer, binaries};
use crate::database::url::ConnectTarget;
use crate::error::user_error;

/// The original whose structure is copied.
pub struct Original<'o> {
    /// How to connect to it.
    pub target: &'o ConnectTarget,
    /// Its major version.
    pub major: Option<u32>,
    /// The schema.
    pub schema: &'o str,
    /// The snapshot that it is to be read in, where one was exported.
    pub snapshot: Option<&'o str>,
}

/// The copy. Dropping it stops the server and removes everything.
pub struct StructureCopy {
    server: ScratchServer,
    pg_dump: PathBuf,
    database: String,
}

impl StructureCopy {
    /// Makes the tables, without indexes and keys. What the server refuses comes back.
    ///
    /// # Errors
    /// When there is no pg_dump that is new enough, or the original cannot be read.
    pub async fn create(original: &Original<'_>) -> Result<(Self, Vec<RestoreError>)> {
        let binaries = binaries::find_newest_for_dump("the database", original.major, true)?;
        let server = ScratchServer::start(throwaway_options(&binaries)).await?;
        let mut databases = RestoredDatabases::new(&server).await?;
        let pg_dump = binaries.join("pg_dump");
        let refused = feed(&pg_dump, original, "pre-data", &mut databases).await?;
        let (_, database) = databases.into_names().remove(0);
        Ok((Self { server, pg_dump, database }, refused))
    }

    /// A connection that fills the tables.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn connect(&self) -> Result<PgConnection> {
        Ok(databases::connect_options(&self.server, &self.database).connect().await?)
    }

    /// Makes indexes, keys and triggers. What the server refuses comes back.
    ///
    /// # Errors
    /// When the original cannot be read.
    pub async fn finish(&self, original: &Original<'_>) -> Result<Vec<RestoreError>> {
        let mut databases = RestoredDatabases::attach(&self.server, &self.database).await?;
        feed(&self.pg_dump, original, "post-data", &mut databases).await
    }

    /// Writes the dump.
    ///
    /// # Errors
    /// When the file cannot be written.
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
                format!("the snapshot cannot be written: {}", said.trim_start_matches("pg_dump: ")),
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
    if let Some(snapshot) = original.snapshot {
        command.arg(format!("--snapshot={snapshot}"));
    }
    connection_environment(original.target, &mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = ClientProgram::spawn("pg_dump", &mut command)?;
    let stdout = running.stdout().context("piped")?;
    let fed = replay(&mut DumpReader::new(move || Ok(Box::new(stdout))), databases).await?;
    match running.ended().await? {
        None => Ok(fed.complaints),
        Some(said) => Err(user_error(
            format!(
                "the structure of schema {:?} cannot be read: {}",
                original.schema,
                said.trim_start_matches("pg_dump: ")
            ),
            "connect as the owner of Evolution's tables: pg_dump has to read each of them",
        )),
    }
}

/// A name as pg_dump takes it, which else reads a pattern.
fn pattern(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

/// The same server, for libpq. Passwords go by the environment, which no other user can read.
fn connection_environment(target: &ConnectTarget, command: &mut Command) {
    let options = &target.options;
    let inherited: Vec<(String, String)> =
        std::env::vars().filter(|(name, _)| !name.starts_with("PG")).collect();
    command.env_clear().envs(inherited);
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    command.env("PGHOST", host.trim_matches(['[', ']'])).env("PGPORT", options.get_port().to_string());
    command.env("PGUSER", options.get_username()).env("PGDATABASE", target.database());
    command.env("PGAPPNAME", "evodoctor").env("PGCONNECT_TIMEOUT", "10");
    if let Some(password) = password(target) {
        command.env("PGPASSWORD", password);
    }
    let mode = match options.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    };
    command.env("PGSSLMODE", mode);
    for (parameter, path) in &target.files {
        command.env(format!("PG{}", parameter.to_uppercase()), path);
    }
    if target.verifies_with_system() {
        command.env("PGSSLROOTCERT", "system");
    }
}

/// The driver shows the password in its URL only. The URL's other parts are replaced, as it refuses some that are none.
fn password(target: &ConnectTarget) -> Option<String> {
    let url = target.options.clone().username("user").host("localhost").to_url_lossy();
    let encoded = url.password()?;
    Some(percent_encoding::percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

//! Archives (custom, tar, directory), read by pg_restore.
//!
//! pg_restore writes the statements before and after the rows as text, which is replayed like a plain dump, so that
//! each error is the server's own, with its SQLSTATE. Only the rows are loaded by pg_restore itself, with several jobs
//! if the format allows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;

use super::client_program::{ClientProgram, WITHOUT_SERVER_OBJECTS};
use super::confinement::Confinement;
use super::disk_space::disk_full_error;
use super::dump_file::{DumpFormat, damaged_error};
use super::dump_reader::DumpReader;
use super::restore_error::TableName;
use super::restore_error::{RestoreError, table_of_rows};

/// An archive and the program that reads it.
pub struct Archive {
    /// pg_restore.
    pub program: PathBuf,
    /// The file or directory.
    pub path: PathBuf,
    /// Its name for people.
    pub name: String,
    /// The environment to run in.
    pub environment: Vec<(String, String)>,
    /// What the program may reach.
    pub confinement: Confinement,
}

/// An archive's table of contents.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TableOfContents {
    /// The tables whose rows it holds.
    pub rows_of: BTreeSet<TableName>,
    /// True if it makes any table.
    pub has_tables: bool,
}

impl Archive {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, command: &mut Command) -> Result<ClientProgram> {
        ClientProgram::attach("pg_restore", self.confinement.spawn(command))
    }

    /// Its table of contents.
    pub fn contents(&self) -> Result<TableOfContents> {
        let child = self.confinement.spawn(self.command(&["--list"]).arg(&self.path));
        let output = child.and_then(Child::wait_with_output).context("pg_restore cannot be run")?;
        if !output.status.success() {
            return Err(self.refused(&String::from_utf8_lossy(&output.stderr)));
        }
        Ok(TableOfContents::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The statements of a section, as pg_restore names it.
    pub fn statements(&self, section: &str) -> Result<(DumpReader, ClientProgram)> {
        let section = format!("--section={section}");
        let mut command = self.command(&[&section, "--file=-"]);
        let mut running = self.start(command.args(WITHOUT_SERVER_OBJECTS).arg(&self.path))?;
        let stdout = running.stdout().context("stdout is piped")?;
        Ok((DumpReader::new(move || Ok(Box::new(stdout))), running))
    }

    /// Loads the rows with that many jobs; calls `finished` for every table that is done.
    ///
    /// # Errors
    /// When the archive is damaged, or the disk is full.
    pub async fn load_rows(
        &self,
        format: DumpFormat,
        jobs: usize,
        to: &PgConnectOptions,
        contents: &TableOfContents,
        mut finished: impl FnMut(),
    ) -> Result<Vec<RestoreError>> {
        let socket = to.get_socket().map(|path| path.display().to_string()).unwrap_or_default();
        let mut command = self.command(&["--section=data", "--verbose"]);
        command.args(WITHOUT_SERVER_OBJECTS).args(["--host", &socket, "--port", &to.get_port().to_string()]);
        command.args(["--username", to.get_username(), "--no-password"]);
        command.args(["--dbname", to.get_database().unwrap_or_default()]);
        if format != DumpFormat::Tar && jobs > 1 {
            command.arg(format!("--jobs={jobs}"));
        }
        let mut running = self.start(command.stdout(Stdio::null()).arg(&self.path))?;
        let (mut errors, mut is_error) = (String::new(), false);
        while let Some(line) = running.next_line().await {
            if line.starts_with("pg_restore: finished item")
                || line.starts_with("pg_restore: processing data")
            {
                finished();
            }
            // What follows an error without a name before it belongs to it.
            is_error =
                line.starts_with("pg_restore: error: ") || is_error && !line.starts_with("pg_restore: ");
            if is_error {
                errors.push_str(&line);
                errors.push('\n');
            }
        }
        if !running.wait()? && errors.is_empty() {
            return Err(self.refused("it failed"));
        }
        self.complaints(&errors, contents)
    }

    /// The refusals among pg_restore's errors.
    ///
    /// # Errors
    /// When one of the errors is about the archive itself, or the disk.
    fn complaints(&self, errors: &str, contents: &TableOfContents) -> Result<Vec<RestoreError>> {
        if errors.contains("No space left on device") || errors.contains("could not extend file") {
            return Err(disk_full_error());
        }
        let mut complaints = Vec::new();
        for error in errors.split("pg_restore: error: ").filter(|error| !error.is_empty()) {
            let message = |text: &str| {
                text.split_once("ERROR:")
                    .map_or("", |(_, said)| said)
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            };
            if let Some(rest) = error.strip_prefix("COPY failed for table \"") {
                let name = rest.split('"').next().unwrap_or_default();
                let tables = contents.rows_of.iter().filter(|(_, table)| table == name);
                complaints.extend(tables.map(|table| RestoreError::from_rows(table.clone(), &message(rest))));
            } else if let Some(rest) = error.strip_prefix("could not execute query: ") {
                let statement = rest.split_once("Command was: ").map_or("", |(_, statement)| statement);
                complaints.extend(
                    table_of_rows(statement).map(|table| RestoreError::from_rows(table, &message(rest))),
                );
            } else {
                return Err(self.refused(error));
            }
        }
        Ok(complaints)
    }

    /// The error for an archive that pg_restore does not read to its end.
    pub fn refused(&self, said: &str) -> anyhow::Error {
        let line = said.lines().next().unwrap_or_default();
        let line = line.trim_start_matches("pg_restore: ").trim_start_matches("error: ").to_owned();
        anyhow::anyhow!("pg_restore says: {line}").context(damaged_error(&self.name))
    }
}

impl TableOfContents {
    /// Reads what `pg_restore --list` prints: `4001; 0 16401 TABLE DATA schema name owner`.
    fn parse(list: &str) -> Self {
        let mut contents = Self::default();
        for line in list.lines().filter(|line| !line.starts_with(';')) {
            let Some(entry) = line.splitn(4, ' ').nth(3) else { continue };
            if let Some(rest) = entry.strip_prefix("TABLE DATA ") {
                let mut words = rest.split(' ');
                let schema = words.next().unwrap_or_default().to_owned();
                let name: Vec<&str> = words.collect();
                // The owner is the last word.
                let name = name[..name.len().saturating_sub(1)].join(" ");
                contents.rows_of.insert((schema, name));
            }
            contents.has_tables |= entry.starts_with("TABLE ") && !entry.starts_with("TABLE DATA ");
        }
        contents
    }
}

/// pg_restore beside the server's programs.
pub fn pg_restore_path(binaries: &Path) -> PathBuf {
    binaries.join("pg_restore")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_contents_says_what_rows_there_are() {
        let contents = TableOfContents::parse(
            "; Archive created at 2026-11-21\n;\n216; 1259 16400 TABLE evolution_api Chat postgres\n\
             4001; 0 16400 TABLE DATA evolution_api Chat postgres\n\
             4002; 0 16401 TABLE DATA public two words owner\n",
        );
        let names = [("evolution_api", "Chat"), ("public", "two words")];
        let names = names.map(|(schema, table)| (schema.to_owned(), table.to_owned()));
        assert_eq!(contents, TableOfContents { rows_of: names.into(), has_tables: true });
        assert!(!TableOfContents::parse("4001; 0 16400 TABLE DATA evolution_api Chat postgres\n").has_tables);
    }
}

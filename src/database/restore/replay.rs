//! Runs a plain dump, statement by statement, on a throwaway server.
//!
//! Not psql: a dump comes from outside, and psql would obey `\!` and `\copy … FROM PROGRAM` in it as this user. Here
//! only the server reads it, as a role that is not a superuser and therefore reaches no file, no program and no other
//! database. Failed statements are kept, and the restore continues.

use std::collections::BTreeSet;
use std::io;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnection, PgDatabaseError};

use super::databases::RestoredDatabases;
use super::disk_space::disk_full_error;
use super::dump_reader::{DumpReader, LONGEST};
use super::missing_types::create_missing_types;
use super::restore_error::{RestoreError, TableName, table_of_rows};
use crate::database::query::{execute_file, execute_untrusted, sqlstate};
use crate::database::sql_file::Variables;
use crate::database::statement_splitter::{Statement, StatementSplitter};
use crate::error::user_error;

/// The result of replaying a dump.
#[derive(Debug, Default)]
pub struct ReplayResult {
    /// The errors of the server.
    pub complaints: Vec<RestoreError>,
    /// The number of statements it took.
    pub done: usize,
    /// The tables whose rows the dump holds, be there none.
    pub rows_of: BTreeSet<TableName>,
    /// True if any table was made.
    pub has_tables: bool,
    /// True if the dump's last words, which pg_dump writes, are missing.
    pub is_cut_off: bool,
}

/// Feeds all of it.
///
/// # Errors
/// When the dump cannot be read to its end, or the server goes away or runs out of space.
pub async fn replay(input: &mut DumpReader, to: &mut RestoredDatabases<'_>) -> Result<ReplayResult> {
    let (mut fed, mut lexer) = (ReplayResult::default(), StatementSplitter::default());
    while let Some(line) = input.next_line().await? {
        if lexer.is_between() {
            fed.listen(line);
            if line.starts_with(b"\\") {
                if let Some(database) = connects_to(line) {
                    to.switch(&database).await?;
                }
                continue;
            }
        }
        let statements = lexer.push_line(line);
        for statement in statements {
            fed.run(input, to, &statement).await?;
            note_settings(&statement, &mut lexer);
        }
        if lexer.pending() > LONGEST {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).context("a statement without an end");
        }
    }
    fed.is_cut_off |= !lexer.is_between();
    Ok(fed)
}

impl ReplayResult {
    /// Takes from comments what pg_dump says in them.
    fn listen(&mut self, line: &[u8]) {
        let Some(comment) = line.strip_prefix(b"-- ") else { return };
        if comment.starts_with(b"PostgreSQL database ") {
            // "… dump" at the beginning, "… dump complete" at the end.
            self.is_cut_off = !comment.trim_ascii_end().ends_with(b"complete");
        } else if let Some(data) = comment.strip_prefix(b"Data for Name: ") {
            let text = String::from_utf8_lossy(data);
            let mut parts = text.trim_end().split("; ");
            let name = parts.next().unwrap_or_default().to_owned();
            let schema = parts.find_map(|part| part.strip_prefix("Schema: "));
            self.rows_of.extend(schema.map(|schema| (schema.to_owned(), name)));
        }
    }

    async fn run(
        &mut self,
        input: &mut DumpReader,
        to: &mut RestoredDatabases<'_>,
        statement: &Statement,
    ) -> Result<()> {
        let connection = to.connection();
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        // One failure in a transaction of the dump itself would undo everything after it.
        if matches!(words.as_slice(), ["begin" | "commit" | "end" | "start" | "rollback", ..]) {
            return Ok(());
        }
        // The encoding of names is rarely any other; rows go as they are.
        let text = String::from_utf8_lossy(&statement.text);
        // A row, a comment, or a role's password may be in it.
        let shown = format!("{} ... (a statement of the dump)", words[..words.len().min(2)].join(" "));
        let mut outcome = if statement.reads_rows {
            copy(input, connection, &text).await?
        } else {
            execute_untrusted(connection, text.to_string(), &shown).await
        };
        let makes_table = matches!(words.as_slice(), ["create", "table" | "unlogged", ..]);
        while makes_table
            && let Err(error) = &outcome
            && let Some(made) = create_missing_types(connection, error).await?
        {
            self.complaints.extend(made);
            outcome = execute_untrusted(connection, text.to_string(), &shown).await;
        }
        let has_rows = matches!(words.as_slice(), ["copy" | "insert", ..]);
        if has_rows {
            self.rows_of.extend(table_of_rows(&text));
        }
        match outcome {
            Ok(_) => {
                self.done += 1;
                self.has_tables |= makes_table;
            }
            Err(error) => {
                let error = expect_answer(error)?;
                if has_rows
                    && !self.has_tables
                    && matches!(sqlstate(&error).as_deref(), Some("42P01" | "3F000"))
                {
                    return Err(rows_only_error());
                }
                if makes_foreign_key(&text) && claim_key(to, &text, &shown, &error).await? {
                    self.done += 1;
                    return Ok(());
                }
                self.complaints.push(RestoreError::from_statement(&text, &words, &error));
            }
        }
        Ok(())
    }
}

fn makes_foreign_key(statement: &str) -> bool {
    let text = statement.trim_start();
    text.starts_with("ALTER TABLE") && text.contains(" ADD CONSTRAINT ") && text.contains(" FOREIGN KEY ")
}

/// A key that its database calls valid, though some of its rows are orphans because triggers were off when they came.
/// It is created without checking the rows, and is marked valid as it was, so that the copy has the same findings.
async fn claim_key(
    to: &mut RestoredDatabases<'_>,
    statement: &str,
    shown: &str,
    error: &sqlx::Error,
) -> Result<bool> {
    let refused = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let Some(refused) = refused.filter(|refused| refused.code() == "23503") else { return Ok(false) };
    let (Some(schema), Some(table), Some(constraint)) =
        (refused.schema(), refused.table(), refused.constraint())
    else {
        return Ok(false);
    };
    let unchecked = format!("{} NOT VALID", statement.trim_end().trim_end_matches(';'));
    if execute_untrusted(to.connection(), unchecked, shown).await.is_err() {
        return Ok(false);
    }
    let variables = Variables::for_schema(schema).text("table", table).text("constraint", constraint);
    let mut admin = to.connect_admin().await?;
    execute_file(&mut admin, "sql/restore/claim_validated.sql", &variables).await?;
    Ok(true)
}

/// Sends the rows of a COPY. The inner error is the server's refusal; the rows are read over then.
async fn copy(
    input: &mut DumpReader,
    connection: &mut PgConnection,
    statement: &str,
) -> Result<sqlx::Result<u64>> {
    let mut sink = match connection.copy_in_raw(statement).await {
        Ok(sink) => sink,
        Err(error) => {
            while input.next_rows().await?.is_some() {}
            return Ok(Err(error));
        }
    };
    while let Some(rows) = input.next_rows().await? {
        sink.send(rows).await.context("the throwaway server stopped")?;
    }
    Ok(sink.finish().await)
}

/// Returns the error if the server continues to work; otherwise the restore ends.
fn expect_answer(error: sqlx::Error) -> Result<sqlx::Error> {
    match sqlstate(&error).as_deref() {
        Some("53100") => Err(disk_full_error()),
        // The classes of a server that stops or has crashed.
        None => Err(error).context("the throwaway server stopped while the dump was restored"),
        Some(state) if state.starts_with("57P") => {
            Err(error).context("the throwaway server stopped while the dump was restored")
        }
        Some(_) => Ok(error),
    }
}

/// The error for a dump without tables.
pub fn rows_only_error() -> anyhow::Error {
    user_error(
        "the dump holds rows only and no tables (pg_dump --data-only)",
        "dump tables and rows: pg_dump without --data-only (-a)",
    )
}

/// The database of a `\connect` line.
fn connects_to(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let rest = text.strip_prefix("\\connect ").or_else(|| text.strip_prefix("\\c "))?;
    let rest = rest.trim().trim_start_matches("-reuse-previous=on").trim();
    // Odd names come as a connection string in quotes.
    let rest = rest.trim_matches('"');
    let name = rest.strip_prefix("dbname=").map_or(rest, |name| name.trim_matches('\''));
    Some(name.replace("\\'", "'").replace("\"\"", "\"")).filter(|name| !name.is_empty())
}

/// Very old dumps escape by backslashes, and say so.
fn note_settings(statement: &Statement, lexer: &mut StatementSplitter) {
    let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
    if let ["set", "standard_conforming_strings", "to", value, ..]
    | ["set", "standard_conforming_strings", value, ..] = words.as_slice()
    {
        lexer.backslashes_escape = *value == "off";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_connect_line_is_understood() {
        for (line, expected) in [
            ("\\connect evolution\n", Some("evolution")),
            ("\\connect -reuse-previous=on \"dbname='evo db'\"\n", Some("evo db")),
            ("\\connect \"Evo\"\n", Some("Evo")),
            ("\\restrict abc\n", None),
            ("\\! touch /tmp/x\n", None),
            ("\\connect \n", None),
        ] {
            assert_eq!(connects_to(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}

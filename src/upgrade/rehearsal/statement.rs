//! One statement of a migration: what kind it is, and what the server says to it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnection, PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Executor};

use super::{FailedStatement, SkippedStatement};
use crate::database::query::sqlstate;
use crate::database::statement_splitter::Statement;
use crate::error::sqlstate::without_row_values;
use crate::progress;

/// The longest beginning of a statement that is shown, in characters.
const LONGEST: usize = 160;

/// The effect of a statement on the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// Nothing special.
    Plain,
    /// `BEGIN`: Prisma's query is in a transaction already, which goes on.
    Begins,
    /// `COMMIT`.
    Commits,
    /// `ROLLBACK`.
    RollsBack,
    /// Savepoints and prepared transactions.
    OtherControl,
    /// `COPY` from or to a client, which Prisma's does not speak.
    Copies,
}

impl StatementKind {
    /// Of a statement, by its first words.
    pub fn from_statement(statement: &Statement) -> Self {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["commit" | "rollback", "prepared", ..] | ["prepare", "transaction", ..] => Self::OtherControl,
            ["savepoint" | "release", ..] => Self::OtherControl,
            ["rollback", rest @ ..] if rest.contains(&"to") => Self::OtherControl,
            ["begin", ..] | ["start", "transaction", ..] => Self::Begins,
            ["commit" | "end", ..] => Self::Commits,
            ["rollback" | "abort", ..] => Self::RollsBack,
            ["copy", ..] if statement.reads_rows || words.last() == Some(&"stdout") => Self::Copies,
            _ => Self::Plain,
        }
    }
}

/// True if it adds a value to an enum, which can be used only once that is committed.
pub fn adds_enum_value(statement: &Statement) -> bool {
    let is = |pair: [&str; 2]| statement.words.windows(2).any(|words| words == pair);
    is(["alter", "type"]) && is(["add", "value"])
}

/// True if it empties tables without the server counting their rows.
pub fn empties(statement: &Statement) -> bool {
    statement.words.first().is_some_and(|word| word == "truncate")
}

/// The beginning of a statement, in one line.
pub fn excerpt(statement: &Statement) -> String {
    let text = String::from_utf8_lossy(&statement.text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Sends it so that the server takes one statement or none, whatever the text holds; gives how long it took.
pub async fn send(connection: &mut PgConnection, statement: &Statement) -> sqlx::Result<Duration> {
    let text = String::from_utf8_lossy(&statement.text).into_owned();
    let started = Instant::now();
    progress::show_statement(&text);
    connection.execute(sqlx::query(AssertSqlSafe(text)).persistent(false)).await?;
    Ok(started.elapsed())
}

/// A time as the report has it.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The error of a statement.
///
/// # Errors
/// When it was not the server: the connection is lost.
pub fn refused(statement: &Statement, error: sqlx::Error) -> Result<FailedStatement> {
    let sqlstate = sqlstate(&error).unwrap_or_default();
    let Some(database) = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
    else {
        return Err(error).context("the connection was lost");
    };
    let line = match database.position() {
        Some(PgErrorPosition::Original(position)) => {
            let text = String::from_utf8_lossy(&statement.text);
            statement.line + text.chars().take(position.saturating_sub(1)).filter(|c| *c == '\n').count()
        }
        _ => statement.line,
    };
    Ok(FailedStatement {
        line,
        message: without_row_values(&sqlstate, database.message()).to_owned(),
        detail: database.detail().and_then(|detail| detail_without_values(&sqlstate, detail)),
        sqlstate: Some(sqlstate),
        statement: excerpt(statement),
        committed_up_to: None,
    })
}

/// Of rows that break a constraint (class 23) only the columns are shown: the values may be secrets.
fn detail_without_values(sqlstate: &str, detail: &str) -> Option<String> {
    if sqlstate.starts_with("22") {
        return None;
    }
    if !sqlstate.starts_with("23") {
        return Some(detail.to_owned());
    }
    let (columns, rest) = detail.strip_prefix("Key ")?.split_once(")=(")?;
    let what = rest.rsplit_once(") ").map(|(_, what)| what)?;
    Some(format!("Key {columns}) {what}"))
}

/// A statement that was left out, and why.
pub fn left_out(statement: &Statement, reason: impl Into<String>) -> SkippedStatement {
    SkippedStatement { line: statement.line, statement: excerpt(statement), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::statement_splitter::StatementSplitter;

    fn parsed(sql: &str) -> Statement {
        StatementSplitter::default().push_line(format!("{sql};").as_bytes()).remove(0)
    }

    #[test]
    fn transaction_statements_are_recognised() {
        for (sql, kind) in [
            ("BEGIN", StatementKind::Begins),
            ("start transaction read write", StatementKind::Begins),
            ("/* a */ COMMIT AND CHAIN", StatementKind::Commits),
            ("END", StatementKind::Commits),
            ("\u{b}COMMIT", StatementKind::Commits),
            ("ABORT", StatementKind::RollsBack),
            ("ROLLBACK WORK TO SAVEPOINT a", StatementKind::OtherControl),
            ("COMMIT PREPARED 'x'", StatementKind::OtherControl),
            ("PREPARE TRANSACTION 'x'", StatementKind::OtherControl),
            ("COPY t FROM STDIN", StatementKind::Copies),
            ("COPY t TO STDOUT", StatementKind::Copies),
            ("COPY t TO '/tmp/x'", StatementKind::Plain),
            ("SELECT 'COMMIT'", StatementKind::Plain),
            ("DO $$ BEGIN COMMIT; END $$", StatementKind::Plain),
        ] {
            assert_eq!(StatementKind::from_statement(&parsed(sql)), kind, "{sql}");
        }
        assert!(adds_enum_value(&parsed("ALTER TYPE \"T\" ADD VALUE 'a'")));
        assert!(adds_enum_value(&parsed("alter type t add value if not exists 'a'")));
        assert!(!adds_enum_value(&parsed("ALTER TYPE t RENAME VALUE 'a' TO 'b'")));
    }

    #[test]
    fn values_of_rows_stay_out() {
        let key = "Key (\"apiKey\", name)=(sk-abc) , (x)) is duplicated.";
        assert_eq!(
            detail_without_values("23505", key).as_deref(),
            Some("Key (\"apiKey\", name) is duplicated.")
        );
        assert_eq!(detail_without_values("23502", "Failing row contains (a, sk-abc)."), None);
        assert_eq!(detail_without_values("22P02", "sk-abc"), None);
        assert!(detail_without_values("2BP01", "view v depends on table t").is_some());
    }
}

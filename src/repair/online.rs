//! Statements during which others would have to wait for long, and the form of them in which nobody does. That form is no
//! part of a transaction: the fix commits its intent to do it, and it is done afterwards (`commands::online`).

mod index;
mod watch;

use serde::{Deserialize, Serialize};

use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;

pub use index::{clean, is_taken, is_valid, limits};
pub use watch::{Ended, cancel, carry_out, see_out};

/// What is done after the fix's transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// The statement, in the form that lets others read and write.
    pub sql: String,
    /// What it does.
    pub work: Work,
    /// The table of Evolution's schema that it is about; not known of an index that is rebuilt.
    pub table: Option<String>,
    /// How far it is.
    pub state: State,
}

/// What such a statement does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", content = "name")]
pub enum Work {
    /// CREATE INDEX CONCURRENTLY, of this name.
    Build(String),
    /// REINDEX INDEX CONCURRENTLY, of this name.
    Rebuild(String),
    /// VALIDATE CONSTRAINT, of this name.
    Validate(String),
}

impl Work {
    /// The name of the index, where it is about one.
    pub fn index(&self) -> Option<&str> {
        match self {
            Self::Build(name) | Self::Rebuild(name) => Some(name),
            Self::Validate(_) => None,
        }
    }

    /// What it is called while it lasts.
    pub fn title(&self) -> String {
        match self {
            Self::Build(name) => format!("the build of the index {name:?}"),
            Self::Rebuild(name) => format!("the rebuild of the index {name:?}"),
            Self::Validate(name) => format!("the validation of the key {name:?}"),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is still to be done, or was begun and not ended.
    Open,
    /// It is done.
    Done,
    /// Rows that came in meanwhile do not allow it; what finds them treats them, in a run of its own.
    GivenUp,
}

/// A statement in two parts: what is run in the transaction, and what afterwards.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// In the transaction.
    pub now: Option<String>,
    /// Afterwards.
    pub later: Option<Later>,
}

/// Takes a statement of a fix apart. Only what is done to a table that was there before the transaction is done later, and
/// nothing of a partitioned one: there is no other form for it.
pub fn parts(sql: &str, before: &Catalog) -> Parts {
    apart(sql, |table| before.tables.get(table).is_some_and(|table| table.kind == "r"))
}

fn apart(sql: &str, is_plain: impl Fn(&str) -> bool) -> Parts {
    let whole = || Parts { now: Some(sql.to_owned()), later: None };
    let later = |sql: String, work, table: Option<&str>, now| {
        if table.is_some_and(|table| !is_plain(table)) {
            return whole();
        }
        let later = Later { sql, work, table: table.map(str::to_owned), state: State::Open };
        Parts { now, later: Some(later) }
    };
    let tokens = tokens(sql);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    match tokens[..] {
        ["CREATE", "UNIQUE", "INDEX", name, "ON", _, ".", table, ..]
        | ["CREATE", "INDEX", name, "ON", _, ".", table, ..] => later(
            sql.replacen("INDEX", "INDEX CONCURRENTLY", 1),
            Work::Build(name.to_owned()),
            Some(table),
            None,
        ),
        ["REINDEX", "INDEX", _, ".", name] => later(
            sql.replacen("REINDEX INDEX", "REINDEX INDEX CONCURRENTLY", 1),
            Work::Rebuild(name.to_owned()),
            None,
            None,
        ),
        ["ALTER", "TABLE", _, ".", table, "VALIDATE", "CONSTRAINT", name] => {
            later(sql.to_owned(), Work::Validate(name.to_owned()), Some(table), None)
        }
        ["ALTER", "TABLE", schema, ".", table, "ADD", "CONSTRAINT", name, "FOREIGN", "KEY", .., last]
            if last != "VALID" =>
        {
            let validate = format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                Fragment::qualified(schema, table),
                Fragment::ident(name)
            );
            later(validate, Work::Validate(name.to_owned()), Some(table), Some(format!("{sql} NOT VALID")))
        }
        _ => whole(),
    }
}

/// The way back of a statement that may not have been done when it is gone.
pub fn way_back(sql: &str) -> String {
    match sql.strip_prefix("DROP INDEX ") {
        Some(rest) if !rest.starts_with("IF EXISTS") => format!("DROP INDEX IF EXISTS {rest}"),
        _ => sql.to_owned(),
    }
}

/// Words, names without their quotes, and signs. The statements are this program's own: there is no comment in them.
fn tokens(sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let mut end = 1;
                while let Some(at) = rest[end..].find('"') {
                    end += at + 1;
                    if !rest[end..].starts_with('"') {
                        break;
                    }
                    end += 1;
                }
                tokens.push(rest[1..end.max(2) - 1].replace("\"\"", "\""));
                end
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            sign => {
                tokens.push(sign.to_string());
                sign.len_utf8()
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is run now and what later.
    fn taken_apart(sql: &str) -> (Option<String>, Option<(String, Work)>) {
        let Parts { now, later } = apart(sql, |table| matches!(table, "T" | "ON" | "a.\"b"));
        (now, later.map(|later| (later.sql, later.work)))
    }

    #[test]
    fn what_keeps_others_waiting_is_done_later() {
        let build = |name: &str| Work::Build(name.to_owned());
        for (sql, later, work) in [
            (
                r#"CREATE INDEX "i" ON "s"."T" ("x")"#,
                r#"CREATE INDEX CONCURRENTLY "i" ON "s"."T" ("x")"#,
                build("i"),
            ),
            (
                "CREATE UNIQUE INDEX i ON s.\"T\" (x)",
                "CREATE UNIQUE INDEX CONCURRENTLY i ON s.\"T\" (x)",
                build("i"),
            ),
            (
                r#"CREATE INDEX "INDEX ""ON"".x" ON "we""ird"."a.""b" ("x")"#,
                r#"CREATE INDEX CONCURRENTLY "INDEX ""ON"".x" ON "we""ird"."a.""b" ("x")"#,
                build("INDEX \"ON\".x"),
            ),
            (
                r#"CREATE INDEX "ON" ON "ON"."ON" ("ON")"#,
                r#"CREATE INDEX CONCURRENTLY "ON" ON "ON"."ON" ("ON")"#,
                build("ON"),
            ),
        ] {
            assert_eq!(taken_apart(sql), (None, Some((later.to_owned(), work))), "{sql}");
        }
        let rebuild = r#"REINDEX INDEX "s"."it's ""INDEX""""#;
        let later = r#"REINDEX INDEX CONCURRENTLY "s"."it's ""INDEX""""#;
        let work = Work::Rebuild("it's \"INDEX\"".to_owned());
        assert_eq!(taken_apart(rebuild), (None, Some((later.to_owned(), work))));
        let validate = r#"ALTER TABLE "s"."T" VALIDATE CONSTRAINT "NOT VALID""#;
        let work = Work::Validate("NOT VALID".to_owned());
        assert_eq!(taken_apart(validate), (None, Some((validate.to_owned(), work))));
    }

    #[test]
    fn a_key_is_added_first_and_validated_later() {
        let key = r#"ALTER TABLE s."T" ADD CONSTRAINT "k""ey" FOREIGN KEY ("x") REFERENCES "s"."P" ("id") ON DELETE SET NULL"#;
        let later = r#"ALTER TABLE "s"."T" VALIDATE CONSTRAINT "k""ey""#;
        let work = Work::Validate("k\"ey".to_owned());
        assert_eq!(taken_apart(key), (Some(format!("{key} NOT VALID")), Some((later.to_owned(), work))));
        let unvalidated = format!("{key} NOT VALID");
        assert_eq!(taken_apart(&unvalidated), (Some(unvalidated.clone()), None));
        let deferred = format!("{key} DEFERRABLE INITIALLY DEFERRED");
        assert_eq!(taken_apart(&deferred).0, Some(format!("{deferred} NOT VALID")));
    }

    #[test]
    fn everything_else_is_of_one_piece() {
        for sql in [
            r#"CREATE INDEX "i" ON "s"."New" ("x")"#,
            r#"CREATE INDEX "i" ON "s"."Parts" ("x")"#,
            r#"ALTER TABLE "s"."New" ADD CONSTRAINT "k" FOREIGN KEY ("x") REFERENCES "s"."T" ("id")"#,
            r#"ALTER TABLE "s"."Parts" VALIDATE CONSTRAINT "k""#,
            r#"ALTER TABLE "s"."T" ADD CONSTRAINT "u" UNIQUE ("x")"#,
            r#"ALTER TABLE "s"."T" DROP CONSTRAINT "k""#,
            r#"ALTER TABLE "s"."T" ADD COLUMN "CREATE INDEX" text"#,
            r#"DROP INDEX "s"."i""#,
            r#"CREATE TABLE "s"."New" ("x" text)"#,
            "",
            "\"",
        ] {
            assert_eq!(taken_apart(sql), (Some(sql.to_owned()), None), "{sql}");
        }
    }

    #[test]
    fn the_way_back_bears_that_there_is_nothing_yet() {
        assert_eq!(way_back(r#"DROP INDEX "s"."i""#), r#"DROP INDEX IF EXISTS "s"."i""#);
        assert_eq!(way_back(r#"DROP INDEX IF EXISTS "s"."i""#), r#"DROP INDEX IF EXISTS "s"."i""#);
        assert_eq!(way_back(r#"DROP TABLE "s"."T""#), r#"DROP TABLE "s"."T""#);
    }
}

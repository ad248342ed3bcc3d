//! Blocking DDL and its non-blocking form (CONCURRENTLY, NOT VALID). That form cannot run in the fix's transaction: the
//! fix commits the intent, and the statement runs afterwards (`commands::fix_online`).

mod index_state;
mod monitor;
mod sql_tokens;
mod statement;

use anyhow::Result;

use crate::database::catalog::Catalog;
use sql_tokens::tokens;

pub use index_state::{drop_leftovers, is_taken, is_valid, session_limits, table_of_index};
pub use monitor::{StatementEnd, cancel_statement, run_monitored, wait_for_end};
pub use statement::{DeferredState, DeferredStatement, DeferredWork, IndexKey};

/// A statement in two parts: what is run in the transaction, and what afterwards.
#[derive(Debug, PartialEq, Eq)]
pub struct SplitDdl {
    /// In the transaction.
    pub now: Option<String>,
    /// Afterwards.
    pub later: Option<DeferredStatement>,
}

/// Splits a statement of a fix. Only what is done to a table that existed before the transaction is deferred, and
/// nothing for a partitioned table, for which there is no other form.
pub fn split_ddl(sql: &str, before: &Catalog) -> Result<SplitDdl> {
    apart(sql, |table| before.tables.get(table).is_some_and(|table| table.kind == "r"))
}

fn apart(sql: &str, is_plain: impl Fn(&str) -> bool) -> Result<SplitDdl> {
    let whole = || Ok(SplitDdl { now: Some(sql.to_owned()), later: None });
    let tokens = tokens(sql);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let (schema, work, table, index, now) = match tokens[..] {
        ["CREATE", "UNIQUE", "INDEX", _, "ON", schema, ..] | ["CREATE", "INDEX", _, "ON", schema, ..] => {
            // One with more than columns is built in the transaction.
            let Some(built) = statement::built_index(sql) else { return whole() };
            (schema, DeferredWork::Build(built.name), Some(built.table), Some(built.key), None)
        }
        ["REINDEX", "INDEX", schema, ".", name] => {
            (schema, DeferredWork::Rebuild(name.to_owned()), None, None, None)
        }
        ["ALTER", "TABLE", schema, ".", table, "VALIDATE", "CONSTRAINT", name] => {
            (schema, DeferredWork::Validate(name.to_owned()), Some(table.to_owned()), None, None)
        }
        ["ALTER", "TABLE", schema, ".", table, "ADD", "CONSTRAINT", name, "FOREIGN", "KEY", .., last]
            if last != "VALID" =>
        {
            let unvalidated = Some(format!("{sql} NOT VALID"));
            (schema, DeferredWork::Validate(name.to_owned()), Some(table.to_owned()), None, unvalidated)
        }
        _ => return whole(),
    };
    if table.as_ref().is_some_and(|table| !is_plain(table)) {
        return whole();
    }
    Ok(SplitDdl { now, later: Some(DeferredStatement::new_pending(schema, work, table, index)?) })
}

/// The undo statement for a statement that may not have been run.
pub fn undo_statement(sql: &str) -> String {
    match sql.strip_prefix("DROP INDEX ") {
        Some(rest) if !rest.starts_with("IF EXISTS") => format!("DROP INDEX IF EXISTS {rest}"),
        _ => sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is run now and what later.
    fn taken_apart(sql: &str) -> (Option<String>, Option<(String, DeferredWork)>) {
        let is_plain = |table: &str| matches!(table, "T" | "ON" | "a.\"b");
        let SplitDdl { now, later } = apart(sql, is_plain).expect("files of our own");
        (now, later.map(|later| (later.sql, later.work)))
    }

    #[test]
    fn blocking_statements_are_deferred() {
        let build = |name: &str| DeferredWork::Build(name.to_owned());
        for (sql, later, work) in [
            (
                r#"CREATE INDEX "i" ON "s"."T" ("x")"#,
                r#"CREATE INDEX CONCURRENTLY "i" ON "s"."T" ("x")"#,
                build("i"),
            ),
            (
                "CREATE UNIQUE INDEX i ON s.\"T\" (x)",
                "CREATE UNIQUE INDEX CONCURRENTLY \"i\" ON \"s\".\"T\" (\"x\")",
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
        let work = DeferredWork::Rebuild("it's \"INDEX\"".to_owned());
        assert_eq!(taken_apart(rebuild), (None, Some((later.to_owned(), work))));
        let validate = r#"ALTER TABLE "s"."T" VALIDATE CONSTRAINT "NOT VALID""#;
        let work = DeferredWork::Validate("NOT VALID".to_owned());
        assert_eq!(taken_apart(validate), (None, Some((validate.to_owned(), work))));
    }

    #[test]
    fn a_key_is_added_first_and_validated_later() {
        let key = r#"ALTER TABLE s."T" ADD CONSTRAINT "k""ey" FOREIGN KEY ("x") REFERENCES "s"."P" ("id") ON DELETE SET NULL"#;
        let later = r#"ALTER TABLE "s"."T" VALIDATE CONSTRAINT "k""ey""#;
        let work = DeferredWork::Validate("k\"ey".to_owned());
        assert_eq!(taken_apart(key), (Some(format!("{key} NOT VALID")), Some((later.to_owned(), work))));
        let unvalidated = format!("{key} NOT VALID");
        assert_eq!(taken_apart(&unvalidated), (Some(unvalidated.clone()), None));
        let deferred = format!("{key} DEFERRABLE INITIALLY DEFERRED");
        assert_eq!(taken_apart(&deferred).0, Some(format!("{deferred} NOT VALID")));
    }

    #[test]
    fn other_statements_are_not_deferred() {
        for sql in [
            r#"CREATE INDEX "i" ON "s"."New" ("x")"#,
            r#"CREATE INDEX "i" ON "s"."Parts" ("x")"#,
            r#"CREATE INDEX "i" ON "s"."T" ("x") WHERE "x" > 1"#,
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
    fn undo_tolerates_a_statement_that_was_not_run() {
        assert_eq!(undo_statement(r#"DROP INDEX "s"."i""#), r#"DROP INDEX IF EXISTS "s"."i""#);
        assert_eq!(undo_statement(r#"DROP INDEX IF EXISTS "s"."i""#), r#"DROP INDEX IF EXISTS "s"."i""#);
        assert_eq!(undo_statement(r#"DROP TABLE "s"."T""#), r#"DROP TABLE "s"."T""#);
    }
}

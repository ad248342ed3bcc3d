//! Locks the tables for one step of a change: all of them in one message, in one order, within one timeout.

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{LockAttempt, LockMode, LockTimeout};
use crate::database::ident::SqlFragment;
use crate::database::query::{self, is_lock_conflict, query_file, sqlstate};
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};

/// Locks tables of one schema, in an order that is the same for every run, so that two runs cannot deadlock; tables
/// that earlier attempts did not get come first.
///
/// All of them together take no longer than the lock timeout of the attempt, because the first ones are held while the
/// next one is waited for.
///
/// # Errors
/// [`LockTimeout`] when they were not acquired in time: it names the one that was not.
pub async fn lock(
    connection: &mut PgConnection,
    attempt: &LockAttempt,
    schema: &str,
    tables: &[String],
    mode: LockMode,
) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let mut order = order(&attempt.first, tables, mode);
    let statement_timeout =
        query_file(connection, "sql/ledger/statement_timeout.sql", &Variables::default()).await?;
    let usual: String =
        statement_timeout.first().context("the server did not answer")?.try_get("statement_timeout")?;
    let mut message = Vec::new();
    for (table, mode) in &order {
        let variables = Variables::default()
            .text("moment", attempt.moment.as_millis().max(1).to_string())
            .sql("table", SqlFragment::qualified(schema, table))
            .sql("mode", SqlFragment::assert_safe(mode.as_sql().to_owned()));
        for statement in SqlFile::parse(embedded_file("sql/ledger/lock_table.sql")).statements {
            message.push(render(&statement, &variables)?);
        }
    }
    let for_each = message.len() / order.len();
    message.push(format!("SET LOCAL statement_timeout = {}", SqlFragment::literal(&usual)));

    let mut done = 0;
    let mut answers = query::execute_stream(connection, message.join(";\n"));
    loop {
        match answers.try_next().await {
            Ok(Some(())) => done += 1,
            Ok(None) => return Ok(()),
            Err(error) if is_up(&error) => break,
            Err(error) => return Err(error).context("while locking tables"),
        }
    }
    // Its holder may not conflict with anything else that this step locks.
    let (missed, mode) = order.swap_remove((done / for_each).min(order.len() - 1));
    Err(LockTimeout { schema: schema.to_owned(), tables: vec![missed], mode, is_sure: true }.into())
}

/// True if the time for the tables is up. `query_canceled` is the end of the time for all of them together.
fn is_up(error: &sqlx::Error) -> bool {
    is_lock_conflict(error) || sqlstate(error).as_deref() == Some("57014")
}

/// In which order what is locked, and how: each table once.
fn order(first: &[(String, LockMode)], tables: &[String], mode: LockMode) -> Vec<(String, LockMode)> {
    let is_asked = |table: &String| tables.contains(table);
    let mut order: Vec<(String, LockMode)> = first
        .iter()
        .map(|(table, known)| (table.clone(), if is_asked(table) { mode.max(*known) } else { *known }))
        .collect();
    let mut others: Vec<&String> =
        tables.iter().filter(|table| !first.iter().any(|(known, _)| known == *table)).collect();
    others.sort();
    others.dedup();
    order.extend(others.into_iter().map(|table| (table.clone(), mode)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_locked_once_missed_ones_first() {
        let tables = ["Message", "Chat", "Chat", "Contact"].map(str::to_owned);
        let first = [
            ("Message".to_owned(), LockMode::ShareRowExclusive),
            ("Media".to_owned(), LockMode::AccessExclusive),
        ];
        let order = order(&first, &tables, LockMode::AccessExclusive);
        let expected = ["Message", "Media", "Chat", "Contact"]
            .map(|table| (table.to_owned(), LockMode::AccessExclusive));
        assert_eq!(order, expected);
    }
}

//! What there is of an index, and what an interrupted build left of it.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Later, Work, parts};
use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;
use crate::database::run::{rows, script, text_rows};
use crate::database::script::{Script, Variables, file};
use crate::repair::locks::{self, Attempt, Mode};

/// An index, or what is left of one.
#[derive(Debug)]
struct Found {
    name: String,
    table: String,
    is_valid: bool,
    is_leftover: bool,
}

/// Limits of the session that would cut a long statement off, such as `statement_timeout = 30s`.
///
/// # Errors
/// When the connection is lost.
pub async fn limits(connection: &mut PgConnection) -> Result<Vec<String>> {
    let sql = Script::parse(file("sql/online/limits.sql")).single()?.to_owned();
    let limit = |row: &sqlx::postgres::PgRow| -> Result<String> {
        let (name, value): (String, String) = (row.try_get("name")?, row.try_get("value")?);
        Ok(format!("{name} = {value}"))
    };
    text_rows(connection, sql).await?.iter().map(limit).collect()
}

/// Whether the index is there and whole. In a transaction.
///
/// # Errors
/// When the connection is lost.
pub async fn is_valid(connection: &mut PgConnection, schema: &str, name: &str) -> Result<bool> {
    Ok(found(connection, schema, name).await?.iter().any(|index| !index.is_leftover && index.is_valid))
}

/// The table of an index, where there is one of this name. In a transaction.
///
/// # Errors
/// When the connection is lost.
pub async fn table_of(connection: &mut PgConnection, schema: &str, name: &str) -> Result<Option<String>> {
    let found = found(connection, schema, name).await?;
    Ok(found.into_iter().find(|index| !index.is_leftover).map(|index| index.table))
}

/// Whether the name of the index that a statement builds is another's: the statement is left to the server then, which refuses
/// it. Of an invalid index the next build drops the rest.
///
/// # Errors
/// When the connection is lost.
pub async fn is_taken(connection: &mut PgConnection, sql: &str, before: &Catalog) -> Result<bool> {
    let Some(Later { work: Work::Build(name), .. }) = parts(sql, before)?.later else { return Ok(false) };
    let variables = Variables::for_schema(&before.schema).text("name", name);
    let row = rows(connection, "sql/online/taken.sql", &variables).await?;
    Ok(row.first().context("the server did not answer")?.try_get("is_taken")?)
}

/// Drops what an interrupted build or rebuild has left. Nothing is waited for longer than the moment of
/// the attempt. The transaction stays open. Returns whether there was anything.
///
/// # Errors
/// [`locks::LockTimeout`] when the table was busy, as it is while the build still runs.
pub async fn clean(
    connection: &mut PgConnection,
    schema: &str,
    attempt: &Attempt,
    work: &Work,
) -> Result<bool> {
    locks::begin(connection, attempt.moment).await?;
    let Some(name) = work.index() else { return Ok(false) };
    // An index that is rebuilt stays, valid or not: something may depend on it.
    let is_rubbish = |index: &Found| !index.is_valid && (index.is_leftover || matches!(work, Work::Build(_)));
    let rubbish = found(connection, schema, name).await?.into_iter().find(is_rubbish);
    let Some(Found { table, .. }) = rubbish else { return Ok(false) };
    // Whoever is still building holds a lock on the table, and may have ended when it is ours.
    let mode = Mode::AccessExclusive;
    locks::lock(connection, attempt, schema, std::slice::from_ref(&table), mode).await?;
    let mut is_cleaned = false;
    for index in found(connection, schema, name).await?.iter().filter(|index| is_rubbish(index)) {
        let variables = Variables::default().sql("index", Fragment::qualified(schema, &index.name));
        let dropped = script(connection, "sql/online/drop_index.sql", &variables).await;
        dropped.map_err(|error| locks::as_timeout(error, schema, std::slice::from_ref(&table), mode))?;
        is_cleaned = true;
    }
    Ok(is_cleaned)
}

async fn found(connection: &mut PgConnection, schema: &str, name: &str) -> Result<Vec<Found>> {
    let variables = Variables::for_schema(schema).text("name", name);
    let read = |row: &sqlx::postgres::PgRow| -> Result<Found> {
        Ok(Found {
            name: row.try_get("name")?,
            table: row.try_get("table_name")?,
            is_valid: row.try_get("is_valid")?,
            is_leftover: row.try_get("is_leftover")?,
        })
    };
    let found = rows(connection, "sql/online/index.sql", &variables).await?;
    found.iter().map(read).collect::<Result<_>>().context("sql/online/index.sql")
}

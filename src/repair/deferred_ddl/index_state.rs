//! The state of an index, and what an interrupted build left of it.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{DeferredStatement, DeferredWork, split_ddl};
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute_file, query_file, simple_query};
use crate::database::sql_file::{SqlFile, Variables, embedded_file};
use crate::repair::locks::{self, LockAttempt, LockMode};

/// An index, or what is left of one.
#[derive(Debug)]
struct IndexState {
    name: String,
    table: String,
    is_valid: bool,
    is_leftover: bool,
}

/// Timeouts of the session that would cancel a long statement, such as `statement_timeout = 30s`.
pub async fn session_limits(connection: &mut PgConnection) -> Result<Vec<String>> {
    let sql = SqlFile::parse(embedded_file("sql/deferred_ddl/limits.sql")).only_statement()?.to_owned();
    let limit = |row: &sqlx::postgres::PgRow| -> Result<String> {
        let (name, value): (String, String) = (row.try_get("name")?, row.try_get("value")?);
        Ok(format!("{name} = {value}"))
    };
    simple_query(connection, sql).await?.iter().map(limit).collect()
}

/// True if the index is there and whole. In a transaction.
pub async fn is_valid(connection: &mut PgConnection, schema: &str, name: &str) -> Result<bool> {
    Ok(found(connection, schema, name).await?.iter().any(|index| !index.is_leftover && index.is_valid))
}

/// The table of an index, where there is one of this name. In a transaction.
pub async fn table_of_index(
    connection: &mut PgConnection,
    schema: &str,
    name: &str,
) -> Result<Option<String>> {
    let found = found(connection, schema, name).await?;
    Ok(found.into_iter().find(|index| !index.is_leftover).map(|index| index.table))
}

/// True if the name of the index that a statement builds belongs to another index: the server then refuses the
/// statement. The next build drops an invalid index.
pub async fn is_taken(connection: &mut PgConnection, sql: &str, before: &Catalog) -> Result<bool> {
    let Some(DeferredStatement { work: DeferredWork::Build(name), .. }) = split_ddl(sql, before)?.later
    else {
        return Ok(false);
    };
    let variables = Variables::for_schema(&before.schema).text("name", name);
    let row = query_file(connection, "sql/deferred_ddl/taken.sql", &variables).await?;
    Ok(row.first().context("the server did not answer")?.try_get("is_taken")?)
}

/// Drops what an interrupted build or rebuild has left. Waits no longer than the lock timeout of the attempt. The
/// transaction stays open. Returns whether there was anything.
///
/// # Errors
/// [`locks::LockTimeout`] when the table was busy, as it is while the build still runs.
pub async fn drop_leftovers(
    connection: &mut PgConnection,
    schema: &str,
    attempt: &LockAttempt,
    work: &DeferredWork,
) -> Result<bool> {
    locks::begin_change(connection, attempt.moment).await?;
    let Some(name) = work.index() else { return Ok(false) };
    // An index that is rebuilt stays, valid or not: something may depend on it.
    let is_rubbish =
        |index: &IndexState| !index.is_valid && (index.is_leftover || matches!(work, DeferredWork::Build(_)));
    let rubbish = found(connection, schema, name).await?.into_iter().find(is_rubbish);
    let Some(IndexState { table, .. }) = rubbish else { return Ok(false) };
    // A session that is still building holds a lock on the table, and may have ended when the lock is acquired.
    let mode = LockMode::AccessExclusive;
    locks::lock(connection, attempt, schema, std::slice::from_ref(&table), mode).await?;
    let mut is_cleaned = false;
    for index in found(connection, schema, name).await?.iter().filter(|index| is_rubbish(index)) {
        let variables = Variables::default().sql("index", SqlFragment::qualified(schema, &index.name));
        let dropped = execute_file(connection, "sql/deferred_ddl/drop_index.sql", &variables).await;
        dropped.map_err(|error| locks::as_timeout(error, schema, std::slice::from_ref(&table), mode))?;
        is_cleaned = true;
    }
    Ok(is_cleaned)
}

async fn found(connection: &mut PgConnection, schema: &str, name: &str) -> Result<Vec<IndexState>> {
    let variables = Variables::for_schema(schema).text("name", name);
    let read = |row: &sqlx::postgres::PgRow| -> Result<IndexState> {
        Ok(IndexState {
            name: row.try_get("name")?,
            table: row.try_get("table_name")?,
            is_valid: row.try_get("is_valid")?,
            is_leftover: row.try_get("is_leftover")?,
        })
    };
    let found = query_file(connection, "sql/deferred_ddl/index.sql", &variables).await?;
    found.iter().map(read).collect::<Result<_>>().context("sql/deferred_ddl/index.sql")
}

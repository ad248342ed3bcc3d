//! Running this program's SQL on a connection. Statements are never named, so a pooler in between may hand the
//! connection to anyone after the transaction.

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::{Stream, TryStreamExt};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::lock_deadline;
use super::pending_statements::PendingStatement;
use super::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::progress;

/// Begins a transaction that sees one state of the database and changes nothing.
pub const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// The rows of the only statement in the file at `path`.
pub async fn query_file(
    connection: &mut PgConnection,
    path: &str,
    variables: &Variables,
) -> Result<Vec<PgRow>> {
    let script = SqlFile::parse(embedded_file(path));
    let sql =
        script.only_statement().and_then(|sql| render(sql, variables)).with_context(|| path.to_owned())?;
    query_statement(connection, sql).await.with_context(|| format!("while running {path}"))
}

/// The rows of one rendered statement.
///
/// # Errors
/// The server's error, unchanged: callers look at its SQLSTATE.
pub async fn query_statement(connection: &mut PgConnection, sql: String) -> sqlx::Result<Vec<PgRow>> {
    announce(&sql);
    arm(connection).await?;
    let _waiting = PendingStatement::start();
    sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await
}

/// The rows of one rendered statement under the settings of the file at `path`, which end with it. In a transaction.
pub async fn query_with_settings(
    connection: &mut PgConnection,
    path: &'static str,
    sql: String,
) -> sqlx::Result<Vec<PgRow>> {
    let settings = SqlFile::parse(embedded_file(path)).statements.join(";\n");
    execute(connection, format!("SAVEPOINT evodoctor_settings;\n{settings}")).await?;
    let rows = query_statement(connection, sql).await?;
    let end = "ROLLBACK TO SAVEPOINT evodoctor_settings; RELEASE SAVEPOINT evodoctor_settings";
    execute(connection, end.into()).await?;
    Ok(rows)
}

/// The rows of all statements of a text, in one message to the server: one round trip, where a single statement takes
/// two. The rows come as text.
///
/// # Errors
/// The server's error, unchanged; statements after the failed one were not run.
pub async fn simple_query(connection: &mut PgConnection, sql: String) -> sqlx::Result<Vec<PgRow>> {
    announce(&sql);
    arm(connection).await?;
    let _waiting = PendingStatement::start();
    connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await
}

/// Runs all statements of a text, in one message to the server. Yields an item for each finished statement, so an error
/// belongs to the next one.
///
/// # Errors
/// The server's error, unchanged; statements after the failed one were not run.
pub fn execute_stream(
    connection: &mut PgConnection,
    sql: String,
) -> impl Stream<Item = sqlx::Result<()>> + Unpin {
    announce(&sql);
    let waiting = PendingStatement::start();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute_many(connection).map_ok(move |_| {
        // Held for as long as the stream is: an answer may be outstanding until its end.
        let _ = &waiting;
    })
}

/// Runs one rendered statement; returns how many rows it touched.
pub async fn execute(connection: &mut PgConnection, sql: String) -> sqlx::Result<u64> {
    announce(&sql);
    // An aborted transaction accepts nothing but ROLLBACK.
    if !sql.starts_with("ROLLBACK") {
        arm(connection).await?;
    }
    unannounced(connection, sql).await
}

/// The same for a statement from outside, such as a dump's, which may hold rows and passwords: only `shown` appears in
/// the trace and the progress.
pub async fn execute_untrusted(connection: &mut PgConnection, sql: String, shown: &str) -> sqlx::Result<u64> {
    announce(shown);
    unannounced(connection, sql).await
}

async fn unannounced(connection: &mut PgConnection, sql: String) -> sqlx::Result<u64> {
    let _waiting = PendingStatement::start();
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    Ok(done.rows_affected())
}

/// Lets the server cancel the next statement in time, if others wait for this transaction.
async fn arm(connection: &mut PgConnection) -> sqlx::Result<()> {
    if lock_deadline::is_check_due() {
        let asked = Instant::now();
        let sql = SqlFile::parse(embedded_file("sql/catalog/waiters.sql")).statements.join(";");
        let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *connection).await?;
        if !row.try_get::<bool, _>("is_waited_for")? {
            lock_deadline::extend(asked);
        }
    }
    if let Some(left) = lock_deadline::time_left() {
        let setting = format!("SET LOCAL statement_timeout = {}", left.as_millis().max(1));
        unannounced(connection, setting).await?;
    }
    Ok(())
}

fn announce(sql: &str) {
    tracing::trace!(target: "evodoctor::sql", "{sql}");
    progress::show_statement(sql);
}

/// Runs every statement of the file at `path`.
pub async fn execute_file(connection: &mut PgConnection, path: &str, variables: &Variables) -> Result<()> {
    for statement in SqlFile::parse(embedded_file(path)).statements {
        let sql = render(&statement, variables).with_context(|| path.to_owned())?;
        execute(connection, sql).await.with_context(|| format!("while running {path}"))?;
    }
    Ok(())
}

/// Begins a transaction with the settings under which a query means the same everywhere.
pub async fn begin_transaction(connection: &mut PgConnection, how: &'static str) -> Result<()> {
    execute(connection, how.into()).await?;
    apply_session_settings(connection).await
}

/// Makes the settings, in a transaction that has begun.
pub async fn apply_session_settings(connection: &mut PgConnection) -> Result<()> {
    let settings = SqlFile::parse(embedded_file("sql/catalog/session_settings.sql")).statements.join(";\n");
    execute(connection, settings).await.context("while running sql/catalog/session_settings.sql")?;
    Ok(())
}

/// True if the error means that others hold a lock and the transaction can be retried.
pub fn is_lock_conflict(error: &sqlx::Error) -> bool {
    // lock_not_available, deadlock_detected
    matches!(sqlstate(error).as_deref(), Some("55P03" | "40P01"))
}

/// The SQLSTATE of an error of the driver.
pub fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned())
}

/// Begins the snapshot of an examination.
pub async fn begin_snapshot(connection: &mut PgConnection) -> Result<()> {
    begin_transaction(connection, BEGIN_SNAPSHOT).await?;
    execute_file(connection, "sql/shared_snapshot/settings.sql", &Variables::default()).await
}

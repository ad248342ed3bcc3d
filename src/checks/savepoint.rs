//! A savepoint around statements that the server may refuse, so that the transaction continues.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnection, PgRow};

use crate::database::query::{execute, query_statement, simple_query};

/// Runs something behind a savepoint, where time is `left` no longer than that. The inner error is the server's refusal.
///
/// # Errors
/// When the connection is lost.
pub async fn in_savepoint<T>(
    connection: &mut PgConnection,
    left: Option<Duration>,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<sqlx::Result<T>> {
    execute(connection, guard(left)).await.context("the connection was lost")?;
    match work(connection).await {
        Ok(done) => {
            execute(connection, RELEASE.into()).await.context("the connection was lost")?;
            Ok(Ok(done))
        }
        Err(refusal) => Ok(Err(go_on_after(connection, refusal).await?)),
    }
}

/// Runs one query behind a savepoint in two round trips instead of three. The inner error is the server's refusal.
///
/// # Errors
/// When the connection is lost.
pub async fn simple_query_in_savepoint(
    connection: &mut PgConnection,
    left: Option<Duration>,
    sql: String,
) -> Result<sqlx::Result<Vec<PgRow>>> {
    // The savepoint is a message of its own: a text that the server cannot parse undoes everything before it in
    // the same message. Its release is none; the query may end in a comment.
    execute(connection, guard(left)).await.context("the connection was lost")?;
    match simple_query(connection, format!("{sql}\n;{RELEASE}")).await {
        Ok(rows) => Ok(Ok(rows)),
        Err(refusal) => Ok(Err(go_on_after(connection, refusal).await?)),
    }
}

/// Runs one statement behind a savepoint, as a prepared one. The inner error is the server's refusal.
///
/// # Errors
/// When the connection is lost.
pub async fn query_in_savepoint(
    connection: &mut PgConnection,
    sql: String,
) -> Result<sqlx::Result<Vec<PgRow>>> {
    in_savepoint(connection, None, async |connection| query_statement(connection, sql).await).await
}

const RELEASE: &str = "RELEASE SAVEPOINT evodoctor";

/// What makes the savepoint, and says how long what follows may take.
fn guard(left: Option<Duration>) -> String {
    let limit = left.map(|left| format!("; SET LOCAL statement_timeout = {}", left.as_millis().max(1)));
    format!("SAVEPOINT evodoctor{}", limit.unwrap_or_default())
}

/// Goes back to the savepoint after a refusal of the server's, which is returned.
///
/// # Errors
/// When the connection is lost.
async fn go_on_after(connection: &mut PgConnection, refusal: sqlx::Error) -> Result<sqlx::Error> {
    if !matches!(refusal, sqlx::Error::Database(_)) {
        return Err(refusal).context("the connection was lost");
    }
    // Rolled back to, it would still be open, and a snapshot cannot be exported from inside.
    let back = format!("ROLLBACK TO SAVEPOINT evodoctor; {RELEASE}");
    match execute(connection, back).await {
        Ok(_) => Ok(refusal),
        // The server's last error is the reason, not the broken connection.
        Err(_) => Err(refusal).context("the server ended the connection"),
    }
}

//! Poolers such as PgBouncer, and whether one hands a server process to another client between two transactions.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::query;
use super::session::Session;
use super::sql_file::{Variables, render_file};
use super::url::ConnectTarget;

/// The time that finding out may take. A pool that is used up keeps its clients waiting for minutes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A setting that a client may give itself when it connects. The server takes every one with a dot in its name.
const MARK: &str = "evodoctor.direct";

/// The number of times that a client is asked which process serves it.
const ROUNDS: usize = 5;

/// True if several clients share one server process, so that settings of one are visible to the others. Finds that out
/// without changing anything.
///
/// A server accepts settings from a client that connects; poolers refuse or forget them. Behind a pooler, a client
/// whose process serves another client, or changes between calls, has no process of its own.
///
/// # Errors
/// When the server takes no further connection.
pub async fn shares_server_processes(target: &ConnectTarget) -> Result<bool> {
    if tokio::time::timeout(TIMEOUT, is_direct(target)).await.is_ok_and(|direct| direct) {
        return Ok(false);
    }
    // Only a pool keeps its clients waiting.
    tokio::time::timeout(TIMEOUT, takes_turns(target)).await.unwrap_or(Ok(true))
}

/// True if the server knows of the setting that its client has brought along.
async fn is_direct(target: &ConnectTarget) -> bool {
    let marked = target.options.clone().options([(MARK, "on")]);
    let marked = ConnectTarget { options: marked, ..target.clone() };
    let Ok(mut session) = Session::open(&marked).await else { return false };
    let asked = format!("SELECT pg_catalog.current_setting('{MARK}', true)");
    let rows = query::query_statement(session.connection(), asked).await;
    let setting = rows.ok().and_then(|rows| rows.first()?.try_get::<Option<String>, _>(0).ok()?);
    let _ = session.close().await;
    setting.as_deref() == Some("on")
}

async fn takes_turns(target: &ConnectTarget) -> Result<bool> {
    let (mut idle, mut busy) = (Session::open(target).await?, Session::open(target).await?);
    let process = served_by(idle.connection()).await?;
    busy.begin_snapshot().await?;
    let mut takes_turns = served_by(busy.connection()).await? == process;
    for _ in 0..ROUNDS {
        takes_turns = takes_turns || served_by(idle.connection()).await? != process;
    }
    query::execute(busy.connection(), "ROLLBACK".into()).await?;
    idle.close().await?;
    busy.close().await?;
    Ok(takes_turns)
}

async fn served_by(connection: &mut PgConnection) -> Result<i32> {
    // One message: a pooler may send each one outside of a transaction to another server.
    let sql = render_file("sql/shared_snapshot/process.sql", &Variables::default())?;
    let rows = query::simple_query(connection, sql).await?;
    Ok(rows.first().context("the server did not answer")?.try_get("pid")?)
}

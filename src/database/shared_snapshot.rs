//! One snapshot for several connections: the first exports it, the others join, and all of them read the same rows
//! whatever is written in the meantime.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::query::{self, execute_file, query_file};
use super::session::Session;
use super::sql_file::Variables;
use super::url::ConnectTarget;

/// The time that a further connection may take. A pooler whose pool is full keeps its clients waiting for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// A snapshot that other connections can join, for as long as the transaction lasts that exported it.
#[derive(Debug)]
pub struct SharedSnapshot<'t> {
    id: String,
    target: &'t ConnectTarget,
}

/// The server's free capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCapacity {
    /// The process that serves this connection, as long as the transaction lasts.
    pub pid: i32,
    /// The number of more connections that are free, for everybody together; never negative.
    pub connections: u64,
    /// True if others can be let into the snapshot.
    pub can_export: bool,
    /// The number of processes the server uses for one query by itself.
    pub processes: u64,
    /// The statement_timeout of the role, where there is one.
    pub statement_timeout: Option<Duration>,
}

impl ServerCapacity {
    /// Asks the server.
    pub async fn read(connection: &mut PgConnection) -> Result<Self> {
        let rows =
            query_file(connection, "sql/shared_snapshot/server_capacity.sql", &Variables::default()).await?;
        let row = rows.first().context("the server did not say what it has to spare")?;
        let limits = ["of_server", "of_database", "of_role"];
        let limits: Vec<Option<i64>> =
            limits.iter().map(|name| row.try_get(*name)).collect::<Result<_, _>>()?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Self {
            pid: row.try_get("pid")?,
            connections: count(limits.into_iter().flatten().min().unwrap_or(0)),
            can_export: row.try_get("can_export")?,
            processes: count(row.try_get("processes")?),
            statement_timeout: row
                .try_get::<Option<i64>, _>("statement_timeout")?
                .map(|limit| Duration::from_millis(count(limit))),
        })
    }
}

impl<'t> SharedSnapshot<'t> {
    /// Exports what this transaction sees. It must not be inside a savepoint.
    pub async fn export(connection: &mut PgConnection, target: &'t ConnectTarget) -> Result<Self> {
        let rows = query_file(connection, "sql/shared_snapshot/export.sql", &Variables::default()).await?;
        let row = rows.first().context("the server named no snapshot")?;
        Ok(Self { id: row.try_get("snapshot")?, target })
    }

    /// Its name, for a program that can join it, such as pg_dump.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens another connection that sees the same; returns it with the process that serves it.
    ///
    /// # Errors
    /// When it is refused, or does not come about in a few seconds: the reason is for a person.
    pub async fn join(&self) -> Result<(Session, i32)> {
        let joining = async {
            let mut session = Session::open(self.target).await?;
            let connection = session.connection();
            query::execute(connection, query::BEGIN_SNAPSHOT.into()).await?;
            let variables = Variables::default().text("snapshot", &self.id);
            execute_file(connection, "sql/shared_snapshot/join.sql", &variables).await?;
            query::apply_session_settings(connection).await?;
            execute_file(connection, "sql/shared_snapshot/settings.sql", &Variables::default()).await?;
            let process =
                query_file(connection, "sql/shared_snapshot/process.sql", &Variables::default()).await?;
            let pid = process.first().context("the server did not say who serves us")?.try_get("pid")?;
            Ok((session, pid))
        };
        let in_time = tokio::time::timeout(PATIENCE, joining).await;
        in_time.context(
            "the connection is not opened within a few seconds, for example by a pooler whose pool is full",
        )?
    }
}

/// Ends what these processes of ours are doing, through a connection of its own.
pub async fn cancel_backends(target: &ConnectTarget, pids: &[i32]) -> Result<Session> {
    let mut session = tokio::time::timeout(PATIENCE, Session::open(target)).await??;
    cancel_backends_on(&mut session, pids).await?;
    Ok(session)
}

/// The same, through a connection that is open already.
pub async fn cancel_backends_on(session: &mut Session, pids: &[i32]) -> Result<()> {
    let variables = Variables::default().text("pids", serde_json::to_string(pids)?);
    execute_file(session.connection(), "sql/shared_snapshot/cancel.sql", &variables).await
}

//! A connection to the database that is examined: how it is opened, and the snapshot of the checks.

mod connect_error;
mod containers;
pub(super) mod roots;

use std::fs::File;
use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::url::{ConnectTarget, Fallback};
use super::{pending_statements, query};
use crate::error::user_error;
use connect_error::ConnectError;

/// An open connection to the examined database.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    /// As the server names it, such as `15.14 (Debian 15.14-0+deb12u1)`.
    pub server_version: String,
    /// As a number, such as 150014.
    pub server_version_num: i32,
    /// True if the server is a standby, which takes no changes.
    pub is_in_recovery: bool,
    /// The server as a person would name it: `host:port`, or the path of the socket.
    pub server: String,
    /// The database's name.
    pub database: String,
    /// The role that all statements run as.
    pub role: String,
    /// The TLS mode in which the server took the connection: the target's, or the one to fall back to.
    pub ssl_mode: PgSslMode,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or does not let us in: the message says which, the next step what to
    /// do. No error shows a password.
    pub async fn open(target: &ConnectTarget) -> Result<Self> {
        for (parameter, path) in &target.files {
            File::open(path).map_err(|error| {
                user_error(
                    format!("{parameter} names {}, which cannot be read: {error}", path.display()),
                    "give the path of a PEM file, absolute or from the working directory",
                )
            })?;
        }
        let mut ssl_mode = target.options.get_ssl_mode();
        let mut connection = match connect(target, roots::options(target)).await {
            Ok(connection) => connection,
            Err(refusal) => match second_way(target, &refusal) {
                Some(options) => {
                    tracing::debug!(fallback = ?target.fallback, "the first way to connect is refused");
                    ssl_mode = options.get_ssl_mode();
                    connect(target, options).await.map_err(|second| second.explain(target))?
                }
                None => return Err(refusal.explain(target)),
            },
        };
        // The simple protocol: outside of a transaction, PgBouncer may send each message to another server. Every name with
        // its schema: the role's own search_path still holds here.
        pending_statements::remember_target(target);
        let asking = sqlx::raw_sql(
            "SELECT pg_catalog.current_setting('server_version'), \
             pg_catalog.current_setting('server_version_num')::integer, pg_catalog.pg_is_in_recovery(), \
             pg_catalog.current_database()::pg_catalog.text, current_user::pg_catalog.text",
        )
        .fetch_one(&mut connection);
        // A server that accepts a connection may still not answer on it.
        let limit = target.connect_timeout.unwrap_or(Duration::MAX);
        let row = match tokio::time::timeout(limit, asking).await {
            Ok(row) => row.map_err(|error| ConnectError::from(error).explain(target))?,
            Err(_) => return Err(ConnectError::TimedOut(limit).explain(target)),
        };
        Ok(Self {
            connection,
            server_version: row.try_get(0)?,
            server_version_num: row.try_get(1)?,
            is_in_recovery: row.try_get(2)?,
            server: target.server_name(),
            database: row.try_get(3)?,
            role: row.try_get(4)?,
            ssl_mode,
        })
    }

    /// True if the server takes or refuses a connection within `limit`, whatever the connection string says of the time
    /// that one may take; nothing is asked of it.
    pub async fn is_reachable(target: &ConnectTarget, limit: Duration) -> bool {
        tokio::time::timeout(limit, target.options.connect()).await.is_ok()
    }

    /// Names the server and the database after the dump that was restored, which a reader knows.
    pub fn set_display_name(&mut self, name: String) {
        self.server = "a dump".to_owned();
        self.database = name;
    }

    /// The connection, for statements. They must be unnamed (`persistent(false)`, or `raw_sql`).
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Begins the read-only snapshot that all checks share, with settings under which a query means the same on
    /// every server.
    pub async fn begin_snapshot(&mut self) -> Result<()> {
        query::begin_snapshot(&mut self.connection).await
    }

    /// Ends the snapshot; its settings end with it.
    pub async fn end_snapshot(&mut self) -> Result<()> {
        query::execute(&mut self.connection, "ROLLBACK".into()).await?;
        Ok(())
    }

    /// Takes leave of the server. Dropping the session does too, less politely.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}

async fn connect(target: &ConnectTarget, options: PgConnectOptions) -> Result<PgConnection, ConnectError> {
    let connecting = options.connect();
    match target.connect_timeout {
        Some(limit) => tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| ConnectError::TimedOut(limit))?
            .map_err(ConnectError::from),
        None => connecting.await.map_err(ConnectError::from),
    }
}

/// The other way to connect after this refusal, if the target's TLS mode allows two.
fn second_way(target: &ConnectTarget, refusal: &ConnectError) -> Option<PgConnectOptions> {
    let mode = match target.fallback? {
        Fallback::Encrypted if refusal.is_by_rule() => PgSslMode::Require,
        Fallback::Plain if refusal.is_by_rule() || refusal.is_tls() => PgSslMode::Disable,
        Fallback::PlainWithoutServerTls if refusal.is_missing_tls() => PgSslMode::Disable,
        _ => return None,
    };
    Some(target.options.clone().ssl_mode(mode))
}

//! Locks: taken early, in one order, with short lock timeouts; and a record of how long each was held.

mod blockers;
mod held_locks;
mod lock_tables;
mod retry_backoff;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

pub use self::blockers::{Blocker, blockers, describe_blockers, suggest_next_step};
pub use self::held_locks::{HeldLock, LockWatch, LockedTooLong};
pub use self::lock_tables::lock;
pub use self::retry_backoff::{LockAttempt, LockRetry};
use crate::database::query::{self, execute, execute_file, is_lock_conflict, query_file};
use crate::database::sql_file::Variables;
use crate::error::user_error;

/// evodoctor's own advisory lock: one change at a time. As in `sql/ledger/locks.sql`.
const OURS: i64 = 7_312_068_550_316_404_590;

/// The one of Prisma's migrations.
const PRISMAS: i64 = 72_707_369;

/// Postgres's table lock modes, from the weakest to the strongest.
const MODES: [&str; 8] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

/// A lock that was not acquired in time. The transaction has to be restarted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("another transaction holds a lock on {}", whereabouts(schema, tables))]
pub struct LockTimeout {
    /// The schema of the tables.
    pub schema: String,
    /// The tables that were asked for; none where any of the schema, or of the ledger, may be meant.
    pub tables: Vec<String>,
    /// The strength of the lock.
    pub mode: LockMode,
    /// True if it is about these tables. Otherwise a later statement met a lock: on one of their rows, or on another
    /// table.
    pub is_sure: bool,
}

fn whereabouts(schema: &str, tables: &[String]) -> String {
    match tables {
        [] => format!("something in schema {schema} or in evodoctor's ledger"),
        tables => tables.join(" or "),
    }
}

impl LockTimeout {
    /// Converts an error to a lock timeout: itself, or a statement that met a lock somewhere in the schema.
    pub fn within(error: &anyhow::Error, schema: &str) -> Option<Self> {
        let known = error.chain().find_map(|cause| cause.downcast_ref::<Self>());
        known.cloned().or_else(|| met_a_lock(error).then(|| Self::somewhere(schema)))
    }

    /// A lock on any table of the schema, or of the ledger.
    fn somewhere(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            tables: Vec::new(),
            mode: LockMode::ShareRowExclusive,
            is_sure: false,
        }
    }
}

fn met_a_lock(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(is_lock_conflict)
}

/// For any statement that waited too long for a lock: it means the same as a locked table.
pub fn as_timeout(error: anyhow::Error, schema: &str, tables: &[String], mode: LockMode) -> anyhow::Error {
    if met_a_lock(&error) {
        let (schema, tables) = (schema.to_owned(), tables.to_vec());
        return LockTimeout { schema, tables, mode, is_sure: false }.into();
    }
    error
}

/// The strength of a lock on tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// For a query: only exclusive locks of others conflict with it.
    AccessShare,
    /// Others may read and not write.
    ShareRowExclusive,
    /// Others may do nothing.
    AccessExclusive,
}

impl LockMode {
    fn as_sql(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// As `pg_locks` names it.
    fn as_pg_locks(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// The modes of others that it has to wait for.
    fn conflicts(self) -> &'static [&'static str] {
        match self {
            Self::AccessShare => &MODES[7..],
            // A reader does not conflict; SELECT … FOR UPDATE does, with removing the row.
            Self::ShareRowExclusive => &MODES[1..],
            Self::AccessExclusive => &MODES,
        }
    }
}

/// Begins the transaction of a change, with the settings and the two advisory locks that keep other changes out. No
/// lock in it is waited for longer than `moment`: other sessions queue up behind a waiting change.
///
/// # Errors
/// When another evodoctor, or Prisma's migrations, are at work; the message says who.
pub async fn begin_change(connection: &mut PgConnection, moment: Duration) -> Result<()> {
    query::begin_transaction(connection, "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE").await?;
    execute_file(connection, "sql/ledger/begin.sql", &Variables::default()).await?;
    execute(connection, format!("SET LOCAL lock_timeout = {}", moment.as_millis().max(1))).await?;
    let rows = query_file(connection, "sql/ledger/locks.sql", &Variables::default()).await?;
    let row = rows.first().context("the server did not answer")?;
    if !row.try_get::<bool, _>("is_ours")? {
        let who = blockers::lock_holder(connection, OURS).await?;
        return Err(user_error(
            format!(
                "another evodoctor is changing this database: {who}; nothing has been changed by this one"
            ),
            "wait until it has finished, then try again",
        ));
    }
    if !row.try_get::<bool, _>("is_prismas")? {
        let who = blockers::lock_holder(connection, PRISMAS).await?;
        return Err(user_error(
            format!("prisma migrate is running on this database: {who}; nothing has been changed"),
            "wait until the server has started and its migrations are done, then try again",
        ));
    }
    Ok(())
}

/// Waits until the change that runs on this database has ended, with or without success.
pub async fn wait_until_ended(connection: &mut PgConnection) -> Result<()> {
    for _ in 0..100 {
        execute(connection, "BEGIN".into()).await?;
        let rows = query_file(connection, "sql/ledger/locks.sql", &Variables::default()).await?;
        let is_free = rows.first().context("the server did not answer")?.try_get("is_ours")?;
        execute(connection, "ROLLBACK".into()).await?;
        if is_free {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("a change is still running")
}

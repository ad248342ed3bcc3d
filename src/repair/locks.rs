//! Locks: taken early, in one order, without standing in the queue for long; and a record of how long each was held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::Rng;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::quote::Fragment;
use crate::database::run::{self, execute, is_lock_trouble, rows, script};
use crate::database::script::{Script, Variables, file, render};
use crate::exit::failure;
use crate::progress;

/// How long one attempt may wait in the lock queue. Others queue behind a waiting change, so each is short.
const LADDER: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_millis(750),
    Duration::from_millis(1000),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
    Duration::from_millis(3000),
];

/// How often a transaction that met a lock is tried.
pub const ATTEMPTS: usize = LADDER.len();

/// A lock that did not come in time. The transaction has to be begun again.
#[derive(Debug, thiserror::Error)]
#[error("another transaction holds a lock on {}", tables.join(" or "))]
pub struct LockTimeout {
    /// The tables that were asked for.
    pub tables: Vec<String>,
    /// How strongly.
    pub mode: Mode,
}

/// Whatever statement met a lock for too long: it means the same as a table that is busy.
pub fn as_timeout(error: anyhow::Error, tables: &[String], mode: Mode) -> anyhow::Error {
    let causes = || error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    if causes().any(is_lock_trouble) {
        return LockTimeout { tables: tables.to_vec(), mode }.into();
    }
    error
}

/// How strongly tables are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// For a query: only what others do exclusively stands in its way.
    AccessShare,
    /// Others may read and not write.
    ShareRowExclusive,
    /// Others may do nothing.
    AccessExclusive,
}

impl Mode {
    fn as_sql(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// The modes of others that it has to wait for.
    fn conflicts(self) -> &'static [&'static str] {
        match self {
            Self::AccessShare => &MODES[7..],
            // A reader is no hindrance; SELECT … FOR UPDATE is one to removing the row.
            Self::ShareRowExclusive => &MODES[1..],
            Self::AccessExclusive => &MODES,
        }
    }
}

/// Begins the transaction of a change, with the settings and the two advisory locks that keep others out.
///
/// # Errors
/// When another evodoctor, or Prisma's migrations, are at work; the message says which.
pub async fn begin(connection: &mut PgConnection, attempt: usize) -> Result<()> {
    run::begin(connection, "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE").await?;
    script(connection, "sql/ledger/begin.sql", &Variables::default()).await?;
    let wait = LADDER[attempt.min(LADDER.len() - 1)];
    execute(connection, format!("SET LOCAL lock_timeout = {}", wait.as_millis())).await?;
    let rows = rows(connection, "sql/ledger/locks.sql", &Variables::default()).await?;
    let row = rows.first().context("the server did not answer")?;
    if !row.try_get::<bool, _>("is_ours")? {
        return Err(failure(
            "another evodoctor is changing this database right now; nothing has been changed by this one",
            "wait until it has finished (see pg_stat_activity for application_name evodoctor), then try again",
        ));
    }
    if !row.try_get::<bool, _>("is_prismas")? {
        return Err(failure(
            "prisma migrate is at work on this database right now; nothing has been changed",
            "wait until the server has started and its migrations are done, then try again",
        ));
    }
    Ok(())
}

/// Waits until the change that runs on this database has ended, one way or the other.
///
/// # Errors
/// When it has not after ten seconds.
pub async fn wait_until_ended(connection: &mut PgConnection) -> Result<()> {
    for _ in 0..100 {
        execute(connection, "BEGIN".into()).await?;
        let rows = rows(connection, "sql/ledger/locks.sql", &Variables::default()).await?;
        let is_free = rows.first().context("the server did not answer")?.try_get("is_ours")?;
        execute(connection, "ROLLBACK".into()).await?;
        if is_free {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("a change is still running")
}

/// Locks tables of one schema, all at once and in one order, so that two runs cannot stand in each other's way.
///
/// # Errors
/// [`LockTimeout`] when they did not come in time.
pub async fn lock(connection: &mut PgConnection, schema: &str, tables: &[String], mode: Mode) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let mut tables = tables.to_vec();
    tables.sort();
    tables.dedup();
    let names: Vec<String> =
        tables.iter().map(|table| Fragment::qualified(schema, table).to_string()).collect();
    let statement = Script::parse(file("sql/ledger/lock_tables.sql"));
    let variables = Variables::default()
        .sql("tables", Fragment::keyword(names.join(", ")))
        .sql("mode", Fragment::keyword(mode.as_sql().to_owned()));
    let sql = render(statement.single()?, &variables)?;
    match execute(connection, sql).await {
        Ok(_) => Ok(()),
        Err(error) if is_lock_trouble(&error) => Err(LockTimeout { tables, mode }.into()),
        Err(error) => Err(error).context("while locking tables"),
    }
}

/// Says who stands in the way, then waits a while that differs from everybody else's.
pub async fn wait_for_others(
    connection: &mut PgConnection,
    schema: &str,
    timeout: &LockTimeout,
    attempt: usize,
) -> Result<()> {
    for line in blockers(connection, schema, timeout).await? {
        progress::say(&format!("waiting: {line}"));
    }
    let base = LADDER[attempt.min(LADDER.len() - 1)].as_millis();
    let base = u64::try_from(base).unwrap_or(u64::MAX);
    let pause = rand::rng().random_range(base / 2..=base * 3 / 2);
    let seconds = pause as f64 / 1000.0;
    progress::say(&format!("waiting: attempt {} of {ATTEMPTS} in {seconds:.1} s", attempt + 2));
    tokio::time::sleep(Duration::from_millis(pause)).await;
    Ok(())
}

/// One line for each session that holds a lock on the tables asked for.
pub async fn blockers(
    connection: &mut PgConnection,
    schema: &str,
    timeout: &LockTimeout,
) -> Result<Vec<String>> {
    let variables = Variables::for_schema(schema)
        .text("tables", serde_json::to_string(&timeout.tables)?)
        .text("modes", serde_json::to_string(timeout.mode.conflicts())?);
    // In a transaction: outside of one a pooler may send each message of a query to another server.
    run::begin(connection, "BEGIN READ ONLY").await?;
    let rows = rows(connection, "sql/catalog/blockers.sql", &variables).await?;
    execute(connection, "ROLLBACK".into()).await?;
    let mut lines = Vec::new();
    for row in &rows {
        lines.push(format!(
            "{} is locked by process {} ({}, role {}, {}, transaction open for {})",
            row.try_get::<String, _>("table_name")?,
            row.try_get::<i32, _>("pid")?,
            row.try_get::<String, _>("application")?,
            row.try_get::<Option<String>, _>("role")?.unwrap_or_else(|| "unknown".into()),
            row.try_get::<Option<String>, _>("state")?.unwrap_or_else(|| "state hidden".into()),
            row.try_get::<Option<String>, _>("transaction_age")?.unwrap_or_else(|| "an unknown time".into()),
        ));
    }
    Ok(lines)
}

/// A lock that a change held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// The table, with its schema.
    pub table: String,
    /// Postgres's name of the mode, such as `AccessExclusiveLock`: the strongest one held.
    pub mode: String,
    /// From when it was first seen until the transaction ended, in milliseconds.
    pub held_ms: u64,
}

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

fn strength(mode: &str) -> usize {
    MODES.iter().position(|known| *known == mode).unwrap_or(MODES.len())
}

/// Watches which locks the transaction gathers: per table the strongest, since when, and in which turn it came.
#[derive(Debug, Default)]
pub struct LockWatch {
    strongest: BTreeMap<String, (String, Instant, usize)>,
    turn: usize,
}

impl LockWatch {
    /// The next fix begins.
    pub fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// Notes the locks held now. Those that come with merely looking are left out.
    pub async fn look(&mut self, connection: &mut PgConnection) -> Result<()> {
        self.look_since(connection, Instant::now()).await
    }

    /// The same, with new ones held since a moment: that of the statement which took them, however long it ran.
    pub async fn look_since(&mut self, connection: &mut PgConnection, since: Instant) -> Result<()> {
        for row in rows(connection, "sql/catalog/locks.sql", &Variables::default()).await? {
            let (table, mode): (String, String) = (row.try_get("table_name")?, row.try_get("mode")?);
            let known =
                self.strongest.get(&table).map_or(strength("AccessShareLock"), |(m, _, _)| strength(m));
            if strength(&mode) > known {
                self.strongest.insert(table, (mode, since, self.turn));
            }
        }
        Ok(())
    }

    /// What came in a turn (from 1), and is held up to now: every lock stays until the transaction ends.
    pub fn held(&self, turn: usize) -> Vec<HeldLock> {
        self.strongest
            .iter()
            .filter(|(_, (_, _, of))| *of == turn)
            .map(|(table, (mode, since, _))| HeldLock {
                table: table.clone(),
                mode: mode.clone(),
                held_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

//! Monitors a long statement: its progress, whom it waits for, and how it is cancelled.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::DeferredStatement;
use crate::database::query::{self, execute, query_file};
use crate::database::session::Session;
use crate::database::sql_file::Variables;
use crate::database::url::ConnectTarget;
use crate::error::user_error;
use crate::interrupt;
use crate::progress::{self, ProgressTask as Progress, Unit};
use crate::repair::locks::{self, Blocker};

/// The interval at which the server is asked for its progress.
const LOOK: Duration = Duration::from_millis(500);

/// The time that another connection may take. A pooler whose pool is full keeps its clients waiting for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time that a cancelled statement may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// The end of a statement.
#[derive(Debug)]
pub enum StatementEnd {
    /// It is done.
    Done,
    /// The server refused it, or broke off.
    Refused(sqlx::Error),
    /// It waited for these for too long, and was cancelled.
    Blocked(Vec<Blocker>),
    /// Ctrl-C was pressed, and it was cancelled.
    Interrupted,
}

/// Runs the statement outside of any transaction, on a connection of its own that may end with it. `connection` keeps
/// other changes away, in a transaction without a snapshot, so that a build does not wait for it; a third connection
/// monitors the statement. It waits for other sessions no longer than `wait`.
///
/// # Errors
/// When the other connections are not to be had, or another change is at work: it was not begun then.
pub async fn run_monitored(
    connection: &mut PgConnection,
    target: &ConnectTarget,
    later: &DeferredStatement,
    wait: Duration,
) -> Result<StatementEnd> {
    let ended = guarded(connection, target, later, wait).await;
    // Its locks are free when the server has answered, and not yet when the connection is closed.
    if let Err(error) = execute(connection, "ROLLBACK".into()).await {
        tracing::debug!("the connection that holds the guard was lost: {error:#}");
    }
    ended
}

async fn guarded(
    connection: &mut PgConnection,
    target: &ConnectTarget,
    later: &DeferredStatement,
    wait: Duration,
) -> Result<StatementEnd> {
    locks::begin_change(connection, PATIENCE).await?;
    // It waits on purpose.
    execute(connection, "SET LOCAL idle_in_transaction_session_timeout = 0".into()).await?;
    let mut watcher = another(target).await?;
    // All three at once: a pooler would otherwise let two clients share a connection, and make one of them wait later.
    in_time(execute(watcher.connection(), "BEGIN".into())).await?;
    let mut builder = another(target).await?;
    execute(watcher.connection(), "ROLLBACK".into()).await?;

    // Set before the statement is cancelled, because its error may arrive first.
    let why = Cell::new(None);
    let mut working = pin!(execute(builder.connection(), later.sql.clone()));
    let done = tokio::select! {
        done = &mut working => Some(done),
        () = watch(watcher.connection(), later, wait, &why, Whose::Ours) => {
            tokio::time::timeout(GRACE, working).await.ok()
        }
    };
    let _ = tokio::time::timeout(GRACE, watcher.close()).await;
    Ok(match (done, why.take()) {
        // It was quicker.
        (Some(Ok(_)), _) => StatementEnd::Done,
        (_, Some(ended)) => ended,
        (Some(Err(error)), None) => StatementEnd::Refused(error),
        (None, None) => StatementEnd::Interrupted,
    })
}

/// Waits for a statement that a terminated program has left running on the server, which notices only when the
/// statement ends. The sessions that it waits for may delay it for no longer than `wait`. Returns how it ended if it
/// had to be cancelled; otherwise it is gone.
pub async fn wait_for_end(
    connection: &mut PgConnection,
    later: &DeferredStatement,
    wait: Duration,
) -> Option<StatementEnd> {
    let why = Cell::new(None);
    watch(connection, later, wait, &why, Whose::Abandoned).await;
    why.take()
}

/// The owner of the watched statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// This program's, which knows when it ends.
    Ours,
    /// The statement of a terminated program: it has ended when no process runs it.
    Abandoned,
}

/// The result of one look at the server.
#[derive(Debug)]
struct Seen {
    builder: i32,
    phase: Option<String>,
    blocks: (u64, u64),
    blockers: Vec<Blocker>,
}

async fn another(target: &ConnectTarget) -> Result<Session> {
    tokio::time::timeout(PATIENCE, Session::open(target)).await.map_err(|_| too_few())?
}

/// Behind a pooler whose pool is full, there is no answer.
async fn in_time(answer: impl Future<Output = sqlx::Result<u64>>) -> Result<()> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| too_few())??;
    Ok(())
}

fn too_few() -> anyhow::Error {
    user_error(
        "--online needs three connections, and the server or pooler gives no more",
        "connect to the server itself, or give the pool three connections",
    )
}

/// Shows the progress of the statement. Returns the reason when it had to be cancelled, or when an abandoned one has
/// ended.
async fn watch(
    connection: &mut PgConnection,
    later: &DeferredStatement,
    wait: Duration,
    why: &Cell<Option<StatementEnd>>,
    whose: Whose,
) {
    let told_to_end = tokio::select! {
        told_to_end = follow(connection, later, wait, whose) => told_to_end,
        () = interrupt::requested() => Some(StatementEnd::Interrupted),
    };
    let Some(ended) = told_to_end else { return };
    why.set(Some(ended));
    // The server may be gone, or the pool used up: then the connection that waits for the statement is closed after a while.
    match tokio::time::timeout(PATIENCE, cancel_statement(connection, later)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("the statement could not be cancelled: {error:#}"),
        Err(_) => tracing::debug!("the statement could not be cancelled in time"),
    }
}

/// Tells the statement to end, whichever session it runs in.
pub async fn cancel_statement(connection: &mut PgConnection, later: &DeferredStatement) -> Result<()> {
    // A look may have been interrupted inside of its transaction.
    execute(connection, "ROLLBACK".into()).await?;
    query::begin_transaction(connection, "BEGIN READ ONLY").await?;
    query_file(connection, "sql/deferred_ddl/cancel.sql", &variables(later)).await?;
    execute(connection, "ROLLBACK".into()).await?;
    Ok(())
}

fn variables(later: &DeferredStatement) -> Variables {
    Variables::default()
        .text("statement", &later.sql)
        .text("table", later.table.as_deref().or(later.work.index()).unwrap_or_default())
}

/// Looks at the statement repeatedly. Returns why it has to be cancelled, or nothing when an abandoned one has ended.
async fn follow(
    connection: &mut PgConnection,
    later: &DeferredStatement,
    wait: Duration,
    whose: Whose,
) -> Option<StatementEnd> {
    let variables = variables(later);
    let progress = Progress::start("building");
    progress.start_phase(later.work.title(), None, Unit::Steps);
    let (mut waited, mut reported, mut is_met, mut stage) = (Duration::ZERO, Vec::new(), false, None);
    loop {
        let seen = match look(connection, &variables).await {
            Ok(seen) => seen,
            Err(error) if whose == Whose::Abandoned => {
                tracing::debug!("cannot find out whether it has ended: {error:#}");
                return None;
            }
            Err(error) => {
                tracing::debug!("cannot find out how far it is: {error:#}");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        match (&seen, whose) {
            (None, Whose::Abandoned) => return None,
            (Some(seen), Whose::Abandoned) if !is_met => progress::notice(&format!(
                "{}: waiting for process {}, which still runs it for a terminated evodoctor",
                later.work.title(),
                seen.builder
            )),
            _ => {}
        }
        is_met = seen.is_some();
        let mut blockers = Vec::new();
        if let Some(seen) = seen {
            let (done, total) = seen.blocks;
            if let Some(phase) = seen.phase.filter(|phase| stage.as_ref() != Some(&(phase.clone(), total))) {
                progress.start_phase(phase.clone(), (total > 0).then_some(total), Unit::Steps);
                stage = Some((phase, total));
            }
            progress.set_position(done);
            blockers = seen.blockers;
        }
        if blockers.is_empty() {
            (waited, reported) = (Duration::ZERO, Vec::new());
        } else {
            let pids: Vec<Option<i32>> = blockers.iter().map(|blocker| blocker.pid).collect();
            if reported != pids {
                let who = blockers.iter().map(Blocker::describe).collect::<Vec<_>>().join("; ");
                progress::notice(&format!(
                    "waiting: {} waits for {who}; reads and writes are not blocked",
                    later.work.title()
                ));
                reported = pids;
            }
            if waited >= wait {
                return Some(StatementEnd::Blocked(blockers));
            }
            waited += LOOK;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks at the statement; `None` if no process runs it.
async fn look(connection: &mut PgConnection, variables: &Variables) -> Result<Option<Seen>> {
    query::begin_transaction(connection, "BEGIN READ ONLY").await?;
    let found = query_file(connection, "sql/deferred_ddl/building.sql", variables).await?;
    execute(connection, "ROLLBACK".into()).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let blocks = |name| -> Result<u64> {
        Ok(row.try_get::<Option<i64>, _>(name)?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    };
    let mut blockers = Vec::new();
    for row in &found {
        if row.try_get("is_waiting")? {
            blockers.push(Blocker::read(row).context("sql/deferred_ddl/building.sql")?);
        }
    }
    Ok(Some(Seen {
        builder: row.try_get("builder")?,
        phase: row.try_get("phase")?,
        blocks: (blocks("blocks_done")?, blocks("blocks_total")?),
        blockers,
    }))
}

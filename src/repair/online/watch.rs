//! A long statement under way: how far it is, whom it waits for, and how it is ended.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::Later;
use crate::database::run::{self, execute, rows};
use crate::database::script::Variables;
use crate::database::session::Session;
use crate::database::url::Target;
use crate::exit::failure;
use crate::progress::{self, Unit, Work as Progress};
use crate::repair::locks::{self, Blocker};

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// How long another connection may take. A pooler whose pool is full keeps its clients waiting for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a statement that was told to end may take to do so.
const GRACE: Duration = Duration::from_secs(10);

/// How a statement ended.
#[derive(Debug)]
pub enum Ended {
    /// It is done.
    Done,
    /// The server refused it, or broke off.
    Refused(sqlx::Error),
    /// It waited for these for too long, and was told to end.
    Blocked(Vec<Blocker>),
    /// Somebody pressed Ctrl-C, and it was told to end.
    Interrupted,
}

/// Runs the statement outside of any transaction, while another connection keeps other changes away and a third one says how
/// far it is and whom it waits for. It waits for nobody longer than `wait`.
///
/// # Errors
/// When the other connections are not to be had, or another change is at work: it was not begun then.
pub async fn carry_out(
    connection: &mut PgConnection,
    target: &Target,
    later: &Later,
    wait: Duration,
) -> Result<Ended> {
    let mut guard = guard(target).await?;
    // Behind a pooler with one connection, the guard has it.
    let answered = tokio::time::timeout(PATIENCE, execute(connection, "SELECT 1".into())).await;
    answered.map_err(|_| too_few())??;
    let mut watcher = another(target).await?;

    // Set before the statement is told to end, as its refusal may be here first.
    let why = Cell::new(None);
    let mut working = pin!(execute(connection, later.sql.clone()));
    let done = tokio::select! {
        done = &mut working => Some(done),
        () = watch(&mut watcher, later, wait, &why) => tokio::time::timeout(GRACE, working).await.ok(),
    };
    let ended = match (done, why.take()) {
        // It was quicker.
        (Some(Ok(_)), _) => Ended::Done,
        (_, Some(ended)) => ended,
        (Some(Err(error)), None) => Ended::Refused(error),
        (None, None) => Ended::Interrupted,
    };
    // Its locks are free when the server has answered, and not yet when the connection is closed.
    if let Err(error) = execute(guard.connection(), "ROLLBACK".into()).await {
        tracing::debug!("the guard was lost: {error:#}");
    }
    let _ = watcher.close().await;
    let _ = guard.close().await;
    Ok(ended)
}

/// A session that has the advisory locks of a change in a transaction that does nothing else: it sees no row, so that a
/// build does not wait for it.
async fn guard(target: &Target) -> Result<Session> {
    let mut session = another(target).await?;
    locks::begin(session.connection(), PATIENCE).await?;
    // It stands still on purpose.
    execute(session.connection(), "SET LOCAL idle_in_transaction_session_timeout = 0".into()).await?;
    Ok(session)
}

async fn another(target: &Target) -> Result<Session> {
    tokio::time::timeout(PATIENCE, Session::open(target)).await.map_err(|_| too_few())?
}

fn too_few() -> anyhow::Error {
    failure(
        "--online takes three connections, and no more are to be had, as behind a pooler whose pool is full",
        "connect to the server itself, or give the pool three connections",
    )
}

/// Says how far the statement is. Ends when the statement had to be told to end, and says why.
async fn watch(session: &mut Session, later: &Later, wait: Duration, why: &Cell<Option<Ended>>) {
    let variables = Variables::default()
        .text("statement", &later.sql)
        .text("table", later.table.as_deref().or(later.work.index()).unwrap_or_default());
    let progress = Progress::begin("building");
    progress.part(later.work.title(), None, Unit::Steps);
    let (mut waited, mut told) = (Duration::ZERO, Vec::new());
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => {
                why.set(Some(Ended::Interrupted));
                return cancel(session, &variables).await;
            }
        }
        let blockers = match look(session.connection(), &variables, &progress).await {
            Ok(blockers) => blockers,
            Err(error) => {
                tracing::debug!("nobody says how far it is: {error:#}");
                continue;
            }
        };
        if blockers.is_empty() {
            (waited, told) = (Duration::ZERO, Vec::new());
            continue;
        }
        let pids: Vec<Option<i32>> = blockers.iter().map(|blocker| blocker.pid).collect();
        if told != pids {
            let who = blockers.iter().map(Blocker::who).collect::<Vec<_>>().join("; ");
            progress::say(&format!(
                "waiting: {} waits for {who}; others go on reading and writing",
                later.work.title()
            ));
            told = pids;
        }
        if waited >= wait {
            why.set(Some(Ended::Blocked(blockers)));
            return cancel(session, &variables).await;
        }
        waited += LOOK;
    }
}

async fn look(
    connection: &mut PgConnection,
    variables: &Variables,
    progress: &Progress,
) -> Result<Vec<Blocker>> {
    run::begin(connection, "BEGIN READ ONLY").await?;
    let found = rows(connection, "sql/online/building.sql", variables).await?;
    execute(connection, "ROLLBACK".into()).await?;
    if let Some(row) = found.first() {
        if let Some(phase) = row.try_get::<Option<String>, _>("phase")? {
            progress.now(phase);
        }
        let blocks = |name| -> Result<u64> {
            Ok(row.try_get::<Option<i64>, _>(name)?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
        };
        progress.expect(blocks("blocks_total")?);
        progress.reach(blocks("blocks_done")?);
    }
    let mut blockers = Vec::new();
    for row in &found {
        if row.try_get("is_waiting")? {
            blockers.push(Blocker::read(row).context("sql/online/building.sql")?);
        }
    }
    Ok(blockers)
}

async fn cancel(session: &mut Session, variables: &Variables) {
    let told = async {
        run::begin(session.connection(), "BEGIN READ ONLY").await?;
        rows(session.connection(), "sql/online/cancel.sql", variables).await?;
        execute(session.connection(), "ROLLBACK".into()).await?;
        anyhow::Ok(())
    };
    if let Err(error) = told.await {
        tracing::debug!("the statement could not be told to end: {error:#}");
    }
}

//! Checks side by side, on several connections that share one snapshot.
//!
//! Tasks side by side rather than queries with parallel workers: a worker is one of a few that the whole server shares,
//! small queries never get any, and the end of a large one waits for its slowest part alone. So each connection has one
//! process, and by default there are as many of them as the server gives one query as workers
//! (`max_parallel_workers_per_gather`; the query's own process only collects), two if there is one worker, and at most
//! [`MAX_CONNECTIONS`]. The run then takes no more of the server than any report would. A connection that is alone, as for a single
//! query, keeps the server's own parallel workers.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::{MaybeDone, join, join_all, maybe_done};
use sqlx::postgres::PgConnection;

use super::check::{Check, all_checks};
use super::context::CheckContext;
use super::pool::{ConnectionOwner, PooledConnection, SnapshotPool, TaskLimits};
use super::progress_estimate::ProgressEstimate;
use super::run_checks::{Examination, run_in_pool};
use crate::database::query::execute_file;
use crate::database::session::Session;
use crate::database::shared_snapshot::{self, ServerCapacity, SharedSnapshot};
use crate::database::sql_file::Variables;
use crate::database::url::ConnectTarget;
use crate::progress::{ProgressTask, Unit};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order::sort_by_consequence;

/// Maximum number of connections, unless more are asked for: the cores are the server's.
pub const MAX_CONNECTIONS: u64 = 4;

/// One connection reads fewer pages than these in a moment: more connections would not pay. 32 MB.
const WORTH_MORE_CONNECTIONS: u64 = 4096;

/// The interval at which the progress line is updated.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// The interval at which a statement is cancelled again.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// The longest time that cancelled statements may take to end.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// The settings for running checks.
pub struct ExecutionOptions<'a> {
    /// The target of further connections.
    pub target: &'a ConnectTarget,
    /// The number of connections to use; `None` leaves it to the server's limits.
    pub jobs: Option<u64>,
    /// When to end at the latest.
    pub deadline: Option<Instant>,
}

/// What came of the checks.
pub struct CheckResults {
    /// The result of each check.
    pub checks: Vec<CheckReport>,
    /// What they found, the worst first.
    pub findings: Vec<Finding>,
    /// True if the first connection can still be used.
    pub is_connected: bool,
}

/// Runs every check that applies and that `selected` lets through, until `stop` says why not to go on.
///
/// # Errors
/// When the first connection is lost. A query that fails makes its check undecided instead.
pub async fn run_in_parallel(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    options: &ExecutionOptions<'_>,
    selected: impl Fn(&Check) -> bool,
    stop: impl Future<Output = String>,
) -> Result<CheckResults> {
    let capacity = ServerCapacity::read(connection).await?;
    let limits = TaskLimits { deadline: options.deadline, statement_timeout: capacity.statement_timeout };
    let pool = SnapshotPool::new(context, limits);
    let chosen = all_checks().iter().filter(|check| context.applies(&check.rule) && selected(check));
    let mut running = pin!(maybe_done(run_in_pool(&pool, chosen.collect())));
    // Now every check has asked for its first tasks, so the first connection starts with the one that ranks highest.
    poll_fn(|waker| Poll::Ready(running.as_mut().poll(waker).is_ready())).await;

    let jobs = connection_count(options, capacity, &pool.progress());
    let snapshot = match jobs {
        1 => None,
        _ => Some(SharedSnapshot::export(connection, options.target).await?),
    };
    apply_settings(connection, snapshot.is_none(), context).await?;
    pool.add(PooledConnection { pid: capacity.pid, owner: ConnectionOwner::First(connection) });
    let others = open_others(&pool, snapshot.as_ref(), jobs - 1);
    let done = run_until(&pool, running.as_mut(), others, options.target, stop).await?;

    let (is_connected, joined) = pool.close();
    close_all(joined).await;
    let (checks, mut findings) = done;
    sort_by_consequence(&mut findings);
    Ok(CheckResults { checks, findings, is_connected })
}

/// Returns the number of connections to use for what has been asked for.
fn connection_count(
    options: &ExecutionOptions<'_>,
    capacity: ServerCapacity,
    asked: &ProgressEstimate,
) -> u64 {
    let pages = asked.pages;
    let jobs = options.jobs.unwrap_or_else(|| {
        // Half of what is free stays free, and a connection string that allows Evolution a few allows us no more.
        let limit = options.target.connection_limit.unwrap_or(u64::MAX);
        let spare = (1 + capacity.connections / 2).min(limit);
        // Each of them works without a pause: one more than the server has cores makes all of them slower.
        let workers = capacity.processes.saturating_sub(1).max(capacity.processes.min(2));
        // A single query is quicker with parallel workers of its own.
        let worth_more = pages >= WORTH_MORE_CONNECTIONS && asked.tasks > 1;
        if worth_more { workers.min(MAX_CONNECTIONS).min(spare) } else { 1 }
    });
    let jobs = if capacity.can_export { jobs.max(1) } else { 1 };
    tracing::debug!(jobs, free = capacity.connections, pages, "connections");
    jobs
}

/// Makes the settings of a connection.
///
/// # Errors
/// When it is lost.
async fn apply_settings(
    connection: &mut PgConnection,
    is_alone: bool,
    context: &CheckContext<'_>,
) -> Result<()> {
    if !is_alone {
        execute_file(connection, "sql/shared_snapshot/one_process.sql", &Variables::default()).await?;
    }
    if context.paranoid {
        execute_file(connection, "sql/catalog/heap_only.sql", &Variables::default()).await?;
    }
    Ok(())
}

/// Opens more connections. Where there is none to be had, the others go on alone.
async fn open_others(pool: &SnapshotPool<'_>, snapshot: Option<&SharedSnapshot<'_>>, count: u64) {
    let Some(snapshot) = snapshot else { return };
    let opened = (0..count).map(async |_| {
        let (mut session, pid) = snapshot.join().await?;
        apply_settings(session.connection(), false, pool.context()).await?;
        pool.add(PooledConnection { pid, owner: ConnectionOwner::Joined(session) });
        anyhow::Ok(())
    });
    for failed in join_all(opened).await.into_iter().filter_map(Result::err) {
        tracing::debug!("goes on with fewer connections, another one is refused: {failed:#}");
    }
}

/// Drives `running` until it is done, or until `stop`. Then statements that still run on the server are cancelled; if they do not
/// end in time either, they are given up.
///
/// # Errors
/// When the first connection is lost.
async fn run_until<'r>(
    pool: &SnapshotPool<'_>,
    mut running: Pin<&mut MaybeDone<impl Future<Output = Result<Examination>> + 'r>>,
    others: impl Future<Output = ()>,
    target: &ConnectTarget,
    stop: impl Future<Output = String>,
) -> Result<Examination> {
    let mut serving = pin!(join(pool.hand_out(), others));
    let mut reporting = pin!(report_progress(pool));
    let mut stop = pin!(stop);
    tokio::select! {
        biased;
        () = running.as_mut() => {}
        (never, ()) = &mut serving => match never {},
        () = pool.stopped() => {}
        reason = &mut stop => pool.stop(reason),
        never = &mut reporting => match never {},
    }
    if pool.stop_reason().is_some() {
        tokio::select! {
            biased;
            () = running.as_mut() => {}
            (never, ()) = &mut serving => match never {},
            never = cancel_running(pool, target) => match never {},
            () = tokio::time::sleep(CANCEL_GRACE) => pool.abandon(),
        }
        running.as_mut().await;
    }
    match (pool.take_failure(), running.take_output()) {
        (Some(error), _) => Err(error),
        (None, done) => done.unwrap_or_else(|| Ok(Examination::default())),
    }
}

/// Tells how far it is, for as long as it is awaited.
async fn report_progress(pool: &SnapshotPool<'_>) -> Infallible {
    let (progress, started) = (ProgressTask::start("checking"), Instant::now());
    progress.start_phase("", Some(0), Unit::Steps);
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        interval.tick().await;
        let estimate = pool.progress();
        progress.set_len(estimate.tasks as u64);
        progress.set_position(estimate.done as u64);
        progress.set_message(estimate.describe(started.elapsed()));
    }
}

/// Cancels the statements of the pool's connections, again and again: one may start right after it was cancelled.
async fn cancel_running(pool: &SnapshotPool<'_>, target: &ConnectTarget) -> Infallible {
    match shared_snapshot::cancel_backends(target, &pool.pids()).await {
        Ok(mut session) => loop {
            tokio::time::sleep(CANCEL_INTERVAL).await;
            if shared_snapshot::cancel_backends_on(&mut session, &pool.pids()).await.is_err() {
                break;
            }
        },
        Err(error) => tracing::debug!("what is running cannot be cancelled: {error:#}"),
    }
    std::future::pending().await
}

/// Ends the snapshot of connections that have joined it, and closes them.
async fn close_all(joined: Vec<Session>) {
    for mut session in joined {
        let closed = async {
            session.end_snapshot().await?;
            session.close().await
        };
        if let Err(error) = closed.await {
            tracing::debug!("a connection was lost at its end: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_connections_as_a_query_has_workers() {
        let target = ConnectTarget::parse("postgresql://u@localhost/d").expect("a connection string");
        let options = ExecutionOptions { target: &target, jobs: None, deadline: None };
        let capacity = |processes| ServerCapacity {
            pid: 1,
            connections: 90,
            can_export: true,
            processes,
            statement_timeout: None,
        };
        let count = |processes, pages, tasks| {
            let asked = ProgressEstimate { pages, tasks, ..ProgressEstimate::default() };
            connection_count(&options, capacity(processes), &asked)
        };
        let counts = [1, 2, 3, 4, 5, 9].map(|processes| count(processes, WORTH_MORE_CONNECTIONS, 2));
        assert_eq!(counts, [1, 2, 2, 3, MAX_CONNECTIONS, MAX_CONNECTIONS]);
        assert_eq!(count(9, WORTH_MORE_CONNECTIONS - 1, 2), 1, "little to read");
        assert_eq!(count(9, WORTH_MORE_CONNECTIONS, 1), 1, "one query");
    }
}

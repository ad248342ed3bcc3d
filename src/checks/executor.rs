//! Checks side by side: several connections that share one snapshot take steps from one board.
//!
//! Steps side by side rather than queries with parallel workers: a worker is one of a few that the whole server shares,
//! small queries never get any, and the end of a large one waits for its slowest part alone. So each connection has one
//! process, and there are as many of them by default as the server gives one query of its own accord
//! (`max_parallel_workers_per_gather` and the query itself), at most [`MOST`]. The examination then takes no more of the
//! server than any report would. A connection that is alone keeps the server's own parallel workers.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::{join_all, try_join};
use sqlx::postgres::PgConnection;

use super::check::{Check, all_checks};
use super::context::CheckContext;
use super::query_error::{explain_query_error, recovery_conflict};
use super::savepoint::run_step_in_savepoint;
use super::step_queue::StepQueue;
use crate::database::query::execute_file;
use crate::database::shared_snapshot::{self, ServerCapacity, SharedSnapshot};
use crate::database::sql_file::Variables;
use crate::database::url::ConnectTarget;
use crate::progress::{ProgressTask, Unit};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order::sort_by_consequence;

/// How many connections are opened at most, unless more are asked for: the cores are the server's.
pub const MOST: u64 = 4;

/// What one connection reads in a moment is not worth opening more: 32 MB.
const WORTH_IT: u64 = 4096;

/// How often progress is told.
const OFTEN: Duration = Duration::from_millis(200);

/// How soon to cancel again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long statements that were cancelled may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How an examination is to be carried out.
pub struct ExecutionOptions<'a> {
    /// How to connect again.
    pub target: &'a ConnectTarget,
    /// How many connections to use; `None` leaves it to the server's limits.
    pub jobs: Option<u64>,
    /// When to end at the latest.
    pub deadline: Option<Instant>,
}

/// What came of an examination.
pub struct CheckResults {
    /// How each check came out.
    pub checks: Vec<CheckReport>,
    /// What they found, the worst first.
    pub findings: Vec<Finding>,
    /// Whether the first connection is still good for something.
    pub is_connected: bool,
}

/// What all connections work from.
struct Workers<'a> {
    board: StepQueue<'a>,
    scope: &'a CheckContext<'a>,
    plan: &'a ExecutionOptions<'a>,
    room: ServerCapacity,
    /// The processes that serve our connections.
    pids: RefCell<Vec<i32>>,
    /// Whether a standby has ended the first connection.
    is_ended: Cell<bool>,
}

/// Carries out every check that applies and that `selected` lets through, until `stop` says why not to go on.
///
/// # Errors
/// When the first connection is lost. A step that fails makes its check undecided instead.
pub async fn run_in_parallel(
    connection: &mut PgConnection,
    scope: &CheckContext<'_>,
    plan: &ExecutionOptions<'_>,
    selected: impl Fn(&Check) -> bool,
    stop: impl Future<Output = String>,
) -> Result<CheckResults> {
    let chosen = all_checks().iter().filter(|check| scope.applies(&check.rule) && selected(check));
    let board = StepQueue::new(scope, chosen)?;
    let room = ServerCapacity::read(connection).await?;
    let jobs = jobs(plan, room, board.pages());
    let snapshot = match jobs {
        1 => None,
        _ => Some(SharedSnapshot::export(connection, plan.target).await?),
    };
    settle(connection, snapshot.is_none(), scope).await?;
    let crew =
        Workers { board, scope, plan, room, pids: RefCell::new(vec![room.pid]), is_ended: Cell::new(false) };
    let is_connected = crew.work_until(connection, snapshot.as_ref(), jobs - 1, stop).await?;
    let is_connected = is_connected && !crew.is_ended.get();
    let (checks, mut findings) = crew.board.conclude()?;
    sort_by_consequence(&mut findings);
    Ok(CheckResults { checks, findings, is_connected })
}

/// How many connections to use.
fn jobs(plan: &ExecutionOptions<'_>, room: ServerCapacity, pages: u64) -> u64 {
    let jobs = plan.jobs.unwrap_or_else(|| {
        // Half of what is free stays free, and a connection string that allows Evolution a few allows us no more.
        let spare = (1 + room.connections / 2).min(plan.target.connection_limit.unwrap_or(u64::MAX));
        if pages < WORTH_IT { 1 } else { room.processes.min(MOST).min(spare) }
    });
    let jobs = if room.can_export { jobs.max(1) } else { 1 };
    tracing::debug!(jobs, free = room.connections, pages, "connections");
    jobs
}

/// Makes the settings of a connection.
///
/// # Errors
/// When it is lost.
async fn settle(connection: &mut PgConnection, is_alone: bool, scope: &CheckContext<'_>) -> Result<()> {
    if !is_alone {
        execute_file(connection, "sql/shared_snapshot/one_process.sql", &Variables::default()).await?;
    }
    if scope.paranoid {
        execute_file(connection, "sql/catalog/heap_only.sql", &Variables::default()).await?;
    }
    Ok(())
}

impl Workers<'_> {
    /// Works on all connections until nothing is left, or until `stop`. Returns whether the first connection is still
    /// good for something.
    ///
    /// # Errors
    /// When the first connection is lost.
    async fn work_until(
        &self,
        connection: &mut PgConnection,
        snapshot: Option<&SharedSnapshot<'_>>,
        helpers: u64,
        stop: impl Future<Output = String>,
    ) -> Result<bool> {
        let others = async {
            if let Some(snapshot) = snapshot {
                join_all((0..helpers).map(|_| self.help(snapshot))).await;
            }
            Ok(())
        };
        let mut working = pin!(try_join(self.lead(connection), others));
        let mut stop = pin!(stop);
        let (progress, begun) = (ProgressTask::start("checking"), Instant::now());
        progress.start_phase("", Some(0), Unit::Steps);
        let mut often = tokio::time::interval(OFTEN);
        loop {
            tokio::select! {
                done = &mut working => return done.map(|_| true),
                reason = &mut stop => {
                    self.board.stop(reason);
                    break;
                }
                _ = often.tick() => {
                    let standing = self.board.progress();
                    progress.set_len(standing.steps as u64);
                    progress.set_position(standing.done as u64);
                    progress.set_message(standing.describe(begun.elapsed()));
                }
            }
        }
        let ended = tokio::select! {
            ended = tokio::time::timeout(GRACE, &mut working) => ended,
            never = self.cancel() => never,
        };
        match ended {
            Ok(done) => done.map(|_| true),
            Err(_) => Ok(false),
        }
    }

    /// Takes steps until nothing is left, or until a standby has ended a connection.
    ///
    /// # Errors
    /// When the connection is lost otherwise.
    async fn lead(&self, connection: &mut PgConnection) -> Result<()> {
        match self.work(connection).await {
            Err(error) if !self.is_ended.get() => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes steps until nothing is left. Where a standby ends the connection, it ends every other one of the same snapshot too,
    /// if not at once: what is not decided by now stays so.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn work(&self, connection: &mut PgConnection) -> Result<()> {
        while let Some((taken, step)) = self.board.next().await {
            let started = Instant::now();
            let left = self.time_left(started);
            let error = match run_step_in_savepoint(connection, left, step).await {
                Ok(answer) => {
                    let answer = answer.map_err(|error| explain_query_error(&error, self.scope));
                    self.board.complete(taken, answer, started.elapsed())?;
                    continue;
                }
                Err(error) => error,
            };
            let conflict = recovery_conflict(&error, self.scope.is_standby);
            let reason = conflict.clone().unwrap_or_else(|| format!("{error:#}"));
            self.board.complete(taken, Err(reason), started.elapsed())?;
            if let Some(reason) = conflict {
                self.is_ended.set(true);
                self.board.stop(reason);
            }
            return Err(error);
        }
        Ok(())
    }

    /// How long the server lets a statement run that begins now: a little longer than we wait ourselves, should we not
    /// get round to ending it.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = self.plan.deadline?.saturating_duration_since(now) + Duration::from_secs(1);
        Some(self.room.statement_timeout.map_or(left, |limit| limit.min(left)))
    }

    /// Opens another connection and takes steps on it. Where there is none to be had, the others go on alone.
    async fn help(&self, snapshot: &SharedSnapshot<'_>) {
        let joined = tokio::select! {
            joined = snapshot.join() => joined,
            () = self.board.is_over() => return,
        };
        let (mut session, pid) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                tracing::debug!("goes on with fewer connections, another one is refused: {error:#}");
                return;
            }
        };
        self.pids.borrow_mut().push(pid);
        let helped = async {
            settle(session.connection(), false, self.scope).await?;
            self.work(session.connection()).await?;
            // From here on the process may serve somebody else.
            self.pids.borrow_mut().retain(|other| *other != pid);
            session.end_snapshot().await?;
            session.close().await
        };
        if let Err(error) = helped.await {
            self.pids.borrow_mut().retain(|other| *other != pid);
            tracing::debug!("goes on with fewer connections, one was lost: {error:#}");
        }
    }

    /// Ends what our connections are doing, again and again, as one may just be about to begin something. Never ends.
    async fn cancel<T>(&self) -> T {
        let now = || self.pids.borrow().clone();
        match shared_snapshot::cancel_backends(self.plan.target, &now()).await {
            Ok(mut session) => loop {
                tokio::time::sleep(AGAIN).await;
                if shared_snapshot::cancel_backends_on(&mut session, &now()).await.is_err() {
                    break;
                }
            },
            Err(error) => tracing::debug!("what is running cannot be cancelled: {error:#}"),
        }
        std::future::pending().await
    }
}

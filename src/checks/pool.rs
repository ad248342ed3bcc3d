//! The connections that share one snapshot, and the tasks that wait for one of them.
//!
//! Every free connection goes to the task that ranks highest (see [`super::task_queue`]).

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::PgConnection;
use tokio::sync::Notify;

use super::context::CheckContext;
use super::progress_estimate::ProgressEstimate;
use super::query_error::{explain_query_error, recovery_conflict};
use super::task::Task;
use super::task_queue::{Failure, TaskQueue};
use crate::database::query::is_lock_conflict;
use crate::database::session::Session;

/// Connections to one snapshot.
pub struct SnapshotPool<'p> {
    context: &'p CheckContext<'p>,
    limits: TaskLimits,
    state: RefCell<PoolState<'p>>,
    /// A task waits for a connection, or a connection is free.
    changed: Notify,
    /// No more tasks are begun: see [`SnapshotPool::stop`].
    stopped: Notify,
    /// Running tasks are given up: see [`SnapshotPool::abandon`].
    abandoned: Notify,
}

/// The limits of a task's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskLimits {
    /// When everything ends.
    pub deadline: Option<Instant>,
    /// The statement_timeout of the role.
    pub statement_timeout: Option<Duration>,
}

#[derive(Default)]
struct PoolState<'p> {
    idle: Vec<PooledConnection<'p>>,
    waiting: TaskQueue<PooledConnection<'p>>,
    running: Vec<(usize, String)>,
    progress: ProgressEstimate,
    pids: Vec<i32>,
    stopped: Option<String>,
    is_abandoned: bool,
    ending: Ending,
}

/// The end of the run, which decides whether the first connection can be used afterwards.
#[derive(Default)]
enum Ending {
    #[default]
    Regular,
    /// A standby has ended the connections.
    Standby,
    /// The first connection is lost, or has to give way: the run ends with an error.
    Failed(anyhow::Error),
}

/// One that is lent to tasks.
pub(super) struct PooledConnection<'p> {
    /// The process that serves it.
    pub pid: i32,
    /// The connection itself.
    pub owner: ConnectionOwner<'p>,
}

/// Where a connection comes from, and goes to in the end.
pub(super) enum ConnectionOwner<'p> {
    /// The one that the snapshot was begun on. It is lent to the pool.
    First(&'p mut PgConnection),
    /// One that has joined the snapshot.
    Joined(Session),
}

/// A connection that a task holds. It is lost with the lease where the work was not finished.
pub(super) struct Lease<'l, 'p> {
    pool: &'l SnapshotPool<'p>,
    connection: PooledConnection<'p>,
    number: usize,
    cost: u64,
}

impl<'p> SnapshotPool<'p> {
    /// A pool that has no connection yet.
    pub fn new(context: &'p CheckContext<'p>, limits: TaskLimits) -> Self {
        Self {
            context,
            limits,
            state: RefCell::default(),
            changed: Notify::new(),
            stopped: Notify::new(),
            abandoned: Notify::new(),
        }
    }

    /// Runs what asks for this pool's connections, and gives it this one, and no other.
    ///
    /// # Errors
    /// When the connection is lost. Where the context gives way, also when others hold a lock for too long.
    pub async fn run_on<T>(
        &self,
        connection: &'p mut PgConnection,
        asking: impl Future<Output = T>,
    ) -> Result<T> {
        // Nothing cancels these tasks, so their process is not needed.
        self.add(PooledConnection { pid: 0, owner: ConnectionOwner::First(connection) });
        let answer = tokio::select! {
            biased;
            answer = asking => answer,
            never = self.hand_out() => match never {},
        };
        self.take_failure().map_or(Ok(answer), Err)
    }

    /// The database that is examined.
    pub fn context(&self) -> &'p CheckContext<'p> {
        self.context
    }

    /// Lends a connection.
    pub(super) fn add(&self, connection: PooledConnection<'p>) {
        self.state.borrow_mut().pids.push(connection.pid);
        self.give_back(connection);
    }

    fn give_back(&self, connection: PooledConnection<'p>) {
        self.state.borrow_mut().idle.push(connection);
        self.changed.notify_one();
    }

    /// The processes that serve its connections.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.state.borrow().pids.clone()
    }

    /// The progress so far.
    pub(super) fn progress(&self) -> ProgressEstimate {
        let state = self.state.borrow();
        let now = state.running.iter().map(|(_, about)| about.clone()).collect();
        ProgressEstimate { now, ..state.progress.clone() }
    }

    /// Waits for a connection; `None` when the task is not needed any more, or the run was stopped.
    pub(super) async fn acquire(&self, code: &str, task: Task, failure: &Failure) -> Option<Lease<'_, 'p>> {
        let cost = task.cost;
        let (number, connection) = {
            let mut state = self.state.borrow_mut();
            if state.stopped.is_some() {
                return None;
            }
            state.progress.add(cost);
            state.waiting.push(code, task, failure)
        };
        self.changed.notify_one();
        match connection.await {
            Ok(connection) => Some(Lease { pool: self, connection, number, cost }),
            Err(_) => {
                self.state.borrow_mut().progress.finish(cost);
                None
            }
        }
    }

    /// Gives free connections to the tasks that rank highest, for as long as it is awaited. It runs after the checks have been
    /// polled: a task that has just ended is often followed by another one, which should be ranked too.
    pub(super) async fn hand_out(&self) -> Infallible {
        loop {
            self.changed.notified().await;
            self.state.borrow_mut().hand_out();
        }
    }

    /// Starts no more tasks. Questions without an answer are undecided for this reason.
    pub(super) fn stop(&self, reason: String) {
        let mut state = self.state.borrow_mut();
        state.stopped.get_or_insert(reason);
        state.waiting.clear();
        self.stopped.notify_waiters();
    }

    /// Completes once no more tasks are started.
    pub(super) async fn stopped(&self) {
        let stopped = self.stopped.notified();
        if self.stop_reason().is_none() {
            stopped.await;
        }
    }

    /// Why no more tasks are begun, if so.
    pub(super) fn stop_reason(&self) -> Option<String> {
        self.state.borrow().stopped.clone()
    }

    /// Gives up the tasks that still run. Their connections are lost.
    pub(super) fn abandon(&self) {
        self.state.borrow_mut().is_abandoned = true;
        self.abandoned.notify_waiters();
    }

    async fn is_abandoned(&self) {
        let abandoned = self.abandoned.notified();
        if !self.state.borrow().is_abandoned {
            abandoned.await;
        }
    }

    /// Why the run as a whole has failed, if it has.
    pub(super) fn take_failure(&self) -> Option<anyhow::Error> {
        let mut state = self.state.borrow_mut();
        match std::mem::take(&mut state.ending) {
            Ending::Failed(error) => Some(error),
            other => {
                state.ending = other;
                None
            }
        }
    }

    /// Takes all connections out of the pool; returns whether the first one can still be used, and the ones that joined.
    pub(super) fn close(&self) -> (bool, Vec<Session>) {
        let mut state = self.state.borrow_mut();
        let (mut is_connected, mut joined) = (false, Vec::new());
        for connection in std::mem::take(&mut state.idle) {
            match connection.owner {
                ConnectionOwner::First(_) => is_connected = matches!(state.ending, Ending::Regular),
                ConnectionOwner::Joined(session) => joined.push(session),
            }
        }
        (is_connected, joined)
    }

    /// Returns the statement_timeout for a statement that begins now: a little longer than we wait ourselves, should we
    /// not get round to ending it.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = self.limits.deadline?.saturating_duration_since(now) + Duration::from_secs(1);
        Some(self.limits.statement_timeout.map_or(left, |limit| limit.min(left)))
    }

    fn end(&self, ending: Ending, reason: String) {
        self.state.borrow_mut().ending = ending;
        self.stop(reason);
    }
}

impl PoolState<'_> {
    fn hand_out(&mut self) {
        while let Some(connection) = self.idle.pop() {
            match self.waiting.give_to_best(connection) {
                Ok(running) => self.running.push(running),
                Err(connection) => {
                    self.idle.push(connection);
                    return;
                }
            }
        }
        self.waiting.drop_unneeded();
    }
}

impl Lease<'_, '_> {
    /// Does the work, and gives the connection back if it can be used again. Returns what came of it, or why nothing did; and how
    /// long it took.
    pub async fn work<T>(
        mut self,
        work: impl AsyncFnOnce(&mut PgConnection, Option<Duration>) -> Result<sqlx::Result<T>>,
    ) -> (Result<T, String>, Duration) {
        let (pool, started) = (self.pool, Instant::now());
        let left = pool.time_left(started);
        let done = tokio::select! {
            biased;
            done = work(self.connection.get(), left) => Some(done),
            () = pool.is_abandoned() => None,
        };
        let took = started.elapsed();
        let mut state = pool.state.borrow_mut();
        state.running.retain(|(number, _)| *number != self.number);
        state.progress.finish(self.cost);
        let stopped = state.stopped.clone();
        drop(state);
        let answer = match done {
            Some(Ok(Ok(answer))) => {
                pool.give_back(self.connection);
                return (Ok(answer), took);
            }
            Some(Ok(Err(refusal))) => self.refused(refusal),
            Some(Err(lost)) => self.lost(lost),
            None => "not finished".to_owned(),
        };
        // In a run that was stopped, the server's error only says that the statement was cancelled.
        (Err(stopped.unwrap_or(answer)), took)
    }

    fn refused(self, refusal: sqlx::Error) -> String {
        let (pool, reason) = (self.pool, explain_query_error(&refusal, self.pool.context));
        pool.give_back(self.connection);
        if pool.context.gives_way && is_lock_conflict(&refusal) {
            pool.end(Ending::Failed(refusal.into()), reason.clone());
        }
        reason
    }

    /// Where a standby ends a connection, it ends every other one of the same snapshot too, if not at once: what is not decided
    /// by now stays so. Otherwise the others go on alone, unless it was the first one.
    fn lost(self, error: anyhow::Error) -> String {
        let pool = self.pool;
        if let Some(reason) = recovery_conflict(&error, pool.context.is_standby) {
            pool.end(Ending::Standby, reason.clone());
            return reason;
        }
        let reason = format!("{error:#}");
        match self.connection.owner {
            ConnectionOwner::First(_) => pool.end(Ending::Failed(error), reason.clone()),
            ConnectionOwner::Joined(_) => {
                tracing::debug!("goes on with fewer connections, one was lost: {reason}");
                // The process may serve another client by now.
                pool.state.borrow_mut().pids.retain(|pid| *pid != self.connection.pid);
            }
        }
        reason
    }
}

impl PooledConnection<'_> {
    fn get(&mut self) -> &mut PgConnection {
        match &mut self.owner {
            ConnectionOwner::First(connection) => connection,
            ConnectionOwner::Joined(session) => session.connection(),
        }
    }
}

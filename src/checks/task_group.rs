//! The tasks of one question of a check.

use std::cell::Cell;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};

use super::check_error::{CheckError, CheckResult};
use super::context::CheckContext;
use super::pool::SnapshotPool;
use super::savepoint::{in_savepoint, simple_query_in_savepoint};
use super::task::Task;
use super::task_queue::Failure;
use crate::database::query::query_with_settings;

/// The tasks of one question, such as whether the rows of one key refer to something. They may run side by side. Once one of them
/// has failed, the question has no answer, and the tasks that still wait for a connection are not started.
pub struct TaskGroup<'g, 'p> {
    pool: &'g SnapshotPool<'p>,
    /// The code of the check that asks.
    code: &'g str,
    /// The time that connections were busy for the check.
    busy: &'g Cell<Duration>,
    failure: Failure,
}

impl<'g, 'p> TaskGroup<'g, 'p> {
    /// The tasks of one question of a check. `busy` adds up how long they take.
    pub fn new(pool: &'g SnapshotPool<'p>, code: &'g str, busy: &'g Cell<Duration>) -> Self {
        Self { pool, code, busy, failure: Failure::default() }
    }

    /// The database that is examined.
    pub fn context(&self) -> &'p CheckContext<'p> {
        self.pool.context()
    }

    /// Runs anything on a connection, such as reading large values that need no copy.
    ///
    /// # Errors
    /// Undecided when the server refuses, when another task of the group has failed, or when the run is stopped.
    pub async fn run<T>(
        &self,
        task: Task,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> CheckResult<T> {
        self.guarded(task, async |connection, left| in_savepoint(connection, left, work).await).await
    }

    /// Runs a query, already rendered.
    ///
    /// # Errors
    /// As [`Self::run`]; also undecided when the query reads a table of another role: it is not even planned.
    pub async fn query(&self, task: Task, sql: String) -> CheckResult<Vec<PgRow>> {
        self.expect_open(&sql)?;
        let work = async |connection: &mut PgConnection, left| {
            simple_query_in_savepoint(connection, left, sql).await
        };
        self.guarded(task, work).await
    }

    /// Runs a query under the settings of a file, which it leaves as they were.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn query_with_settings(
        &self,
        settings: &'static str,
        task: Task,
        sql: String,
    ) -> CheckResult<Vec<PgRow>> {
        self.expect_open(&sql)?;
        self.run(task, async |connection| query_with_settings(connection, settings, sql).await).await
    }

    fn expect_open(&self, sql: &str) -> CheckResult<()> {
        match self.context().catalog.closed_table_in(sql) {
            None => Ok(()),
            Some(reason) => Err(self.fail(reason.to_owned())),
        }
    }

    /// Waits for a connection, and does the work behind a savepoint of it.
    async fn guarded<T>(
        &self,
        task: Task,
        work: impl AsyncFnOnce(&mut PgConnection, Option<Duration>) -> anyhow::Result<sqlx::Result<T>>,
    ) -> CheckResult<T> {
        let Some(lease) = self.pool.acquire(self.code, task, &self.failure).await else {
            let reason = self.pool.stop_reason().or_else(|| self.failure.borrow().clone());
            return Err(self.fail(reason.unwrap_or_else(|| "not finished".to_owned())));
        };
        let (done, took) = lease.work(work).await;
        self.busy.set(self.busy.get() + took);
        done.map_err(|reason| self.fail(reason))
    }

    fn fail(&self, reason: String) -> CheckError {
        self.failure.borrow_mut().get_or_insert_with(|| reason.clone());
        CheckError::Undecided(reason)
    }
}

//! Shared by `fix` and `undo`: retry when a table is locked, stop on Ctrl-C, and commit so that the outcome is known.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use crate::cli::GlobalOptions;
use crate::commands::shared::connect::DatabaseContext;
use crate::database::query::execute;
use crate::database::server_error::{ServerFault, is_connection_lost};
use crate::database::session::Session;
use crate::error::{user_error, user_error_caused_by};
use crate::interrupt;
use crate::progress;
use crate::repair::adaptive_batch::CODES;
use crate::repair::change_target::ChangeTarget;
use crate::repair::dry_run::{DryRun, missing_consent_error};
use crate::repair::fix::{in_order, needing_consent};
use crate::repair::ledger::{self, AppliedRun};
use crate::repair::locks::{self, Blocker, LockAttempt, LockRetry, LockTimeout, LockedTooLong};
use crate::repair::plan::FixPlan;
use crate::report::{Change, Detail, Report};
use crate::text::duration::format_argument;
use crate::text::humanize;

/// The longest time for which a server that failed during a commit is asked for the outcome.
const ASKING: Duration = Duration::from_secs(30);

/// The outcome of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It was.
    Yes,
    /// It was rolled back.
    No,
}

/// Runs `work` repeatedly until it gets its locks or `wait` is over. The transaction stays open. `work` is given the
/// settings of each attempt.
///
/// # Errors
/// When it fails for another reason, when the tables stay busy, or on Ctrl-C. It is rolled back then.
pub async fn dry_run_with_retry<T>(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    lock_retry: LockRetry,
    work: impl AsyncFn(&mut PgConnection, &LockAttempt) -> Result<T>,
) -> Result<T> {
    let result = tokio::select! {
        result = retry_on_lock_timeout(opened.session.connection(), subject, lock_retry, work) => result,
        () = interrupt::requested() => Err(user_error(
            "interrupted; everything was rolled back and nothing has been changed",
            "run it again",
        )),
    };
    if result.is_err() {
        abandon(opened.session.connection()).await;
    }
    result.map_err(unchanged)
}

/// Prints what an undo did. An error while printing does not hide the commit.
///
/// # Errors
/// When it cannot be written; says that the run is undone, where it is.
pub fn print_undo(opened: &DatabaseContext, change: Change, common: &GlobalOptions) -> Result<()> {
    let (id, applied) = (change.run.id, change.run.applied);
    let mut report = Report::new("undo", Detail::Change(change));
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.print(common).map_err(|error| match id.filter(|_| applied) {
        Some(run) => error.context(format!("run {run} is undone, but the report could not be written")),
        None => error,
    })
}

/// Prints the report of a change. An error while printing does not hide the commit.
///
/// # Errors
/// As `format_argument`; says which run is committed, if any.
pub fn keep_report_error(written: Result<()>, committed: Option<i64>) -> Result<()> {
    let Some(run) = committed else { return written };
    written.map_err(|error| {
        let next = format!("evodoctor history lists it; evodoctor undo {run} shows what undoing it would do");
        user_error_caused_by(
            error,
            format!("run {run} is committed, but its report could not be written"),
            next,
        )
    })
}

/// Runs `work` repeatedly until it gets its locks. The transaction stays open.
///
/// Each attempt asks all finders again. What an earlier one was told is of a snapshot that has ended: rows may have changed since,
/// and the server does not tell whether they have. A plan must show what its own transaction found.
///
/// # Errors
/// When it fails for another reason, or the tables stay busy; the transaction may be open then.
pub async fn retry_on_lock_timeout<T>(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    mut lock_retry: LockRetry,
    work: impl AsyncFn(&mut PgConnection, &LockAttempt) -> Result<T>,
) -> Result<T> {
    let mut reported = Vec::new();
    loop {
        let error = match work(connection, &lock_retry.attempt()).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(timeout) = LockTimeout::within(&error, &subject.schema) else { return Err(error) };
        execute(connection, "ROLLBACK".into()).await?;
        let blockers = locks::blockers(connection, &timeout).await?;
        let Some(pause) = lock_retry.pause(&timeout, &blockers) else {
            return Err(gave_up(&lock_retry, &blockers, &timeout));
        };
        let pids: Vec<Option<i32>> = blockers.iter().map(|blocker| blocker.pid).collect();
        if reported != pids || lock_retry.failed() == 1 {
            progress::notice(&format!("waiting: {}", locks::describe_blockers(&blockers, &timeout)));
            reported = pids;
        }
        let _line = progress::wait(&format!(
            "attempt {} in {:.1} s ({} left); Ctrl-C stops it",
            lock_retry.failed() + 1,
            pause.as_secs_f64(),
            humanize::format_duration(lock_retry.left()),
        ));
        tokio::time::sleep(pause).await;
    }
}

fn gave_up(lock_retry: &LockRetry, blockers: &[Blocker], timeout: &LockTimeout) -> anyhow::Error {
    let attempts = match lock_retry.failed() {
        1 => "1 attempt".to_owned(),
        failed => format!("{failed} attempts in {}", humanize::format_duration(lock_retry.elapsed())),
    };
    let who = locks::describe_blockers(blockers, timeout);
    user_error(
        format!("gave up waiting for a lock after {attempts}: {who}; nothing has been changed"),
        locks::suggest_next_step(blockers, &format_argument(lock_retry.suggestion())),
    )
}

/// Adds to a server error that nothing has been changed.
fn unchanged(error: anyhow::Error) -> anyhow::Error {
    if let Some(timeout) = error.chain().find_map(|cause| cause.downcast_ref::<LockedTooLong>()) {
        return locked_too_long(&timeout.clone());
    }
    match ServerFault::from_error(&error) {
        Some(ServerFault { message, next }) => user_error_caused_by(
            error,
            format!("{message}; the transaction is rolled back, and nothing has been changed"),
            next,
        ),
        None => error,
    }
}

/// The error when writers would have to wait for too long, with the alternatives.
fn locked_too_long(timeout: &LockedTooLong) -> anyhow::Error {
    let limit = format_argument(timeout.limit);
    let estimate =
        timeout.estimate.map(|whole| format!(", about {} in all", humanize::format_duration(whole)));
    let rows = match timeout.rows {
        0 => String::new(),
        rows => format!(" ({} rows to repair{})", humanize::format_count(rows), estimate.unwrap_or_default()),
    };
    let during = timeout.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    let longer = timeout.estimate.unwrap_or(timeout.limit).max(timeout.limit) * 3;
    let in_batches = match timeout.code.as_deref().filter(|code| CODES.contains(code)) {
        Some(code) => format!("in short transactions: evodoctor fix {code} --batch; or "),
        None => String::new(),
    };
    user_error(
        format!(
            "{during}writers of {} would have to wait for longer than {limit}{rows}; \
             everything was rolled back and nothing has been changed",
            timeout.table
        ),
        format!(
            "{in_batches}on a dump, where no writer waits: --snapshot FILE; or let writers wait for longer: \
             --max-lock {}",
            format_argument(Duration::from_secs(longer.as_secs().max(1)))
        ),
    )
}

/// Ends the transaction with a ROLLBACK if the connection still answers. If a statement is running, closing the
/// connection ends it: `client_connection_check_interval` makes the server notice.
pub async fn abandon(connection: &mut PgConnection) {
    let rolled_back = execute(connection, "ROLLBACK".into());
    if !matches!(tokio::time::timeout(std::time::Duration::from_millis(200), rolled_back).await, Ok(Ok(_))) {
        tracing::debug!("the connection is closed with its transaction open; the server rolls it back");
    }
}

/// Rolls the dry run back.
///
/// # Errors
/// When the connection is lost, which rolls back as well.
pub async fn roll_back(opened: &mut DatabaseContext) -> Result<()> {
    execute(opened.session.connection(), "ROLLBACK".into())
        .await
        .context("the connection was lost; the server rolls back by itself, nothing was changed")?;
    Ok(())
}

/// Commits with `--apply`, if every hazard has consent; otherwise rolls back.
///
/// # Errors
/// When consent is missing, or it was not committed.
pub async fn commit_or_rollback(
    opened: &mut DatabaseContext,
    rehearsal: &DryRun,
    apply: bool,
    allowed: &[String],
) -> Result<CommitOutcome> {
    if !apply || rehearsal.fixes.is_empty() {
        roll_back(opened).await?;
        return Ok(CommitOutcome::No);
    }
    let mut missing = needs_consent(&rehearsal.fixes);
    missing.retain(|hazard| !allowed.contains(hazard));
    if !missing.is_empty() {
        roll_back(opened).await?;
        return Err(missing_consent_error(&missing));
    }
    let is_it = |run: &AppliedRun| run.run == rehearsal.run && run.plan_hash == rehearsal.plan_hash;
    commit_transaction(opened, rehearsal.run, is_it).await?;
    Ok(CommitOutcome::Yes)
}

/// The hazards of a plan that need consent.
pub fn needs_consent(fixes: &[FixPlan]) -> Vec<String> {
    let all: Vec<String> = fixes.iter().flat_map(|fix| needing_consent(&fix.code, &fix.hazards)).collect();
    in_order(&all)
}

/// `--apply`, with the consent that the plan needs.
pub fn apply_arguments(fixes: &[FixPlan]) -> String {
    match needs_consent(fixes).as_slice() {
        [] => " --apply".to_owned(),
        hazards => format!(" --apply --allow {}", hazards.join(",")),
    }
}

/// Commits the transaction. If the connection breaks in that moment, the ledger is asked whether it is committed:
/// `is_done` recognises the run's line.
///
/// # Errors
/// When it was not committed, or the outcome is unknown.
pub async fn commit_transaction(
    opened: &mut DatabaseContext,
    run: i64,
    is_done: impl Fn(&AppliedRun) -> bool,
) -> Result<()> {
    let Err(error) = execute(opened.session.connection(), "COMMIT".into()).await else { return Ok(()) };
    if !is_connection_lost(&error) {
        let error = anyhow::Error::new(error);
        return Err(unchanged(error.context("the server refused to commit; nothing has been changed")));
    }
    progress::notice("the connection was lost while committing; asking the server whether it is committed");
    let limit = tokio::time::sleep(ASKING);
    let known = tokio::select! {
        known = outcome(opened, is_done) => Some(known),
        () = limit => None,
        () = interrupt::requested() => None,
    };
    match known {
        Some(true) => Ok(()),
        Some(false) => Err(user_error_caused_by(
            error.into(),
            "the connection was lost before the commit; nothing has been changed",
            "run it again",
        )),
        None => Err(user_error_caused_by(
            error.into(),
            format!(
                "the connection was lost while committing run {run}, and the server does not answer: \
                 either all of it is committed, or nothing"
            ),
            "when the server is back, evodoctor history shows which",
        )),
    }
}

/// True if a change is in the ledger, asked again until the server answers.
async fn outcome(opened: &mut DatabaseContext, is_done: impl Fn(&AppliedRun) -> bool) -> bool {
    loop {
        match ledger_says(opened, &is_done).await {
            Ok(is_done) => return is_done,
            Err(error) => tracing::debug!("the server does not answer yet: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn ledger_says(opened: &mut DatabaseContext, is_done: impl Fn(&AppliedRun) -> bool) -> Result<bool> {
    let mut other = Session::open(&opened.target).await?;
    // The server may still be committing: the ledger shows the outcome only when the locks are released.
    locks::wait_until_ended(other.connection()).await?;
    other.begin_snapshot().await?;
    let runs = ledger::read_runs(other.connection(), &opened.schema).await?;
    other.end_snapshot().await?;
    opened.session = other;
    Ok(runs.iter().any(is_done))
}

//! `evodoctor fix --online`: the statements that a fix has deferred until after its transaction, one by one. Each can
//! be interrupted, and the next run continues: the ledger says what is still to be done.

mod step;

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use step::OnlineStep;

use super::shared::apply::retry_on_lock_timeout;
use super::shared::connect::DatabaseContext;
use crate::database::catalog::Catalog;
use crate::database::query::{self, execute};
use crate::error::{user_error, user_error_caused_by};
use crate::interrupt;
use crate::progress;
use crate::repair::change_target::ChangeTarget;
use crate::repair::deferred_ddl::{self, DeferredState, DeferredStatement, DeferredWork};
use crate::repair::ledger::{self, AppliedRun};
use crate::repair::locks::{self, LockRetry};
use crate::repair::privileges::{self, RequiredPrivileges};

/// The longest wait for a table after a time limit or Ctrl-C.
const SOON: Duration = Duration::from_secs(2);

/// Refuses a session whose timeouts would cancel an index build.
pub async fn expect_no_limits(connection: &mut PgConnection) -> Result<()> {
    let limits = deferred_ddl::session_limits(connection).await?;
    if limits.is_empty() {
        return Ok(());
    }
    Err(user_error(
        format!(
            "this session has {}, which would cancel a long statement; nothing has been changed",
            limits.join(" and ")
        ),
        "remove it for this connection (options=-c%20statement_timeout%3D0 in the connection string, \
         not through PgBouncer), or for the role (ALTER ROLE … SET statement_timeout = 0), or run without \
         --online",
    ))
}

/// Continues what earlier runs have left to do.
pub async fn resume(opened: &mut DatabaseContext, subject: &ChangeTarget, wait: Duration) -> Result<()> {
    let mut open = unfinished(opened, subject, wait).await?;
    open.sort_by_key(|run| run.run);
    for run in open {
        progress::notice(&format!("run {} is not finished; continuing it", run.run));
        for given_up in run_deferred(opened, subject, run.run, wait).await? {
            progress::notice(&given_up);
        }
    }
    Ok(())
}

/// The runs on this schema that are not finished, newest first.
pub async fn unfinished(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    wait: Duration,
) -> Result<Vec<AppliedRun>> {
    let mut runs = runs(opened, subject, wait).await?;
    runs.retain(|run| run.target_schema == subject.schema && !run.unfinished.is_empty());
    Ok(runs)
}

/// The runs of the ledger, which may be busy.
async fn runs(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    wait: Duration,
) -> Result<Vec<AppliedRun>> {
    let connection = opened.session.connection();
    let read =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            query::begin_transaction(connection, "BEGIN READ ONLY").await?;
            execute(connection, format!("SET LOCAL lock_timeout = {}", attempt.moment.as_millis().max(1)))
                .await?;
            ledger::read_runs(connection, &subject.schema).await.map_err(ledger::as_timeout)
        });
    let runs = unless_interrupted(read).await?;
    execute(opened.session.connection(), "ROLLBACK".into()).await?;
    Ok(runs)
}

/// Does what a run has deferred. Returns the statements that newly written rows have made impossible, for a person.
///
/// # Errors
/// When a statement cannot be carried out; those before it stay.
pub async fn run_deferred(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    number: i64,
    wait: Duration,
) -> Result<Vec<String>> {
    let all = runs(opened, subject, wait).await?;
    let mut run = all.into_iter().find(|run| run.run == number).context("the run is in the ledger")?;
    let mut given_up = Vec::new();
    for position in 0..run.fixes.len() {
        for at in 0..run.fixes[position].steps.later.len() {
            if run.fixes[position].steps.later[at].state != DeferredState::Open {
                continue;
            }
            expect_trusted(opened, subject, &run, position, at).await?;
            let mut step = OnlineStep { opened, subject, run: &mut run, position, at, wait };
            let done = match step.later().work {
                DeferredWork::Validate(_) => step.validate().await,
                DeferredWork::Build(_) | DeferredWork::Rebuild(_) => step.build().await,
            };
            given_up.extend(done.map_err(|error| left_to_do(error, &run))?);
        }
    }
    Ok(given_up)
}

/// Refuses a table that belongs to another role, or runs code of other roles: both may have changed since the ledger
/// was written.
async fn expect_trusted(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    run: &AppliedRun,
    position: usize,
    at: usize,
) -> Result<()> {
    let fix = &run.fixes[position];
    let later = &fix.steps.later[at];
    let connection = opened.session.connection();
    query::begin_transaction(connection, "BEGIN READ ONLY").await?;
    let table = match (&later.table, later.work.index()) {
        (Some(table), _) => Some(table.clone()),
        (None, Some(index)) => deferred_ddl::table_of_index(connection, &subject.schema, index).await?,
        (None, None) => None,
    };
    let catalog = Catalog::read(connection, &subject.schema).await?;
    execute(connection, "ROLLBACK".into()).await?;
    let need = RequiredPrivileges {
        code: fix.code.clone(),
        tables: table.into_iter().collect(),
        ..RequiredPrivileges::default()
    };
    privileges::expect_table_privileges(&catalog, &subject.server, need)
}

/// Adds to the error of an unfinished run how to continue it.
fn left_to_do(error: anyhow::Error, run: &AppliedRun) -> anyhow::Error {
    let open = run.pending_statements();
    let what: Vec<String> = open.iter().map(|later| later.work.title()).collect();
    let (number, what) = (run.run, what.join(", "));
    let next = crate::error::explicit_hint(&error).map(|next| format!("{next}; then ")).unwrap_or_default();
    let message = format!("run {number} is committed, but this is not done yet: {what}");
    user_error_caused_by(
        error,
        message,
        format!("{next}evodoctor fix --online --apply continues it, evodoctor undo {number} undoes it"),
    )
}

/// Drops what interrupted statements of a run have left, because undo only knows what was finished.
pub async fn drop_leftovers(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    number: i64,
    wait: Duration,
) -> Result<()> {
    for run in unfinished(opened, subject, wait).await? {
        for later in run.pending_statements().into_iter().filter(|_| run.run == number) {
            expect_alone(opened, subject, wait).await?;
            // The statement of a terminated program is not needed any more.
            deferred_ddl::cancel_statement(opened.session.connection(), later).await?;
            clean(opened, subject, later, wait).await?;
        }
    }
    Ok(())
}

/// No other program is changing this database.
async fn expect_alone(opened: &mut DatabaseContext, subject: &ChangeTarget, wait: Duration) -> Result<()> {
    let connection = opened.session.connection();
    let alone =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            locks::begin_change(connection, attempt.moment).await
        });
    unless_interrupted(alone).await?;
    execute(opened.session.connection(), "ROLLBACK".into()).await?;
    Ok(())
}

/// For work that may be cancelled at any point: it ends at Ctrl-C. An open transaction then ends with the connection.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = interrupt::requested() => Err(user_error("interrupted", "run the same command again to continue")),
    }
}

async fn clean(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    later: &DeferredStatement,
    wait: Duration,
) -> Result<()> {
    let connection = opened.session.connection();
    let cleaned =
        retry_on_lock_timeout(connection, subject, LockRetry::new(wait), async |connection, attempt| {
            deferred_ddl::drop_leftovers(connection, &subject.schema, attempt, &later.work).await
        });
    if unless_interrupted(cleaned).await? {
        progress::notice(&format!("removed what an earlier run left unfinished: {}", later.work.title()));
    }
    execute(opened.session.connection(), "COMMIT".into()).await.context("the server refused to commit")?;
    Ok(())
}

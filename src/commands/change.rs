//! What `fix` and `undo` share: trying again when a table is busy, stopping on Ctrl-C, and committing so that one
//! knows afterwards whether it was.

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use super::open::Opened;
use crate::database::run::execute;
use crate::database::session::Session;
use crate::exit::failure;
use crate::repair::fix::HAZARDS;
use crate::repair::ledger;
use crate::repair::locks::{self, ATTEMPTS, LockTimeout};
use crate::repair::plan::FixPlan;
use crate::repair::rehearsal::{Rehearsal, Subject};

/// Whether a change was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It was.
    Yes,
    /// It was rolled back.
    No,
}

/// Rehearses with `work`, again and again as long as tables are busy. The transaction stays open.
///
/// # Errors
/// When it fails for another reason, when the tables stay busy, or on Ctrl-C. It is rolled back then.
pub async fn rehearsed<T>(
    opened: &mut Opened,
    subject: &Subject,
    work: impl AsyncFn(&mut PgConnection, usize) -> Result<T>,
) -> Result<T> {
    let result = tokio::select! {
        result = attempts(opened.session.connection(), subject, work) => result,
        _ = tokio::signal::ctrl_c() => Err(failure(
            "interrupted; everything was rolled back and nothing has been changed",
            "run it again when you like",
        )),
    };
    if result.is_err() {
        abandon(opened.session.connection()).await;
    }
    result
}

/// Works, again and again as long as tables are busy. The transaction stays open.
///
/// # Errors
/// When it fails for another reason, or the tables stay busy; the transaction may be open then.
pub async fn attempts<T>(
    connection: &mut PgConnection,
    subject: &Subject,
    work: impl AsyncFn(&mut PgConnection, usize) -> Result<T>,
) -> Result<T> {
    for attempt in 0..ATTEMPTS {
        let error = match work(connection, attempt).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(timeout) = error.chain().find_map(|cause| cause.downcast_ref::<LockTimeout>()) else {
            return Err(error);
        };
        execute(connection, "ROLLBACK".into())
            .await
            .context("the connection was lost; nothing was changed")?;
        if attempt + 1 < ATTEMPTS {
            locks::wait_for_others(connection, &subject.schema, timeout, attempt).await?;
            continue;
        }
        let blockers = locks::blockers(connection, &subject.schema, timeout).await?;
        let who = if blockers.is_empty() { timeout.to_string() } else { blockers.join("; ") };
        return Err(failure(
            format!("gave up waiting for a lock after {ATTEMPTS} attempts: {who}; nothing has been changed"),
            "wait for that transaction to end, or end it (SELECT pg_terminate_backend(PID)), then try again",
        ));
    }
    unreachable!("the last attempt returns")
}

/// Ends the transaction politely where the connection still answers. Where a statement is running, closing the
/// connection ends it: `client_connection_check_interval` makes the server look.
pub async fn abandon(connection: &mut PgConnection) {
    let rolled_back = execute(connection, "ROLLBACK".into());
    if !matches!(tokio::time::timeout(std::time::Duration::from_millis(200), rolled_back).await, Ok(Ok(_))) {
        tracing::debug!("the connection is closed with its transaction open; the server rolls it back");
    }
}

/// Rolls the rehearsal back.
///
/// # Errors
/// When the connection is lost, which rolls back as well.
pub async fn roll_back(opened: &mut Opened) -> Result<()> {
    execute(opened.session.connection(), "ROLLBACK".into())
        .await
        .context("the connection was lost; the server rolls back by itself, nothing was changed")?;
    Ok(())
}

/// Commits what was rehearsed where that is asked for and every hazard has consent; otherwise rolls it back.
///
/// # Errors
/// When consent is missing, or it was not committed.
pub async fn settle(
    opened: &mut Opened,
    subject: &Subject,
    rehearsal: &Rehearsal,
    apply: bool,
    allowed: &[String],
) -> Result<Committed> {
    if !apply || rehearsal.fixes.is_empty() {
        roll_back(opened).await?;
        return Ok(Committed::No);
    }
    let mut missing = needs_consent(&rehearsal.fixes);
    missing.retain(|hazard| !allowed.contains(hazard));
    if !missing.is_empty() {
        roll_back(opened).await?;
        let names = missing.join(", ");
        return Err(failure(
            format!("the plan has hazards that nobody consented to: {names}; nothing has been changed"),
            format!("read it (the same without --apply), then add --allow {}", missing.join(",")),
        ));
    }
    let work = async |connection: &mut PgConnection| rehearsal.commit(connection, subject).await;
    commit(opened, rehearsal.run, &rehearsal.plan_hash, work).await
}

/// The hazards of a plan that need consent.
pub fn needs_consent(fixes: &[FixPlan]) -> Vec<String> {
    let is_there = |hazard: &str| fixes.iter().any(|fix| fix.hazards.iter().any(|h| h == hazard));
    let needed = HAZARDS.iter().filter(|(name, needs_consent)| *needs_consent && is_there(name));
    needed.map(|(name, _)| (*name).to_owned()).collect()
}

/// `--apply`, with the consent that the plan needs.
pub fn apply_words(fixes: &[FixPlan]) -> String {
    match needs_consent(fixes).as_slice() {
        [] => " --apply".to_owned(),
        hazards => format!(" --apply --allow {}", hazards.join(",")),
    }
}

/// What a lost connection while committing means.
pub fn commit_in_doubt(error: sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Database(_) => {
            anyhow::Error::new(error).context("the server refused to commit; nothing was changed")
        }
        _ => failure(
            "the connection was lost while committing, so it is not known whether it was done",
            "when the server is back: evodoctor history says whether; all of it is, or nothing",
        ),
    }
}

/// Commits with `work`. Where the connection breaks in that moment, the ledger is asked whether it was done.
///
/// # Errors
/// When it was not committed, or nobody can tell.
async fn commit(
    opened: &mut Opened,
    run: i64,
    plan_hash: &str,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<()>,
) -> Result<Committed> {
    let error = match work(opened.session.connection()).await {
        Ok(()) => return Ok(Committed::Yes),
        Err(error) => error,
    };
    let unknown = match error.downcast::<sqlx::Error>() {
        Ok(sqlx::Error::Database(word)) => return Err(commit_in_doubt(sqlx::Error::Database(word))),
        Ok(lost) => commit_in_doubt(lost),
        Err(other) => other,
    };
    let Ok(mut other) = Session::open(&opened.target).await else { return Err(unknown) };
    // The server may still be at it: only when its locks are gone does the ledger tell the end.
    if locks::wait_until_ended(other.connection()).await.is_err() {
        return Err(unknown);
    }
    if other.begin_snapshot().await.is_err() {
        return Err(unknown);
    }
    let Ok(runs) = ledger::runs(other.connection()).await else { return Err(unknown) };
    if runs.iter().any(|r| r.run == run && r.plan_hash == plan_hash) {
        opened.session = other;
        return Ok(Committed::Yes);
    }
    Err(failure("the connection was lost before the commit; nothing was changed", "run it again"))
}

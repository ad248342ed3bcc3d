//! Undo: reverses an applied run, fix by fix in reverse, and compares the schema with what it was. A series of batches
//! is reversed run by run, each in a transaction of its own.

mod restore;
mod reversal;
mod select;
mod series;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use super::change_target::ChangeTarget;
use super::fix::{self, Fix};
use super::ledger::{self, AppliedFix, AppliedRun};
use super::locks::{self, LockAttempt, LockWatch};
use super::plan::FixPlan;
use super::privileges::{self, RequiredPrivileges};
use super::quarantine::{self, QuarantineEntry};
use crate::checks::check::CheckScope;
use crate::database::catalog::Catalog;
use crate::database::query::execute_file;
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::progress::{ProgressTask, Unit};
use reversal::Reversal;

pub use select::{runs_to_undo, select_run};
pub use series::{RehearsedSeries, UndoneRuns, prepare_series, rehearse_series};

/// The result of undoing a run. The transaction is still open, with the run already closed in it.
#[derive(Debug)]
pub struct UndoneRun {
    /// The run.
    pub run: AppliedRun,
    /// The results of reversing the fixes, in order.
    pub fixes: Vec<FixPlan>,
    /// The number of its rows that stay in the quarantine.
    pub left: i64,
    /// From when others had to wait, if anyone had to.
    pub locked_since: Option<Instant>,
    /// For how long, when the last fix was reversed.
    pub locked_for: Duration,
}

impl UndoneRun {
    /// The transaction has ended: others had to wait until now.
    pub fn end_locks(&mut self) {
        let Some(since) = self.locked_since else { return };
        let whole = since.elapsed();
        let more = super::plan::to_millis(whole.saturating_sub(self.locked_for));
        for lock in self.fixes.iter_mut().flat_map(|fix| &mut fix.locks) {
            lock.held_ms += more;
        }
        self.locked_for = whole;
    }

    /// The number of rows that came back.
    pub fn rows(&self) -> i64 {
        self.fixes.iter().map(|fix| fix.timing.rows).sum()
    }
}

/// Begins a transaction and reverses the first of these runs, which are the newest first. The others are checked, so
/// that their problems are reported before the first is undone.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy. When rows no longer allow it, they are named. The caller rolls back.
pub async fn undo_first(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    numbers: &[i64],
) -> Result<UndoneRun> {
    let (runs, catalog) = begin(connection, subject, attempt, numbers).await?;
    let run = runs.into_iter().next().context("a run is undone")?;
    reverse_run(connection, subject, attempt, run, &mut Some(catalog), Duration::ZERO).await
}

/// Begins a transaction, and looks at the runs that are to be undone. Returns them, and the catalog.
async fn begin(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    numbers: &[i64],
) -> Result<(Vec<AppliedRun>, Catalog)> {
    locks::begin_change(connection, attempt.moment).await?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    let facts = &catalog.ledger_facts;
    let mut runs = ledger::read_runs_of(connection, facts).await.map_err(ledger::as_timeout)?;
    subject.expect_release(connection, &catalog).await?;
    ledger::mark_superseded(connection, &catalog, &mut runs).await?;
    let of_these = runs.iter().filter(|run| numbers.contains(&run.run));
    let needs: Vec<RequiredPrivileges> = of_these.flat_map(|run| &run.fixes).map(need).collect();
    let server = &subject.server;
    if !needs.is_empty() {
        privileges::expect_privileges(&catalog, &server.role, &server.database, &needs)?;
    }
    ledger::bring_up_to_date(connection, facts, &subject.schema).await.map_err(ledger::as_timeout)?;
    let mut chosen = Vec::new();
    for number in numbers {
        chosen.push(select_run(&runs, *number, &subject.schema)?);
        if let Some(undone) = runs.iter_mut().find(|run| run.run == *number) {
            undone.undone_at = Some("now".to_owned());
        }
    }
    quarantine::unpack(connection, &catalog, numbers).await?;
    Ok((chosen, catalog))
}

/// The rights that reversing a fix needs.
fn need(applied: &AppliedFix) -> RequiredPrivileges {
    let down =
        fix::find_fix(&applied.code).or_else(|| fix::find_operation(&applied.code)).map(|fix| &fix.down);
    let ways_back = applied.steps.ways_back.iter().filter_map(|way_back| way_back.sql.as_ref());
    RequiredPrivileges::new(
        &applied.code,
        applied.tables.clone(),
        down.into_iter().flatten().chain(ways_back),
    )
}

/// Reverses one run and closes it. `catalog` is the catalog as it is now, before and afterwards, where that is known. Others have
/// waited for this long already.
async fn reverse_run(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    run: AppliedRun,
    catalog: &mut Option<Catalog>,
    waited: Duration,
) -> Result<UndoneRun> {
    if run.fixes.iter().any(|fix| !fix.steps.ways_back.is_empty()) {
        ledger::expect_own(connection, &subject.schema, &subject.server.role).await?;
    }
    let mut watch = LockWatch::limited_after(attempt.max_lock, waited);
    let (mut fixes, number, is_again) = (Vec::new(), run.run, run.undone_at.is_some());
    let work = ProgressTask::start("undoing");
    work.start_phase("", Some(run.fixes.len() as u64), Unit::Steps);
    for applied in run.fixes.iter().rev() {
        work.set_message(&applied.code);
        let entries = quarantine::read_entries(connection, &[number]).await?;
        let entries: Vec<QuarantineEntry> =
            entries.into_iter().filter(|entry| entry.code == applied.code).collect();
        if is_again && entries.is_empty() {
            continue;
        }
        let fix = same_version(applied)?;
        let now = match catalog.take() {
            Some(now) => now,
            None => Catalog::read(connection, &subject.schema).await?,
        };
        watch.next_fix();
        let plan =
            Reversal { subject, catalog: &now, fix, applied, entries: &entries, run: number, is_again }
                .carry_out(connection, attempt, &mut watch)
                .await
                .map_err(|error| watch.explain(error))
                .with_context(|| {
                    format!("{} could not be undone; everything was rolled back", applied.code)
                })?;
        let is_of_rows = applied.steps.are_of_rows()
            && (fix.down.is_empty() || fix.family == CheckScope::Reference)
            && plan.schema_diff.is_empty();
        *catalog = is_of_rows.then_some(now);
        fixes.push(plan);
        work.advance(1);
    }
    // What came back is not in the list any more.
    let left = quarantine::read_entries(connection, &[number]).await?;
    let relations: Vec<&String> = left.iter().map(|entry| &entry.relation).collect();
    let of_run =
        Variables::default().text("run", number.to_string()).text("left", serde_json::to_string(&relations)?);
    let closed = execute_file(connection, "sql/ledger/close_run.sql", &of_run).await;
    closed.map_err(ledger::as_timeout)?;
    for (position, plan) in fixes.iter_mut().enumerate() {
        plan.locks = watch.held(position + 1);
    }
    let left = left.iter().map(|entry| entry.diff.count).sum();
    Ok(UndoneRun { run, fixes, left, locked_since: watch.locked_since(), locked_for: watch.locked_for() })
}

/// Undo needs to know exactly what was done. If all of that is in the ledger, the version does not matter.
fn same_version(applied: &AppliedFix) -> Result<&'static Fix> {
    let needs_files = |fix: &Fix| !fix.down.is_empty() || fix.family == CheckScope::Reference;
    fix::find_fix(&applied.code)
        .or_else(|| fix::find_operation(&applied.code))
        .filter(|fix| !needs_files(fix) || fix.version == applied.version && fix.checksum == applied.checksum)
        .ok_or_else(|| {
            user_error(
                format!(
                    "version {} of the fix for {} is not in this evodoctor",
                    applied.version, applied.code
                ),
                "use the version of evodoctor that applied it (evodoctor history names it)",
            )
        })
}

//! Undo of a series of batches, run by run: its dry run, and one report for all of it.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::reversal::row_diff;
use super::{UndoneRun, begin, reverse_run};
use crate::database::query::execute;
use crate::repair::change_target::ChangeTarget;
use crate::repair::ledger;
use crate::repair::locks::{self, LockAttempt, LockedTooLong};
use crate::repair::plan::{BatchTime, FixPlan, to_millis};
use crate::repair::quarantine::{self, LeftRows, QuarantineEntry};
use crate::text::humanize::{format_duration, pluralize};

/// The dry run of a series. The transaction is still open.
#[derive(Debug)]
pub struct RehearsedSeries {
    /// The runs that the dry run covers, the newest first.
    pub done: UndoneRuns,
    /// The rows that the other runs keep, which are only counted.
    pub counted: Vec<QuarantineEntry>,
    /// The number of all runs.
    pub total: usize,
}

/// Undone runs in one report: a plan for each code.
#[derive(Debug, Default)]
pub struct UndoneRuns {
    /// The reversed runs.
    pub fixes: Vec<FixPlan>,
    /// The time of each run, the newest first.
    pub batches: Vec<BatchTime>,
}

/// Makes the rows of each run quick to find, in a transaction of its own that touches evodoctor's tables only.
///
/// # Errors
/// When the ledger is busy, or the connection is lost.
pub async fn prepare_series(
    connection: &mut PgConnection,
    attempt: &LockAttempt,
    numbers: &[i64],
) -> Result<()> {
    locks::begin_change(connection, attempt.moment).await?;
    let entries = quarantine::read_entries(connection, numbers).await.map_err(ledger::as_timeout)?;
    quarantine::index_runs(connection, &entries).await.map_err(ledger::as_timeout)?;
    execute(connection, "COMMIT".into()).await?;
    Ok(())
}

/// Dry run of a series in one transaction, the newest run first, as long as others may be blocked; the rest is counted.
pub async fn rehearse_series(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    numbers: &[i64],
) -> Result<RehearsedSeries> {
    let (runs, catalog) = begin(connection, subject, attempt, numbers).await?;
    let mut kept = Vec::new();
    for number in numbers {
        kept.push(quarantine::read_entries(connection, &[*number]).await?);
    }
    quarantine::index_runs(connection, &kept.concat()).await?;
    let (mut done, mut catalog) = (UndoneRuns::default(), Some(catalog));
    let mut begun: Option<Instant> = None;
    let mut longest = Duration::ZERO;
    let total = runs.len();
    for run in runs {
        let waited = begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let is_first = done.batches.is_empty();
        if !is_first && attempt.max_lock.is_some_and(|limit| waited + longest * 2 > limit) {
            break;
        }
        let mut undone = match reverse_run(connection, subject, attempt, run, &mut catalog, waited).await {
            // It is rolled back in any case, and the runs before it are covered.
            Err(error) if !is_first && error.chain().any(|cause| cause.is::<LockedTooLong>()) => break,
            undone => undone?,
        };
        begun = begun.or(undone.locked_since);
        undone.end_locks();
        longest = longest.max(undone.locked_for);
        done.add(undone);
    }
    let counted = kept.into_iter().skip(done.batches.len()).flatten().collect();
    Ok(RehearsedSeries { done, counted, total })
}

impl UndoneRuns {
    /// Adds a run. Locks are those of the run that held them longest; statements are those of the first, and whatever changes
    /// tables.
    pub fn add(&mut self, run: UndoneRun) {
        let locked_ms = to_millis(run.locked_for);
        self.batches.push(BatchTime { run: run.run.run, rows: run.rows(), locked_ms });
        for plan in run.fixes {
            match self.fixes.iter_mut().find(|known| known.code == plan.code) {
                Some(known) => known.add_batch(plan),
                None => self.fixes.push(plan),
            }
        }
    }

    /// Adds what runs keep that were not rehearsed.
    pub fn add_counted(&mut self, entries: &[QuarantineEntry]) {
        for plan in &mut self.fixes {
            let of_code: Vec<QuarantineEntry> =
                entries.iter().filter(|entry| entry.code == plan.code).cloned().collect();
            plan.timing.rows += of_code.iter().map(|entry| entry.diff.count).sum::<i64>();
            plan.add_rows(row_diff(&of_code));
        }
    }

    /// Completes the plans of undoing `number`: adds what happens to rows that cannot come back, and fills in the
    /// hashes.
    pub fn finish(&mut self, number: i64) {
        let plans = std::mem::take(&mut self.fixes);
        let finish = |mut plan: FixPlan| {
            if !plan.left_rows.is_empty() {
                plan.notes.push(note_of_left(&plan.left_rows, number));
            }
            plan.with_hash()
        };
        self.fixes = plans.into_iter().map(finish).collect();
    }

    /// Adds a sentence on how long others wait. No time is part of a hash.
    pub fn note_times(&mut self, total: usize, applied: bool) {
        let said = self.times(total, applied);
        if let Some(plan) = self.fixes.first_mut() {
            plan.notes.insert(0, said);
        }
    }

    fn times(&self, total: usize, applied: bool) -> String {
        let time = |millis: u64| format_duration(Duration::from_millis(millis));
        let all: u64 = self.batches.iter().map(|batch| batch.locked_ms).sum();
        let longest = self.batches.iter().max_by_key(|batch| batch.locked_ms);
        let longest = longest.map(|batch| format!("{} (run {})", time(batch.locked_ms), batch.run));
        let longest = longest.unwrap_or_default();
        let done = self.batches.len();
        match (applied, done == total) {
            (true, _) => format!(
                "undone in {done} transactions, the newest run first: the longest held its locks for {longest}, all together for {}",
                time(all)
            ),
            (false, true) => format!(
                "--apply undoes {total} runs, the newest first, each in its own transaction: \
                 in this dry run the longest held its locks for {longest}, all together for {}",
                time(all)
            ),
            (false, false) => format!(
                "--apply undoes {total} runs, the newest first, each in its own transaction. \
                 The dry run covers the newest {done}, as many as --max-lock allows, and the others are \
                 counted: the longest held its locks for {longest}, these together for {}",
                time(all)
            ),
        }
    }
}

/// The note on rows that cannot come back.
fn note_of_left(left: &[LeftRows], number: i64) -> String {
    let count: i64 = left.iter().map(|rows| rows.count).sum();
    let verb = if count == 1 { "stays" } else { "stay" };
    format!(
        "{} cannot come back and {verb} in the quarantine: when the rows that they refer to exist again, \
         evodoctor undo {number} restores them; evodoctor history --prune {number} drops them",
        pluralize(count, "row")
    )
}

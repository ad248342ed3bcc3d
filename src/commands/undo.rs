//! `evodoctor undo`: a dry run of reversing a run, which `--apply` commits.

use std::cell::{Cell, RefCell};

use anyhow::Result;

use super::shared::apply::{self, abandon, dry_run_with_retry, retry_on_lock_timeout};
use super::shared::code_filter;
use super::shared::connect::DatabaseContext;
use super::shared::server_load::{PAUSE, wait_while_busy};
use super::{fix_online, undo_kept};
use crate::cli::{self, GlobalOptions, UndoRun};
use crate::error::user_error;
use crate::exit_code::Exit;
use crate::interrupt;
use crate::progress;
use crate::repair::change_target::ChangeTarget;
use crate::repair::ledger::{self, AppliedRun};
use crate::repair::locks::{self, LockRetry};
use crate::repair::plan::{DatabaseIdentity, plan_hash};
use crate::repair::undo::{self, UndoneRun, UndoneRuns};
use crate::report::{Change, RunInfo};
use crate::text::humanize::{format_duration, pluralize};

/// The requested undo.
struct Undo<'a> {
    /// The run, or the first of a series of batches.
    number: i64,
    /// The runs that are reversed, the newest first.
    numbers: Vec<i64>,
    /// True if all of them were undone before, and only rows that they left are to come back.
    is_again: bool,
    allowed: Vec<String>,
    subject: ChangeTarget,
    args: &'a cli::UndoArgs,
    common: &'a GlobalOptions,
}

/// Rehearses, and applies where asked.
///
/// # Errors
/// When there is no such run, or rows no longer allow it: they are named, and nothing is changed.
pub async fn run(args: &cli::UndoArgs, common: &GlobalOptions) -> Result<Exit> {
    let allowed = code_filter::parse_hazards(&args.allow)?;
    let mut opened = DatabaseContext::connect_for_write(common, args.apply).await?;
    let runs = read_runs(&mut opened, lock_retry(args)).await?;
    let number = chosen_run(&runs, args.run)?;
    if let Some(schema) = &args.into_schema {
        return undo_kept::into_schema(&mut opened, &runs, number, schema, args, common).await;
    }
    if let Some(kept) = undo_kept::find(&opened, &runs, number)? {
        return undo_kept::run(&mut opened, number, &kept, args, common).await;
    }
    let (numbers, subject) = (undo::runs_to_undo(&runs, number)?, opened.change_target());
    if args.apply {
        fix_online::drop_leftovers(&mut opened, &subject, number, args.waiting.wait).await?;
    }
    let is_again = runs.iter().filter(|run| numbers.contains(&run.run)).all(|run| run.undone_at.is_some());
    let asked = Undo { number, numbers, is_again, allowed, subject, args, common };
    match asked.numbers.as_slice() {
        [_] => asked.one(&mut opened).await,
        _ if args.apply => asked.apply_series(&mut opened).await,
        _ => asked.rehearse_series(&mut opened).await,
    }
}

fn lock_retry(args: &cli::UndoArgs) -> LockRetry {
    LockRetry::new(args.waiting.wait).dry_run(!args.apply).max_lock(args.lock_limit.limit_for(!args.apply))
}

impl Undo<'_> {
    /// A run that stands alone.
    async fn one(&self, opened: &mut DatabaseContext) -> Result<Exit> {
        let (subject, numbers) = (&self.subject, &self.numbers);
        let work = dry_run_with_retry(opened, subject, lock_retry(self.args), async |connection, attempt| {
            undo::undo_first(connection, subject, attempt, numbers).await
        });
        let mut undone = work.await?;
        // If no more of the left rows can come back, there is nothing to do.
        let is_over = self.is_again && undone.rows() == 0;
        let applied = self.args.apply && !is_over;
        if applied {
            if let Err(error) = self.expect_consent(&undone) {
                apply::roll_back(opened).await?;
                return Err(error);
            }
            commit(opened, &undone).await?;
        } else {
            apply::roll_back(opened).await?;
        }
        undone.end_locks();
        let mut done = UndoneRuns { fixes: undone.fixes, batches: Vec::new() };
        done.finish(self.number);
        self.print(opened, done, applied, is_over)
    }

    /// A series of batches, in one transaction that is rolled back.
    async fn rehearse_series(&self, opened: &mut DatabaseContext) -> Result<Exit> {
        let (subject, numbers) = (&self.subject, &self.numbers);
        let work = dry_run_with_retry(opened, subject, lock_retry(self.args), async |connection, attempt| {
            undo::rehearse_series(connection, subject, attempt, numbers).await
        });
        let rehearsed = work.await?;
        apply::roll_back(opened).await?;
        let mut done = rehearsed.done;
        let is_over =
            self.is_again && rehearsed.counted.is_empty() && done.batches.iter().all(|batch| batch.rows == 0);
        done.add_counted(&rehearsed.counted);
        done.finish(self.number);
        done.note_times(rehearsed.total, false);
        self.print(opened, done, false, is_over)
    }

    /// A series of batches, each in a transaction of its own.
    async fn apply_series(&self, opened: &mut DatabaseContext) -> Result<Exit> {
        let (done, committing) = (RefCell::new(UndoneRuns::default()), Cell::new(None));
        let ended = {
            let work = self.undo_each(opened, &done, &committing);
            tokio::select! {
                ended = work => ended,
                () = interrupt::requested() => Err(user_error(
                    "interrupted; the run that was being undone is rolled back",
                    "run the same command again to continue; evodoctor history lists the runs",
                )),
            }
        };
        let mut done = done.into_inner();
        if let Err(error) = ended {
            abandon(opened.session.connection()).await;
            let undone: Vec<i64> = done.batches.iter().map(|batch| batch.run).collect();
            let all = self.numbers.len();
            let said = match undone.as_slice() {
                [] => None,
                [only] => Some(format!("of {all} runs, {only} is undone")),
                [first, .., last] => {
                    Some(format!("{} of {all} runs are undone, {first} to {last}", undone.len()))
                }
            };
            let open = committing.get().map(|run: i64| format!("the undo of run {run} was being committed"));
            let said: Vec<String> = said.into_iter().chain(open).collect();
            return Err(match said.as_slice() {
                [] => error,
                said => error.context(format!("not finished: {}", said.join("; "))),
            });
        }
        done.finish(self.number);
        done.note_times(self.numbers.len(), true);
        self.print(opened, done, true, false)
    }

    async fn undo_each(
        &self,
        opened: &mut DatabaseContext,
        done: &RefCell<UndoneRuns>,
        committing: &Cell<Option<i64>>,
    ) -> Result<()> {
        let subject = &self.subject;
        let prepared = retry_on_lock_timeout(
            opened.session.connection(),
            subject,
            lock_retry(self.args),
            async |connection, attempt| undo::prepare_series(connection, attempt, &self.numbers).await,
        );
        prepared.await?;
        for (at, number) in self.numbers.iter().enumerate() {
            wait_while_busy(opened.session.connection()).await?;
            // Problems of any of them are reported before the first one is undone.
            let numbers = if at == 0 { &self.numbers[..] } else { &self.numbers[at..=at] };
            let work = retry_on_lock_timeout(
                opened.session.connection(),
                subject,
                lock_retry(self.args),
                async |connection, attempt| undo::undo_first(connection, subject, attempt, numbers).await,
            );
            let mut undone = work.await?;
            self.expect_consent(&undone)?;
            committing.set(Some(*number));
            commit(opened, &undone).await?;
            committing.set(None);
            undone.end_locks();
            progress::notice(&format!(
                "run {number} is undone: {}, locked for {}; {} left",
                pluralize(undone.rows(), "row"),
                format_duration(undone.locked_for),
                pluralize(self.numbers.len() - at - 1, "run"),
            ));
            done.borrow_mut().add(undone);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Rows that cannot come back stay only where that is consented to.
    fn expect_consent(&self, undone: &UndoneRun) -> Result<()> {
        let mut missing = apply::needs_consent(&undone.fixes);
        missing.retain(|hazard| !self.allowed.contains(hazard));
        if missing.is_empty() {
            return Ok(());
        }
        let left = undone.fixes.iter().flat_map(|fix| &fix.left_rows);
        let sentences: Vec<String> =
            left.map(|left| format!("{} {}: {}", left.whole_table(), left.named(), left.reason)).collect();
        Err(user_error(
            format!(
                "run {} cannot be undone completely without consent to {}; it is not undone. \
                 These rows cannot come back:\n    {}",
                undone.run.run,
                missing.join(", "),
                sentences.join("\n    ")
            ),
            format!(
                "undo the rest, and leave these rows in the quarantine: evodoctor undo {} --apply --allow {}{}",
                self.number,
                missing.join(","),
                self.common.connection_arguments()
            ),
        ))
    }

    fn print(
        &self,
        opened: &DatabaseContext,
        done: UndoneRuns,
        applied: bool,
        is_over: bool,
    ) -> Result<Exit> {
        let mut next = Vec::new();
        if applied {
            next.push("evodoctor check".to_owned());
        } else if !is_over {
            next.push(format!("evodoctor undo {}{}", self.number, apply::apply_arguments(&done.fixes)));
        }
        let identity = DatabaseIdentity::from_server(&self.subject.server, &self.subject.schema);
        let change = Change {
            run: RunInfo { id: Some(self.number), applied, batches: done.batches },
            plan_hash: plan_hash(&identity, &done.fixes, &[]),
            fixes: done.fixes,
            next,
            pending: Vec::new(),
            left: Vec::new(),
        };
        apply::print_undo(opened, change, self.common)?;
        Ok(if applied || is_over { Exit::Clean } else { Exit::Findings })
    }
}

/// Commits the undo of a run.
async fn commit(opened: &mut DatabaseContext, undone: &UndoneRun) -> Result<()> {
    let (number, left) = (undone.run.run, undone.left);
    let is_it = |run: &AppliedRun| run.run == number && run.undone_at.is_some() && run.quarantined == left;
    apply::commit_transaction(opened, number, is_it).await
}

/// The runs of the ledger, which may be locked for a while.
async fn read_runs(opened: &mut DatabaseContext, lock_retry: LockRetry) -> Result<Vec<AppliedRun>> {
    let (subject, catalog) = (opened.change_target(), opened.catalog.clone());
    let runs = dry_run_with_retry(opened, &subject, lock_retry, async |connection, attempt| {
        locks::begin_change(connection, attempt.moment).await?;
        let mut runs = ledger::read_runs(connection, &subject.schema).await.map_err(ledger::as_timeout)?;
        ledger::mark_superseded(connection, &catalog, &mut runs).await?;
        Ok(runs)
    })
    .await?;
    apply::roll_back(opened).await?;
    Ok(runs)
}

/// The run that is meant.
fn chosen_run(runs: &[AppliedRun], run: UndoRun) -> Result<i64> {
    if let UndoRun::Number(number) = run {
        return Ok(number);
    }
    let newest = runs.iter().find(|run| run.can_be_undone());
    newest.map(|run| run.series.unwrap_or(run.run)).ok_or_else(|| {
        user_error("no run of this database can be undone", "evodoctor history lists its runs")
    })
}

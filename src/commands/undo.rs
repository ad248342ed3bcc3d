//! `evodoctor undo`: rehearses the reversal of a run, and with `--apply` commits it.

use anyhow::Result;

use super::shared::apply::{self, dry_run_with_retry};
use super::shared::connect::DatabaseContext;
use super::{fix_online, undo_kept};
use crate::cli::{self, GlobalOptions, UndoRun};
use crate::error::user_error;
use crate::exit_code::Exit;
use crate::repair::ledger::{self, AppliedRun};
use crate::repair::locks::{self, LockRetry};
use crate::repair::undo;
use crate::report::{Change, RunInfo};

/// Rehearses, and applies where asked.
///
/// # Errors
/// When there is no such run, or rows no longer allow it: they are named, and nothing is changed.
pub async fn run(args: &cli::UndoArgs, common: &GlobalOptions) -> Result<Exit> {
    let mut opened = DatabaseContext::connect_for_write(common, args.apply).await?;
    let patience = || {
        LockRetry::new(args.waiting.wait)
            .dry_run(!args.apply)
            .max_lock(args.lock_limit.limit_for(!args.apply))
    };
    let runs = read_runs(&mut opened, patience()).await?;
    let number = chosen_run(&runs, args.run)?;
    if let Some(schema) = &args.into_schema {
        return undo_kept::into_schema(&mut opened, &runs, number, schema, args, common).await;
    }
    if let Some(kept) = undo_kept::find(&opened, &runs, number)? {
        return undo_kept::run(&mut opened, number, &kept, args, common).await;
    }
    let subject = opened.change_target();
    if args.apply {
        fix_online::drop_leftovers(&mut opened, &subject, number, args.waiting.wait).await?;
    }
    let undone = dry_run_with_retry(&mut opened, &subject, patience(), async |connection, attempt| {
        undo::dry_run_undo(connection, &subject, attempt, number).await
    })
    .await?;
    let mut next = Vec::new();
    if args.apply {
        let is_it = |run: &AppliedRun| run.run == number && run.undone_at.is_some();
        apply::commit_transaction(&mut opened, number, is_it).await?;
        next.push("evodoctor check".to_owned());
    } else {
        apply::roll_back(&mut opened).await?;
        next.push(format!("evodoctor undo {number} --apply"));
    }
    let change = Change {
        run: RunInfo { id: Some(undone.run.run), applied: args.apply },
        fixes: undone.fixes,
        plan_hash: undone.plan_hash,
        next,
        pending: Vec::new(),
        left: Vec::new(),
    };
    apply::print_undo(&opened, change, common)?;
    Ok(if args.apply { Exit::Clean } else { Exit::Findings })
}

/// The runs of the ledger, which somebody may have locked for a while.
async fn read_runs(opened: &mut DatabaseContext, patience: LockRetry) -> Result<Vec<AppliedRun>> {
    let (subject, catalog) = (opened.change_target(), opened.catalog.clone());
    let runs = dry_run_with_retry(opened, &subject, patience, async |connection, attempt| {
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

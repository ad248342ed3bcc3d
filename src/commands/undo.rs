//! `evodoctor undo`: rehearses the reversal of a run, and with `--apply` commits it.

use anyhow::Result;

use super::shared::apply::{self, dry_run_with_retry};
use super::shared::connect::DatabaseContext;
use super::{fix_online, undo_kept};
use crate::cli::{self, GlobalOptions};
use crate::exit_code::Exit;
use crate::repair::ledger::AppliedRun;
use crate::repair::locks::LockRetry;
use crate::repair::undo;
use crate::report::{Change, Detail, Report, RunInfo};

/// Rehearses, and applies where asked.
///
/// # Errors
/// When there is no such run, or rows no longer allow it: they are named, and nothing is changed.
pub async fn run(args: &cli::UndoArgs, common: &GlobalOptions) -> Result<Exit> {
    let mut opened = DatabaseContext::connect_for_write(common, args.apply).await?;
    if let Some(schema) = &args.into_schema {
        return undo_kept::into_schema(&mut opened, schema, args, common).await;
    }
    if let Some(kept) = undo_kept::find(&mut opened, args.run).await? {
        return undo_kept::run(&mut opened, &kept, args, common).await;
    }
    let subject = opened.change_target();
    if args.apply {
        fix_online::drop_leftovers(&mut opened, &subject, args.run, args.waiting.wait).await?;
    }
    let patience = LockRetry::new(args.waiting.wait)
        .dry_run(!args.apply)
        .max_lock(args.lock_limit.limit_for(!args.apply));
    let undone = dry_run_with_retry(&mut opened, &subject, patience, async |connection, attempt| {
        undo::dry_run_undo(connection, &subject, attempt, args.run).await
    })
    .await?;
    let mut next = Vec::new();
    if args.apply {
        let is_it = |run: &AppliedRun| run.run == args.run && run.undone_at.is_some();
        apply::commit_transaction(&mut opened, args.run, is_it).await?;
        next.push("evodoctor check".to_owned());
    } else {
        apply::roll_back(&mut opened).await?;
        next.push(format!("evodoctor undo {} --apply", args.run));
    }
    let change = Change {
        run: RunInfo { id: Some(undone.run.run), applied: args.apply },
        fixes: undone.fixes,
        plan_hash: undone.plan_hash,
        next,
        pending: Vec::new(),
        left: Vec::new(),
    };
    let mut report = Report::new("undo", Detail::Change(change));
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    if let Err(error) = report.print(common) {
        return Err(match args.apply {
            true => error.context(format!("run {} is undone, but the report could not be written", args.run)),
            false => error,
        });
    }
    Ok(if args.apply { Exit::Clean } else { Exit::Findings })
}

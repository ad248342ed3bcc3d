//! `evodoctor undo`: rehearses the reversal of a run, and with `--apply` commits it.

use anyhow::Result;

use super::change::{self, rehearsed};
use super::online;
use super::open::Opened;
use crate::cli::{self, Common};
use crate::exit::Exit;
use crate::repair::ledger::Run;
use crate::repair::locks::Patience;
use crate::repair::undo;
use crate::report::{Change, Detail, Report, RunInfo};

/// Rehearses, and applies where asked.
///
/// # Errors
/// When there is no such run, or rows no longer allow it: they are named, and nothing is changed.
pub async fn run(args: &cli::Undo, common: &Common) -> Result<Exit> {
    let mut opened = Opened::for_change(common, args.apply).await?;
    let subject = opened.subject();
    if args.apply {
        online::clean_up(&mut opened, &subject, args.run, args.waiting.wait).await?;
    }
    let patience =
        Patience::new(args.waiting.wait).dry_run(!args.apply).max_lock(args.lock_limit.of(!args.apply));
    let undone = rehearsed(&mut opened, &subject, patience, async |connection, attempt| {
        undo::rehearse(connection, &subject, attempt, args.run).await
    })
    .await?;
    let mut next = Vec::new();
    if args.apply {
        let is_it = |run: &Run| run.run == args.run && run.undone_at.is_some();
        change::commit(&mut opened, args.run, is_it).await?;
        next.push("evodoctor check".to_owned());
    } else {
        change::roll_back(&mut opened).await?;
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

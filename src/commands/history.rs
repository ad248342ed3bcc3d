//! `evodoctor history`: the applied runs, what they keep, and dropping it.

use anyhow::Result;

use super::shared::apply::{commit_transaction, dry_run_with_retry, roll_back};
use super::shared::code_filter;
use super::shared::connect::DatabaseContext;
use crate::cli::{self, GlobalOptions};
use crate::exit_code::Exit;
use crate::repair::dry_run::missing_consent_error;
use crate::repair::ledger::AppliedRun;
use crate::repair::locks::LockRetry;
use crate::repair::prune::{self, PrunePlan, PruneTarget};
use crate::report::{Detail, Report};
use crate::text::duration::format_argument;

/// Lists the runs, and drops what some of them keep where that is asked for.
///
/// # Errors
/// When there is no database, the role may not read or change the ledger, or consent is missing.
pub async fn run(args: &cli::HistoryArgs, common: &GlobalOptions) -> Result<Exit> {
    let target = match (args.prune, args.older_than) {
        (Some(run), _) => Some(PruneTarget::Run(run)),
        (None, Some(age)) => Some(PruneTarget::OlderThan(age)),
        (None, None) => None,
    };
    let allowed = code_filter::parse_hazards(&args.allow)?;
    let mut opened = match args.apply {
        true => {
            let mut opened = DatabaseContext::connect_for_write(common, true).await?;
            opened.session.begin_snapshot().await?;
            opened
        }
        false => DatabaseContext::connect_snapshot(common).await?,
    };
    let (mut runs, mut storage) = prune::read_storage(opened.session.connection(), &opened.catalog).await?;
    opened.session.end_snapshot().await?;
    let mut plan = target.map(|target| PrunePlan::new(&runs, target, &allowed)).transpose()?;
    if let (Some(target), Some(plan), true) = (target, &mut plan, args.apply) {
        *plan = apply(&mut opened, target, &allowed, args).await?;
        opened.session.begin_snapshot().await?;
        (runs, storage) = prune::read_storage(opened.session.connection(), &opened.catalog).await?;
        opened.session.end_snapshot().await?;
    }
    if let Some(plan) = plan.as_mut().filter(|plan| !plan.runs.is_empty() && !plan.applied) {
        let what = match (args.prune, args.older_than) {
            (Some(run), _) => format!("--prune {run}"),
            (None, age) => format!("--older-than {}", format_argument(age.unwrap_or_default())),
        };
        plan.again = Some(format!("evodoctor history {what} --apply --allow {}", plan.hazards.join(",")));
    }
    let mut report = Report::new("history", Detail::History { runs, storage, prune: plan });
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.print(common)?;
    Ok(report.exit_code(common))
}

async fn apply(
    opened: &mut DatabaseContext,
    target: PruneTarget,
    allowed: &[String],
    args: &cli::HistoryArgs,
) -> Result<PrunePlan> {
    let subject = opened.change_target();
    let lock_retry = LockRetry::new(args.waiting.wait);
    let plan = dry_run_with_retry(opened, &subject, lock_retry, async |connection, attempt| {
        prune::prune(connection, &subject, attempt, target, allowed).await
    })
    .await?;
    let Some(first) = plan.runs.first().copied().filter(|_| plan.applied) else {
        roll_back(opened).await?;
        let missing = plan.missing_consent(allowed);
        return if missing.is_empty() { Ok(plan) } else { Err(missing_consent_error(&missing)) };
    };
    let is_done = |run: &AppliedRun| run.run == first && run.pruned_at.is_some();
    commit_transaction(opened, first, is_done).await?;
    Ok(plan)
}

//! `evodoctor fix`: rehearses repairs, and with `--apply` commits what the rehearsal did.

use anyhow::Result;

use super::change::{self, Committed, rehearsed};
use super::open::Opened;
use super::select::{self, Selection};
use crate::cli::{self, Common};
use crate::examine::check::Check;
use crate::examine::finding::Finding;
use crate::exit::{Exit, failure};
use crate::repair::fix::HAZARDS;
use crate::repair::plan::{FixPlan, Identity, PlanFile};
use crate::repair::rehearsal::{Rehearsal, rehearse};
use crate::report::{self, Change, Detail, Report, RunInfo};

/// Rehearses, and applies where asked.
///
/// # Errors
/// When the plan is refused, rows or roles stand in the way, or the connection is lost. Nothing is changed then.
pub async fn run(args: &cli::Fix, common: &Common) -> Result<Exit> {
    let allowed = select::hazards(&args.allow)?;
    let plan = args.plan.as_deref().map(PlanFile::read).transpose()?;
    let named = match &plan {
        Some(plan) => plan.codes.clone(),
        None => select::fixable(&args.codes)?,
    };
    let selection = Selection::new(common)?;
    report::expect_writable(common.output.as_deref())?;
    let mut opened = Opened::for_change(common).await?;
    let subject = opened.subject();
    let identity = Identity::of(&subject.server, &subject.schema);
    if let Some(plan) = &plan {
        plan.expect_database(&identity)?;
    }

    let considered = |check: &Check| match named.as_slice() {
        [] => selection.lets_through(&check.rule.code),
        named => named.contains(&check.rule.code),
    };
    let wanted = |finding: &Finding| !named.is_empty() || common.fail_on.counts(finding.severity);
    let rehearsal = rehearsed(&mut opened, &subject, async |connection, attempt| {
        rehearse(connection, &subject, attempt, considered, wanted).await
    })
    .await?;

    let missing = missing_consent(&rehearsal.fixes, &allowed);
    let will_commit = args.apply && !rehearsal.fixes.is_empty();
    if let Some(plan) = &plan {
        plan.expect_same(&rehearsal.fixes)?;
    }
    if will_commit && !missing.is_empty() {
        return Err(failure(
            format!(
                "the plan has hazards that nobody consented to: {}; nothing has been changed",
                missing.join(", ")
            ),
            format!("read it (evodoctor fix), then add --allow {}", missing.join(",")),
        ));
    }
    if let Some(path) = &args.plan_out {
        PlanFile::new(&identity, &rehearsal.fixes)?.write(path)?;
    }
    let committed = if will_commit {
        let run = rehearsal.run;
        let commit = async |connection: &mut _| rehearsal.commit(connection, &subject).await;
        change::commit(&mut opened, run, &rehearsal.plan_hash, commit).await?
    } else {
        change::roll_back(&mut opened).await?;
        Committed::No
    };
    let report = report(&opened, rehearsal, committed, args, &missing);
    report.print(common)?;
    Ok(exit(&report, args.apply))
}

fn missing_consent(fixes: &[FixPlan], allowed: &[String]) -> Vec<String> {
    HAZARDS
        .iter()
        .filter(|(_, needs_consent)| *needs_consent)
        .map(|(name, _)| (*name).to_owned())
        .filter(|hazard| fixes.iter().any(|fix| fix.hazards.contains(hazard)) && !allowed.contains(hazard))
        .collect()
}

fn report(
    opened: &Opened,
    rehearsal: Rehearsal,
    committed: Committed,
    args: &cli::Fix,
    missing: &[String],
) -> Report {
    let applied = committed == Committed::Yes;
    let id = applied.then_some(rehearsal.run);
    let mut next = Vec::new();
    if let Some(run) = id {
        next.push(format!("evodoctor undo {run}    shows what undoing it would do"));
    } else if let (false, Some(path)) = (rehearsal.fixes.is_empty(), &args.plan_out) {
        next.push(format!("evodoctor fix --apply --plan {}{}", path.display(), allow(missing)));
    } else if !rehearsal.fixes.is_empty() {
        let codes: String = args.codes.iter().map(|code| format!(" {code}")).collect();
        next.push(format!("evodoctor fix{codes} --apply{}", allow(missing)));
    }
    let change = Change {
        run: RunInfo { id, applied },
        fixes: rehearsal.fixes,
        plan_hash: rehearsal.plan_hash,
        next,
        left: rehearsal.left,
    };
    let mut report =
        Report::new("fix", Detail::Change(change)).with_examination(rehearsal.checks, rehearsal.findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report
}

fn allow(missing: &[String]) -> String {
    if missing.is_empty() { String::new() } else { format!(" --allow {}", missing.join(",")) }
}

/// 0: nothing to do, or everything asked for is applied. 1: something is pending or left. 3: nothing to do where it
/// could look, but it could not look everywhere.
fn exit(report: &Report, apply: bool) -> Exit {
    let Detail::Change(change) = &report.detail else { return Exit::Failed };
    let is_done = change.fixes.is_empty() || (apply && change.run.applied);
    if !is_done || !change.left.is_empty() {
        Exit::Findings
    } else if report.summary.undecided > 0 {
        Exit::Undecided
    } else {
        Exit::Clean
    }
}

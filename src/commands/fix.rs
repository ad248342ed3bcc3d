//! `evodoctor fix`: rehearses repairs, and with `--apply` commits what the rehearsal did.

use anyhow::Result;

use super::batches;
use super::change::{self, Committed, rehearsed};
use super::open::{Opened, expect_live};
use super::preflight;
use super::select::{self, Selection};
use crate::cli::{self, Common};
use crate::day::Day;
use crate::evolution::release::Release;
use crate::examine::check::checks;
use crate::examine::finder::Finder;
use crate::examine::finding::Finding;
use crate::exit::{Exit, failure};
use crate::repair::plan::{Identity, PlanFile};
use crate::repair::rehearsal::{Rehearsal, rehearse};
use crate::report::{Change, Detail, Report, RunInfo};
use crate::upgrade::beforehand::Beforehand;
use crate::upgrade::hazard::hazards;

/// Rehearses, and applies where asked.
///
/// # Errors
/// When the plan is refused, rows or roles stand in the way, or the connection is lost. Nothing is changed then.
pub async fn run(args: &cli::Fix, common: &Common) -> Result<Exit> {
    if let Some(first) = args.batch {
        return batches::run(args, first.get(), common).await;
    }
    let allowed = select::hazards(&args.allow)?;
    if args.plan_out.is_some() {
        expect_live(
            common,
            "a plan is for the database it was rehearsed on, and what a dump restores is gone afterwards",
        )?;
    }
    let plan = args.plan.as_deref().map(PlanFile::read).transpose()?;
    let named = match &plan {
        Some(plan) => plan.codes.clone(),
        None => select::fixable(&args.codes)?,
    };
    let hazards =
        Hazards::new(&named, args.to.as_deref().or(plan.as_ref().and_then(|plan| plan.to.as_deref())))?;
    let selection = Selection::new(common)?;
    let mut opened = Opened::for_change(common, args.apply).await?;
    let subject = opened.subject();
    let identity = Identity::of(&subject.server, &subject.schema);
    if let Some(plan) = &plan {
        plan.expect_database(&identity)?;
    }

    if !hazards.chosen.is_empty() {
        preflight::refuse_downgrade(&opened, hazards.target)?;
    }
    let considered = |code: &String| match named.as_slice() {
        [] => selection.lets_through(code),
        named => named.contains(code),
    };
    let checks =
        checks().iter().filter(|check| considered(&check.rule.code)).map(|check| check as &dyn Finder);
    let finders: Vec<&dyn Finder> =
        checks.chain(hazards.chosen.iter().map(|hazard| hazard as &dyn Finder)).collect();
    let (policy, today) = (common.policy(), Day::today());
    // A code that is named is taken at any severity, and whatever evodoctor.toml ignores.
    let wanted = |finding: &Finding| {
        let counts =
            || common.fail_on.counts(policy.severity(finding)) && policy.why(finding, today).is_none();
        !named.is_empty() || counts()
    };
    let rehearsal = rehearsed(&mut opened, &subject, args.waiting.wait, async |connection, moment| {
        rehearse(connection, &subject, moment, &finders, wanted).await
    })
    .await?;

    if let Some(plan) = &plan {
        plan.expect_same(&rehearsal.fixes)?;
    }
    if let Some(path) = &args.plan_out {
        PlanFile::new(&identity, &rehearsal.fixes, hazards.to())?.write(path)?;
    }
    let committed = change::settle(&mut opened, &rehearsal, args.apply, &allowed).await?;
    let mut rehearsal = rehearsal;
    for finding in rehearsal.findings.iter_mut().chain(&mut rehearsal.left) {
        finding.severity = policy.severity(finding);
    }
    let report = report(&opened, rehearsal, committed, args, wanted);
    let report = if named.is_empty() { report.judged(common) } else { report.judged_unignored(common) };
    report.print(common)?;
    Ok(report.exit(common))
}

/// The hazards of an upgrade that are named, which nobody takes away unasked.
struct Hazards {
    target: Release,
    chosen: Vec<Beforehand>,
}

impl Hazards {
    fn new(named: &[String], to: Option<&str>) -> Result<Self> {
        let target = to.map_or_else(|| Ok(Release::newest()), preflight::target)?;
        let chosen: Vec<Beforehand> = hazards()
            .iter()
            .filter(|hazard| named.contains(&hazard.rule.code))
            .map(|hazard| Beforehand { hazard, target })
            .collect();
        if chosen.is_empty() && to.is_some() {
            return Err(failure(
                "--to is for hazards of an upgrade (EVO6xx), and none is named",
                format!("evodoctor preflight --to {target} says which there are"),
            ));
        }
        Ok(Self { target, chosen })
    }

    /// What a plan has to remember.
    fn to(&self) -> Option<&'static str> {
        (!self.chosen.is_empty()).then(|| self.target.version())
    }
}

fn report(
    opened: &Opened,
    rehearsal: Rehearsal,
    committed: Committed,
    args: &cli::Fix,
    wanted: impl Fn(&Finding) -> bool,
) -> Report {
    let applied = committed == Committed::Yes;
    let id = applied.then_some(rehearsal.run);
    let mut next = Vec::new();
    if let Some(run) = id {
        next.push(format!("evodoctor undo {run}    shows what undoing it would do"));
    } else if !rehearsal.fixes.is_empty() {
        let what = match &args.plan_out {
            Some(path) => format!(" --plan {}", path.display()),
            None => {
                let to = args.to.iter().map(|to| format!(" --to {to}"));
                args.codes.iter().map(|code| format!(" {code}")).chain(to).collect()
            }
        };
        next.push(format!("evodoctor fix{what}{}", change::apply_words(&rehearsal.fixes)));
    }
    let change = Change {
        run: RunInfo { id, applied },
        fixes: rehearsal.fixes,
        plan_hash: rehearsal.plan_hash,
        next,
        pending: rehearsal.findings.iter().filter(|f| f.is_fixable && wanted(f)).cloned().collect(),
        left: rehearsal.left,
    };
    let mut report =
        Report::new("fix", Detail::Change(change)).with_examination(rehearsal.checks, rehearsal.findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report
}

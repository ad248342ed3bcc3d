//! `evodoctor fix`: rehearses repairs, and with `--apply` commits what the rehearsal did.

use std::time::Duration;

use anyhow::Result;

use super::batches;
use super::change::{self, Committed, rehearsed};
use super::online;
use super::open::{Opened, expect_live};
use super::preflight;
use super::select::{self, Selection};
use crate::cli::{self, Common};
use crate::evolution::release::Release;
use crate::examine::check::checks;
use crate::examine::finder::Finder;
use crate::examine::finding::Finding;
use crate::exit::{Exit, failure};
use crate::progress;
use crate::repair::batch::CODES;
use crate::repair::locks::Patience;
use crate::repair::plan::{FixPlan, Identity, PlanFile};
use crate::repair::rehearsal::{Rehearsal, Subject, rehearse};
use crate::report::{Change, Detail, Report, RunInfo};
use crate::units;
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
    if args.online {
        expect_live(
            common,
            "--online is for a server that others work on, and a dump's is only there for this",
        )?;
    }
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
    opened.server.may_fire = opened.may_fire(args.apply, &allowed);
    let subject = opened.subject();
    let identity = Identity::of(&subject.server, &subject.schema);
    if let Some(plan) = &plan {
        plan.expect_database(&identity)?;
    }

    if args.online {
        expect_in_pieces(&hazards)?;
        online::expect_no_limits(opened.session.connection()).await?;
        match args.apply {
            true => online::resume(&mut opened, &subject, args.waiting.wait).await?,
            false => say_unfinished(&mut opened, &subject, args.waiting.wait).await?,
        }
    }
    if !hazards.chosen.is_empty() {
        preflight::refuse_downgrade(&opened, hazards.target)?;
    }
    let considered = |code: &String| match named.as_slice() {
        [] => selection.lets_through(code) && !select::is_only_named(code),
        named => named.contains(code),
    };
    let checks =
        checks().iter().filter(|check| considered(&check.rule.code)).map(|check| check as &dyn Finder);
    let finders: Vec<&dyn Finder> =
        checks.chain(hazards.chosen.iter().map(|hazard| hazard as &dyn Finder)).collect();
    let wanted = select::wanted(!named.is_empty(), common);
    // A dump's server is there for this alone.
    let max_lock = args.lock_limit.of(!args.apply).filter(|_| common.snapshot.is_none());
    let patience = Patience::new(args.waiting.wait).dry_run(!args.apply).max_lock(max_lock);
    let rehearsal = rehearsed(&mut opened, &subject, patience, async |connection, attempt| {
        rehearse(connection, &subject, attempt, &finders, &wanted, args.online, &allowed).await
    })
    .await?;

    if let Some(plan) = &plan {
        plan.expect_same(&rehearsal.fixes, &rehearsal.obstructed)?;
    }
    if let Some(path) = &args.plan_out {
        let left = rehearsal.obstructed.clone();
        PlanFile::new(&identity, &rehearsal.fixes, left, hazards.to())?.write(path)?;
    }
    let committed = change::settle(&mut opened, &rehearsal, args.apply, &allowed).await?;
    if args.online && committed == Committed::Yes {
        let given_up = online::finish(&mut opened, &subject, rehearsal.run, args.waiting.wait).await?;
        if !given_up.is_empty() {
            return Err(failure(
                format!("run {} is committed, but not all of it: {}", rehearsal.run, given_up.join("; ")),
                format!("evodoctor undo {} takes back what is done", rehearsal.run),
            ));
        }
    }
    let mut rehearsal = rehearsal;
    let policy = common.policy();
    for finding in rehearsal.findings.iter_mut().chain(&mut rehearsal.left) {
        finding.severity = policy.severity(finding);
    }
    let run = (committed == Committed::Yes).then_some(rehearsal.run);
    let report = report(&opened, rehearsal, committed, args, wanted);
    let report = if named.is_empty() { report.judged(common) } else { report.judged_unignored(common) };
    change::reported(report.print(common), run)?;
    Ok(report.exit(common))
}

/// What is done before an upgrade is of one piece: the migration's line in the history says that all of it is there.
fn expect_in_pieces(hazards: &Hazards) -> Result<()> {
    match hazards.chosen.first() {
        None => Ok(()),
        Some(hazard) => Err(failure(
            format!(
                "{} is not done --online: it stands or falls with the migration it is about",
                hazard.hazard.rule.code
            ),
            "the same without --online, in one transaction",
        )),
    }
}

/// Says which runs the next one goes on with first.
async fn say_unfinished(opened: &mut Opened, subject: &Subject, wait: Duration) -> Result<()> {
    for run in online::unfinished(opened, subject, wait).await? {
        progress::say(&format!("run {} is not finished: with --apply, that is gone on with first", run.run));
    }
    Ok(())
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

/// The fixes that would keep writers waiting for longer than the bound, and can be done in short transactions instead.
fn in_batches(fixes: &[FixPlan], bound: Duration) -> Vec<String> {
    let longest = |fix: &FixPlan| fix.locks.iter().map(|lock| Duration::from_millis(lock.held_ms)).max();
    let too_long = fixes
        .iter()
        .filter(|fix| CODES.contains(&fix.code.as_str()))
        .filter_map(|fix| longest(fix).filter(|held| *held > bound).map(|held| (&fix.code, held)));
    too_long
        .map(|(code, held)| {
            format!(
                "evodoctor fix {code} --batch    in short transactions: all at once it keeps writers waiting for about {}",
                units::time(held)
            )
        })
        .collect()
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
                let online = args.online.then(|| " --online".to_owned());
                args.codes.iter().map(|code| format!(" {code}")).chain(to).chain(online).collect()
            }
        };
        next.push(format!("evodoctor fix{what}{}", change::apply_words(&rehearsal.fixes)));
        let bound = args.lock_limit.max_lock.unwrap_or(cli::LockLimit::OF_DRY_RUN);
        next.extend(in_batches(&rehearsal.fixes, bound));
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

//! `evodoctor fix`: a dry run of repairs, which `--apply` commits.

use std::time::Duration;

use anyhow::Result;

use super::fix_batched;
use super::fix_online;
use super::preflight;
use super::shared::apply::{self, CommitOutcome, dry_run_with_retry};
use super::shared::code_filter::{self, CodeFilter};
use super::shared::connect::{DatabaseContext, expect_live};
use super::way_back;
use crate::checks::check::all_checks;
use crate::checks::detector::Detector;
use crate::cli::{self, GlobalOptions};
use crate::error::user_error;
use crate::evolution::release::Release;
use crate::exit_code::Exit;
use crate::progress;
use crate::repair::adaptive_batch::CODES;
use crate::repair::change_target::ChangeTarget;
use crate::repair::dry_run::{DryRun, dry_run};
use crate::repair::locks::LockRetry;
use crate::repair::plan::{DatabaseIdentity, FixPlan, PlanFile};
use crate::report::{Change, Detail, Report, RunInfo};
use crate::rules::finding::Finding;
use crate::text::humanize;
use crate::upgrade::hazard::all_hazards;
use crate::upgrade::hazard_detector::HazardDetector;

/// Rehearses, and applies where asked.
///
/// # Errors
/// When the plan is refused, rows or roles stand in the way, or the connection is lost. Nothing is changed then.
pub async fn run(args: &cli::FixArgs, common: &GlobalOptions) -> Result<Exit> {
    if let Some(first) = args.batch {
        return fix_batched::run(args, first.get(), common).await;
    }
    expect_no_dump(args, common)?;
    let request = Request::new(args, common)?;
    let mut opened = DatabaseContext::connect_for_write(common, args.apply).await?;
    opened.server.may_fire = opened.may_fire(args.apply, &request.allowed);
    let subject = opened.change_target();
    let identity = DatabaseIdentity::from_server(&subject.server, &subject.schema);
    request.expect_database(&opened, &identity)?;
    if args.online {
        prepare_online(&mut opened, &subject, &request, args).await?;
    }

    let finders = request.detectors();
    let wanted = code_filter::finding_filter(!request.named.is_empty(), common);
    // Nobody else uses a dump's server.
    let max_lock = args.lock_limit.limit_for(!args.apply).filter(|_| common.snapshot.is_none());
    let lock_retry = LockRetry::new(args.waiting.wait).dry_run(!args.apply).max_lock(max_lock);
    let allowed = &request.allowed;
    let rehearsal = dry_run_with_retry(&mut opened, &subject, lock_retry, async |connection, attempt| {
        dry_run(connection, &subject, attempt, &finders, &wanted, args.online, allowed).await
    })
    .await?;
    request.check_and_write_plan(&rehearsal, &identity, args, common)?;

    let committed = apply::commit_or_rollback(&mut opened, &rehearsal, args.apply, allowed).await?;
    if args.online && committed == CommitOutcome::Yes {
        run_deferred(&mut opened, &subject, rehearsal.run, args.waiting.wait).await?;
    }
    let run = (committed == CommitOutcome::Yes).then_some(rehearsal.run);
    let report = report(&opened, rehearsal, committed, (args, common), wanted);
    let mut report = match request.named.is_empty() {
        true => report.with_policy(common),
        false => report.with_policy_unignored(common),
    };
    apply::keep_report_error(report.print(common), run)?;
    Ok(report.exit_code(common))
}

/// Refuses what makes no sense on a dump.
fn expect_no_dump(args: &cli::FixArgs, common: &GlobalOptions) -> Result<()> {
    if args.online {
        let why = "--online is not for dumps: nobody else uses the server that a dump is restored on";
        expect_live(common, why)?;
    }
    if args.plan_out.is_some() {
        let why =
            "a plan belongs to one database, and the one that a dump is restored into is removed afterwards";
        expect_live(common, why)?;
    }
    Ok(())
}

/// The fixes that were asked for: by their codes, by a plan, or by neither.
struct Request {
    plan: Option<PlanFile>,
    /// The codes that are named, by the plan where there is one; empty for all that the selection includes.
    named: Vec<String>,
    selection: CodeFilter,
    hazards: Hazards,
    allowed: Vec<String>,
}

impl Request {
    fn new(args: &cli::FixArgs, common: &GlobalOptions) -> Result<Self> {
        let allowed = code_filter::parse_hazards(&args.allow)?;
        let plan = args.plan.as_deref().map(PlanFile::read).transpose()?;
        let named = match &plan {
            Some(plan) => plan.codes.clone(),
            None => code_filter::parse_fixable_codes(&args.codes)?,
        };
        let of_plan = plan.as_ref().and_then(|plan| plan.to.as_deref());
        let hazards = Hazards::new(&named, args.to.as_deref().or(of_plan))?;
        Ok(Self { plan, named, selection: CodeFilter::new(common)?, hazards, allowed })
    }

    /// Refuses a plan of another database, and an upgrade to an older release.
    fn expect_database(&self, opened: &DatabaseContext, identity: &DatabaseIdentity) -> Result<()> {
        if let Some(plan) = &self.plan {
            plan.expect_database(identity)?;
        }
        if !self.hazards.chosen.is_empty() {
            way_back::refuse_downgrade(opened, self.hazards.target)?;
        }
        Ok(())
    }

    fn detectors(&self) -> Vec<&dyn Detector> {
        let is_included = |code: &String| match self.named.as_slice() {
            [] => self.selection.matches(code) && !code_filter::needs_explicit_code(code),
            named => named.contains(code),
        };
        let checks = all_checks().iter().filter(|check| is_included(&check.rule.code));
        let checks = checks.map(|check| check as &dyn Detector);
        checks.chain(self.hazards.chosen.iter().map(|hazard| hazard as &dyn Detector)).collect()
    }

    /// Refuses what is not as planned; writes the plan where that was asked for.
    fn check_and_write_plan(
        &self,
        rehearsal: &DryRun,
        identity: &DatabaseIdentity,
        args: &cli::FixArgs,
        common: &GlobalOptions,
    ) -> Result<()> {
        if let Some(plan) = &self.plan {
            plan.expect_same(&rehearsal.fixes, &rehearsal.obstructed)?;
        }
        if let Some(path) = &args.plan_out {
            let left = rehearsal.obstructed.clone();
            let plan = PlanFile::new(identity, &rehearsal.fixes, left, self.hazards.to(), common.show_rows)?;
            plan.write(path)?;
        }
        Ok(())
    }
}

/// Continues earlier runs with `--online` before a new one, or says which there are.
async fn prepare_online(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    request: &Request,
    args: &cli::FixArgs,
) -> Result<()> {
    expect_in_pieces(&request.hazards)?;
    fix_online::expect_no_limits(opened.session.connection()).await?;
    match args.apply {
        true => fix_online::resume(opened, subject, args.waiting.wait).await,
        false => say_unfinished(opened, subject, args.waiting.wait).await,
    }
}

/// Runs the statements that `--online` leaves for after the transaction.
async fn run_deferred(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    run: i64,
    wait: Duration,
) -> Result<()> {
    match fix_online::run_deferred(opened, subject, run, wait).await? {
        given_up if given_up.is_empty() => Ok(()),
        given_up => Err(user_error(
            format!("run {run} is committed, but only a part of it: {}", given_up.join("; ")),
            format!("evodoctor undo {run} undoes that part"),
        )),
    }
}

/// A fix before an upgrade runs in one transaction: the migration's line in the history says that all of it is done.
fn expect_in_pieces(hazards: &Hazards) -> Result<()> {
    match hazards.chosen.first() {
        None => Ok(()),
        Some(hazard) => Err(user_error(
            format!(
                "{} does not run --online: it must commit together with the rest of its run",
                hazard.hazard.rule.code
            ),
            "run it without --online, in one transaction",
        )),
    }
}

/// Says which unfinished runs the next one continues first.
async fn say_unfinished(opened: &mut DatabaseContext, subject: &ChangeTarget, wait: Duration) -> Result<()> {
    for run in fix_online::unfinished(opened, subject, wait).await? {
        progress::notice(&format!("run {} is not finished: with --apply it is continued first", run.run));
    }
    Ok(())
}

/// The upgrade hazards that are named; without a name none is repaired.
struct Hazards {
    target: Release,
    chosen: Vec<HazardDetector>,
}

impl Hazards {
    fn new(named: &[String], to: Option<&str>) -> Result<Self> {
        let target = to.map_or_else(|| Ok(Release::newest()), preflight::target)?;
        let chosen: Vec<HazardDetector> = all_hazards()
            .iter()
            .filter(|hazard| named.contains(&hazard.rule.code))
            .map(|hazard| HazardDetector { hazard, target })
            .collect();
        if chosen.is_empty() && to.is_some() {
            return Err(user_error(
                "--to needs an upgrade hazard (EVO6xx), and none is named",
                format!("evodoctor preflight --to {target} lists them"),
            ));
        }
        Ok(Self { target, chosen })
    }

    /// The release and codes that a plan records.
    fn to(&self) -> Option<&'static str> {
        (!self.chosen.is_empty()).then(|| self.target.version())
    }
}

/// The fixes that would block writers for longer than the limit, and can be done in short transactions instead.
fn in_batches(fixes: &[FixPlan], bound: Duration) -> Vec<String> {
    let longest = |fix: &FixPlan| fix.locks.iter().map(|lock| Duration::from_millis(lock.held_ms)).max();
    let too_long = fixes
        .iter()
        .filter(|fix| CODES.contains(&fix.code.as_str()))
        .filter_map(|fix| longest(fix).filter(|held| *held > bound).map(|held| (&fix.code, held)));
    too_long
        .map(|(code, held)| {
            format!(
                "evodoctor fix {code} --batch    in short transactions; in a single one writers wait for \
                 about {}",
                humanize::format_duration(held)
            )
        })
        .collect()
}

fn report(
    opened: &DatabaseContext,
    mut rehearsal: DryRun,
    committed: CommitOutcome,
    (args, common): (&cli::FixArgs, &GlobalOptions),
    wanted: impl Fn(&Finding) -> bool,
) -> Report {
    let policy = common.policy();
    for finding in rehearsal.findings.iter_mut().chain(&mut rehearsal.left) {
        finding.severity = policy.severity(finding);
    }
    let applied = committed == CommitOutcome::Yes;
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
                let codes = args.codes.iter().map(|code| format!(" {code}"));
                codes.chain(to).chain(online).collect::<String>() + &common.finding_arguments()
            }
        };
        next.push(format!("evodoctor fix{what}{}", apply::apply_arguments(&rehearsal.fixes)));
        let bound = args.lock_limit.max_lock.unwrap_or(cli::LockLimitArgs::OF_DRY_RUN);
        next.extend(in_batches(&rehearsal.fixes, bound));
    }
    let change = Change {
        run: RunInfo { id, applied, batches: Vec::new() },
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

//! `evodoctor fix CODE --batch`: repairs rows, possibly millions, in many short transactions. A constraint is added
//! last.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::postgres::PgConnection;

use super::shared::apply::{self, abandon, needs_consent, retry_on_lock_timeout};
use super::shared::code_filter::{self, CodeFilter};
use super::shared::connect::DatabaseContext;
use super::shared::server_load::{PAUSE, wait_while_busy};
use crate::checks::check::{Check, CheckScope, all_checks};
use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::checks::references::{Reference, all_references};
use crate::cli::{self, GlobalOptions};
use crate::database::query::execute;
use crate::error::user_error;
use crate::exit_code::Exit;
use crate::interrupt;
use crate::progress::{self, ProgressTask, Unit};
use crate::repair::adaptive_batch::{self, BatchResult, BatchSeries, BatchSizer, CODES, LOOK, ServerLoad};
use crate::repair::apply_fix::FixExecution;
use crate::repair::change_target::ChangeTarget;
use crate::repair::dry_run::{self, mark_untreatable};
use crate::repair::fix::{self, Fix};
use crate::repair::ledger::AppliedRun;
use crate::repair::locks::LockRetry;
use crate::repair::orphan_constraints::{ConstraintState, SavedConstraint};
use crate::repair::plan::{DatabaseIdentity, FixPlan, plan_hash};
use crate::repair::privileges;
use crate::repair::row_changes::children_first;
use crate::report::{Change, Detail, Report, RunInfo};
use crate::rules::finding::{CheckReport, Finding};

/// The committed batches so far.
#[derive(Debug, Default)]
struct CommittedBatches {
    runs: Vec<i64>,
    fixes: Vec<FixPlan>,
    /// The run whose commit the server has not acknowledged yet.
    committing: Option<i64>,
}

impl CommittedBatches {
    fn words(&self) -> String {
        let done = match self.runs.as_slice() {
            [] if self.committing.is_some() => "no batch is known to be committed".to_owned(),
            [] => "nothing has been changed".to_owned(),
            [only] => format!("one batch is committed, run {only}"),
            [first, .., last] => format!("{} batches are committed, runs {first} to {last}", self.runs.len()),
        };
        match self.committing {
            Some(run) => format!("{done}; run {run} was being committed"),
            None => done,
        }
    }

    /// Adds a batch to what the ones before it did.
    fn add(&mut self, run: i64, plan: FixPlan) {
        self.runs.push(run);
        self.committing = None;
        match self.fixes.first_mut() {
            Some(known) => known.add_batch(plan),
            None => self.fixes.push(plan),
        }
    }
}

/// The findings to repair, those of child tables before those of their parents.
struct BatchPlan {
    check: &'static Check,
    fix: &'static Fix,
    report: CheckReport,
    findings: Vec<Finding>,
    chosen: Vec<Finding>,
    left: Vec<Finding>,
    needs_constraint: bool,
}

/// Dry run of the first batch of each reference, or apply all.
pub async fn run(args: &cli::FixArgs, first: usize, common: &GlobalOptions) -> Result<Exit> {
    let code = code(&args.codes)?;
    let (is_named, selection) = (!args.codes.is_empty(), CodeFilter::new(common)?);
    let by_policy = code_filter::finding_filter(is_named, common);
    let wanted = |finding: &Finding| (is_named || selection.matches(code)) && by_policy(finding);
    let allowed = code_filter::parse_hazards(&args.allow)?;
    let mut opened = DatabaseContext::connect_for_write(common, args.apply).await?;
    opened.server.may_fire = opened.may_fire(args.apply, &allowed);
    let subject = opened.change_target();
    let plan = look_around(&mut opened, &subject, code, wanted).await?;
    let done = RefCell::new(CommittedBatches::default());
    let pace = (first, args.waiting.wait);
    let ended = {
        let work = async {
            match args.apply {
                true => apply(&mut opened, &subject, &plan, &allowed, pace, &done).await,
                false => rehearse(&mut opened, &subject, &plan, pace, &done).await,
            }
        };
        tokio::select! {
            ended = work => ended,
            () = interrupt::requested() => Err(user_error(
                "interrupted; the batch that was running is rolled back",
                "run the same command again to continue; evodoctor history lists the runs",
            )),
        }
    };
    if let Err(error) = ended {
        abandon(opened.session.connection()).await;
        let said = done.borrow().words();
        return Err(if args.apply { error.context(format!("not finished: {said}")) } else { error });
    }
    let report = report(&opened, plan, done.into_inner(), args);
    let mut report = if is_named { report.with_policy_unignored(common) } else { report.with_policy(common) };
    let committed = match &report.detail {
        Detail::Change(change) => change.run.id.filter(|_| change.run.applied),
        _ => None,
    };
    apply::keep_report_error(report.print(common), committed)?;
    let Detail::Change(change) = &report.detail else { return Ok(Exit::Failed) };
    Ok(match (change.fixes.is_empty() || change.run.applied) && change.left.is_empty() {
        true if report.summary.undecided > 0 => Exit::Undecided,
        true => Exit::Clean,
        false => Exit::Findings,
    })
}

/// The one code that is treated.
fn code(named: &[String]) -> Result<&'static str> {
    let known = |code: &String| CODES.into_iter().find(|known| code.eq_ignore_ascii_case(known));
    let codes: Option<Vec<&'static str>> = named.iter().map(known).collect();
    match codes.as_deref() {
        Some([]) => Ok(CODES[0]),
        Some([one]) => Ok(one),
        Some(_) => Err(user_error(
            "--batch takes one code at a time",
            "run one after the other: evodoctor fix EVO101 --batch, then evodoctor fix EVO103 --batch",
        )),
        None => Err(user_error(
            format!(
                "--batch is for {}, which can affect millions of rows; other fixes run in one transaction",
                CODES.join(", ")
            ),
            "evodoctor fix EVO101 --batch; the others without it, in one transaction",
        )),
    }
}

async fn look_around(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    code: &str,
    wanted: impl Fn(&Finding) -> bool,
) -> Result<BatchPlan> {
    let check =
        all_checks().iter().find(|check| check.rule.code == code).context("the code is of a check")?;
    let fix = fix::find_fix(code).context("the code has a fix")?;
    opened.session.begin_snapshot().await?;
    let context = CheckContext::for_server(&opened.catalog, subject.range, &subject.server);
    let (report, mut findings) = check.find(opened.session.connection(), &context).await?;
    mark_untreatable(&mut findings, &context);
    fix::annotate(&mut findings);
    // The rights for the last batch are checked before the first one.
    let (mut chosen, left): (Vec<_>, Vec<_>) =
        findings.iter().filter(|finding| wanted(finding)).cloned().partition(|finding| finding.is_fixable);
    if !chosen.is_empty() {
        let execution = FixExecution {
            subject,
            context: &context,
            finder: Some(check),
            fix,
            chosen: &chosen,
            arguments: None,
            is_online: false,
        };
        let (server, needs) = (&subject.server, [execution.required_privileges()]);
        privileges::expect_privileges(&opened.catalog, &server.role, &server.database, &needs)?;
    }
    drop(context);
    opened.session.end_snapshot().await?;
    let all = all_references(&opened.catalog, subject.range);
    let reference = |finding: &Finding| all.iter().find(|one: &&Reference| one.subject() == finding.key);
    let table = |finding: &Finding| reference(finding).map(|one| one.child_table.clone()).unwrap_or_default();
    let mut tables: Vec<String> = chosen.iter().map(table).collect();
    tables.sort();
    tables.dedup();
    let refers = |child: &str, parent: &str| {
        all.iter().any(|one| one.child_table == child && one.parent_table == parent)
    };
    let order = children_first(tables, refers);
    chosen.sort_by_key(|finding| order.iter().position(|name| *name == table(finding)));
    // One query selects what all findings of such a fix are about.
    if fix.family == CheckScope::Once && !chosen.is_empty() {
        chosen[0].count = chosen.iter().map(|finding| finding.count).sum();
        chosen.truncate(1);
    }
    let is_open = |one: &Reference| {
        matches!(
            SavedConstraint::from_reference(one).before,
            ConstraintState::Absent | ConstraintState::NotValid
        )
    };
    let needs_constraint = chosen.iter().filter_map(reference).any(is_open);
    Ok(BatchPlan { check, fix, report, findings, chosen, left, needs_constraint })
}

/// Repairs the rows with these keys as soon as their locks can be had. The transaction stays open.
async fn run_batch(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    lock_retry: LockRetry,
    fix: &'static Fix,
    finding: &Finding,
    keys: &[Value],
    series: &BatchSeries,
) -> Result<BatchResult> {
    retry_on_lock_timeout(connection, subject, lock_retry, async |connection, attempt| {
        adaptive_batch::run_batch(connection, subject, attempt, fix, &finding.key, keys, series).await
    })
    .await
}

/// The first batch of each reference, rolled back.
async fn rehearse(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    plan: &BatchPlan,
    (first, wait): (usize, Duration),
    done: &RefCell<CommittedBatches>,
) -> Result<()> {
    let connection = opened.session.connection();
    for finding in &plan.chosen {
        let keys = adaptive_batch::find_rows(connection, subject, plan.fix, &finding.key, first).await?;
        let (lock_retry, series) = (LockRetry::new(wait).dry_run(true), BatchSeries::default());
        let mut batch = run_batch(connection, subject, lock_retry, plan.fix, finding, &keys, &series).await?;
        execute(connection, "ROLLBACK".into()).await?;
        batch.plan.notes.push(format!(
            "{}: the dry run covers the first batch, {} of {} rows; the others are counted and not run",
            finding.key, batch.rows, finding.count
        ));
        if plan.needs_constraint {
            batch.plan.notes.push("the constraint is added last, in a transaction of its own".to_owned());
        }
        done.borrow_mut().fixes.push(batch.plan);
    }
    Ok(())
}

/// Batch after batch, then the constraints.
async fn apply(
    opened: &mut DatabaseContext,
    subject: &ChangeTarget,
    plan: &BatchPlan,
    allowed: &[String],
    (first, wait): (usize, Duration),
    done: &RefCell<CommittedBatches>,
) -> Result<()> {
    if !plan.chosen.is_empty() && !ServerLoad::read(opened.session.connection()).await?.sees_lag {
        progress::notice(
            "this role cannot see how far standbys are behind (GRANT pg_monitor), so batches do not wait \
             for them",
        );
    }
    let mut pace = BatchSizer::new(first);
    let mut series = BatchSeries::default();
    let shown = ProgressTask::start_around("batches");
    for finding in &plan.chosen {
        let mut treated = 0;
        shown.start_phase(&finding.key, u64::try_from(finding.count).ok(), Unit::Rows);
        loop {
            let keys =
                adaptive_batch::find_rows(opened.session.connection(), subject, plan.fix, &finding.key, LOOK)
                    .await?;
            let mut rest = keys.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(pace.size().min(rest.len()));
                rest = later;
                wait_while_busy(opened.session.connection()).await?;
                let begun = Instant::now();
                let (connection, lock_retry) = (opened.session.connection(), LockRetry::new(wait));
                let batch =
                    run_batch(connection, subject, lock_retry, plan.fix, finding, now, &series).await?;
                expect_consent(&batch.plan, allowed)?;
                let is_it = |run: &AppliedRun| run.run == batch.run && run.plan_hash == batch.plan.plan_hash;
                done.borrow_mut().committing = Some(batch.run);
                apply::commit_transaction(opened, batch.run, is_it).await?;
                pace.record_duration(begun.elapsed());
                treated += batch.rows;
                shown.set_position(u64::try_from(treated).unwrap_or_default());
                shown.set_message(format!(
                    "{}, run {} took {} ms",
                    finding.key,
                    batch.run,
                    begun.elapsed().as_millis()
                ));
                done.borrow_mut().add(batch.run, batch.plan);
                series = batch.series;
                tokio::time::sleep(PAUSE).await;
            }
            if keys.len() < LOOK {
                break;
            }
        }
    }
    if !plan.needs_constraint {
        return Ok(());
    }
    let (check, fix) = (plan.check, plan.fix);
    let series = series.first;
    let worked = retry_on_lock_timeout(
        opened.session.connection(),
        subject,
        LockRetry::new(wait),
        async |connection, attempt| {
            dry_run::complete_batches(connection, subject, attempt, check, fix, &plan.chosen, series).await
        },
    );
    let last = worked.await?;
    last.fixes.iter().try_for_each(|plan| expect_consent(plan, allowed))?;
    let is_it = |run: &AppliedRun| run.run == last.run && run.plan_hash == last.plan_hash;
    done.borrow_mut().committing = Some(last.run);
    apply::commit_transaction(opened, last.run, is_it).await?;
    for plan in last.fixes {
        done.borrow_mut().add(last.run, plan);
    }
    Ok(())
}

fn expect_consent(plan: &FixPlan, allowed: &[String]) -> Result<()> {
    let mut missing = needs_consent(std::slice::from_ref(plan));
    missing.retain(|hazard| !allowed.contains(hazard));
    if missing.is_empty() {
        return Ok(());
    }
    Err(user_error(
        format!("the batch has hazards without consent: {}", missing.join(", ")),
        format!(
            "review the dry run (the same command without --apply), then add --allow {}",
            missing.join(",")
        ),
    ))
}

fn report(opened: &DatabaseContext, plan: BatchPlan, done: CommittedBatches, args: &cli::FixArgs) -> Report {
    let mut fixes = done.fixes;
    let mut next = Vec::new();
    if let (Some(first), Some(fix)) = (done.runs.first(), fixes.first_mut()) {
        fix.notes.push(done_words(&done.runs));
        next.push(format!("evodoctor undo {first}    shows what undoing all of them would do"));
    } else if !fixes.is_empty() {
        let size = args.batch.map(|size| format!("={size}")).unwrap_or_default();
        next.push(format!("evodoctor fix {} --batch{size}{}", plan.fix.code, apply::apply_arguments(&fixes)));
    }
    let subject = opened.change_target();
    let change = Change {
        run: RunInfo {
            id: done.runs.last().copied(),
            applied: args.apply && !done.runs.is_empty(),
            batches: Vec::new(),
        },
        plan_hash: plan_hash(&DatabaseIdentity::from_server(&subject.server, &subject.schema), &fixes, &[]),
        fixes,
        next,
        pending: plan.chosen,
        left: plan.left,
    };
    let mut report =
        Report::new("fix", Detail::Change(change)).with_examination(vec![plan.report], plan.findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report
}

fn done_words(runs: &[i64]) -> String {
    let done = CommittedBatches { runs: runs.to_vec(), ..CommittedBatches::default() };
    format!(
        "{}; the locks are those of the batch that held them longest, the statements those of the \
         first batch",
        done.words()
    )
}

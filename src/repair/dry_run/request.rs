//! A run of fixes inside one transaction: every detector runs before the first lock, each fix is carried out behind a
//! savepoint of its own, and the run repeats until no fix has anything left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::obstacle::{FixAttempt, Obstacle, not_carried_out};
use super::touched::Touched;
use super::{DryRun, mark_unbuildable, mark_untreatable, missing_consent_error};
use crate::checks::check::{Check, CheckScope, all_checks};
use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::checks::precondition::schema_differs;
use crate::database::catalog::Catalog;
use crate::database::query::execute;
use crate::progress::{ProgressTask, Unit};
use crate::repair::apply_fix::{FixExecution, FixOutcome};
use crate::repair::change_target::ChangeTarget;
use crate::repair::fix::{self, Fix};
use crate::repair::ledger;
use crate::repair::locks::{self, LockAttempt, LockMode, LockWatch};
use crate::repair::plan::to_millis;
use crate::repair::privileges::{self, RequiredPrivileges};
use crate::repair::quarantine::Quarantine;
use crate::rules::finding::{CheckReport, Finding};

/// Maximum number of rounds. A second one is seldom needed; a finding that keeps coming back is left to a person.
const MOST_ROUNDS: usize = 5;

/// The request.
pub(super) struct Request<'a> {
    pub(super) subject: &'a ChangeTarget,
    pub(super) attempt: &'a LockAttempt,
    pub(super) finders: &'a [&'a dyn Detector],
    pub(super) wanted: &'a dyn Fn(&Finding) -> bool,
    pub(super) is_online: bool,
    /// The hazards consented to.
    pub(super) allowed: &'a [String],
}

/// The findings of a detector, and how long it took.
struct Answer {
    report: CheckReport,
    findings: Vec<Finding>,
    took: Duration,
}

/// The state of the run.
struct State {
    catalog: Arc<Catalog>,
    /// The findings of each detector before anything was locked, by position; taken when it is the detector's turn.
    answers: BTreeMap<usize, Answer>,
    /// The number of fixes when each finder was last asked; nothing for those that were not.
    asked: BTreeMap<usize, usize>,
    touched: Touched,
    /// Findings that are completed after the transaction, by code and key: until then they are still found.
    deferred: BTreeSet<(String, String)>,
    quarantine: Quarantine,
    result: DryRun,
    /// The last error that kept a fix from being carried out.
    last: Option<anyhow::Error>,
}

impl Request<'_> {
    pub(super) async fn carry_out(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
    ) -> Result<DryRun> {
        let work = ProgressTask::start(if self.attempt.is_dry_run { "dry run" } else { "fixing" });
        let mut state = self.prepare(connection, &work).await?;
        for round in 1.. {
            work.start_phase("", Some(self.finders.len() as u64), Unit::Steps);
            let before = state.touched.now();
            let mut step = 0;
            while step < self.finders.len() {
                // What there is to know of the schema holds until a fix changes something.
                let (catalog, fixes) = (Arc::clone(&state.catalog), state.touched.now());
                let context = self.check_context(&catalog);
                while step < self.finders.len() && state.touched.now() == fixes {
                    work.set_position(step as u64);
                    self.step(connection, watch, &mut state, &context, step, round, &work).await?;
                    step += 1;
                }
            }
            if state.touched.now() == before || round > MOST_ROUNDS {
                break;
            }
        }
        match state.last {
            // The only fix could not be done.
            Some(error) if state.result.fixes.is_empty() && state.result.obstructed.len() == 1 => Err(error),
            _ => state.result.finished(connection, watch, self.subject).await,
        }
    }

    /// The checks before the first lock.
    async fn prepare(&self, connection: &mut PgConnection, work: &ProgressTask) -> Result<State> {
        let Self { subject, attempt, .. } = *self;
        locks::begin_change(connection, attempt.moment).await?;
        let catalog = Catalog::read(connection, &subject.schema).await?;
        subject.expect_release(connection, &catalog).await?;
        let answers = self.ask_all(connection, &catalog, work).await?;
        self.expect_rights(&catalog, &answers)?;
        let run = ledger::create_or_upgrade(
            connection,
            &catalog.ledger_facts,
            &subject.schema,
            &subject.server.role,
            &subject.server.database,
        )
        .await
        .map_err(ledger::as_timeout)?;
        if !attempt.is_dry_run {
            self.expect_consent(connection, &catalog, &answers).await?;
        }
        Ok(State {
            catalog: Arc::new(catalog),
            answers,
            asked: BTreeMap::new(),
            touched: Touched::default(),
            deferred: BTreeSet::new(),
            quarantine: Quarantine::new(run, attempt.is_dry_run),
            result: DryRun::begun(run),
            last: None,
        })
    }

    /// One detector's step: its current findings are repaired, or left to a person.
    #[expect(clippy::too_many_arguments, reason = "one caller, and each is a thing of its own")]
    async fn step(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        state: &mut State,
        context: &CheckContext<'_>,
        step: usize,
        round: usize,
        work: &ProgressTask,
    ) -> Result<()> {
        let finder = self.finders[step];
        let asked = state.asked.get(&step).copied();
        let is_concerned = state.touched.concerns(finder, context, asked.unwrap_or(0));
        if !context.applies(finder.rule()) || (asked.is_some() && !is_concerned) {
            return Ok(());
        }
        let known = state.answers.remove(&step).filter(|_| !is_concerned);
        let Answer { report, mut findings, took } = match known {
            Some(answer) => answer,
            None => ask(connection, finder, context).await?,
        };
        state.asked.insert(step, state.touched.now());
        if asked.is_none() {
            state.result.checks.push(report);
        }

        let code = &finder.rule().code;
        state.result.forget_left(code);
        findings.retain(|finding| !state.deferred.contains(&(code.clone(), finding.key.clone())));
        mark_untreatable(&mut findings, context);
        mark_unbuildable(&mut findings, context, &state.result.left);
        if round > MOST_ROUNDS {
            leave_what_comes_back(&mut findings);
        }
        fix::annotate(&mut findings);
        state.result.add_findings(&findings);
        let (chosen, left): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().filter(|f| (self.wanted)(f)).partition(|f| f.is_fixable);
        state.result.left.extend(left);
        let Some(fix) = fix::find_fix(code).filter(|_| !chosen.is_empty()) else { return Ok(()) };

        work.set_message(finder.rule().code_and_name());
        self.repair(connection, watch, state, context, step, fix, chosen, took).await?;
        // The fix has shown rows; steps again.
        work.start_phase("", Some(self.finders.len() as u64), Unit::Steps);
        work.set_position(step as u64);
        Ok(())
    }

    /// Runs a fix for as many of its findings as possible; the others are left to a person with the reason.
    #[expect(clippy::too_many_arguments, reason = "one caller, and each is a thing of its own")]
    async fn repair(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        state: &mut State,
        context: &CheckContext<'_>,
        step: usize,
        fix: &'static Fix,
        mut chosen: Vec<Finding>,
        took: Duration,
    ) -> Result<()> {
        while !chosen.is_empty() {
            let execution = self.execution(context, step, fix, &chosen);
            execution.expect_consent_to_triggers()?;
            let obstacle = match self.behind_savepoint(connection, watch, state, &execution, true).await? {
                FixAttempt::Done(mut outcome) => {
                    outcome.plan.timing.finding_ms += to_millis(took);
                    carried_out(state, step, &chosen, *outcome);
                    return Ok(());
                }
                FixAttempt::Blocked(obstacle) => obstacle,
            };
            let mut obstacles: BTreeMap<String, Obstacle> = BTreeMap::new();
            if chosen.len() > 1 && fix.family != CheckScope::Once {
                // To find out which finding is blocked, each is tried by itself and rolled back.
                for finding in &chosen {
                    let execution = self.execution(context, step, fix, std::slice::from_ref(finding));
                    if let FixAttempt::Blocked(own) =
                        self.behind_savepoint(connection, watch, state, &execution, false).await?
                    {
                        obstacles.insert(finding.key.clone(), own);
                    }
                }
            }
            let is_all = obstacles.is_empty();
            let (left, others): (Vec<Finding>, Vec<Finding>) =
                chosen.into_iter().partition(|finding| is_all || obstacles.contains_key(&finding.key));
            let leave = |finding: Finding| obstacles.get(&finding.key).unwrap_or(&obstacle).leave(finding);
            let mut left: Vec<Finding> = left.into_iter().map(leave).collect();
            fix::annotate(&mut left);
            state.result.leave(left);
            state.last = Some(not_carried_out(obstacle.error, fix));
            chosen = others;
        }
        Ok(())
    }

    /// Runs a fix behind a savepoint. An error of this fix alone is rolled back with it; so is everything if it is not
    /// to be kept.
    async fn behind_savepoint(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        state: &mut State,
        execution: &FixExecution<'_>,
        is_kept: bool,
    ) -> Result<FixAttempt> {
        execute(connection, "SAVEPOINT evodoctor_fix".into()).await?;
        let (held, kept) = (watch.savepoint(), state.quarantine.clone());
        watch.next_fix();
        let done = execution.run(connection, self.attempt, watch, &mut state.quarantine).await;
        let done = match done.map_err(|error| watch.explain(error)) {
            Ok(done) => FixAttempt::Done(Box::new(done)),
            Err(error) => FixAttempt::Blocked(
                Obstacle::within(error, &self.subject.schema)
                    .map_err(|error| not_carried_out(error, execution.fix))?,
            ),
        };
        let end = if matches!(done, FixAttempt::Done(_)) && is_kept {
            ""
        } else {
            "ROLLBACK TO SAVEPOINT evodoctor_fix; "
        };
        execute(connection, format!("{end}RELEASE SAVEPOINT evodoctor_fix")).await?;
        if !end.is_empty() {
            watch.roll_back_to(held);
            state.quarantine = kept;
        }
        Ok(done)
    }

    /// Runs every detector, before anything is locked or changed.
    async fn ask_all(
        &self,
        connection: &mut PgConnection,
        catalog: &Catalog,
        work: &ProgressTask,
    ) -> Result<BTreeMap<usize, Answer>> {
        let mut context = self.check_context(catalog);
        // The checks that begin with this then need not.
        let is_asked =
            |check: &Check| self.finders.iter().any(|finder| finder.rule().code == check.rule.code);
        if all_checks().iter().any(|check| check.compares_schema() && is_asked(check)) {
            context.differs = schema_differs(connection, &context).await?;
        }
        let mut answers = BTreeMap::new();
        work.start_phase("looking", Some(self.finders.len() as u64), Unit::Steps);
        for (step, finder) in self.finders.iter().enumerate() {
            work.set_position(step as u64);
            if context.applies(finder.rule()) {
                work.set_message(format!("looking for {}", finder.rule().code_and_name()));
                answers.insert(step, ask(connection, *finder, &context).await?);
            }
        }
        Ok(answers)
    }

    /// Reports all rights that this role lacks for the fixes before the first one begins.
    fn expect_rights(&self, catalog: &Catalog, answers: &BTreeMap<usize, Answer>) -> Result<()> {
        let subject = self.subject;
        let context = self.check_context(catalog);
        let mut needs: Vec<RequiredPrivileges> = Vec::new();
        if privileges::is_limited_role(catalog) {
            for (step, fix, chosen) in self.chosen(&context, answers) {
                needs.push(self.execution(&context, step, fix, &chosen).required_privileges());
            }
        }
        privileges::expect_privileges(catalog, &subject.server.role, &subject.server.database, &needs)
    }

    /// Refuses hazards without consent before the first lock. Hazards that only an earlier fix causes show up at the
    /// end, as in every run.
    async fn expect_consent(
        &self,
        connection: &mut PgConnection,
        catalog: &Catalog,
        answers: &BTreeMap<usize, Answer>,
    ) -> Result<()> {
        let context = self.check_context(catalog);
        let mut lacking: Vec<String> = Vec::new();
        for (step, fix, chosen) in self.chosen(&context, answers) {
            let execution = self.execution(&context, step, fix, &chosen);
            lacking.extend(execution.lacks_consent(connection, self.allowed).await?);
        }
        match fix::in_order(&lacking).as_slice() {
            [] => Ok(()),
            missing => Err(missing_consent_error(missing)),
        }
    }

    /// The findings to repair, by their finder's place, with their fix.
    fn chosen(
        &self,
        context: &CheckContext<'_>,
        answers: &BTreeMap<usize, Answer>,
    ) -> Vec<(usize, &'static Fix, Vec<Finding>)> {
        let of_one = |(step, answer): (&usize, &Answer)| {
            let mut findings = answer.findings.clone();
            mark_untreatable(&mut findings, context);
            fix::annotate(&mut findings);
            findings.retain(|finding| finding.is_fixable && (self.wanted)(finding));
            let fix = fix::find_fix(&self.finders[*step].rule().code)?;
            Some((*step, fix, findings))
        };
        answers.iter().filter_map(of_one).filter(|(_, _, chosen)| !chosen.is_empty()).collect()
    }

    fn execution<'t>(
        &'t self,
        context: &'t CheckContext<'t>,
        step: usize,
        fix: &'static Fix,
        chosen: &'t [Finding],
    ) -> FixExecution<'t> {
        let (subject, finder) = (self.subject, Some(self.finders[step]));
        FixExecution { subject, context, finder, fix, chosen, arguments: None, is_online: self.is_online }
    }

    fn check_context<'c>(&'c self, catalog: &'c Catalog) -> CheckContext<'c> {
        let mut context = CheckContext::for_server(catalog, self.subject.range, &self.subject.server);
        context.gives_way = true;
        context
    }
}

/// Notes what a fix did.
fn carried_out(state: &mut State, step: usize, chosen: &[Finding], outcome: FixOutcome) {
    let FixOutcome { plan, applied, catalog } = outcome;
    if !applied.steps.later.is_empty() {
        state.deferred.extend(chosen.iter().map(|finding| (finding.code.clone(), finding.key.clone())));
    }
    state.touched.add(&plan, &applied);
    // It has been verified: what it is about is as it should be until another fix comes.
    state.asked.insert(step, state.touched.now());
    state.result.fixes.push(plan);
    state.result.applied.push(applied);
    if let Some(catalog) = catalog {
        state.catalog = Arc::new(catalog);
    }
}

async fn ask(
    connection: &mut PgConnection,
    finder: &dyn Detector,
    context: &CheckContext<'_>,
) -> Result<Answer> {
    let begun = Instant::now();
    let (report, findings) = finder.find(connection, context).await.map_err(|error| {
        let every: Vec<String> = context.catalog.tables.keys().cloned().collect();
        locks::as_timeout(error, &context.catalog.schema, &every, LockMode::AccessShare)
    })?;
    Ok(Answer { report, findings, took: begun.elapsed() })
}

fn leave_what_comes_back(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.is_fixable) {
        finding.is_fixable = false;
        finding.detail.push_str(&format!(
            "; left to you: other fixes of this run cause it again, even after {MOST_ROUNDS} rounds; next: \
             evodoctor fix {} by itself",
            finding.code
        ));
    }
}

//! Rehearsal: carries fixes out inside a transaction and looks at what they did. Whoever calls decides whether the
//! transaction is then committed, so that what is shown is what is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::fix::{self, Fix, needing_consent};
use super::ledger::{self, AppliedFix};
use super::locks::{self, Attempt, LockWatch, LockedTooLong, Mode};
use super::plan::{FixPlan, Identity, millis, plan_hash};
use super::quarantine::Quarantine;
use super::rights::{self, Need};
use super::rows;
use super::turn::Turn;
use crate::database::catalog::{self, Catalog, Server};
use crate::evolution::release::{History, ReleaseRange};
use crate::examine::finder::Finder;
use crate::examine::finding::{CheckReport, Finding};
use crate::examine::references::Reference;
use crate::examine::runner::Scope;
use crate::exit::{self, failure, failure_for};
use crate::progress::{Unit, Work};

/// The database that is to be changed.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The server and the session.
    pub server: Server,
    /// Evolution's schema.
    pub schema: String,
    /// The releases it may be.
    pub range: Option<ReleaseRange>,
}

impl Subject {
    /// Refuses where the release is no longer what was read before Prisma's lock was taken: migrations have run meanwhile,
    /// and what was planned was planned for another database.
    ///
    /// # Errors
    /// Names both.
    pub async fn expect_release(&self, connection: &mut PgConnection, catalog: &Catalog) -> Result<()> {
        let history = catalog::migration_history(connection, catalog).await?;
        let range = history.and_then(|rows| History::read(&rows).range);
        if range == self.range {
            return Ok(());
        }
        let name =
            |range: Option<ReleaseRange>| range.map_or("unknown".to_owned(), |range| range.to_string());
        Err(failure(
            format!(
                "migrations have run on this database meanwhile: the release was {} and is {} now; nothing has been changed",
                name(self.range),
                name(range)
            ),
            "run it again: it looks at what there is now",
        ))
    }
}

/// What a rehearsal did and saw. The transaction is still open.
#[derive(Debug)]
pub struct Rehearsal {
    /// How the checks came out that were run.
    pub checks: Vec<CheckReport>,
    /// What they found before anything was changed.
    pub findings: Vec<Finding>,
    /// What each fix did, in order.
    pub fixes: Vec<FixPlan>,
    /// Findings that were asked for and have no fix that fits.
    pub left: Vec<Finding>,
    /// The hash of the whole plan.
    pub plan_hash: String,
    /// The number this run has in the ledger if it is committed.
    pub run: i64,
    /// The first run of the batches that this one completes.
    pub series: Option<i64>,
    applied: Vec<AppliedFix>,
}

impl Rehearsal {
    fn begun(run: i64) -> Self {
        Self {
            checks: Vec::new(),
            findings: Vec::new(),
            fixes: Vec::new(),
            left: Vec::new(),
            plan_hash: String::new(),
            run,
            series: None,
            applied: Vec::new(),
        }
    }

    /// Ends it with the ledger's lines, which belong to what is rehearsed: they may have to wait for others, too.
    async fn finished(
        mut self,
        connection: &mut PgConnection,
        watch: &LockWatch,
        subject: &Subject,
    ) -> Result<Self> {
        self.plan_hash = plan_hash(&Identity::of(&subject.server, &subject.schema), &self.fixes);
        if !self.applied.is_empty() {
            ledger::record(
                connection,
                &subject.schema,
                subject.range,
                &self.plan_hash,
                &self.applied,
                self.series,
            )
            .await
            .map_err(ledger::as_timeout)?;
        }
        for (position, plan) in self.fixes.iter_mut().enumerate() {
            plan.locks = watch.held(position + 1);
        }
        Ok(self)
    }
}

/// Carries out the fixes of every finding that is `wanted`, in the order of the finders, which is that of their codes: data
/// before keys, so that a key can be built on clean data. All of them are asked before the first lock is taken; who may have
/// another answer after a fix is asked again when its turn comes. Where it `is_online`, what others would have to wait for is
/// left for after the transaction.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy: roll back and begin again. Everything else is final; the caller rolls back.
pub async fn rehearse(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: &Attempt,
    finders: &[&dyn Finder],
    wanted: impl Fn(&Finding) -> bool,
    is_online: bool,
    allowed: &[String],
) -> Result<Rehearsal> {
    let mut watch = LockWatch::limited(attempt.max_lock);
    let request = Request { subject, attempt, finders, wanted: &wanted, is_online, allowed };
    let rehearsed = request.carry_out(connection, &mut watch).await;
    rehearsed.map_err(|error| watch.explain(error))
}

/// What is asked for.
struct Request<'a> {
    subject: &'a Subject,
    attempt: &'a Attempt,
    finders: &'a [&'a dyn Finder],
    wanted: &'a dyn Fn(&Finding) -> bool,
    is_online: bool,
    /// The hazards consented to.
    allowed: &'a [String],
}

/// What a finder said, and how long that took.
struct Answer {
    report: CheckReport,
    findings: Vec<Finding>,
    took: Duration,
}

impl Request<'_> {
    async fn carry_out(&self, connection: &mut PgConnection, watch: &mut LockWatch) -> Result<Rehearsal> {
        let Self { subject, attempt, is_online, .. } = *self;
        locks::begin(connection, attempt.moment).await?;
        let mut catalog = Catalog::read(connection, &subject.schema).await?;
        subject.expect_release(connection, &catalog).await?;
        let work = Work::begin(if attempt.is_dry_run { "dry run" } else { "fixing" });
        let mut answers = self.ask_all(connection, &catalog, &work).await?;
        self.expect_rights(connection, &catalog, &answers).await?;
        let run = ledger::open(connection, &subject.schema, &subject.server.role, &subject.server.database)
            .await
            .map_err(ledger::as_timeout)?;
        if !attempt.is_dry_run {
            self.expect_consent(connection, &catalog, &answers).await?;
        }
        let mut quarantine = Quarantine::new(run, attempt.is_dry_run);
        let mut result = Rehearsal::begun(run);
        let mut touched = Touched::default();
        work.part("", Some(self.finders.len() as u64), Unit::Steps);
        for (step, finder) in self.finders.iter().enumerate() {
            work.reach(step as u64);
            let scope = self.scope(&catalog);
            if !scope.applies(finder.rule()) {
                continue;
            }
            let known = answers.remove(&step).filter(|_| !touched.concerns(*finder, &scope));
            let Answer { report, mut findings, took } = match known {
                Some(answer) => answer,
                None => ask(connection, *finder, &scope).await?,
            };
            result.checks.push(report);
            mark_untreatable(&mut findings, &scope);
            mark_unbuildable(&mut findings, &scope, &result.left);
            fix::annotate(&mut findings);
            result.findings.extend(findings.iter().cloned());
            let (chosen, left): (Vec<Finding>, Vec<Finding>) =
                findings.into_iter().filter(|f| (self.wanted)(f)).partition(|f| f.is_fixable);
            result.left.extend(left);
            let Some(fix) = fix::find(&finder.rule().code).filter(|_| !chosen.is_empty()) else { continue };

            work.now(format!("{} {}", fix.code, finder.rule().title()));
            watch.next_turn();
            let (finder, chosen) = (Some(*finder), chosen.as_slice());
            let turn = Turn { subject, scope: &scope, finder, fix, chosen, arguments: None, is_online };
            let done = turn.carry_out(connection, attempt, watch, &mut quarantine).await;
            let (mut plan, applied) = done.map_err(|error| not_carried_out(watch.explain(error), fix))?;
            plan.timing.finding_ms += millis(took);
            touched.add(&plan, &applied);
            result.fixes.push(plan);
            result.applied.push(applied);
            catalog = Catalog::read(connection, &subject.schema).await?;
        }
        look_again(connection, subject, &catalog, &mut result, self.finders, self.wanted).await?;
        result.finished(connection, watch, subject).await
    }

    /// Asks every finder, before anything is locked or changed.
    async fn ask_all(
        &self,
        connection: &mut PgConnection,
        catalog: &Catalog,
        work: &Work,
    ) -> Result<BTreeMap<usize, Answer>> {
        let scope = self.scope(catalog);
        let mut answers = BTreeMap::new();
        work.part("looking", Some(self.finders.len() as u64), Unit::Steps);
        for (step, finder) in self.finders.iter().enumerate() {
            work.reach(step as u64);
            if scope.applies(finder.rule()) {
                work.now(format!("looking for {} {}", finder.rule().code, finder.rule().title()));
                answers.insert(step, ask(connection, *finder, &scope).await?);
            }
        }
        Ok(answers)
    }

    /// Says all of what this role lacks for the fixes before the first begins.
    async fn expect_rights(
        &self,
        connection: &mut PgConnection,
        catalog: &Catalog,
        answers: &BTreeMap<usize, Answer>,
    ) -> Result<()> {
        let subject = self.subject;
        let scope = self.scope(catalog);
        let mut needs: Vec<Need> = Vec::new();
        if rights::is_limited(catalog) {
            for (step, chosen) in self.chosen(&scope, answers) {
                needs.extend(self.turn(step, &scope, &chosen).map(|turn| turn.need()));
            }
        }
        rights::expect(connection, catalog, &subject.server.role, &subject.server.database, &needs)
            .await
            .map_err(ledger::as_timeout)
    }

    /// Refuses hazards that nobody consented to before the first lock. What only an earlier fix brings about shows up at the
    /// end, as in every run.
    async fn expect_consent(
        &self,
        connection: &mut PgConnection,
        catalog: &Catalog,
        answers: &BTreeMap<usize, Answer>,
    ) -> Result<()> {
        let scope = self.scope(catalog);
        let mut lacking: Vec<String> = Vec::new();
        for (step, chosen) in self.chosen(&scope, answers) {
            if let Some(turn) = self.turn(step, &scope, &chosen) {
                lacking.extend(turn.lacks_consent(connection, self.allowed).await?);
            }
        }
        match needing_consent(&lacking).as_slice() {
            [] => Ok(()),
            missing => Err(no_consent(missing)),
        }
    }

    /// The findings to repair, by their finder's place.
    fn chosen(&self, scope: &Scope<'_>, answers: &BTreeMap<usize, Answer>) -> Vec<(usize, Vec<Finding>)> {
        let of_one = |(step, answer): (&usize, &Answer)| {
            let mut findings = answer.findings.clone();
            mark_untreatable(&mut findings, scope);
            fix::annotate(&mut findings);
            findings.retain(|finding| finding.is_fixable && (self.wanted)(finding));
            (*step, findings)
        };
        answers.iter().map(of_one).filter(|(_, chosen)| !chosen.is_empty()).collect()
    }

    /// The turn of a finder's fix; `None` where it has none.
    fn turn<'t>(&'t self, step: usize, scope: &'t Scope<'t>, chosen: &'t [Finding]) -> Option<Turn<'t>> {
        let (subject, finder) = (self.subject, self.finders[step]);
        let fix = fix::find(&finder.rule().code)?;
        Some(Turn {
            subject,
            scope,
            finder: Some(finder),
            fix,
            chosen,
            arguments: None,
            is_online: self.is_online,
        })
    }

    fn scope<'c>(&'c self, catalog: &'c Catalog) -> Scope<'c> {
        let mut scope = Scope::new(catalog, self.subject.range, &self.subject.server.role);
        scope.gives_way = true;
        scope
    }
}

async fn ask(connection: &mut PgConnection, finder: &dyn Finder, scope: &Scope<'_>) -> Result<Answer> {
    let begun = Instant::now();
    let (report, findings) = finder.find(connection, scope).await.map_err(|error| {
        let every: Vec<String> = scope.catalog.tables.keys().cloned().collect();
        locks::as_timeout(error, &scope.catalog.schema, &every, Mode::AccessShare)
    })?;
    Ok(Answer { report, findings, took: begun.elapsed() })
}

/// What the fixes so far have changed: the answers of before may be others now.
#[derive(Debug, Default)]
struct Touched {
    tables: BTreeSet<String>,
    is_schema: bool,
}

impl Touched {
    fn add(&mut self, plan: &FixPlan, applied: &AppliedFix) {
        self.tables.extend(plan.row_diff.iter().map(|diff| diff.table.clone()));
        self.tables.extend(applied.ddl_after.keys().cloned());
        // A fix that only sends statements may have changed rows by them.
        self.tables.extend(applied.tables.iter().filter(|_| plan.row_diff.is_empty()).cloned());
        self.is_schema |= !plan.schema_diff.is_empty();
    }

    fn concerns(&self, finder: &dyn Finder, scope: &Scope<'_>) -> bool {
        // Whatever asks for the history may do so by another name than the table's.
        (self.is_schema && finder.reads_catalog())
            || self.tables.contains("_prisma_migrations")
            || self.tables.iter().any(|table| finder.reads(table, scope))
    }
}

/// Says which hazards nobody consented to.
pub fn no_consent(missing: &[String]) -> anyhow::Error {
    failure(
        format!(
            "the plan has hazards that nobody consented to: {}; nothing has been changed",
            missing.join(", ")
        ),
        format!("read it (the same without --apply), then add --allow {}", missing.join(",")),
    )
}

fn not_carried_out(error: anyhow::Error, fix: &Fix) -> anyhow::Error {
    if let Some(timeout) = error.chain().find_map(|cause| cause.downcast_ref::<LockedTooLong>()) {
        return LockedTooLong { code: Some(fix.code.clone()), ..timeout.clone() }.into();
    }
    let what = format!("{} could not be carried out; everything was rolled back", fix.code);
    match exit::own_next(&error) {
        Some(_) => error.context(what),
        None => failure_for(error, what, format!("leave it out, and do the rest: --ignore {}", fix.code)),
    }
}

/// Carries out an operation with its arguments.
///
/// # Errors
/// As [`rehearse`]; a refusal names what stands in the way.
pub async fn operate(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: &Attempt,
    operation: &'static Fix,
    arguments: &BTreeMap<String, String>,
) -> Result<Rehearsal> {
    let task = Task { finder: None, fix: operation, chosen: &[], arguments: Some(arguments), series: None };
    alone(connection, subject, attempt, task).await
}

/// Completes what batches have begun: treats what is left of the findings, and puts the constraints in place, as a run of `series`.
///
/// # Errors
/// As [`rehearse`].
pub async fn complete(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: &Attempt,
    finder: &dyn Finder,
    fix: &'static Fix,
    chosen: &[Finding],
    series: Option<i64>,
) -> Result<Rehearsal> {
    alone(connection, subject, attempt, Task { finder: Some(finder), fix, chosen, arguments: None, series })
        .await
}

/// One turn that is a run of its own, or of a series.
struct Task<'a> {
    finder: Option<&'a dyn Finder>,
    fix: &'static Fix,
    chosen: &'a [Finding],
    arguments: Option<&'a BTreeMap<String, String>>,
    series: Option<i64>,
}

async fn alone(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: &Attempt,
    task: Task<'_>,
) -> Result<Rehearsal> {
    locks::begin(connection, attempt.moment).await?;
    let mut watch = LockWatch::limited(attempt.max_lock);
    watch.next_turn();
    let catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    let scope = Scope::new(&catalog, subject.range, &subject.server.role);
    let Task { finder, fix, chosen, arguments, series } = task;
    let turn = Turn { subject, scope: &scope, finder, fix, chosen, arguments, is_online: false };
    let needs = [turn.need()];
    rights::expect(connection, &catalog, &subject.server.role, &subject.server.database, &needs).await?;
    let run = ledger::open(connection, &subject.schema, &subject.server.role, &subject.server.database)
        .await
        .map_err(ledger::as_timeout)?;
    let mut quarantine = Quarantine::new(run, attempt.is_dry_run);
    let (plan, applied) = turn.carry_out(connection, attempt, &mut watch, &mut quarantine).await?;
    let mut result = Rehearsal::begun(run);
    result.fixes.push(plan);
    result.applied.push(applied);
    result.series = series;
    result.finished(connection, &watch, subject).await
}

/// What was left to a person is looked at again, because a later fix may have taken the harm out of it.
async fn look_again(
    connection: &mut PgConnection,
    subject: &Subject,
    catalog: &Catalog,
    result: &mut Rehearsal,
    finders: &[&dyn Finder],
    wanted: impl Fn(&Finding) -> bool,
) -> Result<()> {
    if result.fixes.is_empty() {
        return Ok(());
    }
    let scope = Scope::new(catalog, subject.range, &subject.server.role);
    let before = std::mem::take(&mut result.left);
    for finder in finders.iter().filter(|finder| before.iter().any(|left| left.code == finder.rule().code)) {
        let (_, mut findings) = finder.find(connection, &scope).await?;
        mark_untreatable(&mut findings, &scope);
        fix::annotate(&mut findings);
        result.left.extend(findings.into_iter().filter(|found| wanted(found) && !found.is_fixable));
    }
    Ok(())
}

/// A missing key cannot be built where rows that refer to nothing are left to a person.
fn mark_unbuildable(findings: &mut [Finding], scope: &Scope<'_>, left: &[Finding]) {
    let is_left = |reference: &&Reference| left.iter().any(|left| left.key == reference.subject());
    for reference in scope.references.iter().filter(is_left) {
        let key = format!("missing key {} of {}", reference.constraint, reference.child_table);
        for finding in findings.iter_mut().filter(|finding| finding.key == key) {
            finding.is_fixable = false;
            finding
                .detail
                .push_str("; rows that refer to nothing, which are left to you (EVO101), are in its way");
        }
    }
}

/// Findings about references whose rows cannot be treated are left to a person.
pub fn mark_untreatable(findings: &mut [Finding], scope: &Scope<'_>) {
    for finding in findings {
        let reference = scope.references.iter().find(|reference| reference.subject() == finding.key);
        if let Some(Err(reason)) = reference.map(|reference| rows::treatment(reference, scope.catalog)) {
            finding.is_fixable = false;
            finding.detail.push_str(&format!("; what to do with the rows is left to you: {reason}"));
        }
    }
}

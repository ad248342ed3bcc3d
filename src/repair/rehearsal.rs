//! Rehearsal: carries fixes out inside a transaction and looks at what they did. Whoever calls decides whether the
//! transaction is then committed, so that what is shown is what is applied.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::fix::{self, Fix};
use super::ledger::{self, AppliedFix};
use super::locks::{self, Attempt, LockWatch, Mode};
use super::plan::{FixPlan, Identity, plan_hash};
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
/// before keys, so that a key can be built on clean data. Each is asked when its turn comes, on what the fixes before it
/// left. Where it `is_online`, what others would have to wait for is left for after the transaction.
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
) -> Result<Rehearsal> {
    locks::begin(connection, attempt.moment).await?;
    let mut catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    expect_rights(connection, subject, &catalog, finders, &wanted).await?;
    let run = ledger::open(connection, &subject.schema, &subject.server.role, &subject.server.database)
        .await
        .map_err(ledger::as_timeout)?;
    let mut watch = LockWatch::default();
    let mut result = Rehearsal::begun(run);
    let work = Work::begin("rehearsing");
    work.part("", Some(finders.len() as u64), Unit::Steps);
    for (step, finder) in finders.iter().enumerate() {
        work.reach(step as u64);
        work.now(finder.rule().title());
        let mut scope = Scope::new(&catalog, subject.range, &subject.server.role);
        scope.gives_way = true;
        if !scope.applies(finder.rule()) {
            continue;
        }
        let (report, mut findings) = finder.find(connection, &scope).await.map_err(|error| {
            let every: Vec<String> = catalog.tables.keys().cloned().collect();
            locks::as_timeout(error, &subject.schema, &every, Mode::AccessShare)
        })?;
        result.checks.push(report);
        mark_untreatable(&mut findings, &scope);
        mark_unbuildable(&mut findings, &scope, &result.left);
        fix::annotate(&mut findings);
        result.findings.extend(findings.iter().cloned());
        let (chosen, left): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().filter(|f| wanted(f)).partition(|f| f.is_fixable);
        result.left.extend(left);
        let Some(fix) = fix::find(&finder.rule().code).filter(|_| !chosen.is_empty()) else { continue };

        watch.next_turn();
        let (finder, chosen) = (Some(*finder), chosen.as_slice());
        let (plan, applied) =
            Turn { subject, scope: &scope, finder, fix, chosen, arguments: None, is_online }
                .carry_out(connection, attempt, &mut watch)
                .await
                .map_err(|error| {
                    let what = format!("{} could not be carried out; everything was rolled back", fix.code);
                    match exit::own_next(&error) {
                        Some(_) => error.context(what),
                        None => failure_for(
                            error,
                            what,
                            format!("leave it out, and do the rest: --ignore {}", fix.code),
                        ),
                    }
                })?;
        result.fixes.push(plan);
        result.applied.push(applied);
        catalog = Catalog::read(connection, &subject.schema).await?;
    }
    look_again(connection, subject, &catalog, &mut result, finders, &wanted).await?;
    result.finished(connection, &watch, subject).await
}

/// Where this role is limited, asks beforehand what fixes there would be, so that all of what is missing for them is said
/// before the first begins. Whoever owns everything is not asked twice.
async fn expect_rights(
    connection: &mut PgConnection,
    subject: &Subject,
    catalog: &Catalog,
    finders: &[&dyn Finder],
    wanted: impl Fn(&Finding) -> bool,
) -> Result<()> {
    let mut needs: Vec<Need> = Vec::new();
    let mut scope = Scope::new(catalog, subject.range, &subject.server.role);
    scope.gives_way = true;
    let finders = finders.iter().filter(|finder| rights::is_limited(catalog) && scope.applies(finder.rule()));
    for finder in finders {
        let Some(fix) = fix::find(&finder.rule().code) else { continue };
        let (_, mut findings) = finder.find(connection, &scope).await.map_err(|error| {
            let every: Vec<String> = catalog.tables.keys().cloned().collect();
            locks::as_timeout(error, &subject.schema, &every, Mode::AccessShare)
        })?;
        mark_untreatable(&mut findings, &scope);
        fix::annotate(&mut findings);
        let chosen: Vec<Finding> = findings.into_iter().filter(|f| f.is_fixable && wanted(f)).collect();
        if !chosen.is_empty() {
            let turn = Turn {
                subject,
                scope: &scope,
                finder: Some(*finder),
                fix,
                chosen: &chosen,
                arguments: None,
                is_online: false,
            };
            needs.push(turn.need());
        }
    }
    rights::expect(connection, catalog, &subject.server.role, &subject.server.database, &needs)
        .await
        .map_err(ledger::as_timeout)
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
    let mut watch = LockWatch::default();
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
    let (plan, applied) = turn.carry_out(connection, attempt, &mut watch).await?;
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

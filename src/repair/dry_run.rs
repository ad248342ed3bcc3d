//! Dry run: runs fixes inside a transaction and reports what they did. The caller decides whether the transaction is
//! then committed, so that what is shown is what is applied.

mod obstacle;
mod request;
mod touched;

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::apply_fix::{FixExecution, FixOutcome};
use super::change_target::ChangeTarget;
use super::fix::Fix;
use super::ledger::{self, AppliedFix};
use super::locks::{self, LockAttempt, LockWatch};
use super::plan::{DatabaseIdentity, FixPlan, LeftOut, plan_hash};
use super::privileges;
use super::quarantine::Quarantine;
use super::row_changes;
use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::checks::references::Reference;
use crate::database::catalog::Catalog;
use crate::error::user_error;
use crate::rules::finding::{CheckReport, Finding};
use request::Request;

/// The result of a dry run. The transaction is still open.
#[derive(Debug)]
pub struct DryRun {
    /// The results of the checks that were run.
    pub checks: Vec<CheckReport>,
    /// The findings before anything was changed.
    pub findings: Vec<Finding>,
    /// The results of the fixes, in order.
    pub fixes: Vec<FixPlan>,
    /// Findings that were asked for and have no fix that fits.
    pub left: Vec<Finding>,
    /// Those whose fix was blocked: the plan's hash covers them.
    pub obstructed: Vec<LeftOut>,
    /// The hash of the whole plan.
    pub plan_hash: String,
    /// The number this run has in the ledger if it is committed.
    pub run: i64,
    /// The first run of the batches that this one completes.
    pub series: Option<i64>,
    applied: Vec<AppliedFix>,
}

impl DryRun {
    fn begun(run: i64) -> Self {
        Self {
            checks: Vec::new(),
            findings: Vec::new(),
            fixes: Vec::new(),
            left: Vec::new(),
            obstructed: Vec::new(),
            plan_hash: String::new(),
            run,
            series: None,
            applied: Vec::new(),
        }
    }

    /// Forgets what is left of a rule that is asked again.
    fn forget_left(&mut self, code: &str) {
        self.left.retain(|left| left.code != code);
        self.obstructed.retain(|left| left.code != code);
    }

    /// Adds findings that were not known before.
    fn add_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            if !self.findings.iter().any(|known| known.code == finding.code && known.key == finding.key) {
                self.findings.push(finding.clone());
            }
        }
    }

    /// Leaves findings to a person: they are unchanged, and nothing is done about them.
    fn leave(&mut self, left: Vec<Finding>) {
        for finding in &left {
            let is_it = |known: &&mut Finding| known.code == finding.code && known.key == finding.key;
            if let Some(known) = self.findings.iter_mut().find(is_it) {
                *known = finding.clone();
            }
        }
        let left_out = |finding: &Finding| LeftOut { code: finding.code.clone(), key: finding.key.clone() };
        self.obstructed.extend(left.iter().map(left_out));
        self.obstructed.sort();
        self.left.extend(left);
    }

    /// Ends it with the ledger's lines, which are part of the dry run because they may have to wait for others, too.
    async fn finished(
        mut self,
        connection: &mut PgConnection,
        watch: &LockWatch,
        subject: &ChangeTarget,
    ) -> Result<Self> {
        let identity = DatabaseIdentity::from_server(&subject.server, &subject.schema);
        self.plan_hash = plan_hash(&identity, &self.fixes, &self.obstructed);
        if !self.applied.is_empty() {
            ledger::record_run(
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

/// Runs the fixes of every finding that is `wanted`, in the order of the detectors, which is that of their codes: data
/// before keys, so that a key can be built on clean data. All detectors run before the first lock is taken; those whose
/// result may change after a fix run again when it is their turn. With `is_online` blocking statements are deferred.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy: roll back and begin again. Everything else is final; the caller rolls back.
pub async fn dry_run(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    finders: &[&dyn Detector],
    wanted: impl Fn(&Finding) -> bool,
    is_online: bool,
    allowed: &[String],
) -> Result<DryRun> {
    let mut watch = LockWatch::limited(attempt.max_lock);
    let request = Request { subject, attempt, finders, wanted: &wanted, is_online, allowed };
    let rehearsed = request.carry_out(connection, &mut watch).await;
    rehearsed.map_err(|error| watch.explain(error))
}

/// Names the hazards without consent.
pub fn missing_consent_error(missing: &[String]) -> anyhow::Error {
    user_error(
        format!("the plan has hazards without consent: {}; nothing has been changed", missing.join(", ")),
        format!(
            "review the dry run (the same command without --apply), then add --allow {}",
            missing.join(",")
        ),
    )
}

/// Carries out an operation with its arguments.
///
/// # Errors
/// As [`dry_run`]; a refusal names what stands in the way.
pub async fn run_operation(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    operation: &'static Fix,
    arguments: &BTreeMap<String, String>,
) -> Result<DryRun> {
    let task = Task { finder: None, fix: operation, chosen: &[], arguments: Some(arguments), series: None };
    alone(connection, subject, attempt, task).await
}

/// Completes what batches have begun: repairs what is left of the findings, and adds the constraints, as a run of
/// `series`.
pub async fn complete_batches(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    finder: &dyn Detector,
    fix: &'static Fix,
    chosen: &[Finding],
    series: Option<i64>,
) -> Result<DryRun> {
    alone(connection, subject, attempt, Task { finder: Some(finder), fix, chosen, arguments: None, series })
        .await
}

/// One fix that is a run of its own, or of a series.
struct Task<'a> {
    finder: Option<&'a dyn Detector>,
    fix: &'static Fix,
    chosen: &'a [Finding],
    arguments: Option<&'a BTreeMap<String, String>>,
    series: Option<i64>,
}

async fn alone(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    task: Task<'_>,
) -> Result<DryRun> {
    locks::begin_change(connection, attempt.moment).await?;
    let mut watch = LockWatch::limited(attempt.max_lock);
    watch.next_fix();
    let catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    let context = CheckContext::for_server(&catalog, subject.range, &subject.server);
    let Task { finder, fix, chosen, arguments, series } = task;
    let execution =
        FixExecution { subject, context: &context, finder, fix, chosen, arguments, is_online: false };
    let needs = [execution.required_privileges()];
    privileges::expect_privileges(&catalog, &subject.server.role, &subject.server.database, &needs)?;
    let run = ledger::create_or_upgrade(
        connection,
        &catalog.ledger_facts,
        &subject.schema,
        &subject.server.role,
        &subject.server.database,
    )
    .await
    .map_err(ledger::as_timeout)?;
    let mut quarantine = Quarantine::new(run, attempt.is_dry_run);
    let FixOutcome { plan, applied, .. } =
        execution.run(connection, attempt, &mut watch, &mut quarantine).await?;
    let mut result = DryRun::begun(run);
    result.fixes.push(plan);
    result.applied.push(applied);
    result.series = series;
    result.finished(connection, &watch, subject).await
}

/// A missing key cannot be built if orphaned rows are left to a person.
fn mark_unbuildable(findings: &mut [Finding], context: &CheckContext<'_>, left: &[Finding]) {
    let is_left = |reference: &&Reference| left.iter().any(|left| left.key == reference.subject());
    for reference in context.references.iter().filter(is_left) {
        let key = format!("missing foreign key {} of {}", reference.constraint, reference.child_table);
        for finding in findings.iter_mut().filter(|finding| finding.key == key) {
            finding.is_fixable = false;
            finding.detail.push_str("; blocked by orphaned rows that are left to you (EVO101)");
        }
    }
}

/// Findings about references whose rows cannot be treated are left to a person.
pub fn mark_untreatable(findings: &mut [Finding], context: &CheckContext<'_>) {
    for finding in findings {
        let reference = context.references.iter().find(|reference| reference.subject() == finding.key);
        if let Some(Err(reason)) =
            reference.map(|reference| row_changes::orphan_treatment(reference, context.catalog))
        {
            finding.is_fixable = false;
            finding.detail.push_str(&format!("; what to do with the rows is left to you: {reason}"));
        }
    }
}

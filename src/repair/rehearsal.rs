//! Rehearsal: carries fixes out inside a transaction and looks at what they did. Whoever calls decides whether the
//! transaction is then committed, so that what is shown is what is applied.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::fix::{self, Fix};
use super::ledger::{self, AppliedFix, Steps};
use super::locks::{self, LockWatch, Mode};
use super::plan::{FixPlan, Identity, plan_hash};
use super::quarantine::{self, RowAction, RowDiff};
use super::statements::{each_finding, statements};
use super::{diff, orphans, rows};
use crate::database::catalog::{self, Catalog, Ddl, Server};
use crate::database::run::{execute, rows};
use crate::database::script::{Variables, render};
use crate::evolution::release::ReleaseRange;
use crate::examine::check::{Check, Family, checks};
use crate::examine::finding::{CheckReport, Finding};
use crate::examine::references::Reference;
use crate::examine::runner::{Scope, run_check};
use crate::exit::failure;

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
    applied: Vec<AppliedFix>,
}

impl Rehearsal {
    /// Writes the ledger and commits.
    ///
    /// # Errors
    /// When the server refuses; then nothing was changed. When the connection is lost while committing, the ledger
    /// tells which it was.
    pub async fn commit(&self, connection: &mut PgConnection, subject: &Subject) -> Result<()> {
        ledger::record(connection, &subject.schema, subject.range, &self.plan_hash, &self.applied).await?;
        execute(connection, "COMMIT".into()).await?;
        Ok(())
    }
}

/// Carries out the fixes of every finding that is `wanted`, in the order of their codes: data before keys, so that a
/// key can be built on clean data. Each check is run when its turn comes, on what the fixes before it left.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy: roll back and begin again. Everything else is final; the caller rolls back.
pub async fn rehearse(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: usize,
    considered: impl Fn(&Check) -> bool,
    wanted: impl Fn(&Finding) -> bool,
) -> Result<Rehearsal> {
    locks::begin(connection, attempt).await?;
    let run = ledger::open(connection, &subject.server.role, &subject.server.database).await?;
    let mut watch = LockWatch::default();
    let mut result = Rehearsal {
        checks: Vec::new(),
        findings: Vec::new(),
        fixes: Vec::new(),
        left: Vec::new(),
        plan_hash: String::new(),
        run,
        applied: Vec::new(),
    };
    let mut catalog = Catalog::read(connection, &subject.schema).await?;
    for check in checks().iter().filter(|check| considered(check)) {
        let scope = Scope::new(&catalog, subject.range, &subject.server.role);
        if !scope.applies(check) {
            continue;
        }
        let (report, mut findings) = run_check(connection, &scope, check).await?;
        result.checks.push(report);
        mark_untreatable(&mut findings, &scope);
        fix::annotate(&mut findings);
        result.findings.extend(findings.iter().cloned());
        let (chosen, left): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().filter(|f| wanted(f)).partition(|f| f.is_fixable);
        result.left.extend(left);
        let Some(fix) = fix::find(&check.rule.code).filter(|_| !chosen.is_empty()) else { continue };

        watch.next_turn();
        let (plan, applied) = Turn { subject, scope: &scope, check, fix, chosen: &chosen }
            .carry_out(connection, &mut watch)
            .await
            .with_context(|| format!("{} could not be carried out; everything was rolled back", fix.code))?;
        result.fixes.push(plan);
        result.applied.push(applied);
        catalog = Catalog::read(connection, &subject.schema).await?;
    }
    for (position, plan) in result.fixes.iter_mut().enumerate() {
        plan.locks = watch.held(position + 1);
    }
    result.plan_hash = plan_hash(&Identity::of(&subject.server, &subject.schema), &result.fixes);
    Ok(result)
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

/// One fix's turn.
struct Turn<'a> {
    subject: &'a Subject,
    scope: &'a Scope<'a>,
    check: &'a Check,
    fix: &'static Fix,
    chosen: &'a [Finding],
}

impl Turn<'_> {
    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
    ) -> Result<(FixPlan, AppliedFix)> {
        let schema = &self.subject.schema;
        let orphaned: Vec<&Reference> = self
            .scope
            .references
            .iter()
            .filter(|reference| self.chosen.iter().any(|finding| finding.key == reference.subject()))
            .collect();
        let tables = match self.fix.family {
            Family::Once => {
                let losing = if self.fix.rows.is_some() { self.fix.tables.clone() } else { Vec::new() };
                rows::reach(self.fix.tables.clone(), losing, &self.scope.references, self.scope.catalog)
            }
            Family::Reference => orphans::tables(&orphaned, &self.scope.references, self.scope.catalog),
            Family::Finding => {
                let named = self.chosen.iter().flat_map(|finding| finding.repair.tables.clone());
                rows::reach(named.collect(), Vec::new(), &self.scope.references, self.scope.catalog)
            }
        };
        expect_owned(self.scope.catalog, &tables, &self.subject.server.role)?;
        // Readers need not wait where only rows change.
        let alters = self.fix.family != Family::Reference && !self.fix.up.is_empty();
        let mode = if alters { Mode::AccessExclusive } else { Mode::ShareRowExclusive };
        locks::lock(connection, schema, &tables, mode).await?;
        watch.look(connection).await?;

        let before = catalog::ddl(connection, schema).await?;
        let mut notes = self.fix.notes(self.subject.range);
        let mut steps = Steps::default();
        let statements = match self.fix.family {
            Family::Once => {
                let mut executed = self.treat_rows(connection).await?;
                let done = statements(connection, &self.fix.up, schema).await?;
                notes.extend(done.notes);
                executed.extend(done.executed);
                executed
            }
            Family::Reference => {
                let all = &self.scope.references;
                let (statements, constraints) =
                    orphans::apply(connection, self.fix, self.scope.catalog, &orphaned, all).await?;
                steps.constraints = constraints;
                statements
            }
            Family::Finding => {
                let done = each_finding(connection, &self.fix.up, "repair", self.repairs()).await?;
                notes.extend(done.notes);
                steps.undo =
                    self.chosen.iter().rev().flat_map(|finding| finding.repair.undo.clone()).collect();
                done.executed
            }
        };
        watch.look(connection).await?;
        self.verify(connection).await?;
        let after = catalog::ddl(connection, schema).await?;
        let row_diff: Vec<RowDiff> = quarantine::summary(connection)
            .await?
            .into_iter()
            .filter(|(code, _)| *code == self.fix.code)
            .map(|(_, diff)| diff)
            .collect();
        notes.extend(trigger_notes(self.scope.catalog, &row_diff));
        let claimed = steps.constraints.iter().any(|c| c.before == orphans::Before::ClaimedValid);
        let undo_is_exact = !claimed || can_replicate(connection).await?;
        if !undo_is_exact {
            notes.push(
                "undo by a role that is no superuser brings the rows back, but leaves their constraint NOT VALID".into(),
            );
        }
        let plan = FixPlan {
            code: self.fix.code.clone(),
            name: self.check.rule.name.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards: self.hazards(&row_diff, undo_is_exact),
            notes,
            statements,
            schema_diff: diff::schema(&before, &after),
            row_diff,
            locks: Vec::new(),
            plan_hash: String::new(),
        };
        let changed = diff::changed_tables(&before, &after);
        let only = |ddl: Ddl| ddl.into_iter().filter(|(table, _)| changed.contains(table)).collect();
        // What was made here is touched too, though it could not be locked beforehand.
        let mut tables = tables;
        tables.extend(changed.iter().filter(|table| !tables.contains(table)).cloned().collect::<Vec<_>>());
        let applied = AppliedFix {
            code: self.fix.code.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            tables,
            ddl_before: only(before),
            ddl_after: only(after),
            steps,
        };
        Ok((plan.hashed(), applied))
    }

    /// The statements that the check gave for the findings to repair, in its order.
    fn repairs(&self) -> impl Iterator<Item = &String> {
        self.chosen.iter().flat_map(|finding| &finding.repair.statements)
    }

    /// Removes and changes the rows that the fix's own query selects; `:'keys'` are the keys of the findings to repair.
    async fn treat_rows(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let Some(query) = &self.fix.rows else { return Ok(Vec::new()) };
        let keys: Vec<&String> = self.chosen.iter().map(|finding| &finding.key).collect();
        let variables =
            Variables::for_schema(&self.subject.schema).text("keys", serde_json::to_string(&keys)?);
        let selection = render(query, &variables)?;
        let work =
            rows::Work { code: &self.fix.code, catalog: self.scope.catalog, all: &self.scope.references };
        work.mark_selected(connection, &selection).await?;
        work.guard(connection).await?;
        work.treat(connection).await
    }

    /// Sqitch's third step: what was wrong must now be right.
    async fn verify(&self, connection: &mut PgConnection) -> Result<()> {
        let catalog = Catalog::read(connection, &self.subject.schema).await?;
        let scope = Scope::new(&catalog, self.subject.range, &self.subject.server.role);
        let (_, findings) = run_check(connection, &scope, self.check).await?;
        let stays = self.chosen.iter().find(|chosen| findings.iter().any(|found| found.key == chosen.key));
        match stays {
            None => Ok(()),
            Some(finding) => Err(failure(
                format!("{} is still found after its fix ({})", finding.code, finding.subject),
                "please report this with the output of: evodoctor check --format json",
            )),
        }
    }

    /// The hazards that are real here: row hazards only where there are rows.
    fn hazards(&self, rows: &[RowDiff], undo_is_exact: bool) -> Vec<String> {
        let has = |action| rows.iter().any(|diff| diff.action == action);
        let is_real = |hazard: &&String| match hazard.as_str() {
            "deletes-rows" => has(RowAction::Removed),
            "changes-rows" => has(RowAction::Changed),
            // Said of undo by the files of a fix, and of orphans only where it is so.
            "limits-undo" => self.fix.family == Family::Once || !undo_is_exact,
            _ => true,
        };
        self.fix.hazards.iter().filter(is_real).cloned().collect()
    }
}

fn expect_owned(catalog: &Catalog, tables: &[String], role: &str) -> Result<()> {
    let foreign: Vec<_> =
        tables.iter().filter_map(|t| catalog.tables.get(t)).filter(|t| !t.is_owned).collect();
    let Some(first) = foreign.first() else { return Ok(()) };
    let names = foreign.iter().map(|table| format!("{:?}", table.name)).collect::<Vec<_>>().join(", ");
    Err(failure(
        format!("role {role:?} does not own {names}, and only the owner may alter a table"),
        format!("connect as {:?}, the role that Evolution itself uses", first.owner),
    ))
}

fn trigger_notes(catalog: &Catalog, rows: &[RowDiff]) -> Vec<String> {
    let mut tables: Vec<&str> = rows.iter().map(|diff| diff.table.as_str()).collect();
    tables.dedup();
    tables
        .into_iter()
        .filter_map(|name| catalog.tables.get(name))
        .filter(|table| !table.triggers.is_empty())
        .map(|table| {
            format!(
                "the triggers of {} run too ({}); what they do elsewhere is not in the quarantine",
                table.name,
                table.triggers.join(", ")
            )
        })
        .collect()
}

/// Whether rows can return under a live constraint.
pub async fn can_replicate(connection: &mut PgConnection) -> Result<bool> {
    let rows = rows(connection, "sql/quarantine/can_replicate.sql", &Variables::default()).await?;
    Ok(rows.first().context("one row")?.try_get("is_allowed")?)
}

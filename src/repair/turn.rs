//! One fix's turn in a rehearsal: lock, look, carry out, look again, verify.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::fix::Fix;
use super::ledger::{AppliedFix, Steps};
use super::locks::{self, LockWatch, Mode};
use super::plan::{FixPlan, base};
use super::quarantine::{self, RowAction, RowDiff};
use super::rehearsal::Subject;
use super::{diff, orphans, rows};
use crate::database::catalog::{self, Catalog, Ddl};
use crate::database::run::{execute, state_of, statement_rows};
use crate::database::script::{Variables, render};
use crate::examine::check::{Check, Family};
use crate::examine::finding::Finding;
use crate::examine::parts;
use crate::examine::references::Reference;
use crate::examine::runner::{Scope, run_check};
use crate::exit::failure;

/// One fix's turn.
pub struct Turn<'a> {
    /// The database.
    pub subject: &'a Subject,
    /// Its tables and references.
    pub scope: &'a Scope<'a>,
    /// The check that the fix serves; an operation serves none.
    pub check: Option<&'a Check>,
    /// What is carried out.
    pub fix: &'static Fix,
    /// The findings that it is to mend.
    pub chosen: &'a [Finding],
    /// The arguments of an operation.
    pub arguments: Option<&'a BTreeMap<String, String>>,
}

impl Turn<'_> {
    /// Carries it out. Returns what it did, for the plan and for the ledger.
    ///
    /// # Errors
    /// [`locks::LockTimeout`] when a table was busy; otherwise what stands in the way.
    pub async fn carry_out(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
    ) -> Result<(FixPlan, AppliedFix)> {
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
        };
        expect_owned(self.scope.catalog, &tables, &self.subject.server.role)?;
        // Readers need not wait where only rows change.
        let alters = self.fix.family == Family::Once && !self.fix.up.is_empty();
        let mode = if alters { Mode::AccessExclusive } else { Mode::ShareRowExclusive };
        locks::lock(connection, &self.subject.schema, &tables, mode).await?;
        watch.look(connection).await?;
        // What the lock does not keep away, such as a row that somebody holds FOR UPDATE, may still be waited for.
        let done = self.on_locked(connection, watch, &tables, &orphaned).await;
        done.map_err(|error| locks::as_timeout(error, &tables, mode))
    }

    async fn on_locked(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        tables: &[String],
        orphaned: &[&Reference],
    ) -> Result<(FixPlan, AppliedFix)> {
        let schema = &self.subject.schema;

        let before = catalog::ddl(connection, schema).await?;
        let mut notes = self.fix.notes(self.subject.range);
        let mut steps = Steps { arguments: self.arguments.cloned().unwrap_or_default(), ..Steps::default() };
        let statements = match self.fix.family {
            Family::Once => {
                let spoken = statements(connection, &self.fix.before_rows, &self.variables()).await?;
                let mut executed = self.treat_rows(connection).await?;
                let done = statements(connection, &self.fix.up, &self.variables()).await?;
                notes.extend(spoken.notes.into_iter().chain(done.notes));
                executed.extend(done.executed);
                executed
            }
            Family::Reference => {
                let all = &self.scope.references;
                let (statements, constraints) =
                    orphans::apply(connection, self.fix, self.scope.catalog, orphaned, all).await?;
                steps.constraints = constraints;
                statements
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
            name: self.check.map_or("credentials", |check| &check.rule.name).to_owned(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards: self.hazards(&row_diff, undo_is_exact),
            notes,
            statements,
            schema_diff: diff::schema(&before, &after),
            row_diff,
            locks: Vec::new(),
            base: base(&before, tables),
            plan_hash: String::new(),
        };
        let changed = diff::changed_tables(&before, &after);
        let only = |ddl: Ddl| ddl.into_iter().filter(|(table, _)| changed.contains(table)).collect();
        let applied = AppliedFix {
            code: self.fix.code.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            tables: tables.to_vec(),
            ddl_before: only(before),
            ddl_after: only(after),
            steps,
        };
        Ok((plan.hashed(), applied))
    }

    fn variables(&self) -> Variables {
        let variables = Variables::for_schema(&self.subject.schema);
        self.arguments.map_or(variables.clone(), |arguments| variables.texts(arguments))
    }

    /// Removes and changes the rows that the fix's own query selects.
    async fn treat_rows(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let Some(query) = &self.fix.rows else { return Ok(Vec::new()) };
        let query = parts::fitting(query, self.scope.catalog, self.scope.range);
        let selection = render(&query, &self.variables())?;
        let work =
            rows::Work { code: &self.fix.code, catalog: self.scope.catalog, all: &self.scope.references };
        work.mark_selected(connection, &selection).await?;
        work.guard(connection).await?;
        work.treat(connection).await
    }

    /// Sqitch's third step: what was wrong must now be right.
    async fn verify(&self, connection: &mut PgConnection) -> Result<()> {
        let Some(check) = self.check else { return Ok(()) };
        let catalog = Catalog::read(connection, &self.subject.schema).await?;
        let scope = Scope::new(&catalog, self.subject.range, &self.subject.server.role);
        let (_, findings) = run_check(connection, &scope, check).await?;
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

/// What running a fix's statements gave.
#[derive(Debug, Default)]
pub struct Executed {
    /// The statements that changed something.
    pub executed: Vec<String>,
    /// What the file's queries had to say.
    pub notes: Vec<String>,
}

/// Runs the statements of a fix file. A query in it speaks: a column `note` goes into the plan, a column `refusal`
/// stops everything.
///
/// # Errors
/// A refusal with everything that stands in the way; or what the server says.
pub async fn statements(
    connection: &mut PgConnection,
    templates: &[String],
    variables: &Variables,
) -> Result<Executed> {
    let mut done = Executed::default();
    for template in templates {
        let sql = render(template, variables)?;
        if !sql.starts_with("SELECT") {
            run_statement(connection, &sql).await?;
            done.executed.push(sql);
            continue;
        }
        let mut refusals: Vec<String> = Vec::new();
        for row in statement_rows(connection, sql).await? {
            match row.try_get::<String, _>("refusal") {
                Ok(refusal) => refusals.push(refusal),
                Err(_) => done.notes.push(row.try_get("note")?),
            }
        }
        refuse(&refusals)?;
    }
    Ok(done)
}

/// Stops when anything stands in the way.
///
/// # Errors
/// Names it all.
pub fn refuse(refusals: &[String]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    Err(failure(
        format!("something stands in the way, so nothing was changed:\n    {}", refusals.join("\n    ")),
        "mend what is named above, then try again",
    ))
}

async fn run_statement(connection: &mut PgConnection, sql: &str) -> Result<()> {
    match execute(connection, sql.to_owned()).await {
        Ok(_) => Ok(()),
        Err(error) if state_of(&error).as_deref() == Some("23503") => Err(failure(
            "rows that refer to nothing keep the key from being built",
            "let EVO101 treat them in the same run: name both codes, EVO101 first",
        )),
        Err(error) => Err(error).with_context(|| format!("the server refused: {sql}")),
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
    let rows =
        crate::database::run::rows(connection, "sql/quarantine/can_replicate.sql", &Variables::default())
            .await?;
    Ok(rows.first().context("one row")?.try_get("is_allowed")?)
}

//! One fix in a dry run: lock, check, carry out, check again, verify.

mod consent;
mod execute;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use execute::ExecutedFix;

use super::change_target::ChangeTarget;
use super::deferred_ddl::DeferredStatement;
use super::fix::Fix;
use super::fix_sql;
use super::ledger::{AppliedFix, UndoSteps};
use super::locks::{self, LockAttempt, LockMode, LockWatch};
use super::orphan_constraints::ConstraintState;
use super::plan::{FixPlan, FixTiming, base_ddl};
use super::privileges::{self, RequiredPrivileges};
use super::quarantine::Quarantine;
use super::row_changes::{self, RowChanges};
use super::{merge_query, orphan_constraints, schema_diff, verify, work_tables};
use crate::checks::check::CheckScope;
use crate::checks::conditional_sql;
use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::checks::references::Reference;
use crate::checks::unique_indexes::UniqueIndex;
use crate::database::catalog::{self, Catalog, Ddl};
use crate::database::query;
use crate::database::sql_file::{Variables, render};
use crate::rules::finding::Finding;

/// The result of a fix.
pub struct FixOutcome {
    /// Goes into the plan.
    pub plan: FixPlan,
    /// Goes into the ledger.
    pub applied: AppliedFix,
    /// The catalog as it is now, where the fix did more than to treat rows; otherwise it is as before.
    pub catalog: Option<Catalog>,
}

/// One fix's execution.
pub struct FixExecution<'a> {
    /// The database.
    pub subject: &'a ChangeTarget,
    /// Its tables and references.
    pub context: &'a CheckContext<'a>,
    /// The detector that found it; an operation has none.
    pub finder: Option<&'a dyn Detector>,
    /// The fix to run.
    pub fix: &'static Fix,
    /// The findings that it repairs.
    pub chosen: &'a [Finding],
    /// The arguments of an operation.
    pub arguments: Option<&'a BTreeMap<String, String>>,
    /// True if blocking statements are deferred until after the transaction.
    pub is_online: bool,
}

impl FixExecution<'_> {
    /// Carries it out.
    ///
    /// # Errors
    /// [`locks::LockTimeout`] when a table was busy; otherwise what stands in the way.
    pub async fn run(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
        quarantine: &mut Quarantine,
    ) -> Result<FixOutcome> {
        let orphaned = self.orphaned();
        let tables = self.tables();
        let catalog = self.context.catalog;
        self.expect_consent_to_triggers()?;
        privileges::expect_table_privileges(catalog, &self.subject.server, self.required_privileges())?;
        // Readers need not wait where only rows change.
        let alters =
            self.fix.family != CheckScope::Reference && !self.fix.up.is_empty() && !self.leaves_for_later();
        let mode = if alters { LockMode::AccessExclusive } else { LockMode::ShareRowExclusive };
        if attempt.is_dry_run && !alters {
            // Fixes that only write rows use the row locks that the server takes itself: others continue to read and
            // write.
            watch.expect(&self.subject.schema, &tables, mode);
        } else {
            locks::lock(connection, attempt, &self.subject.schema, &tables, mode).await?;
            watch.record_locks(connection).await?;
        }
        // The table lock does not keep everything away: a row that a session holds FOR UPDATE may still cause a wait.
        let done = self.on_locked(connection, attempt, watch, quarantine, &tables, &orphaned).await;
        done.map_err(|error| locks::as_timeout(error, &self.subject.schema, &tables, mode))
    }

    /// True if blocking statements are deferred. An index that replaces another one is not: duplicates could come in
    /// between.
    fn leaves_for_later(&self) -> bool {
        self.is_online && !self.fix.up.iter().any(|sql| sql.starts_with("DROP INDEX"))
    }

    /// The rights that it needs.
    pub fn required_privileges(&self) -> RequiredPrivileges {
        let repairs = self.chosen.iter().flat_map(|finding| &finding.repair.statements);
        // The key that EVO101 adds needs no right on the schema.
        let up: &[String] = if self.fix.family == CheckScope::Reference { &[] } else { &self.fix.up };
        RequiredPrivileges::new(&self.fix.code, self.tables(), up.iter().chain(repairs))
    }

    /// The references whose orphans it treats.
    fn orphaned(&self) -> Vec<&Reference> {
        let is_chosen = |reference: &&Reference| {
            self.fix.family == CheckScope::Reference
                && self.chosen.iter().any(|finding| finding.key == reference.subject())
        };
        self.context.references.iter().filter(is_chosen).collect()
    }

    /// The tables that it may touch or must keep still.
    fn tables(&self) -> Vec<String> {
        let (all, catalog) = (&self.context.references, self.context.catalog);
        match self.fix.family {
            CheckScope::Once | CheckScope::UniqueIndex => {
                let touched = self.touched();
                let losing = if self.fix.rows.is_some() { touched.clone() } else { Vec::new() };
                row_changes::reachable_tables(touched, losing, all, catalog)
            }
            CheckScope::Reference => orphan_constraints::tables(&self.orphaned(), all, catalog),
            CheckScope::Finding => {
                let named = self.chosen.iter().flat_map(|finding| finding.repair.tables.clone());
                row_changes::reachable_tables(named.collect(), Vec::new(), all, catalog)
            }
        }
    }

    /// Hands what was made over to the role that Evolution itself uses.
    async fn hand_over(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let Some(owner) = privileges::other_owner(self.context.catalog, &self.subject.server.role) else {
            return Ok(Vec::new());
        };
        let known: Vec<&String> = self.context.catalog.tables.keys().collect();
        let variables = Variables::for_schema(&self.subject.schema)
            .text("owner", owner)
            .text("known", serde_json::to_string(&known)?);
        let mut executed = Vec::new();
        for row in query::query_file(connection, "sql/catalog/untrusted_references.sql", &variables).await? {
            let sql: String = row.try_get("statement")?;
            query::execute(connection, sql.clone())
                .await
                .with_context(|| format!("the server refused: {sql}"))?;
            executed.push(sql);
        }
        Ok(executed)
    }

    async fn on_locked(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
        quarantine: &mut Quarantine,
        tables: &[String],
        orphaned: &[&Reference],
    ) -> Result<FixOutcome> {
        let begun = Instant::now();
        let before = catalog::ddl(connection, &self.subject.schema).await?;
        let mut executed = self.execute(connection, attempt, watch, quarantine, orphaned).await?;
        if self.required_privileges().creates_owned {
            executed.statements.extend(self.hand_over(connection).await?);
        }
        watch.record_locks(connection).await?;
        let (after, catalog) = self.schema_afterwards(connection, &executed, &before).await?;
        self.verify(connection, catalog.as_ref(), &executed.steps.later).await?;
        let timing = executed.timing(begun);
        let undo_is_exact = undo_is_exact(connection, &executed.steps).await?;
        if !undo_is_exact {
            let note = "undo by a role that is not a superuser brings the rows back, but leaves their constraint NOT VALID";
            executed.notes.push(note.to_owned());
        }
        let applied = self.ledger_entry(&executed.steps, tables, &before, &after);
        let plan = self.plan(executed, timing, undo_is_exact, tables, (&before, &after));
        Ok(FixOutcome { plan, applied, catalog })
    }

    /// The schema now, and the catalog where it may have changed: rows change neither.
    async fn schema_afterwards(
        &self,
        connection: &mut PgConnection,
        executed: &ExecutedFix,
        before: &Ddl,
    ) -> Result<(Ddl, Option<Catalog>)> {
        if self.fix.before_rows.is_empty() && executed.treats_rows_only() {
            return Ok((before.clone(), None));
        }
        let schema = &self.subject.schema;
        let after = catalog::ddl(connection, schema).await?;
        Ok((after, Some(Catalog::read(connection, schema).await?)))
    }

    /// Refuses what is not repaired. What is not complete yet is verified when it is; until then, the check looks at what would keep
    /// it from completing.
    async fn verify(
        &self,
        connection: &mut PgConnection,
        changed: Option<&Catalog>,
        later: &[DeferredStatement],
    ) -> Result<()> {
        let catalog = changed.unwrap_or(self.context.catalog);
        match self.finder {
            _ if !later.is_empty() => verify::can_validate(connection, self.subject, catalog, later).await,
            Some(finder) => {
                let family = self.fix.family;
                verify::is_repaired(connection, self.subject, catalog, finder, family, self.chosen).await
            }
            None => Ok(()),
        }
    }

    fn plan(
        &self,
        executed: ExecutedFix,
        timing: FixTiming,
        undo_is_exact: bool,
        tables: &[String],
        (before, after): (&Ddl, &Ddl),
    ) -> FixPlan {
        let ExecutedFix { statements, notes, steps, row_diff, .. } = executed;
        let plan = FixPlan {
            code: self.fix.code.clone(),
            name: self.finder.map_or("credentials", |finder| &finder.rule().name).to_owned(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards: self.hazards(&row_diff, undo_is_exact),
            notes,
            statements,
            after_commit: steps.later.iter().map(|later| later.sql.clone()).collect(),
            schema_diff: schema_diff::unified_diff(before, after),
            row_diff,
            left_rows: Vec::new(),
            locks: Vec::new(),
            timing,
            base: base_ddl(before, tables),
            plan_hash: String::new(),
        };
        plan.with_hash()
    }

    fn ledger_entry(&self, steps: &UndoSteps, tables: &[String], before: &Ddl, after: &Ddl) -> AppliedFix {
        let mut changed = schema_diff::changed_tables(before, after);
        changed.extend(steps.later.iter().filter_map(|later| later.table.clone()));
        let only = |ddl: &Ddl| {
            let of_changed = ddl.iter().filter(|(table, _)| changed.contains(*table));
            of_changed.map(|(table, ddl)| (table.clone(), ddl.clone())).collect()
        };
        // What was made here is touched too, though it could not be locked beforehand.
        let mut tables = tables.to_vec();
        tables.extend(changed.iter().filter(|table| !tables.contains(table)).cloned().collect::<Vec<_>>());
        AppliedFix {
            code: self.fix.code.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            tables,
            ddl_before: only(before),
            ddl_after: only(after),
            steps: steps.clone(),
        }
    }

    fn variables(&self) -> Result<Variables> {
        let variables = fix_sql::fix_variables(self.subject, self.chosen)?;
        Ok(match self.arguments {
            Some(arguments) => variables.texts(arguments),
            None => variables,
        })
    }

    /// The tables that the fix names, and those that its findings are about.
    fn touched(&self) -> Vec<String> {
        let mut touched = self.fix.tables.clone();
        touched.extend(self.indexes().iter().map(|index| index.table.clone()));
        if self.fix.alters_found {
            let subjects = self.chosen.iter().filter_map(|finding| finding.subject.split('.').next());
            touched.extend(subjects.map(str::to_owned));
        }
        touched.sort();
        touched.dedup();
        touched
    }

    /// The unique indexes whose duplicates the fix's query selects.
    fn indexes(&self) -> Vec<&UniqueIndex> {
        let is_chosen = |index: &&UniqueIndex| match (&self.fix.rows_of_index, self.fix.family) {
            (Some(name), _) => index.name == *name,
            (None, CheckScope::UniqueIndex) => self.chosen.iter().any(|finding| finding.key == index.name),
            (None, _) => false,
        };
        self.context.unique_indexes.iter().filter(is_chosen).collect()
    }

    /// Marks the rows that the fix is about; `None` for a fix that is about none.
    async fn mark_rows(&self, connection: &mut PgConnection) -> Result<Option<RowChanges<'_>>> {
        let catalog = self.context.catalog;
        let mut changes = RowChanges::new(&self.fix.code, catalog, &self.context.references);
        if self.fix.family == CheckScope::Reference {
            changes.are_orphans = true;
            changes.mark_orphans(connection, &self.orphaned()).await?;
            return Ok(Some(changes));
        }
        let Some(query) = &self.fix.rows else { return Ok(None) };
        let query = conditional_sql::strip_for_release(query, catalog, self.context.range);
        let is_once = self.fix.family == CheckScope::Once && self.fix.rows_of_index.is_none();
        let selections = match is_once {
            true => vec![render(&query, &self.variables()?)?],
            false => self
                .indexes()
                .into_iter()
                .map(|index| render(&query, &merge_query::merge_variables(index, catalog, None)))
                .collect::<Result<_>>()?,
        };
        for selection in selections {
            changes.mark_selected(connection, &selection, &self.touched(), !is_once).await?;
        }
        Ok(Some(changes))
    }
}

/// True if undo leaves everything as it was: a constraint that claimed to be valid over orphans can be put back by a superuser only.
async fn undo_is_exact(connection: &mut PgConnection, steps: &UndoSteps) -> Result<bool> {
    let claimed =
        steps.constraints.iter().any(|constraint| constraint.before == ConstraintState::ClaimedValid);
    Ok(!claimed || work_tables::can_replicate(connection).await?)
}

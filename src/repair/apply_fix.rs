//! One fix in a dry run: lock, check, carry out, check again, verify.

mod consent;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use consent::trigger_notes;

use super::change_target::ChangeTarget;
use super::fix::Fix;
use super::fix_sql::{self, UndoStatement, run_statements};
use super::ledger::{AppliedFix, UndoSteps};
use super::locks::{self, LockAttempt, LockMode, LockWatch};
use super::plan::{FixPlan, FixTiming, base_ddl, to_millis};
use super::privileges::{self, RequiredPrivileges};
use super::quarantine::Quarantine;
use super::row_changes::{self, RowChanges, TreatedRows};
use super::{deferred_ddl, merge_query, orphan_constraints, schema_diff, verify, work_tables};
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
        let schema = &self.subject.schema;
        let begun = Instant::now();

        let before = catalog::ddl(connection, schema).await?;
        let mut notes = self.fix.notes(self.subject.range);
        let mut steps =
            UndoSteps { arguments: self.arguments.cloned().unwrap_or_default(), ..UndoSteps::default() };
        let is_online = self.leaves_for_later();
        if self.is_online && !is_online {
            notes.push(
                "everything runs in one transaction, with --online too: one index replaces \
                another, and no duplicates may be written in between"
                    .to_owned(),
            );
        }
        let online = is_online.then_some(self.context.catalog);
        let (mut treated, mut of_rows) = (TreatedRows::default(), 0);
        let mut statements = match self.fix.family {
            CheckScope::Once | CheckScope::UniqueIndex => {
                let variables = self.variables()?;
                let spoken = run_statements(connection, &self.fix.before_rows, &variables, None).await?;
                treated = self.treat_rows(connection, quarantine, watch).await?;
                of_rows = treated.statements.len();
                let mut executed = std::mem::take(&mut treated.statements);
                let done = run_statements(connection, &self.fix.up, &variables, online).await?;
                notes.extend(spoken.notes.into_iter().chain(done.notes));
                executed.extend(done.executed);
                steps.ways_back = done.ways_back;
                steps.later = done.later;
                if self.fix.records {
                    let recorded = fix_sql::record_migrations(connection, &variables).await?;
                    executed.extend(recorded.executed);
                    steps.ways_back.extend(recorded.ways_back);
                    let names = fix_sql::pending_records(self.chosen).into_iter();
                    steps.records = names.map(|record| record.name.to_owned()).collect();
                }
                executed
            }
            CheckScope::Reference => {
                let catalog = self.context.catalog;
                treated = self.treat_rows(connection, quarantine, watch).await?;
                of_rows = treated.statements.len();
                let mut executed = std::mem::take(&mut treated.statements);
                let altered = orphan_constraints::altered_tables(orphaned, schema);
                if attempt.is_dry_run && !is_online && !altered.is_empty() {
                    let mode = LockMode::ShareRowExclusive;
                    locks::lock(connection, attempt, schema, &altered, mode).await?;
                    watch.record_locks(connection).await?;
                }
                let done =
                    orphan_constraints::add_constraints(connection, self.fix, catalog, orphaned, is_online)
                        .await?;
                steps.constraints = done.constraints;
                steps.later = done.later;
                executed.extend(done.statements);
                executed
            }
            CheckScope::Finding => {
                let repairs = self.chosen.iter().flat_map(|finding| &finding.repair.statements);
                let done = fix_sql::run_for_each_finding(connection, &self.fix.up, "repair", repairs, online)
                    .await?;
                notes.extend(done.notes);
                // Undo goes through them from the last to the first.
                let undo = self.chosen.iter().flat_map(|finding| finding.repair.undo.iter().rev());
                steps.ways_back = undo
                    .map(|sql| {
                        UndoStatement::new(if is_online {
                            deferred_ddl::undo_statement(sql)
                        } else {
                            sql.clone()
                        })
                    })
                    .collect();
                steps.later = done.later;
                done.executed
            }
        };
        if self.required_privileges().creates_owned {
            statements.extend(self.hand_over(connection).await?);
        }
        watch.record_locks(connection).await?;
        // What else a fix does may change tables; rows do not.
        let treats_rows_only =
            statements.len() == of_rows && self.fix.before_rows.is_empty() && steps.are_of_rows();
        let (after, catalog) = match treats_rows_only {
            true => (before.clone(), None),
            false => {
                (catalog::ddl(connection, schema).await?, Some(Catalog::read(connection, schema).await?))
            }
        };
        let catalog_now = catalog.as_ref().unwrap_or(self.context.catalog);
        // What is not complete yet is verified when it is; until then, the check looks at what would keep it from
        // completing.
        if !steps.later.is_empty() {
            verify::can_validate(connection, self.subject, catalog_now, &steps.later).await?;
        } else if let Some(finder) = self.finder {
            let family = self.fix.family;
            verify::is_repaired(connection, self.subject, catalog_now, finder, family, self.chosen).await?;
        }
        let TreatedRows { row_diff, orphans, marking, .. } = treated;
        let timing = FixTiming {
            finding_ms: to_millis(marking),
            locked_ms: to_millis(begun.elapsed().saturating_sub(marking)),
            rows: row_diff.iter().map(|diff| diff.count).sum(),
        };
        steps.remember_orphans(orphans, &self.context.references);
        notes.extend(trigger_notes(self.context.catalog, &row_diff));
        let claimed =
            steps.constraints.iter().any(|c| c.before == orphan_constraints::ConstraintState::ClaimedValid);
        let undo_is_exact = !claimed || work_tables::can_replicate(connection).await?;
        if !undo_is_exact {
            notes.push(
                "undo by a role that is not a superuser brings the rows back, but leaves their \
                    constraint NOT VALID"
                    .into(),
            );
        }
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
            schema_diff: schema_diff::unified_diff(&before, &after),
            row_diff,
            left_rows: Vec::new(),
            locks: Vec::new(),
            timing,
            base: base_ddl(&before, tables),
            plan_hash: String::new(),
        };
        let mut changed = schema_diff::changed_tables(&before, &after);
        changed.extend(steps.later.iter().filter_map(|later| later.table.clone()));
        let only = |ddl: Ddl| ddl.into_iter().filter(|(table, _)| changed.contains(table)).collect();
        // What was made here is touched too, though it could not be locked beforehand.
        let mut tables = tables.to_vec();
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
        Ok(FixOutcome { plan: plan.with_hash(), applied, catalog })
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

    /// Removes and changes the rows that the fix is about.
    async fn treat_rows(
        &self,
        connection: &mut PgConnection,
        quarantine: &mut Quarantine,
        watch: &mut LockWatch,
    ) -> Result<TreatedRows> {
        match self.mark_rows(connection).await? {
            Some(changes) => changes.carry_out(connection, quarantine, watch).await,
            None => Ok(TreatedRows::default()),
        }
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

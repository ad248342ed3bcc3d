//! The statements of a fix, by what it is run for.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::FixExecution;
use super::consent::trigger_notes;
use crate::checks::check::CheckScope;
use crate::checks::references::Reference;
use crate::repair::fix_sql::{self, FixSqlResult, UndoStatement, run_statements};
use crate::repair::ledger::UndoSteps;
use crate::repair::locks::{self, LockAttempt, LockMode, LockWatch};
use crate::repair::plan::{FixTiming, to_millis};
use crate::repair::quarantine::{Quarantine, RowDiff};
use crate::repair::{deferred_ddl, orphan_constraints};

/// What a fix has done so far.
#[derive(Default)]
pub(super) struct ExecutedFix {
    /// The statements that touched Evolution's tables, in their order.
    pub statements: Vec<String>,
    /// The number of those that removed or changed rows.
    row_statements: usize,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What undo needs.
    pub steps: UndoSteps,
    /// The changes to rows.
    pub row_diff: Vec<RowDiff>,
    /// The number of the removed rows that referred to nothing, by the name of each key that the server enforces.
    orphans: Vec<(String, i64)>,
    /// The time that marking and keeping rows took, before the first one was changed.
    marking: Duration,
}

impl ExecutedFix {
    /// True if it changed rows and nothing else.
    pub fn treats_rows_only(&self) -> bool {
        self.statements.len() == self.row_statements && self.steps.are_of_rows()
    }

    /// Returns the time since it began. Rows are found before anybody has to wait for it.
    pub fn timing(&self, begun: Instant) -> FixTiming {
        FixTiming {
            finding_ms: to_millis(self.marking),
            locked_ms: to_millis(begun.elapsed().saturating_sub(self.marking)),
            rows: self.row_diff.iter().map(|diff| diff.count).sum(),
        }
    }

    fn add(&mut self, done: FixSqlResult) {
        self.statements.extend(done.executed);
        self.notes.extend(done.notes);
        self.steps.ways_back.extend(done.ways_back);
        self.steps.later.extend(done.later);
    }
}

impl FixExecution<'_> {
    /// Runs the statements of the fix.
    pub(super) async fn execute(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
        quarantine: &mut Quarantine,
        orphaned: &[&Reference],
    ) -> Result<ExecutedFix> {
        let mut executed = ExecutedFix { notes: self.fix.notes(self.subject.range), ..Default::default() };
        executed.steps.arguments = self.arguments.cloned().unwrap_or_default();
        if self.is_online && !self.leaves_for_later() {
            let note = "everything runs in one transaction, with --online too: one index replaces another, \
                        and no duplicates may be written in between";
            executed.notes.push(note.to_owned());
        }
        let done = &mut executed;
        match self.fix.family {
            CheckScope::Once | CheckScope::UniqueIndex => {
                self.execute_once(connection, watch, quarantine, done).await?;
            }
            CheckScope::Reference => {
                self.treat_rows(connection, quarantine, watch, done).await?;
                self.add_constraints(connection, attempt, watch, orphaned, done).await?;
            }
            CheckScope::Finding => self.execute_for_each_finding(connection, done).await?,
        }
        executed.steps.remember_orphans(std::mem::take(&mut executed.orphans), &self.context.references);
        executed.notes.extend(trigger_notes(self.context.catalog, &executed.row_diff));
        Ok(executed)
    }

    async fn execute_once(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        quarantine: &mut Quarantine,
        done: &mut ExecutedFix,
    ) -> Result<()> {
        let variables = self.variables()?;
        let before = run_statements(connection, &self.fix.before_rows, &variables, None).await?;
        done.notes.extend(before.notes);
        self.treat_rows(connection, quarantine, watch, done).await?;
        let online = self.leaves_for_later().then_some(self.context.catalog);
        done.add(run_statements(connection, &self.fix.up, &variables, online).await?);
        if self.fix.records {
            done.add(fix_sql::record_migrations(connection, &variables).await?);
            let names = fix_sql::pending_records(self.chosen).into_iter();
            done.steps.records = names.map(|record| record.name.to_owned()).collect();
        }
        Ok(())
    }

    /// Removes and changes the rows that the fix is about.
    async fn treat_rows(
        &self,
        connection: &mut PgConnection,
        quarantine: &mut Quarantine,
        watch: &mut LockWatch,
        done: &mut ExecutedFix,
    ) -> Result<()> {
        let Some(changes) = self.mark_rows(connection).await? else { return Ok(()) };
        let treated = changes.carry_out(connection, quarantine, watch).await?;
        done.row_statements += treated.statements.len();
        done.statements.extend(treated.statements);
        done.row_diff = treated.row_diff;
        done.marking = treated.marking;
        done.orphans = treated.orphans;
        Ok(())
    }

    /// Puts the keys of rows that refer to nothing any more in their place.
    async fn add_constraints(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
        orphaned: &[&Reference],
        done: &mut ExecutedFix,
    ) -> Result<()> {
        let (schema, is_online) = (&self.subject.schema, self.leaves_for_later());
        let altered = orphan_constraints::altered_tables(orphaned, schema);
        if attempt.is_dry_run && !is_online && !altered.is_empty() {
            locks::lock(connection, attempt, schema, &altered, LockMode::ShareRowExclusive).await?;
            watch.record_locks(connection).await?;
        }
        let catalog = self.context.catalog;
        let added =
            orphan_constraints::add_constraints(connection, self.fix, catalog, orphaned, is_online).await?;
        done.steps.constraints = added.constraints;
        done.steps.later = added.later;
        done.statements.extend(added.statements);
        Ok(())
    }

    async fn execute_for_each_finding(
        &self,
        connection: &mut PgConnection,
        done: &mut ExecutedFix,
    ) -> Result<()> {
        let is_online = self.leaves_for_later();
        let online = is_online.then_some(self.context.catalog);
        let repairs = self.chosen.iter().flat_map(|finding| &finding.repair.statements);
        let repaired =
            fix_sql::run_for_each_finding(connection, &self.fix.up, "repair", repairs, online).await?;
        done.notes.extend(repaired.notes);
        done.statements.extend(repaired.executed);
        done.steps.later = repaired.later;
        // Undo goes through them from the last to the first.
        let undo = self.chosen.iter().flat_map(|finding| finding.repair.undo.iter().rev());
        let undo = undo.map(|sql| if is_online { deferred_ddl::undo_statement(sql) } else { sql.clone() });
        done.steps.ways_back = undo.map(UndoStatement::new).collect();
        Ok(())
    }
}

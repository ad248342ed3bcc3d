//! Reversing one fix of a run, and holding the schema against what it was.

use std::time::Instant;

use anyhow::{Result, bail};
use sqlx::postgres::PgConnection;

use crate::checks::check::CheckScope;
use crate::database::catalog::{self, Catalog, Ddl};
use crate::database::sql_file::Variables;
use crate::repair::change_target::ChangeTarget;
use crate::repair::fix::Fix;
use crate::repair::fix_sql::{self, run_for_each_finding, run_statements, run_undo_statements};
use crate::repair::ledger::AppliedFix;
use crate::repair::locks::{self, LockAttempt, LockMode, LockWatch};
use crate::repair::orphan_constraints::ConstraintState;
use crate::repair::plan::{FixPlan, FixTiming, base_ddl, to_millis};
use crate::repair::quarantine::{LeftRows, QuarantineEntry, RowAction, RowDiff, RowSample};
use crate::repair::schema_diff;
use crate::repair::work_tables::can_replicate;

/// The hazard of rows that cannot come back.
const LEAVES_ROWS: &str = "leaves-rows";

/// The reversal of one fix of a run.
pub(super) struct Reversal<'a> {
    pub subject: &'a ChangeTarget,
    pub catalog: &'a Catalog,
    pub fix: &'static Fix,
    pub applied: &'a AppliedFix,
    /// Its entries in the quarantine.
    pub entries: &'a [QuarantineEntry],
    /// The run.
    pub run: i64,
    /// True if the run was undone before, and only rows that it left are to come back.
    pub is_again: bool,
}

/// The result of restoring the rows of a fix.
#[derive(Default)]
pub(super) struct RestoredRows {
    /// The statements.
    pub executed: Vec<String>,
    /// The restored rows.
    pub entries: Vec<QuarantineEntry>,
    /// The rows that could not be restored.
    pub left: Vec<LeftRows>,
}

impl Reversal<'_> {
    /// Locks the tables, and reverses the fix.
    pub async fn carry_out(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
    ) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let there = self.applied.tables.iter().filter(|table| self.catalog.tables.contains_key(*table));
        let tables: Vec<String> = there.cloned().collect();
        let mode = LockMode::AccessExclusive;
        locks::lock(connection, attempt, schema, &tables, mode).await?;
        watch.record_locks(connection).await?;
        let done = self.on_locked(connection, watch, &tables).await;
        done.map_err(|error| locks::as_timeout(error, schema, &tables, mode))
    }

    async fn on_locked(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        tables: &[String],
    ) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let begun = Instant::now();
        let before = catalog::ddl(connection, schema).await?;

        let mut notes = Vec::new();
        let RestoredRows { executed, entries, left } = match self.fix.family {
            CheckScope::Once | CheckScope::UniqueIndex if !self.is_again => {
                let done = run_statements(connection, &self.fix.down, &self.variables()?, None).await?;
                let back = run_undo_statements(connection, &self.applied.steps.ways_back).await?;
                notes.extend(done.notes.into_iter().chain(back.notes));
                let rows = self.restore(connection, &mut notes).await?;
                let executed = [done.executed, back.executed, rows.executed].concat();
                RestoredRows { executed, ..rows }
            }
            CheckScope::Finding if !self.is_again => {
                let ways_back = self.applied.steps.ways_back.iter().rev();
                let undo = ways_back.filter_map(|way_back| way_back.sql.as_ref());
                let done = run_for_each_finding(connection, &self.fix.down, "undo", undo, None).await?;
                notes.extend(done.notes);
                RestoredRows { executed: done.executed, ..RestoredRows::default() }
            }
            _ => self.restore(connection, &mut notes).await?,
        };
        watch.record_locks(connection).await?;
        let after = catalog::ddl(connection, schema).await?;
        let is_exact = self.is_exact(connection).await?;
        if !self.is_again {
            self.compare(&before, &after, is_exact, &mut notes)?;
        }
        let mut hazards = vec!["blocks-writes".to_owned()];
        // What was left before needs no new consent.
        hazards.extend((!left.is_empty() && !self.is_again).then(|| LEAVES_ROWS.to_owned()));
        let plan = FixPlan {
            code: self.fix.code.clone(),
            name: self.fix.name.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards,
            notes,
            statements: executed,
            after_commit: Vec::new(),
            schema_diff: schema_diff::unified_diff(&before, &after),
            row_diff: row_diff(&entries),
            left_rows: left,
            locks: Vec::new(),
            timing: FixTiming {
                finding_ms: 0,
                locked_ms: to_millis(begun.elapsed()),
                rows: entries.iter().map(|entry| entry.diff.count).sum(),
            },
            base: base_ddl(&before, tables),
            plan_hash: String::new(),
        };
        Ok(plan.with_hash())
    }

    fn variables(&self) -> Result<Variables> {
        Ok(fix_sql::fix_variables(self.subject, &[])?.texts(&self.applied.steps.arguments))
    }

    /// The tables must be as they were before, unless another session changed them in between.
    fn compare(&self, before: &Ddl, after: &Ddl, is_exact: bool, notes: &mut Vec<String>) -> Result<()> {
        for (table, was) in &self.applied.ddl_before {
            let untouched = self.applied.ddl_after.get(table) == before.get(table);
            if !untouched {
                notes.push(format!(
                    "{table} was changed since the run; only the changes of the fix were reversed"
                ));
            } else if is_exact && after.get(table) != Some(was) {
                let left = schema_diff::unified_diff(
                    &[(table.clone(), was.clone())].into(),
                    &after.clone().into_iter().filter(|(t, _)| t == table).collect(),
                );
                bail!("{table} would differ from its state before the run:\n{left}");
            }
        }
        Ok(())
    }

    /// True if everything comes back as it was; only a superuser can restore the validity of a constraint and some
    /// flags of the catalog.
    async fn is_exact(&self, connection: &mut PgConnection) -> Result<bool> {
        let steps = &self.applied.steps;
        let claimed =
            steps.constraints.iter().any(|constraint| constraint.before == ConstraintState::ClaimedValid);
        let something_stays = steps.ways_back.iter().any(|way_back| way_back.stays.is_some());
        Ok(!something_stays && (!claimed || can_replicate(connection).await?))
    }
}

/// The rows to restore, per table and reason.
pub(super) fn row_diff(entries: &[QuarantineEntry]) -> Vec<RowDiff> {
    let mut diffs: Vec<RowDiff> = Vec::new();
    for diff in entries.iter().filter(|entry| entry.diff.count > 0).map(|entry| reversed(entry.diff.clone()))
    {
        match diffs.iter_mut().find(|known| known.is_like(&diff)) {
            Some(known) => known.count += diff.count,
            None => diffs.push(diff),
        }
    }
    diffs
}

/// A row diff as undo shows it: what was removed comes back, what was emptied is filled.
fn reversed(diff: RowDiff) -> RowDiff {
    let sample = diff.sample.into_iter().map(|s| RowSample { before: s.after, after: s.before }).collect();
    let action = match diff.action {
        RowAction::Removed => RowAction::Restored,
        other => other,
    };
    RowDiff { action, sample, ..diff }
}

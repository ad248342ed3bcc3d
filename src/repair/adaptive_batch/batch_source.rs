//! The source of batches: the orphaned rows of a reference, or the duplicate rows of a unique index. Both are searched
//! without a lock, and checked again when they are repaired.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::checks::check::CheckScope;
use crate::checks::conditional_sql;
use crate::checks::references::{Reference, all_references};
use crate::checks::unique_indexes::{UniqueIndex, unique_indexes};
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::{Variables, render};
use crate::error::user_error;
use crate::evolution::release::ReleaseRange;
use crate::repair::fix::Fix;
use crate::repair::ledger::UndoSteps;
use crate::repair::locks::LockWatch;
use crate::repair::merge_query;
use crate::repair::orphan_constraints::{self, SavedConstraint};
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff};
use crate::repair::row_changes::{RowChanges, TreatedRows, reachable_tables};

/// The subject of a finding.
enum BatchTarget {
    Orphans(Box<Reference>),
    Twins(UniqueIndex),
    /// The rows that the fix's own query selects, by id.
    Selected,
}

/// The subject of one finding, with the facts about the database for it.
pub(super) struct BatchSource<'a> {
    fix: &'a Fix,
    catalog: &'a Catalog,
    range: Option<ReleaseRange>,
    all: Vec<Reference>,
    subject: BatchTarget,
}

impl<'a> BatchSource<'a> {
    /// The subject of the finding with this key.
    pub fn for_finding(
        fix: &'a Fix,
        key: &str,
        catalog: &'a Catalog,
        range: Option<ReleaseRange>,
    ) -> Result<Self> {
        let all = all_references(catalog, range);
        let subject = match fix.family {
            CheckScope::UniqueIndex => {
                let index = unique_indexes(catalog, range).into_iter().find(|index| index.name == key);
                index.map(BatchTarget::Twins)
            }
            CheckScope::Once => Some(BatchTarget::Selected),
            _ => {
                let reference = all.iter().find(|reference| reference.subject() == key).cloned();
                reference.map(|reference| BatchTarget::Orphans(Box::new(reference)))
            }
        };
        let gone = || {
            user_error(
                format!(
                    "{key} does not exist any more: the tables were changed during \
            the run"
                ),
                "run it again",
            )
        };
        Ok(Self { fix, catalog, range, all, subject: subject.ok_or_else(gone)? })
    }

    /// The rows to repair, at most `limit`: the keys of orphans, or for each thing the ctids of its rows.
    pub async fn find_rows(&self, connection: &mut PgConnection, limit: usize) -> Result<Vec<Value>> {
        match &self.subject {
            BatchTarget::Orphans(reference) => self.changes().orphans(connection, reference, limit).await,
            BatchTarget::Twins(index) => {
                let variables = index.variables(self.catalog).text("limit", limit.to_string());
                let found = query_file(connection, "sql/work_tables/duplicates.sql", &variables).await?;
                found.iter().map(|row| Ok(row.try_get("places")?)).collect()
            }
            BatchTarget::Selected => {
                let variables = Variables::default()
                    .sql("selection", SqlFragment::assert_safe(self.selection(&[])?))
                    .text("limit", limit.to_string());
                let found = query_file(connection, "sql/work_tables/selected_ids.sql", &variables).await?;
                found.iter().map(|row| Ok(Value::String(row.try_get("id")?))).collect()
            }
        }
    }

    /// The tables that treating them may touch or must keep still.
    pub fn tables(&self) -> Vec<String> {
        match &self.subject {
            BatchTarget::Orphans(reference) => {
                orphan_constraints::tables(&[reference], &self.all, self.catalog)
            }
            BatchTarget::Twins(index) => reachable_tables(
                vec![index.table.clone()],
                vec![index.table.clone()],
                &self.all,
                self.catalog,
            ),
            BatchTarget::Selected => {
                reachable_tables(self.fix.tables.clone(), self.fix.tables.clone(), &self.all, self.catalog)
            }
        }
    }

    /// Repairs those of `some` that are still wrong. Returns what it did.
    ///
    /// # Errors
    /// When they cannot be treated, or a row was busy.
    pub async fn treat(
        &self,
        connection: &mut PgConnection,
        some: &[Value],
        quarantine: &mut Quarantine,
        watch: &mut LockWatch,
    ) -> Result<TreatedRows> {
        let mut changes = self.changes();
        match &self.subject {
            BatchTarget::Orphans(reference) => changes.mark_batch(connection, reference, some).await?,
            BatchTarget::Twins(index) => {
                let places = some.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
                let places: Vec<String> = places.map(str::to_owned).collect();
                let query = self.fix.rows.as_deref().unwrap_or_default();
                let query = conditional_sql::strip_for_release(query, self.catalog, self.range);
                let selection =
                    render(&query, &merge_query::merge_variables(index, self.catalog, Some(&places)))?;
                changes
                    .mark_selected(connection, &selection, std::slice::from_ref(&index.table), true)
                    .await?;
            }
            BatchTarget::Selected => {
                changes.mark_selected(connection, &self.selection(some)?, &self.fix.tables, false).await?;
            }
        }
        changes.carry_out(connection, quarantine, watch).await
    }

    /// The number of rows that were repaired that were wrong themselves.
    pub fn rows(&self, some: &[Value], done: &[RowDiff]) -> usize {
        let removed = done.iter().filter(|rows| rows.action == RowAction::Removed);
        match self.subject {
            BatchTarget::Orphans(_) | BatchTarget::Selected => some.len(),
            BatchTarget::Twins(_) => {
                removed.map(|rows| usize::try_from(rows.count).unwrap_or_default()).sum()
            }
        }
    }

    /// The steps for undo.
    pub fn steps(&self) -> UndoSteps {
        match &self.subject {
            // What the constraint is, before rows come back that refer to nothing.
            BatchTarget::Orphans(reference) => UndoSteps {
                constraints: vec![SavedConstraint::from_reference(reference)],
                ..UndoSteps::default()
            },
            BatchTarget::Twins(_) | BatchTarget::Selected => UndoSteps::default(),
        }
    }

    /// The fix's query for the rows with these ids, or for all where there are none.
    fn selection(&self, some: &[Value]) -> Result<String> {
        let batch = if some.is_empty() { String::new() } else { serde_json::to_string(some)? };
        let query = conditional_sql::strip_for_release(
            self.fix.rows.as_deref().unwrap_or_default(),
            self.catalog,
            self.range,
        );
        render(&query, &Variables::for_schema(&self.catalog.schema).text("batch", batch))
    }

    /// The references that should hold.
    pub fn references(&self) -> &[Reference] {
        &self.all
    }

    fn changes(&self) -> RowChanges<'_> {
        RowChanges::new(&self.fix.code, self.catalog, &self.all)
    }
}

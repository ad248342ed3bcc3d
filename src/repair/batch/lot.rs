//! What is treated in batches: the rows of a reference that refer to nothing, or those of a unique index that stand for one
//! thing. Both are looked for without a lock, and looked at again when they are treated.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;
use crate::database::run::rows;
use crate::database::script::{Variables, render};
use crate::evolution::release::ReleaseRange;
use crate::examine::check::Family;
use crate::examine::parts;
use crate::examine::references::{Reference, references};
use crate::examine::unique_indexes::{UniqueIndex, unique_indexes};
use crate::exit::failure;
use crate::repair::fix::Fix;
use crate::repair::ledger::Steps;
use crate::repair::locks::LockWatch;
use crate::repair::merge;
use crate::repair::orphans::{self, Constraint};
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff};
use crate::repair::rows::{RowChanges, Treated, reach};

/// What a finding is about.
enum Subject {
    Orphans(Box<Reference>),
    Twins(UniqueIndex),
    /// What the fix's own query selects, by id.
    Selected,
}

/// What one finding is about, and what is known of the database for it.
pub(super) struct Lot<'a> {
    fix: &'a Fix,
    catalog: &'a Catalog,
    range: Option<ReleaseRange>,
    all: Vec<Reference>,
    subject: Subject,
}

impl<'a> Lot<'a> {
    /// What the finding with this key is about.
    ///
    /// # Errors
    /// When it is gone.
    pub fn of(fix: &'a Fix, key: &str, catalog: &'a Catalog, range: Option<ReleaseRange>) -> Result<Self> {
        let all = references(catalog, range);
        let subject = match fix.family {
            Family::UniqueIndex => {
                let index = unique_indexes(catalog, range).into_iter().find(|index| index.name == key);
                index.map(Subject::Twins)
            }
            Family::Once => Some(Subject::Selected),
            _ => {
                let reference = all.iter().find(|reference| reference.subject() == key).cloned();
                reference.map(|reference| Subject::Orphans(Box::new(reference)))
            }
        };
        let gone = || failure(format!("{key} is gone: the tables have changed meanwhile"), "run it again");
        Ok(Self { fix, catalog, range, all, subject: subject.ok_or_else(gone)? })
    }

    /// What to treat, at most `limit`: the keys of orphans, or for each thing the places of its rows.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn look(&self, connection: &mut PgConnection, limit: usize) -> Result<Vec<Value>> {
        match &self.subject {
            Subject::Orphans(reference) => self.changes().orphans(connection, reference, limit).await,
            Subject::Twins(index) => {
                let variables = index.variables(self.catalog).text("limit", limit.to_string());
                let found = rows(connection, "sql/marks/twins.sql", &variables).await?;
                found.iter().map(|row| Ok(row.try_get("places")?)).collect()
            }
            Subject::Selected => {
                let variables = Variables::default()
                    .sql("selection", Fragment::keyword(self.selection(&[])?))
                    .text("limit", limit.to_string());
                let found = rows(connection, "sql/marks/selected_ids.sql", &variables).await?;
                found.iter().map(|row| Ok(Value::String(row.try_get("id")?))).collect()
            }
        }
    }

    /// The tables that treating them may touch or must keep still.
    pub fn tables(&self) -> Vec<String> {
        match &self.subject {
            Subject::Orphans(reference) => orphans::tables(&[reference], &self.all, self.catalog),
            Subject::Twins(index) => {
                reach(vec![index.table.clone()], vec![index.table.clone()], &self.all, self.catalog)
            }
            Subject::Selected => {
                reach(self.fix.tables.clone(), self.fix.tables.clone(), &self.all, self.catalog)
            }
        }
    }

    /// Treats those of `some` that are still wrong. Returns what it did.
    ///
    /// # Errors
    /// When they cannot be treated, or a row was busy.
    pub async fn treat(
        &self,
        connection: &mut PgConnection,
        some: &[Value],
        quarantine: &mut Quarantine,
        watch: &mut LockWatch,
    ) -> Result<Treated> {
        let mut changes = self.changes();
        match &self.subject {
            Subject::Orphans(reference) => changes.mark_batch(connection, reference, some).await?,
            Subject::Twins(index) => {
                let places = some.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
                let places: Vec<String> = places.map(str::to_owned).collect();
                let query = self.fix.rows.as_deref().unwrap_or_default();
                let query = parts::fitting(query, self.catalog, self.range);
                let selection = render(&query, &merge::variables(index, self.catalog, Some(&places)))?;
                changes
                    .mark_selected(connection, &selection, std::slice::from_ref(&index.table), true)
                    .await?;
            }
            Subject::Selected => {
                changes.mark_selected(connection, &self.selection(some)?, &self.fix.tables, false).await?;
            }
        }
        changes.carry_out(connection, quarantine, watch).await
    }

    /// How many rows were treated that were wrong themselves.
    pub fn rows(&self, some: &[Value], done: &[RowDiff]) -> usize {
        let removed = done.iter().filter(|rows| rows.action == RowAction::Removed);
        match self.subject {
            Subject::Orphans(_) | Subject::Selected => some.len(),
            Subject::Twins(_) => removed.map(|rows| usize::try_from(rows.count).unwrap_or_default()).sum(),
        }
    }

    /// What undo has to know.
    pub fn steps(&self) -> Steps {
        match &self.subject {
            // What the constraint is, before rows come back that refer to nothing.
            Subject::Orphans(reference) => {
                Steps { constraints: vec![Constraint::of(reference)], ..Steps::default() }
            }
            Subject::Twins(_) | Subject::Selected => Steps::default(),
        }
    }

    /// The fix's query for the rows with these ids, or for all where there are none.
    fn selection(&self, some: &[Value]) -> Result<String> {
        let batch = if some.is_empty() { String::new() } else { serde_json::to_string(some)? };
        let query = parts::fitting(self.fix.rows.as_deref().unwrap_or_default(), self.catalog, self.range);
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

//! Rows that a fix removes or changes: marked together with the rows that depend on them (`mark_rows`), copied into the
//! quarantine (`copy_to_quarantine`), then written, children before parents (`write_rows`).

mod copy_to_quarantine;
mod mark_rows;
mod unindexed_keys;
mod write_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use super::locks::LockWatch;
use super::quarantine::{Quarantine, RowDiff};
use super::work_tables::{self, WorkTables};
use crate::checks::references::Reference;
use crate::database::catalog::{Catalog, CatalogTable, ReferentialAction};
use crate::error::user_error;
use crate::progress::{self, Unit};

pub use write_rows::children_first;

/// The action on a row whose parent is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanTreatment {
    /// It is removed.
    Remove,
    /// Its referencing columns are emptied.
    Empty,
}

/// The action on a row whose parent is missing, or why there is none.
pub fn orphan_treatment(reference: &Reference, catalog: &Catalog) -> Result<OrphanTreatment, String> {
    let table = match catalog.tables.get(&reference.child_table) {
        Some(table) if matches!(table.kind.as_str(), "r" | "p") => table,
        _ => return Err(format!("{} is not a table", reference.child_table)),
    };
    if table.has_heirs {
        return Err(format!(
            "other tables inherit from {}, and some of these rows may belong to them",
            table.name
        ));
    }
    if table.primary_key.is_empty() {
        return Err(format!("{} has no primary key to identify its rows by", table.name));
    }
    if reference.declared.as_ref().is_some_and(|key| key.comment.is_some() && !key.is_validated) {
        return Err(format!("{} has a comment that undo could not restore", reference.constraint));
    }
    let nullable = table.all_nullable(&reference.child_columns);
    match reference.on_delete {
        ReferentialAction::Cascade => Ok(OrphanTreatment::Remove),
        ReferentialAction::SetNull | ReferentialAction::Restrict | ReferentialAction::NoAction
            if nullable =>
        {
            Ok(OrphanTreatment::Empty)
        }
        ReferentialAction::SetNull | ReferentialAction::Restrict | ReferentialAction::NoAction => {
            Ok(OrphanTreatment::Remove)
        }
        ReferentialAction::SetDefault => Err(format!("{} is ON DELETE SET DEFAULT", reference.constraint)),
    }
}

/// The tables that a repair may write or must lock: `touched` themselves, and the tables that depend on those that lose
/// rows.
pub fn reachable_tables(
    touched: Vec<String>,
    mut losing: Vec<String>,
    all: &[Reference],
    catalog: &Catalog,
) -> Vec<String> {
    let mut touched: BTreeSet<String> = touched.into_iter().collect();
    let mut lost: BTreeSet<String> = losing.iter().cloned().collect();
    while let Some(parent) = losing.pop() {
        for reference in all.iter().filter(|r| r.parent_schema == catalog.schema && r.parent_table == parent)
        {
            touched.insert(reference.child_table.clone());
            // A table may be known already for another reason, and lose rows only now.
            if orphan_treatment(reference, catalog) == Ok(OrphanTreatment::Remove)
                && lost.insert(reference.child_table.clone())
            {
                losing.push(reference.child_table.clone());
            }
        }
    }
    let is_table = |table: &String| {
        // A closed table is refused, not skipped.
        catalog.closed.contains_key(table)
            || catalog.tables.get(table).is_some_and(|t| matches!(t.kind.as_str(), "r" | "p"))
    };
    touched.retain(is_table);
    touched.into_iter().collect()
}

/// So many more of the marked rows are done.
fn advance(rows: u64) {
    if let Some(work) = progress::current() {
        work.advance(rows);
    }
}

/// The result of repairing rows.
#[derive(Debug, Default)]
pub struct TreatedRows {
    /// The statements that touched Evolution's tables.
    pub statements: Vec<String>,
    /// The changes to rows.
    pub row_diff: Vec<RowDiff>,
    /// The number of the removed rows that referred to nothing, by the name of each key that the server enforces.
    pub orphans: Vec<(String, i64)>,
    /// How long marking and keeping took, before the first row was changed.
    pub marking: Duration,
}

/// The rows that one fix removes and changes: marked, copied into the quarantine, written.
pub struct RowChanges<'a> {
    /// The fix's code.
    code: &'a str,
    /// Tables and keys.
    catalog: &'a Catalog,
    /// Every reference that should hold.
    all: &'a [Reference],
    /// The marks so far.
    marks: WorkTables,
    /// The number of orphaned rows, of the keys that this is known of, by table and name. All of these rows are
    /// removed.
    counted: BTreeMap<(String, String), i64>,
    /// True if the rows to remove are orphans, which no server writes.
    pub are_orphans: bool,
    begun: Instant,
}

impl<'a> RowChanges<'a> {
    /// Nothing is marked yet.
    pub fn new(code: &'a str, catalog: &'a Catalog, all: &'a [Reference]) -> Self {
        let marks = WorkTables::new(&catalog.schema);
        Self {
            code,
            catalog,
            all,
            marks,
            counted: BTreeMap::new(),
            are_orphans: false,
            begun: Instant::now(),
        }
    }

    /// Copies and writes the marked rows, after checking that nothing else depends on them. Returns what it did.
    ///
    /// # Errors
    /// When rows that cannot be quarantined hang on rows to be removed, or the server touched others than were marked.
    pub async fn carry_out(
        self,
        connection: &mut PgConnection,
        quarantine: &mut Quarantine,
        watch: &mut LockWatch,
    ) -> Result<TreatedRows> {
        self.guard(connection).await?;
        self.begin_phase("copying rows into the quarantine");
        let row_diff = self.keep(connection, quarantine).await?;
        let orphans = self.orphans_among_removed(connection).await?;
        let marking = self.begun.elapsed();
        self.announce(watch);
        self.begin_phase("changing rows");
        let statements = self.treat(connection, watch).await?;
        self.clean_up(connection).await?;
        Ok(TreatedRows { statements, row_diff, orphans, marking })
    }

    /// Shows how many of the marked rows are done from now on.
    fn begin_phase(&self, what: &str) {
        if let Some(work) = progress::current() {
            work.start_phase(format!("{} {what}", self.code), Some(self.marked()), Unit::Rows);
        }
    }

    /// The number of rows that are marked.
    fn marked(&self) -> u64 {
        self.marks.changed().chain(self.marks.removed()).map(|(_, marks)| marks.count).sum()
    }

    /// True if any row is marked to be removed.
    pub fn removes(&self) -> bool {
        self.marks.removed().next().is_some()
    }

    /// True if any row is marked to be changed.
    pub fn changes(&self) -> bool {
        self.marks.changed().next().is_some()
    }

    /// Reports how many rows are going to be locked, and from when a server may have to wait for one of them.
    fn announce(&self, watch: &mut LockWatch) {
        let schema = &self.catalog.schema;
        let removed = self.marks.removed().filter(|_| !self.are_orphans);
        for (table, _) in self.marks.changed().chain(removed) {
            watch.expect_row_locks(schema, table);
        }
        watch.expect_rows(self.marked());
    }

    /// Drops the work tables.
    async fn clean_up(self, connection: &mut PgConnection) -> Result<()> {
        self.marks.drop(connection).await?;
        work_tables::set_planner(connection, false).await
    }

    fn table(&self, name: &str) -> Result<&'a CatalogTable> {
        let table = self.catalog.tables.get(name).with_context(|| format!("there is no table {name:?}"))?;
        if table.has_heirs {
            return Err(user_error(
                format!(
                    "other tables inherit from {name}: their rows show up in it, and could not be \
                        restored into their own tables"
                ),
                format!(
                    "end the inheritance first (ALTER TABLE … NO INHERIT {name:?}), or skip this fix \
                        with --ignore {}",
                    self.code
                ),
            ));
        }
        Ok(table)
    }
}

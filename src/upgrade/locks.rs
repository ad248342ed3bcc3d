//! The locks, reads and rewrites of a migration. A migration is one transaction: what it locks early stays locked until
//! its end.
//!
//! Source of the lock modes: PostgreSQL's documentation of `ALTER TABLE`, `CREATE INDEX` and `DROP TABLE`; the tests
//! compare them with `pg_locks`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::catalog_state::CatalogState;
use super::read_speed::{ReadSpeed, TableWork};
use crate::evolution::migration_steps::{MigrationStep, SkipCondition, split_path};
use crate::evolution::release::{Migration, Release};

/// A lock on a table that exists before the upgrade.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MigrationLock {
    /// The table.
    pub table: String,
    /// The strongest mode.
    pub mode: DdlLockMode,
    /// The table's size, without indexes.
    pub bytes: i64,
    /// The heaviest thing that is done to it.
    pub work: TableWork,
    /// About how long others wait for it, in seconds: until the migration ends.
    pub seconds: f64,
}

/// The modes that migrations take, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DdlLockMode {
    /// Blocks neither readers nor writers.
    RowExclusive,
    /// Blocks writes.
    Share,
    /// Blocks writes.
    ShareRowExclusive,
    /// Blocks everybody.
    AccessExclusive,
}

impl DdlLockMode {
    /// The statements that it blocks.
    pub fn blocks(self) -> &'static str {
        match self {
            Self::RowExclusive => "nobody",
            Self::Share | Self::ShareRowExclusive => "writes",
            Self::AccessExclusive => "reads and writes",
        }
    }

    /// As `pg_locks` has it.
    pub fn in_pg_locks(self) -> &'static str {
        match self {
            Self::RowExclusive => "RowExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

/// The locks of a migration, strongest and largest first, and about how long all of it takes. To be asked before
/// [`super::simulate::simulate`] has taken its steps.
pub fn migration_locks(
    state: &CatalogState,
    migration: &Migration,
    target: Release,
    speed: Option<&ReadSpeed>,
) -> (Vec<MigrationLock>, f64) {
    let mut taken: BTreeMap<String, MigrationLock> = BTreeMap::new();
    let mut before = 0.0;
    for step in migration.steps(target) {
        for (table, mode, work) in touched(state, migration, step) {
            if !state.is_old(&table) {
                continue;
            }
            let size = state.sizes.get(&table).copied().unwrap_or_default();
            // While a table is locked, the rest of the migration goes on: until its end, not known yet.
            let lock = taken.entry(table.clone()).or_insert_with(|| MigrationLock {
                table,
                mode,
                bytes: size.bytes,
                work,
                seconds: -before,
            });
            lock.mode = lock.mode.max(mode);
            lock.work = lock.work.max(work);
            before += speed.map_or(0.0, |speed| speed.seconds(work, size));
        }
    }
    let mut locks: Vec<MigrationLock> = taken.into_values().collect();
    locks.iter_mut().for_each(|lock| lock.seconds = tenths(lock.seconds + before));
    locks.sort_by(|a, b| b.mode.cmp(&a.mode).then(b.bytes.cmp(&a.bytes)).then(a.table.cmp(&b.table)));
    (locks, tenths(before))
}

/// An estimate has no more digits than that.
fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

fn touched(
    state: &CatalogState,
    migration: &Migration,
    step: &MigrationStep,
) -> Vec<(String, DdlLockMode, TableWork)> {
    use DdlLockMode::{AccessExclusive, RowExclusive, Share, ShareRowExclusive};
    let one = |table: &str, mode, work| vec![(table.to_owned(), mode, work)];
    match step {
        MigrationStep::AddColumn { add_column: path, unless, .. } => {
            let (table, column) = split_path(path);
            let elsewhere = *unless == Some(SkipCondition::Anywhere) && !state.wavoip_elsewhere.is_empty();
            if elsewhere || (unless.is_some() && state.has_column(table, column)) {
                return Vec::new();
            }
            // Before PostgreSQL 11 a default was written into every row.
            let has_default = migration.column(path).is_some_and(|fact| fact.default.is_some());
            let work =
                if has_default && state.server < 110_000 { TableWork::Rewrite } else { TableWork::Catalog };
            one(table, AccessExclusive, work)
        }
        MigrationStep::DropColumn { drop_column: path, .. }
        | MigrationStep::DropNotNull { drop_not_null: path } => {
            one(split_path(path).0, AccessExclusive, TableWork::Catalog)
        }
        MigrationStep::DropTable { drop_table: table } => {
            let referenced = state.referenced_by(table);
            let referenced = referenced.map(|other| (other.to_owned(), AccessExclusive, TableWork::Catalog));
            referenced.chain(one(table, AccessExclusive, TableWork::Catalog)).collect()
        }
        MigrationStep::CreateIndex { on, .. } => one(on, Share, TableWork::Index),
        MigrationStep::DropIndex { on, .. } => one(on, AccessExclusive, TableWork::Catalog),
        // Rows of a table that is new need no comparison, and the table referred to is read by its key only.
        MigrationStep::AddKey { on, references, .. } => vec![
            (on.clone(), ShareRowExclusive, TableWork::Scan),
            (references.clone(), ShareRowExclusive, TableWork::Catalog),
        ],
        MigrationStep::DropKey { on, references, .. } => vec![
            (on.clone(), AccessExclusive, TableWork::Catalog),
            (references.clone(), AccessExclusive, TableWork::Catalog),
        ],
        MigrationStep::ReplaceEnum { column, .. } => {
            one(split_path(column).0, AccessExclusive, TableWork::Rewrite)
        }
        MigrationStep::ChangeType { change_type: path, .. } => {
            let (table, column) = split_path(path);
            let new = migration.column(path).map(|fact| fact.data_type.as_str()).unwrap_or_default();
            let old = state.columns.get(table).and_then(|columns| columns.get(column)).map(String::as_str);
            let is_wider = matches!((old.and_then(limit), limit(new)), (Some(old), Some(new)) if old <= new);
            one(table, AccessExclusive, if is_wider { TableWork::Catalog } else { TableWork::Rewrite })
        }
        MigrationStep::DeleteRows { delete_rows: table } => one(table, RowExclusive, TableWork::Scan),
        MigrationStep::UpdateRows { update_rows: table, .. } => one(table, RowExclusive, TableWork::Update),
        MigrationStep::CreateTable { .. }
        | MigrationStep::CreateEnum { .. }
        | MigrationStep::DropEnum { .. }
        | MigrationStep::AddValue { .. }
        | MigrationStep::Commit { .. } => Vec::new(),
    }
}

/// The length of a `character varying(n)`.
fn limit(data_type: &str) -> Option<u32> {
    data_type.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok()
}

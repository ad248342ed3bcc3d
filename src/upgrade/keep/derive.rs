//! Derives what is lost from the steps of the pending migrations and the catalog: there is no list of tables here.

use std::collections::{BTreeMap, BTreeSet};

use super::{LostPart, LostRows, Overwritten};
use crate::evolution::migration_steps::{MigrationStep, split_path};
use crate::evolution::release::{Migration, Release};
use crate::upgrade::catalog_state::CatalogState;

/// Everything that exists before the upgrade and that the pending migrations remove, overwrite or narrow, by table.
pub fn what_goes(
    state: &CatalogState,
    schema: &str,
    pending: &[&'static Migration],
    target: Release,
) -> Vec<LostPart> {
    let mut losses = Losses { state, tables: BTreeMap::new() };
    for migration in pending {
        // Such content is for another schema; this one stays as it is.
        if migration.is_bound_to_public(target) && schema != "public" {
            continue;
        }
        for step in migration.steps(target) {
            losses.take(migration, step, target);
        }
    }
    losses.into_parts()
}

/// The losses of one table.
#[derive(Default)]
struct TableLoss {
    all: BTreeSet<String>,
    duplicates: BTreeMap<Vec<String>, BTreeSet<String>>,
    columns: BTreeMap<String, (Option<Overwritten>, BTreeSet<String>)>,
}

struct Losses<'a> {
    /// As it is before the upgrade: what a pending migration makes itself is nothing to keep.
    state: &'a CatalogState,
    tables: BTreeMap<String, TableLoss>,
}

impl Losses<'_> {
    fn take(&mut self, migration: &'static Migration, step: &MigrationStep, target: Release) {
        let name = migration.name.clone();
        match step {
            MigrationStep::DropTable { drop_table: table } => {
                if let Some(loss) = self.of(table) {
                    loss.all.insert(name);
                }
            }
            MigrationStep::DropColumn { drop_column: path, .. } => self.column(path, None, name),
            MigrationStep::ChangeType { change_type: path, words } => {
                let new = migration.column(path).map(|column| column.data_type.as_str()).unwrap_or_default();
                if !self.is_widened(path, new) {
                    self.column(path, Some(Overwritten { value: None, words: words.clone() }), name);
                }
            }
            MigrationStep::UpdateRows { update_rows: table, set, .. } => {
                let columns: Vec<(String, Option<String>)> = match set.is_empty() {
                    // Which columns is not known: any.
                    true => self.columns_of(table).into_iter().map(|column| (column, None)).collect(),
                    false => {
                        set.iter().map(|(column, value)| (column.clone(), Some(value.clone()))).collect()
                    }
                };
                for (column, value) in columns {
                    let path = format!("{table}.{column}");
                    self.column(&path, Some(Overwritten { value, words: BTreeMap::new() }), name.clone());
                }
            }
            MigrationStep::DeleteRows { delete_rows: table } => {
                let columns = unique_columns(migration, table, target);
                let Some(loss) = self.of(table) else { return };
                match columns {
                    Some(columns) => loss.duplicates.entry(columns).or_default().insert(name),
                    None => loss.all.insert(name),
                };
            }
            // The values of an enum whose type is replaced are cast to those of the same name, or the migration fails.
            MigrationStep::ReplaceEnum { .. }
            | MigrationStep::CreateTable { .. }
            | MigrationStep::AddColumn { .. }
            | MigrationStep::CreateIndex { .. }
            | MigrationStep::DropIndex { .. }
            | MigrationStep::AddKey { .. }
            | MigrationStep::DropKey { .. }
            | MigrationStep::CreateEnum { .. }
            | MigrationStep::DropEnum { .. }
            | MigrationStep::AddValue { .. }
            | MigrationStep::DropNotNull { .. }
            | MigrationStep::Commit { .. } => {}
        }
    }

    fn of(&mut self, table: &str) -> Option<&mut TableLoss> {
        self.state.is_table(table).then(|| self.tables.entry(table.to_owned()).or_default())
    }

    fn columns_of(&self, table: &str) -> Vec<String> {
        self.state.columns.get(table).into_iter().flatten().map(|(column, _)| column.clone()).collect()
    }

    fn column(&mut self, path: &str, overwritten: Option<Overwritten>, migration: String) {
        let (table, column) = split_path(path);
        if !self.state.has_column(table, column) {
            return;
        }
        let Some(loss) = self.of(table) else { return };
        let (known, migrations) = loss.columns.entry(column.to_owned()).or_default();
        let is_first = migrations.is_empty();
        migrations.insert(migration);
        match (is_first, known.as_mut(), overwritten) {
            (true, _, first) => *known = first,
            // Cast first and overwritten then: the words belong to both.
            (false, Some(known), Some(next)) => {
                known.value = next.value.or(known.value.take());
                known.words.extend(next.words);
            }
            // What was dropped is gone, also where a column of its name comes after.
            (false, _, _) => *known = None,
        }
    }

    fn is_widened(&self, path: &str, new: &str) -> bool {
        let (table, column) = split_path(path);
        let old = self.state.columns.get(table).and_then(|columns| columns.get(column));
        old.is_some_and(|old| match (length(old), length(new)) {
            (Some(old), Some(new)) => new >= old,
            _ => old == new,
        })
    }

    fn into_parts(self) -> Vec<LostPart> {
        let mut parts = Vec::new();
        for (table, loss) in self.tables {
            let part = |what, migrations: BTreeSet<String>| LostPart {
                table: table.clone(),
                what,
                migrations: migrations.into_iter().collect(),
            };
            if !loss.all.is_empty() {
                parts.push(part(LostRows::All, loss.all));
                continue;
            }
            for (columns, migrations) in loss.duplicates {
                parts.push(part(LostRows::Duplicates { columns }, migrations));
            }
            if !loss.columns.is_empty() {
                let columns = loss.columns.keys().cloned().collect();
                let migrations =
                    loss.columns.values().flat_map(|(_, migrations)| migrations.clone()).collect();
                let stays = loss.columns.into_iter().filter_map(|(column, (over, _))| Some((column, over?)));
                parts.push(part(LostRows::Values { columns, overwritten: stays.collect() }, migrations));
            }
        }
        parts
    }
}

/// The columns of the unique index that the migration makes on a table: what it deletes before is what that would refuse.
fn unique_columns(migration: &Migration, table: &str, target: Release) -> Option<Vec<String>> {
    migration.steps(target).find_map(|step| match step {
        MigrationStep::CreateIndex { create_index: name, on } if on == table => {
            migration.index(on, name).filter(|index| index.unique).map(|index| index.columns.clone())
        }
        _ => None,
    })
}

/// The number of characters a type of text holds.
fn length(data_type: &str) -> Option<u64> {
    match data_type {
        "text" | "character varying" => Some(u64::MAX),
        _ => data_type.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok(),
    }
}

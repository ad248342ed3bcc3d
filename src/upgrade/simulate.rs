//! Simulates a migration's steps on the catalog: which of them Postgres refuses, with which SQLSTATE.
//!
//! The objects of a step exist afterwards even if it was refused: the rest is examined as if it had been fixed.

use serde::Serialize;

use super::catalog_state::{CatalogState, Dependent};
use crate::evolution::migration_steps::{MigrationStep, SkipCondition, split_path};
use crate::evolution::release::{Migration, Release};

/// A step that Postgres refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedStep {
    /// The migration's name.
    pub migration: &'static str,
    /// The position of the step in it.
    pub position: usize,
    /// The SQLSTATE.
    pub sqlstate: &'static str,
    /// The object: a table, a column, an index, a key, a type.
    pub object: String,
    /// The reason, for people.
    pub what: String,
}

impl RejectedStep {
    /// True if the object that the step creates exists already.
    pub fn is_taken(&self) -> bool {
        matches!(self.sqlstate, "42701" | "42P07" | "42710")
    }

    /// True if the object that the step drops does not exist any more.
    pub fn is_missing(&self) -> bool {
        matches!(self.sqlstate, "42703" | "42P01" | "42704")
    }
}

type Refusal = (&'static str, String);

/// Every step of a migration that Postgres refuses, the first one first. Afterwards the state is as the migration leaves
/// it.
pub fn simulate(
    state: &mut CatalogState,
    migration: &'static Migration,
    target: Release,
) -> Vec<RejectedStep> {
    let mut obstacles = Vec::new();
    for (position, step) in migration.steps(target).enumerate() {
        if let Some((sqlstate, what)) = refusal(state, migration, step) {
            let object = object(step).to_owned();
            obstacles.push(RejectedStep { migration: &migration.name, position, sqlstate, object, what });
        }
        take(state, migration, step);
    }
    obstacles
}

/// The object of a step, by its name.
pub fn object(step: &MigrationStep) -> &str {
    match step {
        MigrationStep::CreateTable { create_table: name }
        | MigrationStep::DropTable { drop_table: name }
        | MigrationStep::AddColumn { add_column: name, .. }
        | MigrationStep::DropColumn { drop_column: name, .. }
        | MigrationStep::CreateIndex { create_index: name, .. }
        | MigrationStep::DropIndex { drop_index: name, .. }
        | MigrationStep::AddKey { add_key: name, .. }
        | MigrationStep::DropKey { drop_key: name, .. }
        | MigrationStep::CreateEnum { create_enum: name }
        | MigrationStep::DropEnum { drop_enum: name }
        | MigrationStep::AddValue { add_value: name }
        | MigrationStep::ReplaceEnum { replace_enum: name, .. }
        | MigrationStep::ChangeType { change_type: name, .. }
        | MigrationStep::DropNotNull { drop_not_null: name }
        | MigrationStep::DeleteRows { delete_rows: name }
        | MigrationStep::UpdateRows { update_rows: name, .. } => name,
        MigrationStep::Commit { .. } => "",
    }
}

fn refusal(state: &CatalogState, migration: &Migration, step: &MigrationStep) -> Option<Refusal> {
    match step {
        MigrationStep::CreateTable { create_table: name } => taken_by_relation(state, name)
            .or_else(|| taken_by_type(state, name))
            .or_else(|| taken_by_relation(state, &format!("{name}_pkey"))),
        MigrationStep::DropTable { drop_table: name } => no_table(state, name).or_else(|| kept(state, name)),
        MigrationStep::AddColumn { add_column: path, unless, .. } => {
            let (table, column) = split_path(path);
            no_table(state, table).or_else(|| {
                let is_there = unless.is_none() && state.has_column(table, column);
                is_there.then(|| ("42701", format!("the column {path} exists already")))
            })
        }
        MigrationStep::DropColumn { drop_column: path, .. } => {
            no_column(state, path).or_else(|| keeps_column(state, path))
        }
        MigrationStep::CreateIndex { create_index: name, on } => {
            let columns = migration.index(on, name).map(|index| index.columns.as_slice());
            let missing = || columns?.iter().find_map(|column| no_column(state, &format!("{on}.{column}")));
            no_table(state, on).or_else(missing).or_else(|| taken_by_relation(state, name))
        }
        MigrationStep::DropIndex { drop_index: name, .. } => no_index(state, name),
        MigrationStep::AddKey { add_key: name, on, references } => {
            no_table(state, on).or_else(|| no_table(state, references)).or_else(|| {
                has_constraint(state, on, name)
                    .then(|| ("42710", format!("a constraint {name} exists already on {on}")))
            })
        }
        MigrationStep::DropKey { drop_key: name, on, .. } => no_table(state, on).or_else(|| {
            (!has_constraint(state, on, name))
                .then(|| ("42704", format!("there is no constraint {name} on {on}")))
        }),
        MigrationStep::CreateEnum { create_enum: name } => taken_by_type(state, name),
        MigrationStep::DropEnum { drop_enum: name } => {
            no_type(state, name).or_else(|| used(state, name, None))
        }
        MigrationStep::AddValue { add_value: path } => {
            let (kind, value) = split_path(path);
            no_type(state, kind).or_else(|| {
                let is_there = state.types.get(kind).is_some_and(|labels| labels.iter().any(|l| l == value));
                is_there.then(|| ("42710", format!("the type {kind} has the value {value} already")))
            })
        }
        MigrationStep::ReplaceEnum { replace_enum: kind, column } => replaced(state, kind, column),
        MigrationStep::ChangeType { change_type: path, .. } => {
            no_column(state, path).or_else(|| keeps_type(state, path))
        }
        MigrationStep::DropNotNull { drop_not_null: path } => no_column(state, path),
        MigrationStep::DeleteRows { delete_rows: table }
        | MigrationStep::UpdateRows { update_rows: table, .. } => no_relation(state, table),
        MigrationStep::Commit { .. } => None,
    }
}

/// A new type is made, the column takes it, the names change places, and the old type goes.
fn replaced(state: &CatalogState, kind: &str, column: &str) -> Option<Refusal> {
    taken_by_type(state, &format!("{kind}_new"))
        .or_else(|| no_column(state, column))
        .or_else(|| keeps_type(state, column))
        .or_else(|| no_type(state, kind))
        .or_else(|| taken_by_type(state, &format!("{kind}_old")))
        .or_else(|| used(state, kind, Some(column)))
}

fn no_relation(state: &CatalogState, name: &str) -> Option<Refusal> {
    (!state.relations.contains_key(name)).then(|| ("42P01", format!("there is no table {name}")))
}

fn no_table(state: &CatalogState, name: &str) -> Option<Refusal> {
    no_relation(state, name)
        .or_else(|| (!state.is_table(name)).then(|| ("42809", format!("{name} is not a table"))))
}

fn no_column(state: &CatalogState, path: &str) -> Option<Refusal> {
    let (table, column) = split_path(path);
    no_table(state, table).or_else(|| {
        let is_missing = !state.made.contains(table) && !state.has_column(table, column);
        is_missing.then(|| ("42703", format!("there is no column {path}")))
    })
}

fn no_index(state: &CatalogState, name: &str) -> Option<Refusal> {
    match state.relations.get(name).map(String::as_str) {
        None => Some(("42704", format!("there is no index {name}"))),
        Some("i" | "I") => state
            .constraint_indexes
            .contains(name)
            .then(|| ("2BP01", format!("the index {name} belongs to a constraint of its name"))),
        Some(_) => Some(("42809", format!("{name} is not an index"))),
    }
}

fn no_type(state: &CatalogState, name: &str) -> Option<Refusal> {
    (!state.types.contains_key(name)).then(|| ("42704", format!("there is no type {name}")))
}

fn taken_by_relation(state: &CatalogState, name: &str) -> Option<Refusal> {
    let kind = match state.relations.get(name)?.as_str() {
        "i" | "I" => "an index",
        "v" | "m" => "a view",
        "S" => "a sequence",
        "c" => "a type",
        _ => "a table",
    };
    Some(("42P07", format!("{kind} {name} exists already")))
}

fn taken_by_type(state: &CatalogState, name: &str) -> Option<Refusal> {
    state.types.contains_key(name).then(|| ("42710", format!("a type {name} exists already")))
}

fn has_constraint(state: &CatalogState, table: &str, name: &str) -> bool {
    state.constraints.iter().any(|(of, existing, _)| of == table && existing == name)
}

fn kept(state: &CatalogState, table: &str) -> Option<Refusal> {
    let keeps = |one: &&Dependent| one.table == table && one.keeps_table;
    let keeps = listed(state.dependents.iter().filter(keeps).map(|one| one.what.as_str()))?;
    Some(("2BP01", format!("{table} cannot be dropped because of {keeps}")))
}

fn used(state: &CatalogState, kind: &str, but: Option<&str>) -> Option<Refusal> {
    let is_other = |table: &Option<String>, column: &Option<String>| match (table, column, but) {
        (Some(table), Some(column), Some(but)) => split_path(but) != (table.as_str(), column.as_str()),
        _ => true,
    };
    let users =
        state.type_users.iter().filter(|user| user.kind == kind && is_other(&user.table, &user.column));
    let users = listed(users.map(|user| user.what.as_str()))?;
    Some(("2BP01", format!("the type {kind} cannot be dropped because of {users}")))
}

fn keeps_column(state: &CatalogState, path: &str) -> Option<Refusal> {
    let dependents = dependents(state, path).filter(|one| one.keeps_column);
    let dependents = listed(dependents.map(|one| one.what.as_str()))?;
    Some(("2BP01", format!("{path} cannot be dropped because of {dependents}")))
}

fn keeps_type(state: &CatalogState, path: &str) -> Option<Refusal> {
    let keeping = || dependents(state, path).filter(|one| one.keeps_type);
    let dependents = listed(keeping().map(|one| one.what.as_str()))?;
    // Before PostgreSQL 15 a generated column was called an error of syntax.
    let is_syntax = state.server < 150_000 && keeping().all(|one| one.is_generated);
    let sqlstate = if is_syntax { "42601" } else { "0A000" };
    Some((sqlstate, format!("{path} cannot change its type because of {dependents}")))
}

fn dependents<'a>(state: &'a CatalogState, path: &'a str) -> impl Iterator<Item = &'a Dependent> {
    let (table, column) = split_path(path);
    state.dependents.iter().filter(move |one| one.table == table && one.column.as_deref() == Some(column))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Applies the step to the state.
fn take(state: &mut CatalogState, migration: &Migration, step: &MigrationStep) {
    match step {
        MigrationStep::CreateTable { create_table: name } => state.make_table(name),
        MigrationStep::DropTable { drop_table: name } => state.drop_table(name),
        MigrationStep::AddColumn { add_column: path, unless, data_type, .. } => {
            let is_skipped = *unless == Some(SkipCondition::Anywhere) && !state.wavoip_elsewhere.is_empty();
            let (table, column) = split_path(path);
            if !is_skipped {
                let of_release = || migration.column(path).map(|fact| fact.data_type.clone());
                let data_type = data_type.clone().or_else(of_release).unwrap_or_default();
                let columns = state.columns.entry(table.to_owned()).or_default();
                columns.entry(column.to_owned()).or_insert(data_type);
            }
        }
        MigrationStep::DropColumn { drop_column: path, .. } => {
            let (table, column) = split_path(path);
            state.drop_column(table, column);
        }
        MigrationStep::CreateIndex { create_index: name, .. } => {
            state.relations.insert(name.clone(), "i".to_owned());
        }
        MigrationStep::DropIndex { drop_index: name, .. } => {
            state.relations.remove(name);
        }
        MigrationStep::AddKey { add_key: name, on, references } => {
            state.constraints.push((on.clone(), name.clone(), Some(references.clone())));
        }
        MigrationStep::DropKey { drop_key: name, on, .. } => state.drop_key(on, name),
        MigrationStep::CreateEnum { create_enum: name } => {
            state.types.insert(name.clone(), Vec::new());
        }
        MigrationStep::DropEnum { drop_enum: name } => {
            state.types.remove(name);
        }
        MigrationStep::AddValue { add_value: path } => {
            let (kind, value) = split_path(path);
            state.types.entry(kind.to_owned()).or_default().push(value.to_owned());
        }
        MigrationStep::ChangeType { change_type: path, .. } => {
            let (table, column) = split_path(path);
            let data_type = migration.column(path).map(|fact| fact.data_type.clone()).unwrap_or_default();
            if let Some(columns) = state.columns.get_mut(table) {
                columns.insert(column.to_owned(), data_type);
            }
        }
        MigrationStep::ReplaceEnum { .. }
        | MigrationStep::DropNotNull { .. }
        | MigrationStep::DeleteRows { .. }
        | MigrationStep::UpdateRows { .. }
        | MigrationStep::Commit { .. } => {}
    }
}

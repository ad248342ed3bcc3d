//! Finds out whether a migration that Postgres refuses is done already: everything that it creates exists in exactly
//! its form, and everything that it drops is gone. Then it can be recorded instead of run.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::simulate::{RejectedStep, object};
use crate::database::expected_objects::{self, ExpectedJson};
use crate::evolution::migration_steps::{MigrationStep, split_path};
use crate::evolution::release::{Migration, Release};

/// The conditions under which a migration is done already.
#[derive(Debug, Serialize)]
pub struct AlreadyApplied {
    number: &'static str,
    /// The steps that are not done, judged by names: objects that could still be created or dropped.
    undone: Vec<String>,
    /// The objects that have to exist, in the form that `sql/catalog/objects.sql` reads: as in the release that brought
    /// the migration, or as in the target.
    objects: Vec<WantedObject>,
}

#[derive(Debug, Serialize)]
struct WantedObject {
    what: String,
    forms: Vec<Value>,
}

impl AlreadyApplied {
    /// Asks the steps of a migration. A step that makes or drops something is done only where Postgres refuses it, in the
    /// state that the pending migrations before it leave.
    pub fn check(
        schema: &str,
        migration: &'static Migration,
        obstacles: &[RejectedStep],
        target: Release,
    ) -> Self {
        let releases = [migration.since(), target];
        let known = releases.map(|release| expected_objects::expected(schema, release));
        let (mut undone, mut objects) = (Vec::new(), Vec::new());
        for (position, step) in migration.steps(target).enumerate() {
            let refused = obstacles.iter().find(|obstacle| obstacle.position == position);
            let is_done = match kind(step) {
                ObjectKind::Makes => refused.is_some_and(RejectedStep::is_taken),
                ObjectKind::Drops => refused.is_some_and(RejectedStep::is_missing),
                // Only its form shows whether it is as the migration leaves it.
                ObjectKind::Alters => true,
                // A unique index that is there says that nothing is left to delete; what an UPDATE does is not a
                // condition.
                ObjectKind::Rows => true,
            };
            if !is_done {
                undone.push(object(step).to_owned());
            }
            objects.extend(wanted(step, &known));
        }
        Self { number: migration.number(), undone, objects }
    }
}

enum ObjectKind {
    Makes,
    Drops,
    Alters,
    Rows,
}

fn kind(step: &MigrationStep) -> ObjectKind {
    match step {
        MigrationStep::CreateTable { .. }
        | MigrationStep::AddColumn { unless: None, .. }
        | MigrationStep::CreateIndex { .. }
        | MigrationStep::AddKey { .. }
        | MigrationStep::CreateEnum { .. }
        | MigrationStep::AddValue { .. } => ObjectKind::Makes,
        MigrationStep::DropTable { .. }
        | MigrationStep::DropColumn { .. }
        | MigrationStep::DropIndex { .. }
        | MigrationStep::DropKey { .. }
        | MigrationStep::DropEnum { .. } => ObjectKind::Drops,
        // One that looks first whether the column is there makes it by itself.
        MigrationStep::AddColumn { .. }
        | MigrationStep::ReplaceEnum { .. }
        | MigrationStep::ChangeType { .. }
        | MigrationStep::DropNotNull { .. } => ObjectKind::Alters,
        MigrationStep::DeleteRows { .. }
        | MigrationStep::UpdateRows { .. }
        | MigrationStep::Commit { .. } => ObjectKind::Rows,
    }
}

/// The objects that a step leaves behind. One that no release has any more has no form: nothing equals it.
fn wanted(step: &MigrationStep, known: &[Arc<ExpectedJson>; 2]) -> Vec<WantedObject> {
    let one = |kind: &str, table: &str, name: &str| {
        let is_it = |value: &&Value| {
            value["kind"] == kind && value["name"] == name && (kind == "enum" || value["table"] == table)
        };
        let forms = known.iter().filter_map(|all| all.value.as_array()?.iter().find(is_it));
        let mut forms: Vec<Value> = forms.map(essence).collect();
        forms.dedup();
        let what = if kind == "column" { format!("{table}.{name}") } else { name.to_owned() };
        WantedObject { what, forms }
    };
    match step {
        MigrationStep::CreateTable { create_table: table } => {
            // With the columns that it had at first.
            let of_table = |value: &&Value| value["kind"] == "column" && value["table"] == table.as_str();
            let columns = known[0].value.as_array().into_iter().flatten().filter(of_table);
            let columns = columns.filter_map(|value| value["name"].as_str());
            let mut wanted = vec![one("table", table, table)];
            wanted.extend(columns.map(|column| one("column", table, column)));
            wanted
        }
        MigrationStep::AddColumn { add_column: path, .. }
        | MigrationStep::ChangeType { change_type: path, .. }
        | MigrationStep::DropNotNull { drop_not_null: path } => {
            let (table, column) = split_path(path);
            vec![one("column", table, column)]
        }
        MigrationStep::CreateIndex { create_index: name, on } => vec![one("index", on, name)],
        MigrationStep::AddKey { add_key: name, on, .. } => vec![one("key", on, name)],
        MigrationStep::CreateEnum { create_enum: name } => vec![one("enum", "", name)],
        MigrationStep::AddValue { add_value: path } => vec![one("enum", "", split_path(path).0)],
        MigrationStep::ReplaceEnum { replace_enum: name, column } => {
            let (table, column) = split_path(column);
            vec![one("enum", "", name), one("column", table, column)]
        }
        MigrationStep::DropTable { .. }
        | MigrationStep::DropColumn { .. }
        | MigrationStep::DropIndex { .. }
        | MigrationStep::DropKey { .. }
        | MigrationStep::DropEnum { .. }
        | MigrationStep::DeleteRows { .. }
        | MigrationStep::UpdateRows { .. }
        | MigrationStep::Commit { .. } => Vec::new(),
    }
}

/// The objects that have to be equal.
fn essence(object: &Value) -> Value {
    let fields = ["kind", "table", "form", "name", "definition"];
    fields.iter().map(|field| ((*field).to_owned(), object[*field].clone())).collect()
}

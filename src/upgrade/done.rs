//! Whether a migration that Postgres refuses is done already: all that it makes is there in exactly its form, all that it
//! drops is gone. Then it can be recorded instead of run.

use serde::Serialize;
use serde_json::Value;

use super::walk::{Obstacle, object};
use crate::database::objects;
use crate::evolution::release::{Migration, Release};
use crate::evolution::steps::{Step, split};

/// What has to be so for a migration to be done.
#[derive(Debug, Serialize)]
pub struct Done {
    number: &'static str,
    /// What is not done, as far as names tell: what could still be made, or is still to be dropped.
    undone: Vec<String>,
    /// What has to be there, in the form that `sql/catalog/objects.sql` reads: as the release has it that brought the
    /// migration, or as the target has it.
    objects: Vec<Wanted>,
}

#[derive(Debug, Serialize)]
struct Wanted {
    what: String,
    forms: Vec<Value>,
}

impl Done {
    /// Asks the steps of a migration. A step that makes or drops something is done only where Postgres refuses it, in the
    /// state that the pending migrations before it leave.
    pub fn of(schema: &str, migration: &'static Migration, obstacles: &[Obstacle], target: Release) -> Self {
        let releases = [migration.since(), target];
        let known = releases.map(|release| objects::expected(schema, release));
        let (mut undone, mut objects) = (Vec::new(), Vec::new());
        for (position, step) in migration.steps(target).enumerate() {
            let refused = obstacles.iter().find(|obstacle| obstacle.position == position);
            let is_done = match kind(step) {
                Kind::Makes => refused.is_some_and(Obstacle::is_taken),
                Kind::Drops => refused.is_some_and(Obstacle::is_missing),
                // Whether it is as the migration leaves it, only its form tells.
                Kind::Alters => true,
                // A unique index that is there says that nothing is left to delete; what an UPDATE does is no condition.
                Kind::Rows => true,
            };
            if !is_done {
                undone.push(object(step).to_owned());
            }
            objects.extend(wanted(step, &known));
        }
        Self { number: migration.number(), undone, objects }
    }
}

enum Kind {
    Makes,
    Drops,
    Alters,
    Rows,
}

fn kind(step: &Step) -> Kind {
    match step {
        Step::CreateTable { .. }
        | Step::AddColumn { unless: None, .. }
        | Step::CreateIndex { .. }
        | Step::AddKey { .. }
        | Step::CreateEnum { .. }
        | Step::AddValue { .. } => Kind::Makes,
        Step::DropTable { .. }
        | Step::DropColumn { .. }
        | Step::DropIndex { .. }
        | Step::DropKey { .. }
        | Step::DropEnum { .. } => Kind::Drops,
        // One that looks first whether the column is there makes it by itself.
        Step::AddColumn { .. }
        | Step::ReplaceEnum { .. }
        | Step::ChangeType { .. }
        | Step::DropNotNull { .. } => Kind::Alters,
        Step::DeleteRows { .. } | Step::UpdateRows { .. } | Step::Commit { .. } => Kind::Rows,
    }
}

/// The objects that a step leaves behind. One that no release has any more has no form: nothing equals it.
fn wanted(step: &Step, known: &[Value; 2]) -> Vec<Wanted> {
    let one = |kind: &str, table: &str, name: &str| {
        let is_it = |value: &&Value| {
            value["kind"] == kind && value["name"] == name && (kind == "enum" || value["table"] == table)
        };
        let forms = known.iter().filter_map(|all| all.as_array()?.iter().find(is_it));
        let mut forms: Vec<Value> = forms.map(essence).collect();
        forms.dedup();
        let what = if kind == "column" { format!("{table}.{name}") } else { name.to_owned() };
        Wanted { what, forms }
    };
    match step {
        Step::CreateTable { create_table: table } => {
            // With the columns that it had at first.
            let of_table = |value: &&Value| value["kind"] == "column" && value["table"] == table.as_str();
            let columns = known[0].as_array().into_iter().flatten().filter(of_table);
            let columns = columns.filter_map(|value| value["name"].as_str());
            let mut wanted = vec![one("table", table, table)];
            wanted.extend(columns.map(|column| one("column", table, column)));
            wanted
        }
        Step::AddColumn { add_column: path, .. }
        | Step::ChangeType { change_type: path }
        | Step::DropNotNull { drop_not_null: path } => {
            let (table, column) = split(path);
            vec![one("column", table, column)]
        }
        Step::CreateIndex { create_index: name, on } => vec![one("index", on, name)],
        Step::AddKey { add_key: name, on, .. } => vec![one("key", on, name)],
        Step::CreateEnum { create_enum: name } => vec![one("enum", "", name)],
        Step::AddValue { add_value: path } => vec![one("enum", "", split(path).0)],
        Step::ReplaceEnum { replace_enum: name, column } => {
            let (table, column) = split(column);
            vec![one("enum", "", name), one("column", table, column)]
        }
        Step::DropTable { .. }
        | Step::DropColumn { .. }
        | Step::DropIndex { .. }
        | Step::DropKey { .. }
        | Step::DropEnum { .. }
        | Step::DeleteRows { .. }
        | Step::UpdateRows { .. }
        | Step::Commit { .. } => Vec::new(),
    }
}

/// What has to be equal.
fn essence(object: &Value) -> Value {
    let fields = ["kind", "table", "form", "name", "definition"];
    fields.iter().map(|field| ((*field).to_owned(), object[*field].clone())).collect()
}

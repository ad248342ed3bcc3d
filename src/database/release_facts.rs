//! The facts of all releases as variables of SQL files: their migrations, and which objects each of them brought.
//! `sql/README.md` lists the variables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::release_objects::{ExpectedObject, Identity, plain};
use crate::evolution::release::{Migration, Release, facts};
use crate::evolution::schema::schema as tables_of;

/// The changes of a release: its difference from the one before.
fn brought_by(release: Release) -> Value {
    let before = Release::all().rev().find(|other| *other < release);
    difference(before.map(plain).unwrap_or_default(), plain(release))
}

/// `:'brought'`: by migration the release that added it, and by release what came with it. Without the first one, which
/// nothing comes before.
pub fn brought() -> Value {
    let later = || Release::all().skip(1);
    let migrations = facts().migrations.iter().filter(|one| later().any(|release| release == one.since()));
    let migrations: Vec<Value> =
        migrations.map(|one| json!({"name": one.name, "since": one.since().version()})).collect();
    let objects: BTreeMap<&str, Value> = later().map(|r| (r.version(), brought_by(r))).collect();
    json!({"migrations": migrations, "objects": objects})
}

/// `:'migrations'`: upstream's migrations and their contents.
pub fn migrations() -> Value {
    let shipped = |migration: &Migration| -> Vec<Value> {
        migration
            .contents
            .iter()
            .map(|content| json!({"sha256": content.sha256, "releases": content.releases}))
            .collect()
    };
    let known: Vec<Value> = facts()
        .migrations
        .iter()
        .enumerate()
        .map(|(position, migration)| {
            let since = migration.since();
            json!({
                "position": position,
                "name": migration.name,
                "since": since.version(),
                "contents": shipped(migration),
                "unreleased": migration.unreleased,
                "is_alone": since.only_migration().is_some(),
            })
        })
        .collect();
    json!({"known": known, "withdrawn": facts().withdrawn, "never_released": facts().never_released})
}

/// `:'effects'`: by release what came with it, the first one's too.
pub fn effects() -> Value {
    let by_release: BTreeMap<&str, Value> = Release::all().map(|r| (r.version(), brought_by(r))).collect();
    json!(by_release)
}

/// The objects to add, remove or change to come from one state to the other.
fn difference(before: &[ExpectedObject], after: &[ExpectedObject]) -> Value {
    let line = |object: &ExpectedObject, change: &str| {
        json!({
            "kind": object.kind, "table": object.table, "form": object.form, "name": object.name,
            "definition": object.definition, "change": change
        })
    };
    let before: BTreeMap<Identity<'_>, &ExpectedObject> = before.iter().map(|o| (o.identity(), o)).collect();
    let kept: BTreeSet<Identity<'_>> = after.iter().map(ExpectedObject::identity).collect();
    let gone = before.values().filter(|object| !kept.contains(&object.identity()));
    let mut lines: Vec<Value> = gone.map(|object| line(object, "removes")).collect();
    for object in after {
        match before.get(&object.identity()) {
            None => lines.push(line(object, "adds")),
            Some(old) if old.definition != object.definition => lines.push(line(object, "changes")),
            Some(_) => {}
        }
    }
    json!(lines)
}

/// `:'unique_keys'`: the columns that any release keeps unique, by table: of its primary keys and unique indexes.
pub fn unique_keys() -> Value {
    let mut unique: BTreeSet<(&str, &[String])> = BTreeSet::new();
    for release in Release::all() {
        for table in tables_of().tables(release) {
            unique.insert((&table.name, &table.primary_key));
            let indexes = table.indexes(release).filter(|index| index.unique);
            unique.extend(indexes.map(|index| (table.name.as_str(), index.columns.as_slice())));
        }
    }
    let line = |(table, columns): &(&str, &[String])| json!({"table": table, "columns": columns});
    json!(unique.iter().map(line).collect::<Vec<Value>>())
}

/// `:'schemas'`: every release with its migrations, and every object of any release with the releases that have it.
pub fn schemas() -> Value {
    let mut runs: Vec<(&ExpectedObject, Vec<usize>)> = Vec::new();
    let mut places: BTreeMap<(Identity<'_>, String), usize> = BTreeMap::new();
    for (position, release) in Release::all().enumerate() {
        for object in plain(release) {
            let place = (object.identity(), object.definition.to_string());
            let at = *places.entry(place).or_insert_with(|| {
                runs.push((object, Vec::new()));
                runs.len() - 1
            });
            runs[at].1.push(position);
        }
    }
    let objects: Vec<Value> = runs
        .iter()
        .map(|(object, releases)| {
            json!({
                "kind": object.kind, "table": object.table, "form": object.form,
                "definition": object.definition, "releases": releases
            })
        })
        .collect();
    let releases: Vec<Value> = Release::all()
        .enumerate()
        .map(|(position, release)| {
            let migrations: Vec<Value> = release
                .migrations()
                .map(|m| json!({"name": m.name, "checksum": m.checksum_in(release)}))
                .collect();
            json!({"position": position, "version": release.version(), "migrations": migrations})
        })
        .collect();
    json!({"releases": releases, "objects": objects})
}

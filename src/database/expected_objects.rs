//! What a release expects, object by object, in the form in which `sql/catalog/objects.sql` reads a database, with the
//! statements that would add what is missing; and which objects each of upstream's migrations brought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Value, json};

use super::ident::SqlFragment;
use super::release_schema::DdlBuilder;
use crate::evolution::release::{Migration, Release, facts};
use crate::evolution::schema::{Column, ForeignKey, Index, Table, schema as tables_of};

/// One object: an enum, a table, a column, an index or a foreign key.
#[derive(Debug, Clone, Serialize)]
pub struct ExpectedObject {
    /// Its place in an order in which all can be added.
    position: usize,
    kind: &'static str,
    /// Its table; for an enum its own name.
    table: String,
    /// What it is recognised by, whatever its name: the columns of an index, of a key.
    form: String,
    name: String,
    /// What may differ.
    definition: Value,
    /// Adds it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repair: Vec<String>,
    /// Takes it away again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undo: Vec<String>,
    /// The migration that brought it, where the release that did has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    migration: Option<&'static str>,
}

type Identity = (&'static str, String, String);

impl ExpectedObject {
    fn identity(&self) -> Identity {
        (self.kind, self.table.clone(), self.form.clone())
    }
}

/// Every object of a release, without statements. Made once: several variables compare all releases.
fn plain(release: Release) -> &'static [ExpectedObject] {
    static ALL: LazyLock<BTreeMap<Release, Vec<ExpectedObject>>> =
        LazyLock::new(|| Release::all().map(|release| (release, objects(None, release))).collect());
    &ALL[&release]
}

/// Every object of a release, in an order in which they can be added: what is referred to comes first. With a schema,
/// with the statements that add it there.
fn objects(schema: Option<&str>, release: Release) -> Vec<ExpectedObject> {
    let builder = DdlBuilder { schema: schema.unwrap_or_default(), release };
    let mut objects = Vec::new();
    for kind in tables_of().enums(release) {
        objects.push(ExpectedObject {
            position: 0,
            kind: "enum",
            table: kind.name.clone(),
            form: kind.name.clone(),
            name: kind.name.clone(),
            definition: json!({"values": kind.values}),
            repair: made(&builder, || vec![builder.create_enum(kind)]),
            undo: made(&builder, || vec![format!("DROP TYPE {}", builder.qualified(&kind.name))]),
            migration: None,
        });
    }
    let tables = parents_first(release);
    for kind in ["table", "column", "index", "key"] {
        for table in &tables {
            match kind {
                "table" => objects.push(whole_table(&builder, table)),
                "column" => objects.extend(columns(&builder, table)),
                "index" => objects.extend(indexes(&builder, table)),
                _ => objects.extend(keys(&builder, table)),
            }
        }
    }
    objects
}

/// Statements are made only where there is a schema to make them for.
fn made(builder: &DdlBuilder<'_>, statements: impl FnOnce() -> Vec<String>) -> Vec<String> {
    if builder.schema.is_empty() { Vec::new() } else { statements() }
}

fn whole_table(builder: &DdlBuilder<'_>, table: &Table) -> ExpectedObject {
    let release = builder.release;
    let repair = || {
        let mut repair = vec![builder.create_table(table)];
        repair.extend(table.indexes(release).map(|index| builder.create_index(table, index)));
        repair.extend(table.foreign_keys(release).map(|key| builder.add_foreign_key(table, key)));
        repair
    };
    let undo = || {
        vec![
            format!(
                "SELECT {} AS refusal FROM {} LIMIT 1",
                SqlFragment::literal(&format!("the table {} holds rows by now", table.name)),
                builder.qualified(&table.name)
            ),
            format!("DROP TABLE {}", builder.qualified(&table.name)),
        ]
    };
    ExpectedObject {
        position: 0,
        kind: "table",
        table: table.name.clone(),
        form: table.name.clone(),
        name: table.name.clone(),
        definition: json!({"primary_key": table.primary_key}),
        repair: made(builder, repair),
        undo: made(builder, undo),
        migration: None,
    }
}

fn columns(builder: &DdlBuilder<'_>, table: &Table) -> Vec<ExpectedObject> {
    let alter = format!("ALTER TABLE {}", builder.qualified(&table.name));
    let object = |column: &Column| {
        let Column { name, data_type, not_null, default, .. } = column;
        ExpectedObject {
            position: 0,
            kind: "column",
            table: table.name.clone(),
            form: name.clone(),
            name: name.clone(),
            definition: json!({"type": data_type, "not_null": not_null, "default": default}),
            repair: made(builder, || {
                vec![format!("{alter} ADD COLUMN {}", builder.column_definition(table, column))]
            }),
            undo: made(builder, || {
                vec![
                    kept(builder, table, column),
                    format!("{alter} DROP COLUMN {}", SqlFragment::ident(name)),
                ]
            }),
            migration: None,
        }
    };
    table.columns(builder.release).map(object).collect()
}

/// Refuses to drop a column in which somebody keeps something by now. A time that the server filled in is no such thing.
fn kept(builder: &DdlBuilder<'_>, table: &Table, column: &Column) -> String {
    let name = SqlFragment::ident(&column.name);
    let default = match column.default.as_deref() {
        None => "NULL".to_owned(),
        Some("CURRENT_TIMESTAMP") => name.to_string(),
        Some(default) => builder.enums_qualified(default),
    };
    format!(
        "SELECT {} AS refusal FROM {} WHERE {name} IS DISTINCT FROM {default} LIMIT 1",
        SqlFragment::literal(&format!("the column {}.{} holds values by now", table.name, column.name)),
        builder.qualified(&table.name),
    )
}

fn indexes(builder: &DdlBuilder<'_>, table: &Table) -> Vec<ExpectedObject> {
    let object = |index: &Index| ExpectedObject {
        position: 0,
        kind: "index",
        table: table.name.clone(),
        form: format!("{}({})", if index.unique { "UNIQUE " } else { "" }, index.columns.join(", ")),
        name: index.name.clone(),
        definition: json!({}),
        repair: made(builder, || vec![builder.create_index(table, index)]),
        undo: made(builder, || vec![format!("DROP INDEX {}", builder.qualified(&index.name))]),
        migration: None,
    };
    table.indexes(builder.release).map(object).collect()
}

fn keys(builder: &DdlBuilder<'_>, table: &Table) -> Vec<ExpectedObject> {
    let alter = format!("ALTER TABLE {}", builder.qualified(&table.name));
    let object = |key: &ForeignKey| ExpectedObject {
        position: 0,
        kind: "key",
        table: table.name.clone(),
        form: format!(
            "({}) -> {} ({})",
            key.columns.join(", "),
            key.references,
            key.referenced_columns.join(", ")
        ),
        name: key.name.clone(),
        definition: json!({"on_delete": key.on_delete, "on_update": key.on_update}),
        repair: made(builder, || vec![builder.add_foreign_key(table, key)]),
        undo: made(builder, || vec![format!("{alter} DROP CONSTRAINT {}", SqlFragment::ident(&key.name))]),
        migration: None,
    };
    table.foreign_keys(builder.release).map(object).collect()
}

/// The tables of a release, each behind those that its keys refer to; tables in a circle keep their order.
fn parents_first(release: Release) -> Vec<&'static Table> {
    let mut waiting: Vec<&Table> = tables_of().tables(release).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |table: &&Table| {
            table.foreign_keys(release).any(|key| {
                waiting.iter().any(|other| other.name == key.references && other.name != table.name)
            })
        };
        let free = waiting.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(waiting.remove(free));
    }
    ordered
}

/// `:'expected'`: every object of a release.
pub fn expected(schema: &str, release: Release) -> Value {
    let earlier: Vec<(Release, BTreeSet<Identity>)> = Release::all()
        .rev()
        .skip_while(|other| *other > release)
        .map(|other| (other, plain(other).iter().map(ExpectedObject::identity).collect()))
        .collect();
    let mut objects = objects(Some(schema), release);
    for (position, object) in objects.iter_mut().enumerate() {
        object.position = position;
        let identity = object.identity();
        let since = earlier.iter().take_while(|(_, has)| has.contains(&identity)).last();
        object.migration = since.and_then(|(since, _)| only_migration_of(*since)).map(|m| m.name.as_str());
    }
    json!(objects)
}

/// The migration of a release that adds one only.
fn only_migration_of(release: Release) -> Option<&'static Migration> {
    let mut added = facts().migrations.iter().filter(|migration| migration.since() == release);
    added.next().filter(|_| added.next().is_none())
}

/// What a release brought: its difference from the one before.
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
                "is_alone": only_migration_of(since).is_some(),
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

/// An object as `sql/catalog/objects.sql` finds it, by which it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogObject {
    /// `enum`, `table`, `column`, `index` or `key`.
    pub kind: String,
    /// Its table; for an enum its own name.
    pub table: String,
    /// What it is recognised by, whatever its name.
    pub form: String,
    /// What may differ.
    pub definition: Option<Value>,
}

/// Every object of a release, to hold what a database has against it.
#[derive(Debug)]
pub struct ExpectedObjects(Vec<ExpectedObject>);

impl ExpectedObjects {
    /// Makes them from the facts, which takes some milliseconds.
    pub fn new(release: Release) -> Self {
        Self(objects(None, release))
    }

    /// The same in the form in which a database is read.
    pub fn as_catalog(&self) -> Vec<CatalogObject> {
        let one = |object: &ExpectedObject| CatalogObject {
            kind: object.kind.to_owned(),
            table: object.table.clone(),
            form: object.form.clone(),
            definition: Some(object.definition.clone()),
        };
        self.0.iter().map(one).collect()
    }

    /// Whether a database has exactly these objects, whatever their names.
    pub fn match_exactly(&self, found: &[CatalogObject]) -> bool {
        let mut missing: BTreeMap<(&str, &str, &str), &Value> =
            self.0.iter().map(|o| ((o.kind, o.table.as_str(), o.form.as_str()), &o.definition)).collect();
        let known = missing.clone();
        let is_same = |one: &CatalogObject| {
            let identity = (one.kind.as_str(), one.table.as_str(), one.form.as_str());
            known.get(&identity).is_some_and(|definition| Some(*definition) == one.definition.as_ref())
        };
        for one in found {
            missing.remove(&(one.kind.as_str(), one.table.as_str(), one.form.as_str()));
        }
        missing.is_empty() && found.iter().all(is_same)
    }
}

/// What to add, remove or change to come from one state to the other.
fn difference(before: &[ExpectedObject], after: &[ExpectedObject]) -> Value {
    let line = |object: &ExpectedObject, change: &str| {
        json!({
            "kind": object.kind, "table": object.table, "form": object.form, "name": object.name,
            "definition": object.definition, "change": change
        })
    };
    let before: BTreeMap<Identity, &ExpectedObject> = before.iter().map(|o| (o.identity(), o)).collect();
    let kept: BTreeSet<Identity> = after.iter().map(ExpectedObject::identity).collect();
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
    let mut places: BTreeMap<(Identity, String), usize> = BTreeMap::new();
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

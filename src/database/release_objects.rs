//! Every object of a release, in the form in which `sql/catalog/objects.sql` reads a database, with the statements that add
//! what is missing and take it away again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use serde_json::{Value, json};

use super::ident::SqlFragment;
use super::release_schema::DdlBuilder;
use crate::evolution::release::Release;
use crate::evolution::schema::{Column, ForeignKey, Index, Table, schema as tables_of};

/// One object: an enum, a table, a column, an index or a foreign key.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ExpectedObject {
    /// Its place in an order in which all can be added.
    pub(super) position: usize,
    pub(super) kind: &'static str,
    /// Its table; for an enum its own name.
    pub(super) table: String,
    /// Its identity, whatever its name: the columns of an index, of a key.
    pub(super) form: String,
    pub(super) name: String,
    /// The part that may differ.
    pub(super) definition: Value,
    /// Adds it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repair: Vec<String>,
    /// Takes it away again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undo: Vec<String>,
    /// The migration that brought it, where the release that did has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) migration: Option<&'static str>,
}

/// Its kind, table and form.
pub(super) type Identity<'a> = (&'static str, &'a str, &'a str);

impl ExpectedObject {
    /// Its identity.
    pub(super) fn identity(&self) -> Identity<'_> {
        (self.kind, &self.table, &self.form)
    }
}

/// Every object of a release, without statements. Made once: several variables compare all releases, most of which have the
/// same as the one before.
pub(super) fn plain(release: Release) -> &'static [ExpectedObject] {
    static ALL: LazyLock<BTreeMap<Release, Arc<[ExpectedObject]>>> = LazyLock::new(|| {
        let mut all: BTreeMap<Release, Arc<[ExpectedObject]>> = BTreeMap::new();
        for release in Release::all() {
            let before = all.last_key_value().filter(|(before, _)| tables_of().is_same(**before, release));
            let made = before.map(|(_, made)| Arc::clone(made));
            all.insert(release, made.unwrap_or_else(|| objects(None, release).into()));
        }
        all
    });
    &ALL[&release]
}

/// Every object of a release, in an order in which they can be added: what is referred to comes first. With a schema,
/// with the statements that add it there.
pub(super) fn objects(schema: Option<&str>, release: Release) -> Vec<ExpectedObject> {
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
                SqlFragment::literal(&format!("the table {} has rows by now", table.name)),
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

/// Refuses to drop a column that holds values. A time that the server filled in does not count.
fn kept(builder: &DdlBuilder<'_>, table: &Table, column: &Column) -> String {
    let name = SqlFragment::ident(&column.name);
    let default = match column.default.as_deref() {
        None => "NULL".to_owned(),
        Some("CURRENT_TIMESTAMP") => name.to_string(),
        Some(default) => builder.enums_qualified(default),
    };
    format!(
        "SELECT {} AS refusal FROM {} WHERE {name} IS DISTINCT FROM {default} LIMIT 1",
        SqlFragment::literal(&format!("the column {}.{} has values by now", table.name, column.name)),
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

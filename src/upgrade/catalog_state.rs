//! The state of Evolution's schema, and how it changes as one migration after the other is applied.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::query::query_file;
use crate::database::sql_file::Variables;

/// Names that are taken, columns, and what depends on them.
#[derive(Debug, Clone, Deserialize)]
pub struct CatalogState {
    /// Tables, indexes, views, sequences and composite types, with their `relkind`.
    pub relations: BTreeMap<String, String>,
    /// Types, an enum's with its labels.
    pub types: BTreeMap<String, Vec<String>>,
    /// The columns of each table, with their types.
    pub columns: BTreeMap<String, BTreeMap<String, String>>,
    /// Table, name, and for a foreign key the table it refers to.
    pub constraints: Vec<(String, String, Option<String>)>,
    /// Indexes that belong to a constraint.
    pub constraint_indexes: BTreeSet<String>,
    /// The dependents of tables and columns.
    pub dependents: Vec<Dependent>,
    /// The dependents of types.
    pub type_users: Vec<TypeUser>,
    /// The sizes of the tables.
    pub sizes: BTreeMap<String, TableSize>,
    /// Other schemas with a table "Setting" that has the column "wavoipToken", as the owner of ours sees them.
    pub wavoip_elsewhere: Vec<String>,
    /// Objects of the schema `public` with the names of the Kafka migration.
    pub public: BTreeSet<String>,
    /// The server's version, such as 150018.
    pub server: u32,
    /// Tables that the pending migrations made themselves: empty, and as they want them.
    #[serde(skip)]
    pub made: BTreeSet<String>,
}

/// Something that depends on a table.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependent {
    /// The table.
    pub table: String,
    /// The column, where it is one only.
    pub column: Option<String>,
    /// Its description.
    pub what: String,
    /// The foreign key's name, where it is one.
    pub key: Option<String>,
    /// True if it is a generated column.
    pub is_generated: bool,
    /// True if the column cannot be dropped because of it.
    pub keeps_column: bool,
    /// True if the table cannot be dropped because of it.
    pub keeps_table: bool,
    /// True if the column's type cannot be altered because of it.
    pub keeps_type: bool,
}

/// Something that depends on an enum type.
#[derive(Debug, Clone, Deserialize)]
pub struct TypeUser {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The table, where it is a column of one in this schema.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// Its description.
    pub what: String,
}

/// The size of a table.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct TableSize {
    /// With what is stored out of line, without indexes; in bytes.
    pub bytes: i64,
    /// The rows themselves only; in bytes.
    pub heap_bytes: i64,
    /// All indexes; in bytes.
    pub index_bytes: i64,
    /// As the planner believes.
    pub rows: i64,
}

impl CatalogState {
    /// Reads it from the catalog. Takes no lock but ACCESS SHARE.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let found = query_file(connection, "sql/upgrade/state.sql", &Variables::for_schema(schema)).await?;
        let state = found.first().context("the catalog is one document")?.try_get("state")?;
        serde_json::from_value(state).context("sql/upgrade/state.sql and this program disagree")
    }

    /// True if the table was there before the upgrade.
    pub fn is_old(&self, table: &str) -> bool {
        self.relations.contains_key(table) && !self.made.contains(table)
    }

    /// True if a relation has columns that can be altered as a table's.
    pub fn is_table(&self, name: &str) -> bool {
        matches!(self.relations.get(name).map(String::as_str), Some("r" | "p"))
    }

    /// True if the table has the column. Of a table that the upgrade made nothing is missing.
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| columns.contains_key(column))
    }

    /// The tables that the foreign keys of a table refer to.
    pub fn referenced_by(&self, table: &str) -> impl Iterator<Item = &str> {
        self.constraints
            .iter()
            .filter(move |(of, _, _)| of == table)
            .filter_map(|(_, _, referenced)| referenced.as_deref())
    }

    /// The table is there from now on.
    pub fn make_table(&mut self, table: &str) {
        self.relations.insert(table.to_owned(), "r".to_owned());
        self.relations.insert(format!("{table}_pkey"), "i".to_owned());
        self.types.insert(table.to_owned(), Vec::new());
        self.made.insert(table.to_owned());
    }

    /// The table is gone, with its indexes, its constraints, and whatever went along.
    pub fn drop_table(&mut self, table: &str) {
        self.relations.remove(table);
        self.relations.remove(&format!("{table}_pkey"));
        self.types.remove(table);
        self.columns.remove(table);
        self.made.remove(table);
        self.constraints.retain(|(of, _, _)| of != table);
        self.dependents.retain(|dependent| dependent.table != table);
        self.type_users.retain(|user| user.table.as_deref() != Some(table));
    }

    /// The column is gone.
    pub fn drop_column(&mut self, table: &str, column: &str) {
        if let Some(columns) = self.columns.get_mut(table) {
            columns.remove(column);
        }
        let is_it = |of: Option<&str>, name: Option<&str>| of == Some(table) && name == Some(column);
        self.dependents.retain(|one| !is_it(Some(&one.table), one.column.as_deref()));
        self.type_users.retain(|user| !is_it(user.table.as_deref(), user.column.as_deref()));
    }

    /// The foreign key is gone.
    pub fn drop_key(&mut self, table: &str, key: &str) {
        self.constraints.retain(|(of, name, _)| of != table || name != key);
        self.dependents.retain(|dependent| dependent.key.as_deref() != Some(key));
    }
}

//! The contents of the database at a moment of the rehearsal, and what was lost between two moments.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;

/// Rows of one table that a migration treats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Rows added.
    pub inserted: i64,
    /// Rows changed, be it to what they were.
    pub updated: i64,
    /// Rows removed, also by a key that cascades, by `TRUNCATE`, and with the table.
    pub removed: i64,
    /// Values that went with their columns: those that were not null.
    pub values_dropped: i64,
}

/// A table at a moment.
#[derive(Debug, Clone)]
struct SnapshotTable {
    schema: String,
    name: String,
    /// Both, as Postgres writes them.
    quoted: String,
    /// An emptied or rewritten table has another.
    file: i64,
    columns: BTreeMap<i32, String>,
    rows: RowCounts,
}

/// All of it at a moment.
#[derive(Debug, Clone, Default)]
pub struct TableSnapshot {
    /// Evolution's schema: only other tables are named with theirs.
    schema: String,
    tables: BTreeMap<i64, SnapshotTable>,
}

/// The losses by a statement that the server does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostData {
    /// The table, as it is shown.
    pub table: String,
    /// The table, for a statement.
    qualified: SqlFragment,
    /// The column; the whole table's rows without one.
    column: Option<String>,
}

impl TableSnapshot {
    /// Takes the snapshot.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let mut sight = Self { schema: schema.to_owned(), ..Self::default() };
        for row in query_file(connection, "sql/upgrade/table_snapshot.sql", &Variables::default()).await? {
            let (numbers, columns): (Vec<i32>, Vec<String>) =
                (row.try_get("numbers")?, row.try_get("columns")?);
            let table = SnapshotTable {
                schema: row.try_get("schema")?,
                name: row.try_get("name")?,
                quoted: row.try_get("quoted")?,
                file: row.try_get("file")?,
                columns: numbers.into_iter().zip(columns).collect(),
                rows: RowCounts {
                    inserted: row.try_get("inserted")?,
                    updated: row.try_get("updated")?,
                    removed: row.try_get("removed")?,
                    values_dropped: 0,
                },
            };
            sight.tables.insert(row.try_get("oid")?, table);
        }
        Ok(sight)
    }

    /// True if a table, named with its schema as Postgres does, was there.
    pub fn has(&self, quoted: &str) -> bool {
        self.tables.values().any(|table| table.quoted == quoted)
    }

    /// Tables that were there before and are not now, as Postgres names them.
    pub fn dropped_since(&self, before: &Self) -> Vec<String> {
        let dropped = before.tables.iter().filter(|(oid, _)| !self.tables.contains_key(oid));
        dropped.map(|(_, table)| table.quoted.clone()).collect()
    }

    /// The tables of Evolution's schema.
    pub fn own_tables(&self) -> Vec<String> {
        let own = self.tables.values().filter(|table| table.schema == self.schema);
        own.map(|table| table.name.clone()).collect()
    }

    /// Adds what was treated since `before`, table by table.
    pub fn add_rows(&self, before: &Self, to: &mut BTreeMap<String, RowCounts>) {
        for (oid, table) in &self.tables {
            let old = before.tables.get(oid).map(|table| table.rows.clone()).unwrap_or_default();
            let counts = to.entry(self.shown(table)).or_default();
            counts.inserted += table.rows.inserted - old.inserted;
            counts.updated += table.rows.updated - old.updated;
            counts.removed += table.rows.removed - old.removed;
        }
    }

    /// Objects that existed before and do not exist now. For a statement that empties tables, all tables that have
    /// another file now.
    pub fn gone_since(&self, before: &Self, empties: bool) -> Vec<LostData> {
        let mut gone = Vec::new();
        for (oid, old) in &before.tables {
            let of = |column: Option<&String>| LostData {
                table: self.shown(old),
                qualified: SqlFragment::qualified(&old.schema, &old.name),
                column: column.cloned(),
            };
            match self.tables.get(oid) {
                None => gone.push(of(None)),
                Some(new) if empties && new.file != old.file => gone.push(of(None)),
                Some(new) => {
                    let lost = old.columns.iter().filter(|(number, _)| !new.columns.contains_key(number));
                    gone.extend(lost.map(|(_, name)| of(Some(name))));
                }
            }
        }
        gone
    }

    fn shown(&self, table: &SnapshotTable) -> String {
        if table.schema == self.schema {
            return table.name.clone();
        }
        format!("{}.{}", table.schema, table.name)
    }
}

impl LostData {
    /// Counts what is lost, while it is still there.
    ///
    /// # Errors
    /// When the connection is lost, or the role may not read it.
    pub async fn count(&self, connection: &mut PgConnection, to: &mut RowCounts) -> Result<()> {
        let what = match &self.column {
            Some(column) => SqlFragment::ident(column),
            None => SqlFragment::assert_safe("*".to_owned()),
        };
        let variables = Variables::default().sql("what", what).sql("table", self.qualified.clone());
        let rows = query_file(connection, "sql/upgrade/count.sql", &variables).await?;
        let count: i64 = rows.first().context("a count is one row")?.try_get("count")?;
        match self.column {
            Some(_) => to.values_dropped += count,
            None => to.removed += count,
        }
        Ok(())
    }
}

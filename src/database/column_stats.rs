//! Statistics of single columns: whether an index leads from a value to its rows, and what ANALYZE found.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::query::query_file;
use super::sql_file::Variables;

/// A table of so many pages is not read in a moment: 1 MB.
pub const LARGE: u64 = 128;

/// A column of an ordinary table: not of a view, and not of a table with partitions or heirs.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStats {
    /// Its type without length, as SQL writes it.
    pub data_type: String,
    /// Its collation's oid; 0 for types that have none.
    pub collation: i64,
    /// True if only equal bytes are equal.
    pub is_deterministic: bool,
    /// True if VACUUM found most of the table's pages visible to all: then an index on it is read without the table.
    pub is_visible: bool,
    /// True if a valid btree index over all rows begins with it, in its own order.
    pub is_indexed: bool,
    /// About how many different values it has; `None` where it was never analysed.
    pub distinct_values: Option<f64>,
}

impl ColumnStats {
    /// True if its values are compared as text.
    pub fn is_text(&self) -> bool {
        matches!(self.data_type.as_str(), "text" | "character varying")
    }
}

/// Columns by table and name.
#[derive(Debug, Clone, Default)]
pub struct ColumnStatsMap {
    /// The server's version as a number, such as 150014; 0 where nothing was read.
    pub server_version: i32,
    /// The size of the server's cache, in pages; 0 where nothing was read.
    pub cache: u64,
    by_table: BTreeMap<String, BTreeMap<String, ColumnStats>>,
}

impl ColumnStatsMap {
    /// Reads those of the ordinary tables of a schema.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let rows = query_file(connection, "sql/catalog/columns.sql", &Variables::for_schema(schema)).await?;
        let mut columns = Self::default();
        for row in &rows {
            let column = ColumnStats {
                data_type: row.try_get("type")?,
                collation: row.try_get("collation")?,
                is_deterministic: row.try_get("is_deterministic")?,
                is_visible: row.try_get("is_visible")?,
                is_indexed: row.try_get("is_indexed")?,
                distinct_values: row.try_get("distinct_values")?,
            };
            columns.server_version = row.try_get("server_version")?;
            columns.cache = row.try_get::<i64, _>("cache")?.try_into().unwrap_or_default();
            let table = columns.by_table.entry(row.try_get("table_name")?).or_default();
            table.insert(row.try_get("column_name")?, column);
        }
        Ok(columns)
    }

    /// A column, unless it is of something else than an ordinary table.
    pub fn get(&self, table: &str, column: &str) -> Option<&ColumnStats> {
        self.by_table.get(table)?.get(column)
    }

    /// True if anything is known of a table: it is an ordinary one.
    pub fn has(&self, table: &str) -> bool {
        self.by_table.contains_key(table)
    }
}

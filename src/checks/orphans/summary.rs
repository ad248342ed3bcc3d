//! What was found of one key, by one query or added up from several.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// The orphans of one key.
#[derive(Debug, Clone, Default)]
pub struct OrphanSummary {
    /// The number of rows that refer to nothing.
    pub count: i64,
    /// To how many different rows they refer.
    missing: i64,
    /// The first five of these rows' values, as rows of the table; those of each range, one range after the other.
    first: Vec<Value>,
}

impl OrphanSummary {
    /// Reads what `loose_index_scan.sql` and `merge.sql` return.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn from_row(row: &PgRow) -> Result<Self> {
        let first = match row.try_get::<Option<Value>, _>("first")? {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        Ok(Self { count: row.try_get("count")?, missing: row.try_get("missing")?, first })
    }

    /// Adds what was found in the next range of values, which has no value in common with this.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.missing += other.missing;
        self.first.extend(other.first);
    }

    /// A query that returns it with the first five rows, for the query that words the finding.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn query(&self, variables: &Variables) -> Result<SqlFragment> {
        let first: Vec<&Value> = self.first.iter().take(5).collect();
        let variables = variables
            .clone()
            .text("count", self.count.to_string())
            .text("missing", self.missing.to_string())
            .text("first", serde_json::to_string(&first)?);
        render_file("sql/orphans/combined.sql", &variables).map(SqlFragment::assert_safe)
    }
}

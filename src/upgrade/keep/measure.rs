//! How much is lost, and which rows these are in SQL.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{LostPart, LostRows, MeasuredPart};
use crate::database::catalog::{Catalog, CatalogTable};
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::repair::quarantine::{RowAction, kept_values};

impl LostPart {
    /// Returns the action of the quarantine for its rows.
    pub fn action(&self) -> RowAction {
        match self.what {
            LostRows::Values { .. } => RowAction::Changed,
            LostRows::All | LostRows::Duplicates { .. } => RowAction::Removed,
        }
    }

    /// The columns that the quarantine's table has: the key and the values, or all that are stored.
    pub fn stored(&self, table: &CatalogTable) -> Vec<String> {
        match &self.what {
            LostRows::Values { columns, .. } => {
                let mut stored = table.primary_key.clone();
                let is_stored =
                    |column: &&String| table.stored_columns.contains(column) && !stored.contains(column);
                let more: Vec<String> = columns.iter().filter(is_stored).cloned().collect();
                stored.extend(more);
                stored
            }
            LostRows::All | LostRows::Duplicates { .. } => table.stored_columns.clone(),
        }
    }

    /// Which of the `target` rows it is.
    pub fn condition(&self, schema: &str) -> SqlFragment {
        SqlFragment::assert_safe(match &self.what {
            LostRows::All => "true".to_owned(),
            LostRows::Values { columns, overwritten } => {
                let one = |column: &String| {
                    let name = SqlFragment::ident(column);
                    match overwritten.get(column).and_then(|over| over.value.as_deref()) {
                        // Null is overwritten, too.
                        Some(value) => {
                            let value = SqlFragment::literal(value);
                            format!("target.{name}::pg_catalog.text IS DISTINCT FROM {value}")
                        }
                        None => format!("target.{name} IS NOT NULL"),
                    }
                };
                format!("({})", columns.iter().map(one).collect::<Vec<_>>().join(" OR "))
            }
            LostRows::Duplicates { columns } => {
                let (target, same) = (
                    SqlFragment::columns(Some("target"), columns),
                    SqlFragment::columns(Some("same"), columns),
                );
                let table = SqlFragment::qualified(schema, &self.table);
                format!(
                    "({target}) IN (SELECT {same} FROM {table} AS same GROUP BY {same} HAVING pg_catalog.count(*) > 1)"
                )
            }
        })
    }

    /// The table, where all of its rows can be read.
    ///
    /// # Errors
    /// When the table is closed to this role, hides rows from it, or has no primary key to find values by.
    pub fn table_in<'c>(&self, catalog: &'c Catalog) -> Result<&'c CatalogTable> {
        catalog.expect_open(&[&self.table])?;
        let table =
            catalog.tables.get(&self.table).with_context(|| format!("there is no table {:?}", self.table))?;
        if table.hides_rows {
            return Err(user_error(
                format!(
                    "row-level security hides rows of {:?} from this role, and hidden rows cannot be kept",
                    self.table
                ),
                format!("connect as the owner, {:?}", table.owner),
            ));
        }
        if table.primary_key.is_empty() && self.action() == RowAction::Changed {
            return Err(user_error(
                format!("{:?} has no primary key, and values cannot be kept without one", self.table),
                "evodoctor check: EVO206 says what the table should have",
            ));
        }
        Ok(table)
    }
}

/// Counts what is lost. Parts without any rows are left out.
///
/// # Errors
/// When a table cannot be read, or the connection is lost.
pub async fn measure(
    connection: &mut PgConnection,
    catalog: &Catalog,
    parts: &[LostPart],
) -> Result<Vec<MeasuredPart>> {
    let mut measured = Vec::new();
    for part in parts {
        let table = part.table_in(catalog)?;
        let variables = Variables::default()
            .sql("table", SqlFragment::qualified(&catalog.schema, &part.table))
            .sql("kept_columns", kept_values(table, &part.stored(table)))
            .sql("condition", part.condition(&catalog.schema));
        let found = query_file(connection, "sql/quarantine/measure.sql", &variables).await?;
        let row = found.first().context("a count is one row")?;
        let one =
            MeasuredPart { part: part.clone(), rows: row.try_get("count")?, bytes: row.try_get("bytes")? };
        if one.rows > 0 {
            measured.push(one);
        }
    }
    Ok(measured)
}

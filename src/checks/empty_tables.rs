//! Tables without a row: they have no orphans and no duplicates, so no check has to read them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::savepoint::query_in_savepoint;
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};

/// The tables without a row, of those that the statistics take for empty: looking into others would take longer than it
/// saves. Where one cannot be looked at, none is known to be empty, and the checks say why.
///
/// # Errors
/// When the connection is lost.
pub async fn empty_tables(connection: &mut PgConnection, catalog: &Catalog) -> Result<BTreeSet<String>> {
    let tables = catalog.tables.values();
    let likely = tables.filter(|table| {
        table.is_readable && matches!(table.kind.as_str(), "r" | "p") && table.pages == 0 && table.rows == 0
    });
    let asked: Vec<String> = likely
        .map(|table| {
            let (qualified, name) =
                (SqlFragment::qualified(&catalog.schema, &table.name), SqlFragment::literal(&table.name));
            format!("CASE WHEN NOT EXISTS (SELECT FROM {qualified}) THEN {name} END")
        })
        .collect();
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let variables = Variables::default().sql("tables", SqlFragment::assert_safe(asked.join(", ")));
    let sql =
        render(SqlFile::parse(embedded_file("sql/shared_snapshot/empty.sql")).only_statement()?, &variables)?;
    match query_in_savepoint(connection, sql).await? {
        Ok(rows) => {
            let empty: Vec<String> = rows.first().context("the tables are one row")?.try_get("empty")?;
            Ok(empty.into_iter().collect())
        }
        Err(_) => Ok(BTreeSet::new()),
    }
}

//! Tables without a row: no reference of theirs leads nowhere, nothing in them is there twice, and nobody has to ask.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::runner::guarded_query;
use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;
use crate::database::script::{Script, Variables, file, render};

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
                (Fragment::qualified(&catalog.schema, &table.name), Fragment::literal(&table.name));
            format!("CASE WHEN NOT EXISTS (SELECT FROM {qualified}) THEN {name} END")
        })
        .collect();
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let variables = Variables::default().sql("tables", Fragment::keyword(asked.join(", ")));
    let sql = render(Script::parse(file("sql/snapshot/empty.sql")).single()?, &variables)?;
    match guarded_query(connection, sql).await? {
        Ok(rows) => {
            let empty: Vec<String> = rows.first().context("the tables are one row")?.try_get("empty")?;
            Ok(empty.into_iter().collect())
        }
        Err(_) => Ok(BTreeSet::new()),
    }
}

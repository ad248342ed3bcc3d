//! Rows that versions up to ledger format 2 kept: every row as jsonb, in the one table "quarantine". They are converted
//! to tables of today's form when they are undone, so that there is only one way to restore.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Quarantine, QuarantineEntry, RowAction, RowDiff, RowSample};
use crate::checks::references::decode_subject;
use crate::database::catalog::{Catalog, CatalogTable};
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::redact;
use crate::repair::work_tables::run_file;

/// Moves what some runs have in the old table into tables of today's form. Does nothing where there is no old table.
///
/// # Errors
/// When a table is gone that the rows were in, or the connection is lost.
pub async fn unpack(connection: &mut PgConnection, catalog: &Catalog, runs: &[i64]) -> Result<()> {
    let exists = query_file(connection, "sql/quarantine/legacy_exists.sql", &Variables::default()).await?;
    if !exists.first().context("one row")?.try_get::<bool, _>("exists")? {
        return Ok(());
    }
    for run in runs {
        let variables = Variables::default().text("run", run.to_string());
        let mut quarantine = Quarantine::new(*run, false);
        for row in query_file(connection, "sql/quarantine/legacy_groups.sql", &variables).await? {
            let entry = read(&row)?;
            let table = catalog.tables.get(&entry.diff.table).with_context(|| {
                format!(
                    "the table {:?} does not exist any more, and its rows cannot come back without it",
                    entry.diff.table
                )
            })?;
            move_group(connection, catalog, &mut quarantine, table, *run, entry).await?;
        }
        run_file(connection, "sql/quarantine/legacy_forget.sql", &variables).await?;
    }
    Ok(())
}

/// Drops what some runs have in the old table, where there is one.
pub async fn forget(connection: &mut PgConnection, runs: &[i64]) -> Result<()> {
    let exists = query_file(connection, "sql/quarantine/legacy_exists.sql", &Variables::default()).await?;
    if !exists.first().context("one row")?.try_get::<bool, _>("exists")? {
        return Ok(());
    }
    for run in runs {
        let variables = Variables::default().text("run", run.to_string());
        run_file(connection, "sql/quarantine/legacy_forget.sql", &variables).await?;
    }
    Ok(())
}

async fn move_group(
    connection: &mut PgConnection,
    catalog: &Catalog,
    quarantine: &mut Quarantine,
    table: &CatalogTable,
    run: i64,
    entry: QuarantineEntry,
) -> Result<()> {
    let QuarantineEntry { code, diff, .. } = entry;
    let columns = match diff.action {
        RowAction::Removed => table.stored_columns.clone(),
        _ => {
            let mut columns = table.primary_key.clone();
            columns.extend(diff.columns.iter().filter(|column| !table.primary_key.contains(column)).cloned());
            columns
        }
    };
    let relation =
        quarantine.table_for(connection, &code, &catalog.schema, table, diff.action, &columns).await?;
    let values: Vec<String> = columns.iter().map(|column| value(table, column)).collect();
    let variables = Variables::default()
        .text("run", run.to_string())
        .text("code", &code)
        .text("table_name", &table.name)
        .text("action", diff.action.as_str())
        .text("reason", crate::checks::references::encode_subject(&diff.reason))
        .text("changed_columns", serde_json::to_string(&diff.columns)?)
        .sql("kept", Quarantine::name(&relation))
        .sql("table", SqlFragment::qualified(&catalog.schema, &table.name))
        .sql("values", SqlFragment::assert_safe(values.join(",\n    ")));
    let path = match diff.action {
        RowAction::Removed => "sql/quarantine/legacy_removed.sql",
        _ => "sql/quarantine/legacy_changed.sql",
    };
    run_file(connection, path, &variables).await?;
    quarantine.record(connection, &code, &diff, &relation).await
}

/// The value of a column: the server's own text where jsonb could not hold it.
fn value(table: &CatalogTable, column: &String) -> String {
    let position = table.stored_columns.iter().position(|stored| stored == column);
    let (key, name) = (SqlFragment::literal(column), SqlFragment::ident(column));
    let of_type = position.and_then(|position| table.stored_types.get(position));
    let typed = match of_type {
        None => format!("restored.{name}"),
        Some(of_type) => format!(
            "CASE WHEN legacy.\"literal\" ? {key} THEN CAST(legacy.\"literal\" ->> {key} AS {of_type}) ELSE restored.{name} END"
        ),
    };
    match of_type {
        Some(of_type) if of_type.contains('.') => format!("({typed})::pg_catalog.text"),
        _ => typed,
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<QuarantineEntry> {
    let mut sample: serde_json::Value = row.try_get("sample")?;
    redact::redact_json(&mut sample);
    let one =
        |row: &serde_json::Value| RowSample { before: row["before"].clone(), after: row["after"].clone() };
    Ok(QuarantineEntry {
        code: row.try_get("code")?,
        relation: String::new(),
        diff: RowDiff {
            table: row.try_get("table_name")?,
            action: RowAction::parse(row.try_get("action")?),
            columns: row.try_get("columns")?,
            reason: decode_subject(row.try_get("reason")?),
            count: row.try_get("count")?,
            digest: String::new(),
            sample: sample.as_array().into_iter().flatten().map(one).collect(),
        },
    })
}

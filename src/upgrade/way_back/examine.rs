//! The database's own objects, and the rows that an older server does not see.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::WayBack;
use super::compare::{CountedRows, Effect};
use crate::checks::check_error::{CheckError, CheckResult};
use crate::checks::context::CheckContext;
use crate::checks::query_error::explain_query_error;
use crate::checks::savepoint::query_in_savepoint;
use crate::database::expected_objects::CatalogObject;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::evolution::release::Release;

/// The answer for this database, and why rows could not be counted, where they could not.
pub async fn way_back(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    server: Release,
    tables: Release,
) -> Result<(WayBack, Option<String>)> {
    let schema = &context.catalog.schema;
    let rows = query_file(connection, "sql/catalog/objects.sql", &Variables::for_schema(schema)).await?;
    let found: Vec<CatalogObject> = rows.iter().map(object).collect::<Result<_>>()?;
    let mut answer = WayBack::new(server, tables, Some(&found));
    let mut uncounted = Vec::new();
    for at in 0..answer.differences.len() {
        let Some(rows_of) = answer.differences[at].rows_of.clone() else { continue };
        let mut sum = Some(0);
        for (table, condition) in conditions(&rows_of, &found) {
            match count(connection, context, &table, condition).await {
                Ok(count) => sum = sum.map(|sum| sum + count),
                Err(CheckError::Fatal(error)) => return Err(error),
                Err(CheckError::Undecided(reason)) => {
                    uncounted.push(format!("{table}: {reason}"));
                    sum = None;
                }
            }
        }
        let is_countable = !conditions(&rows_of, &found).is_empty();
        let one = &mut answer.differences[at];
        one.rows = sum.filter(|_| is_countable);
        // A value that no row has yet is harmless.
        if one.rows == Some(0) && one.effect == Effect::MayFail {
            one.effect = Effect::Unseen;
            one.detail.push_str("; no row has it now");
        }
    }
    answer.conclude();
    uncounted.dedup();
    Ok((answer, (!uncounted.is_empty()).then(|| uncounted.join("; "))))
}

fn object(row: &PgRow) -> Result<CatalogObject> {
    Ok(CatalogObject {
        kind: row.try_get("kind")?,
        table: row.try_get("table")?,
        form: row.try_get("form")?,
        definition: row.try_get("definition")?,
    })
}

/// The tables to ask, each with the condition of the rows; none if the default is unknown.
fn conditions(rows: &CountedRows, found: &[CatalogObject]) -> Vec<(String, SqlFragment)> {
    let target = |column: &str| format!("target.{}", SqlFragment::ident(column));
    match rows {
        CountedRows::All(table) => vec![(table.clone(), SqlFragment::assert_safe("true".to_owned()))],
        CountedRows::Filled { table, column, default } => {
            let column = target(column);
            let condition = match default.as_deref() {
                None => format!("{column} IS NOT NULL"),
                Some(default) => match constant(default) {
                    Some(value) => {
                        format!("{column}::pg_catalog.text IS DISTINCT FROM {}", SqlFragment::literal(&value))
                    }
                    None => return Vec::new(),
                },
            };
            vec![(table.clone(), SqlFragment::assert_safe(condition))]
        }
        CountedRows::Value { kind, value } => {
            let data_type = SqlFragment::ident(kind).to_string();
            let is_of_type = |one: &&CatalogObject| {
                let definition = one.definition.as_ref();
                one.kind == "column" && definition.is_some_and(|column| column["type"] == data_type.as_str())
            };
            let condition = |column: &str| {
                format!("{}::pg_catalog.text = {}", target(column), SqlFragment::literal(value))
            };
            let columns = found.iter().filter(is_of_type);
            columns.map(|one| (one.table.clone(), SqlFragment::assert_safe(condition(&one.form)))).collect()
        }
    }
}

/// The value of a default that is not an expression, as text. What the catalog says is not run.
fn constant(default: &str) -> Option<String> {
    let literal = default.split("::").next()?;
    if let Some(text) = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return (!text.contains('\'')).then(|| text.to_owned());
    }
    let is_plain = literal == "true" || literal == "false" || literal.parse::<i64>().is_ok();
    is_plain.then(|| literal.to_owned())
}

/// The number of rows of a table for which the condition holds.
async fn count(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    table: &str,
    condition: SqlFragment,
) -> CheckResult<i64> {
    let variables = Variables::default()
        .sql("table", SqlFragment::qualified(&context.catalog.schema, table))
        .sql("condition", condition);
    let text = SqlFile::parse(embedded_file("sql/upgrade/rows_where.sql"));
    let sql = render(text.only_statement()?, &variables)?;
    if let Some(closed) = context.catalog.closed_table_in(&sql) {
        return Err(CheckError::Undecided(closed.to_owned()));
    }
    match query_in_savepoint(connection, sql).await? {
        Ok(rows) => Ok(rows.first().context("a count is one row")?.try_get("count")?),
        Err(error) => Err(CheckError::Undecided(explain_query_error(&error, context))),
    }
}

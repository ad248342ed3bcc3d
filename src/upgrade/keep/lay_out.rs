//! Writes the rows that runs have in the quarantine into ordinary tables in a new schema, to look at.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::ident::SqlFragment;
use crate::database::query::{execute_file, query_file};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::repair::change_target::ChangeTarget;
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff, read_entries};
use crate::repair::work_tables::{SCHEMA, run_file};

/// The result.
#[derive(Debug)]
pub struct LaidOut {
    /// The tables, with how many rows each has.
    pub rows: Vec<RowDiff>,
    /// The statements.
    pub statements: Vec<String>,
}

/// Makes the schema and its tables. The transaction is the caller's.
///
/// # Errors
/// When the schema exists, its name is taken by others, or the runs have nothing in the quarantine.
pub async fn lay_out(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    runs: &[i64],
    schema: &str,
) -> Result<LaidOut> {
    let variables = Variables::default().text("name", schema);
    let found = query_file(connection, "sql/quarantine/schema_exists.sql", &variables).await?;
    let exists: bool = found.first().context("one row")?.try_get("exists")?;
    if exists
        || schema == SCHEMA
        || schema == subject.schema
        || schema.starts_with("pg_")
        || schema.is_empty()
    {
        return Err(user_error(
            format!("the schema {schema:?} exists already, or its name is reserved"),
            "give the name of a new schema",
        ));
    }
    let entries = read_entries(connection, runs).await?;
    if entries.is_empty() {
        return Err(user_error("this run has no rows in the quarantine", "evodoctor history lists the runs"));
    }
    execute_file(connection, "sql/quarantine/make_schema.sql", &variables).await?;
    let mut laid = LaidOut {
        rows: Vec::new(),
        statements: vec![format!("CREATE SCHEMA {}", SqlFragment::ident(schema))],
    };
    let (mut relations, mut names) = (BTreeSet::new(), BTreeSet::new());
    let numbers: Vec<String> = runs.iter().map(i64::to_string).collect();
    for entry in entries {
        if !relations.insert(entry.relation.clone()) {
            continue;
        }
        // Removed rows and changed values of one table are in two tables of the quarantine.
        let mut name = entry.diff.table.clone();
        while !names.insert(name.clone()) {
            name.push_str("_2");
        }
        let of_relation = Variables::default().text("relation", &entry.relation);
        let columns = query_file(connection, "sql/quarantine/kept_columns.sql", &of_relation).await?;
        let columns: Vec<String> =
            columns.iter().map(|row| row.try_get("name")).collect::<sqlx::Result<_>>()?;
        let variables = Variables::default()
            .sql("laid", SqlFragment::qualified(schema, &name))
            .sql("columns", SqlFragment::columns(Some("kept"), &columns))
            .sql("kept", Quarantine::name(&entry.relation))
            .sql(
                "runs",
                SqlFragment::assert_safe(format!("ARRAY[{}]::pg_catalog.int8[]", numbers.join(", "))),
            );
        let (sql, rows) = run_file(connection, "sql/quarantine/lay_out.sql", &variables).await?;
        laid.statements.push(sql);
        laid.rows.push(RowDiff {
            reason: format!("written to {schema}.{name}"),
            table: entry.diff.table,
            action: RowAction::Restored,
            columns: Vec::new(),
            count: i64::try_from(rows)?,
            digest: String::new(),
            sample: Vec::new(),
        });
    }
    Ok(laid)
}

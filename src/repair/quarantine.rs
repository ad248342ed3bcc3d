//! The quarantine: every row that a fix removes or changes, kept in the same transaction.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use crate::database::catalog::Table;
use crate::database::quote::Fragment;
use crate::database::run::{execute, rows, script};
use crate::database::script::{Script, Variables, file, render};
use crate::examine::mask;
use crate::examine::references::from_sql;

/// Types whose values come back from jsonb as they went in; `jsonb` itself does but for a JSON null. An enum's name depends
/// on the schema, so that its columns are compared.
const KEPT: [&str; 9] = [
    "text",
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "uuid",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
];

/// From how many marked rows on the server is told of them.
const MANY: u64 = 1000;

/// What happens to a marked row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowAction {
    /// It is removed.
    Removed,
    /// Some of its columns are emptied, or by undo filled again.
    Changed,
    /// Undo brings it back.
    Restored,
}

impl RowAction {
    /// From what the quarantine writes.
    fn parse(text: &str) -> Self {
        match text {
            "removed" => Self::Removed,
            _ => Self::Changed,
        }
    }

    /// As the quarantine writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Restored => "restored",
        }
    }
}

/// Rows of one table that are treated alike, for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct RowDiff {
    /// The table.
    pub table: String,
    /// What happens to the rows.
    pub action: RowAction,
    /// The columns that are emptied; none for removed rows.
    pub columns: Vec<String>,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: i64,
    /// A digest over all of them, so that a plan notices other rows.
    pub digest: String,
    /// At most five, before and after, secrets masked.
    pub sample: Vec<RowSample>,
}

/// One row before and after.
#[derive(Debug, Clone, Serialize)]
pub struct RowSample {
    /// The row as it was.
    pub before: Value,
    /// The row as it is then; `null` when it is gone.
    pub after: Value,
}

/// The fragments and names that every statement of the quarantine uses for a table.
pub fn table_variables(schema: &str, table: &Table, code: &str) -> Variables {
    Variables::for_schema(schema)
        .text("code", code)
        .text("table_name", &table.name)
        .sql("table", Fragment::qualified(schema, &table.name))
        .sql("key", Fragment::columns(Some("key"), &table.primary_key))
        .sql("target_key", Fragment::columns(Some("target"), &table.primary_key))
}

/// Runs a file of `sql/quarantine/` that holds one statement; returns its text and how many rows it touched.
pub async fn run(connection: &mut PgConnection, path: &str, variables: &Variables) -> Result<(String, u64)> {
    let sql = render(Script::parse(file(path)).single()?, variables).with_context(|| path.to_owned())?;
    let touched = execute(connection, sql.clone()).await.with_context(|| format!("while running {path}"))?;
    Ok((sql, touched))
}

/// `"column" = alias."column"` for each column.
pub fn assignments(columns: &[String], alias: &str) -> Fragment {
    let one = |column: &String| format!("{column} = {alias}.{column}", column = Fragment::ident(column));
    Fragment::keyword(columns.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// `"column" = value` for each column, where the values are those of before.
pub fn restoring_assignments(table: &Table, columns: &[String]) -> Fragment {
    let one = |column: &String| format!("{} = {}", Fragment::ident(column), restored(table, column));
    Fragment::keyword(columns.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The values of before of each column.
pub fn restored_values(table: &Table, columns: &[&String]) -> Fragment {
    Fragment::keyword(columns.iter().map(|column| restored(table, column)).collect::<Vec<_>>().join(", "))
}

/// The value of before: the server's own text where jsonb could not hold it.
fn restored(table: &Table, column: &String) -> String {
    let position = table.stored_columns.iter().position(|stored| stored == column);
    let (name, value) = (Fragment::literal(column), Fragment::ident(column));
    match position.and_then(|position| table.stored_types.get(position)) {
        None => format!("restored.{value}"),
        Some(of_type) => format!(
            "CASE WHEN kept.\"literal\" ? {name} THEN CAST(kept.\"literal\" ->> {name} AS {of_type}) \
             ELSE restored.{value} END"
        ),
    }
}

/// Each stored column's name, its text, and its text after a way through jsonb: `('a', child."a"::text, …), …`.
pub fn texts(alias: &str, table: &Table) -> Fragment {
    let one = |column: &String| {
        let (name, value) = (Fragment::literal(column), Fragment::ident(column));
        format!("({name}, {alias}.{value}::text, again.{value}::text)")
    };
    Fragment::keyword(table.stored_columns.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Whether a row may hold a value that comes back from jsonb as another one: a JSON null (which comes back as none), or
/// one of a type that is not known to keep. What is known not to is not compared, which takes longer than keeping it.
pub fn may_differ(alias: &str, table: &Table) -> Fragment {
    let mut conditions = Vec::new();
    for (column, of_type) in table.stored_columns.iter().zip(&table.stored_types) {
        if of_type == "jsonb" {
            let value = Fragment::ident(column);
            conditions.push(format!("pg_catalog.jsonb_typeof({alias}.{value}) = 'null'"));
        } else if !KEPT.contains(&of_type.as_str()) && !of_type.starts_with("character varying") {
            return Fragment::keyword("true".to_owned());
        }
    }
    match conditions.as_slice() {
        [] => Fragment::keyword("false".to_owned()),
        conditions => Fragment::keyword(format!("({})", conditions.join(" OR "))),
    }
}

/// How many rows one fix of the current run has marked.
#[derive(Debug, Clone)]
pub struct Marked {
    /// Their table.
    pub table: String,
    /// What is done to them.
    pub action: RowAction,
    /// The columns that are changed.
    pub columns: Vec<String>,
    /// How many.
    pub count: i64,
}

/// What one fix of the current run has marked.
pub async fn counts(connection: &mut PgConnection, code: &str) -> Result<Vec<Marked>> {
    let of_code = Variables::default().text("code", code);
    let found = rows(connection, "sql/quarantine/counts.sql", &of_code).await?;
    let read = |row: &PgRow| -> Result<Marked> {
        Ok(Marked {
            table: row.try_get("table_name")?,
            action: RowAction::parse(row.try_get("action")?),
            columns: row.try_get("columns")?,
            count: row.try_get("count")?,
        })
    };
    found.iter().map(read).collect()
}

/// Gives the statements that mark and treat rows memory to hash in, or takes it back.
pub async fn room(connection: &mut PgConnection, more: bool) -> Result<()> {
    let wanted = Variables::default().text("wanted", if more { "more" } else { "as before" });
    script(connection, "sql/quarantine/room.sql", &wanted).await
}

/// Tells the server of the rows just marked, where there are so many that its guesses would be far off.
pub async fn analyze(connection: &mut PgConnection, marked: u64) -> Result<()> {
    if marked >= MANY {
        script(connection, "sql/quarantine/analyze.sql", &Variables::default()).await?;
    }
    Ok(())
}

/// What one fix of the current run has marked, with samples and digests.
pub async fn summary(connection: &mut PgConnection, code: &str) -> Result<Vec<RowDiff>> {
    let mut diffs = Vec::new();
    let of_code = Variables::default().text("code", code);
    for row in rows(connection, "sql/quarantine/summary.sql", &of_code).await? {
        let action = RowAction::parse(row.try_get("action")?);
        let sample: Option<Value> = row.try_get("sample")?;
        let sample = match sample {
            Some(Value::Array(items)) => items.into_iter().map(masked_sample).collect(),
            _ => Vec::new(),
        };
        let diff = RowDiff {
            table: row.try_get("table_name")?,
            action,
            columns: row.try_get("columns")?,
            reason: from_sql(row.try_get("reason")?),
            count: row.try_get("count")?,
            digest: row.try_get("digest")?,
            sample,
        };
        diffs.push(diff);
    }
    Ok(diffs)
}

fn masked_sample(mut item: Value) -> RowSample {
    mask::value(&mut item);
    RowSample { before: item["before"].take(), after: item["after"].take() }
}

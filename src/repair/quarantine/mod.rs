//! The quarantine: every row that a fix removes or changes, copied in the same transaction into a table of the schema
//! `evodoctor` that has the columns of Evolution's (`column_values`); `restore` brings the rows back, `leave` keeps those that
//! cannot come back (`left_rows`), `legacy` reads what older versions kept as jsonb.

mod column_values;
mod leave;
mod left_rows;
mod legacy;
mod restore;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::schema_acl::revoke_from_others;
use super::work_tables::{SCHEMA, run_file};
use crate::checks::references::{decode_subject, encode_subject};
use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;

pub use column_values::{digest, kept_values, new_values, restored_value};
pub use left_rows::{DanglingAllowance, LeftRows};
pub use legacy::unpack;
pub use restore::{RowRestore, drop_entries, refers_to_gone};

/// The action on a marked row.
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
    /// The action on the rows.
    pub action: RowAction,
    /// The columns that are emptied; none for removed rows.
    pub columns: Vec<String>,
    /// Why.
    pub reason: String,
    /// The number of these rows.
    pub count: i64,
    /// A digest over all of them, so that a plan notices other rows.
    pub digest: String,
    /// At most five, before and after, secrets masked.
    pub sample: Vec<RowSample>,
}

impl RowDiff {
    /// True if two are of rows that are treated alike, for one reason.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.table, self.action, &self.columns, &self.reason)
            == (&other.table, other.action, &other.columns, &other.reason)
    }
}

/// One row before and after.
#[derive(Debug, Clone, Serialize)]
pub struct RowSample {
    /// The row as it was.
    pub before: Value,
    /// The row as it is then; `null` when it is gone.
    pub after: Value,
}

/// The tables of the quarantine that a run, or a series of batches, fills.
#[derive(Debug, Clone)]
pub struct Quarantine {
    /// The run that is recorded.
    run: i64,
    /// The run, or the first of the series: in the names of the tables.
    first_run: i64,
    /// Rolled back in any case: what is copied needs no log.
    is_dry_run: bool,
    /// The tables by what they hold: code, table, action and columns.
    tables: BTreeMap<(String, String, RowAction, Vec<String>), String>,
    /// The number of entries the run has so far.
    entries: usize,
}

impl Quarantine {
    /// Of a run that stands alone or begins a series.
    pub fn new(first_run: i64, is_dry_run: bool) -> Self {
        Self { run: first_run, first_run, is_dry_run, tables: BTreeMap::new(), entries: 0 }
    }

    /// The same tables, for the next run of the series.
    #[must_use]
    pub fn for_run(&self, run: i64) -> Self {
        Self { run, entries: 0, ..self.clone() }
    }

    /// The name of one of its tables, qualified.
    pub fn name(relation: &str) -> SqlFragment {
        SqlFragment::qualified(SCHEMA, relation)
    }

    /// The table for these columns of a table's rows, made where it is not there yet.
    pub async fn table_for(
        &mut self,
        connection: &mut PgConnection,
        code: &str,
        schema: &str,
        table: &CatalogTable,
        action: RowAction,
        columns: &[String],
    ) -> Result<String> {
        let what = (code.to_owned(), table.name.clone(), action, columns.to_vec());
        if let Some(relation) = self.tables.get(&what) {
            return Ok(relation.clone());
        }
        let relation = format!("quarantine_{}_{}", self.first_run, self.tables.len() + 1);
        let persistence = if self.is_dry_run { "UNLOGGED" } else { "" };
        let variables = Variables::default()
            .sql("persistence", SqlFragment::assert_safe(persistence.to_owned()))
            .sql("kept", Self::name(&relation))
            .sql("table", SqlFragment::qualified(schema, &table.name))
            .sql("kept_columns", kept_values(table, columns));
        let path = match action {
            RowAction::Removed => "sql/quarantine/removed.sql",
            _ => "sql/quarantine/changed.sql",
        };
        run_file(connection, path, &variables).await?;
        revoke_from_others(connection).await?;
        self.tables.insert(what, relation.clone());
        Ok(relation)
    }

    /// Writes down which table holds the rows of a diff.
    pub async fn record(
        &mut self,
        connection: &mut PgConnection,
        code: &str,
        diff: &RowDiff,
        relation: &str,
    ) -> Result<()> {
        let sample: Vec<Value> =
            diff.sample.iter().map(|row| Value::Array(vec![row.before.clone(), row.after.clone()])).collect();
        let variables = Variables::default()
            .text("run", self.run.to_string())
            .text("position", self.entries.to_string())
            .text("code", code)
            .text("table_name", &diff.table)
            .text("action", diff.action.as_str())
            .text("changed_columns", serde_json::to_string(&diff.columns)?)
            .text("reason", encode_subject(&diff.reason))
            .text("count", diff.count.to_string())
            .text("digest", &diff.digest)
            .text("sample", in_ascii(&Value::Array(sample)))
            .text("relation", relation);
        run_file(connection, "sql/quarantine/record.sql", &variables).await?;
        self.entries += 1;
        Ok(())
    }
}

/// The rows of one fix of a run in one table of the quarantine.
#[derive(Debug, Clone)]
pub struct QuarantineEntry {
    /// The fix's code.
    pub code: String,
    /// The rows, as the plan showed them.
    pub diff: RowDiff,
    /// The table that holds them.
    pub relation: String,
}

/// The entries of these runs in the quarantine.
pub async fn read_entries(connection: &mut PgConnection, runs: &[i64]) -> Result<Vec<QuarantineEntry>> {
    let variables = Variables::default().text("runs", serde_json::to_string(runs)?);
    let found = query_file(connection, "sql/quarantine/entries.sql", &variables).await?;
    found.iter().map(read_entry).collect()
}

/// Gives the tables of these entries an index by run, where they have none.
pub async fn index_runs(connection: &mut PgConnection, entries: &[QuarantineEntry]) -> Result<()> {
    let relations: BTreeSet<&String> = entries.iter().map(|entry| &entry.relation).collect();
    for relation in relations {
        let variables = Variables::default()
            .text("index", format!("{relation}_run"))
            .sql("kept", Quarantine::name(relation));
        run_file(connection, "sql/quarantine/index_runs.sql", &variables).await?;
    }
    Ok(())
}

/// JSON in ASCII: the database may be in an encoding that lacks what stands for the hidden part of a secret.
fn in_ascii(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character.is_ascii() {
            true => text.push(character),
            false => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

fn read_entry(row: &PgRow) -> Result<QuarantineEntry> {
    let sample: String = row.try_get("sample")?;
    let sample: Value =
        serde_json::from_str(&sample).context("the quarantine holds a sample that cannot be read")?;
    let read = |row: &Value| RowSample { before: row[0].clone(), after: row[1].clone() };
    Ok(QuarantineEntry {
        code: row.try_get("code")?,
        relation: row.try_get("relation")?,
        diff: RowDiff {
            table: row.try_get("table_name")?,
            action: RowAction::parse(row.try_get("action")?),
            columns: row.try_get("columns")?,
            reason: decode_subject(row.try_get("reason")?),
            count: row.try_get("count")?,
            digest: row.try_get("digest")?,
            sample: sample.as_array().into_iter().flatten().map(read).collect(),
        },
    })
}

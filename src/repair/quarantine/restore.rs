//! Restores rows from the quarantine, and verifies that they are back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::column_values::{is_as_changed, is_as_kept, restored_value};
use super::{Quarantine, QuarantineEntry, RowAction};
use crate::database::catalog::{Catalog, CatalogTable, DeclaredKey};
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file, sqlstate};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::repair::row_changes::children_first;
use crate::repair::work_tables::{self, run_file};

/// From how many rows on the planner is given statistics of a table.
const MANY: i64 = 1000;

/// The rows of one fix that come back, of one run or of a series of batches.
pub struct RowRestore<'a> {
    /// Tables and keys as they are now.
    pub catalog: &'a Catalog,
    /// The runs.
    pub runs: &'a [i64],
    /// The fix's entries in the quarantine.
    pub entries: Vec<QuarantineEntry>,
}

/// The result of restoring rows.
#[derive(Debug, Default)]
pub struct RestoreResult {
    /// The statements.
    pub statements: Vec<String>,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

impl RowRestore<'_> {
    /// Gives the planner statistics of the tables that hold many rows: they may not have been analysed since they were filled.
    pub async fn analyze(&self, connection: &mut PgConnection) -> Result<()> {
        let mut rows: BTreeMap<&String, i64> = BTreeMap::new();
        for entry in &self.entries {
            *rows.entry(&entry.relation).or_default() += entry.diff.count;
        }
        for (relation, _) in rows.into_iter().filter(|(_, count)| *count >= MANY) {
            work_tables::analyze(connection, Quarantine::name(relation)).await?;
        }
        Ok(())
    }

    /// The conflicts that keep the rows from coming back: keys that are in use again, values that have changed since.
    pub async fn conflicts(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let mut refusals = Vec::new();
        for (name, relation) in self.tables(RowAction::Removed) {
            let table = self.table(name)?;
            self.columns(connection, table, relation).await?;
            let variables = self.variables(table, relation);
            for row in query_file(connection, "sql/quarantine/conflicts_removed.sql", &variables).await? {
                refusals.push(row.try_get("refusal")?);
            }
        }
        for (name, relation, columns) in self.changes() {
            let table = self.table(name)?;
            self.columns(connection, table, relation).await?;
            let variables = self
                .variables(table, relation)
                .text("changed_columns", serde_json::to_string(columns)?)
                .sql("is_as_changed", SqlFragment::assert_safe(is_as_changed(columns)));
            for row in query_file(connection, "sql/quarantine/conflicts_changed.sql", &variables).await? {
                refusals.push(row.try_get("refusal")?);
            }
        }
        Ok(refusals)
    }

    /// Restores the removed rows, parents first, and the old values of those that were changed.
    pub async fn restore(&self, connection: &mut PgConnection) -> Result<RestoreResult> {
        let mut done = RestoreResult::default();
        let keys = &self.catalog.foreign_keys;
        let refers = |child: &str, parent: &str| {
            keys.iter().any(|key| key.child_table == child && key.parent_table == parent)
        };
        let removed: BTreeSet<&String> =
            self.tables(RowAction::Removed).into_iter().map(|(name, _)| name).collect();
        let mut parents_first = children_first(removed.into_iter().cloned().collect(), refers);
        parents_first.reverse();
        for name in parents_first {
            for (_, relation) in
                self.tables(RowAction::Removed).into_iter().filter(|(table, _)| **table == name)
            {
                let table = self.table(&name)?;
                let columns = self.columns(connection, table, relation).await?;
                let values: Vec<String> =
                    columns.iter().map(|column| restored_value(table, column)).collect();
                let variables = self
                    .variables(table, relation)
                    .sql("columns", SqlFragment::columns(None, &columns))
                    .sql("restored_columns", SqlFragment::assert_safe(values.join(",\n    ")));
                let written = run_file(connection, "sql/quarantine/restore_removed.sql", &variables).await;
                done.statements.push(written.map_err(|error| explain(error, &name))?.0);
            }
        }
        for (name, relation, columns) in self.changes() {
            let table = self.table(name)?;
            let one = |column: &String| {
                format!("{} = {}", SqlFragment::ident(column), restored_value(table, column))
            };
            let assignments: Vec<String> = columns.iter().map(one).collect();
            let variables = self
                .variables(table, relation)
                .text("changed_columns", serde_json::to_string(columns)?)
                .sql("assignments", SqlFragment::assert_safe(assignments.join(",\n    ")));
            let written = run_file(connection, "sql/quarantine/restore_changed.sql", &variables).await;
            let (sql, touched) = written.map_err(|error| explain(error, name))?;
            done.statements.push(sql);
            let gone = self.count_changed(name, relation, columns) - i64::try_from(touched)?;
            if gone > 0 {
                let missing = self.missing(connection, table, relation, columns).await?;
                if missing < gone {
                    return Err(interfered(
                        name,
                        &[format!("{} rows kept their new values", gone - missing)],
                    ));
                }
                done.notes.push(format!(
                    "of the {} changed rows of {name}, {gone} were deleted since and stay deleted",
                    self.count_changed(name, relation, columns)
                ));
            }
        }
        Ok(done)
    }

    /// Compares the tables with what was kept: each row is as it was.
    ///
    /// # Errors
    /// Names the rows that a trigger or a rule took or changed.
    pub async fn verify(&self, connection: &mut PgConnection) -> Result<()> {
        execute(connection, "SET CONSTRAINTS ALL IMMEDIATE".into())
            .await
            .context("while checking deferred keys")
            .map_err(|error| explain(error, "the tables"))?;
        for (name, relation) in self.tables(RowAction::Removed) {
            let table = self.table(name)?;
            let columns = self.columns(connection, table, relation).await?;
            let is_as_before = format!("{} AND {}", is_there(table), is_as_kept(table, &columns));
            let variables = self
                .variables(table, relation)
                .sql("of_these", SqlFragment::assert_safe("true".to_owned()))
                .sql("is_as_before", SqlFragment::assert_safe(is_as_before));
            self.expect_restored(connection, name, &variables).await?;
        }
        for (name, relation, columns) in self.changes() {
            let table = self.table(name)?;
            let is_as_before = format!("NOT {} OR ({})", is_there(table), is_as_kept(table, columns));
            let variables = self
                .variables(table, relation)
                .sql("of_these", of_these(columns)?)
                .sql("is_as_before", SqlFragment::assert_safe(is_as_before));
            self.expect_restored(connection, name, &variables).await?;
        }
        Ok(())
    }

    async fn expect_restored(
        &self,
        connection: &mut PgConnection,
        name: &str,
        variables: &Variables,
    ) -> Result<()> {
        let found = query_file(connection, "sql/quarantine/not_restored.sql", variables).await?;
        if found.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = found.iter().map(|row| row.try_get("key")).collect::<sqlx::Result<_>>()?;
        Err(interfered(name, &keys))
    }

    /// The number of the rows that come back refer to nothing by a key.
    pub async fn dangling(&self, connection: &mut PgConnection, key: &DeclaredKey) -> Result<i64> {
        let mut count = 0;
        for (_, relation) in
            self.tables(RowAction::Removed).into_iter().filter(|(name, _)| **name == key.child_table)
        {
            let variables =
                key.variables().sql("kept", Quarantine::name(relation)).sql("runs", self.runs_in_sql());
            let found = query_file(connection, "sql/quarantine/dangling.sql", &variables).await?;
            count += found.first().context("a count is one row")?.try_get::<i64, _>("count")?;
        }
        Ok(count)
    }

    /// Deletes the copies: the rows are back.
    pub async fn forget(&self, connection: &mut PgConnection) -> Result<()> {
        forget(connection, &self.entries, self.runs).await
    }

    /// The tables whose rows are treated so, each with the table that holds them.
    fn tables(&self, action: RowAction) -> BTreeSet<(&String, &String)> {
        let entries = self.entries.iter().filter(|entry| entry.diff.action == action);
        entries.map(|entry| (&entry.diff.table, &entry.relation)).collect()
    }

    /// The sets of columns that were changed: table, the table that holds the old values, columns.
    fn changes(&self) -> BTreeSet<(&String, &String, &Vec<String>)> {
        let entries = self.entries.iter().filter(|entry| entry.diff.action == RowAction::Changed);
        entries.map(|entry| (&entry.diff.table, &entry.relation, &entry.diff.columns)).collect()
    }

    fn count_changed(&self, name: &str, relation: &str, columns: &[String]) -> i64 {
        let is_it = |entry: &&QuarantineEntry| {
            entry.diff.action == RowAction::Changed
                && entry.diff.table == name
                && entry.relation == relation
                && entry.diff.columns == columns
        };
        self.entries.iter().filter(is_it).map(|entry| entry.diff.count).sum()
    }

    pub(super) fn table(&self, name: &str) -> Result<&CatalogTable> {
        match self.catalog.tables.get(name) {
            Some(table) => Ok(table),
            None => {
                bail!("the table {name:?} does not exist any more, and its rows cannot come back without it")
            }
        }
    }

    /// The columns that a table of the quarantine holds.
    async fn columns(
        &self,
        connection: &mut PgConnection,
        table: &CatalogTable,
        relation: &str,
    ) -> Result<Vec<String>> {
        let variables = Variables::default().text("relation", relation);
        let found = query_file(connection, "sql/quarantine/kept_columns.sql", &variables).await?;
        let kept: Vec<String> = found.iter().map(|row| row.try_get("name")).collect::<sqlx::Result<_>>()?;
        let lost: Vec<&String> = kept.iter().filter(|column| !table.columns.contains(column)).collect();
        if !lost.is_empty() {
            bail!("{} no longer has the columns {lost:?} that the rows had", table.name);
        }
        Ok(kept.into_iter().filter(|column| table.stored_columns.contains(column)).collect())
    }

    async fn missing(
        &self,
        connection: &mut PgConnection,
        table: &CatalogTable,
        relation: &str,
        columns: &[String],
    ) -> Result<i64> {
        let variables = self
            .variables(table, relation)
            .sql("of_these", of_these(columns)?)
            .sql("is_there", SqlFragment::assert_safe(is_there(table)));
        let found = query_file(connection, "sql/quarantine/missing.sql", &variables).await?;
        Ok(found.first().context("a count is one row")?.try_get("count")?)
    }

    pub(super) fn variables(&self, table: &CatalogTable, relation: &str) -> Variables {
        Variables::for_schema(&self.catalog.schema)
            .text("table_name", &table.name)
            .sql("table", SqlFragment::qualified(&self.catalog.schema, &table.name))
            .sql("kept", Quarantine::name(relation))
            .sql("kept_key", kept_key(table))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key))
            .sql("runs", self.runs_in_sql())
    }

    pub(super) fn runs_in_sql(&self) -> SqlFragment {
        runs_in_sql(self.runs)
    }
}

fn runs_in_sql(runs: &[i64]) -> SqlFragment {
    let runs: Vec<String> = runs.iter().map(i64::to_string).collect();
    SqlFragment::assert_safe(format!("ARRAY[{}]::pg_catalog.int8[]", runs.join(", ")))
}

/// Drops what these runs have in the quarantine, also in the form of older versions.
pub async fn drop_entries(connection: &mut PgConnection, runs: &[i64]) -> Result<()> {
    let entries = super::read_entries(connection, runs).await?;
    forget(connection, &entries, runs).await?;
    super::legacy::forget(connection, runs).await
}

/// Drops the tables of these entries, or from tables that hold rows of other runs too the rows of these.
async fn forget(connection: &mut PgConnection, entries: &[QuarantineEntry], runs: &[i64]) -> Result<()> {
    let relations: BTreeSet<&String> = entries.iter().map(|entry| &entry.relation).collect();
    for relation in relations {
        let variables = Variables::default()
            .text("relation", relation)
            .sql("runs", runs_in_sql(runs))
            .sql("kept", Quarantine::name(relation));
        let found = query_file(connection, "sql/quarantine/is_used.sql", &variables).await?;
        let path = match found.first().context("one row")?.try_get("is_used")? {
            true => "sql/quarantine/forget_rows.sql",
            false => "sql/quarantine/drop.sql",
        };
        run_file(connection, path, &variables).await?;
        run_file(connection, "sql/quarantine/forget_entries.sql", &variables).await?;
    }
    Ok(())
}

/// The primary key of a kept row, in the types of the table.
pub(super) fn kept_key(table: &CatalogTable) -> SqlFragment {
    let values: Vec<String> = table.primary_key.iter().map(|column| restored_value(table, column)).collect();
    SqlFragment::assert_safe(values.join(", "))
}

fn is_there(table: &CatalogTable) -> String {
    let first = table
        .primary_key
        .first()
        .map(|column| SqlFragment::columns(Some("target"), std::slice::from_ref(column)));
    first.map_or_else(|| "true".to_owned(), |column| format!("({column} IS NOT NULL)"))
}

pub(super) fn of_these(columns: &[String]) -> Result<SqlFragment> {
    let list = SqlFragment::literal(&serde_json::to_string(columns)?);
    Ok(SqlFragment::assert_safe(format!(
        "kept.\"evodoctor columns\" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text({list}::jsonb))"
    )))
}

/// The rows by table, for a message.
fn interfered(table: &str, rows: &[String]) -> anyhow::Error {
    let shown = rows.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = if rows.len() > 5 { " and others" } else { "" };
    user_error(
        format!(
            "a trigger or a rule on {table} removed or changed rows that undo wrote ({shown}{more}); \
             all was rolled back, and the quarantine still holds them"
        ),
        format!("disable the triggers and rules of {table:?} (\\d in psql), then try again"),
    )
}

fn explain(error: anyhow::Error, table: &str) -> anyhow::Error {
    let state = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).and_then(sqlstate);
    match state.as_deref() {
        Some("23505") => user_error(
            format!("rows written since have the same values in a unique index as removed rows of {table}"),
            format!(
                "compare {table} with the tables of the schema evodoctor, remove the rows that conflict, \
                 then try again"
            ),
        ),
        Some("23503") => refers_to_gone(table),
        _ => error,
    }
}

/// Rows that would come back without what they refer to.
pub fn refers_to_gone(table: &str) -> anyhow::Error {
    user_error(
        format!("removed rows of {table} refer to rows that do not exist any more"),
        format!(
            "compare {table} with the tables of the schema evodoctor; restore the rows that they refer \
             to first"
        ),
    )
}

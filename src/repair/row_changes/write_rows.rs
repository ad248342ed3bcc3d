//! Writing: marked rows are changed and removed, and the server's row counts are verified.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{RowChanges, orphan_treatment};
use crate::database::catalog::{CatalogTable, DeclaredKey};
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::repair::locks::LockWatch;
use crate::repair::quarantine;
use crate::repair::untrusted_references;
use crate::repair::work_tables::{WorkTable, run_file};

impl RowChanges<'_> {
    /// Refuses if a row that cannot be quarantined depends on one that is removed: the server would remove or change it
    /// silently.
    pub async fn guard(&self, connection: &mut PgConnection) -> Result<()> {
        let untreatable = self
            .all
            .iter()
            .filter(|r| orphan_treatment(r, self.catalog).is_err())
            .filter_map(|reference| reference.declared.as_ref())
            .chain(&self.catalog.incoming_keys);
        for key in untreatable.filter(|key| key.parent_schema == self.catalog.schema) {
            let Some(marks) = self.marks.removed_from(&key.parent_table) else { continue };
            untrusted_references::expect_trusted_reference(self.catalog, key)?;
            let gone = self.gone(&key.parent_table, &key.parent_columns, marks, None)?;
            let count = count_hanging_on(connection, key, gone).await?;
            if count > 0 {
                return Err(user_error(
                    format!(
                        "{count} rows of {}.{} refer to rows that would be removed ({}), and evodoctor \
                            cannot restore them: they are in another schema, have no primary key, \
                            or may belong to a table that inherits",
                        key.child_schema, key.child_table, key.name
                    ),
                    "remove or change those rows yourself, then run the fix again",
                ));
            }
        }
        Ok(())
    }

    /// Changes rows, then removes rows, children first. Returns the statements.
    ///
    /// # Errors
    /// When the server touched another number of rows than were marked.
    pub async fn treat(&self, connection: &mut PgConnection, watch: &mut LockWatch) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        for (name, marks) in self.marks.changed() {
            let table = self.table(name)?;
            for (columns, count) in self.marks.groups(connection, marks).await? {
                let variables = self
                    .treated(table, marks)
                    .text("changed_columns", serde_json::to_string(&columns)?)
                    .sql("assignments", quarantine::new_values(&self.catalog.schema, table, &columns));
                let done = run_file(connection, "sql/work_tables/change.sql", &variables).await?;
                watch.treated(done.1);
                super::advance(done.1);
                statements.push(counted(done, count, name)?);
            }
        }
        let removed: Vec<String> = self.marks.removed().map(|(name, _)| name.clone()).collect();
        for name in self.children_first(removed) {
            let marks = self.marks.removed_from(&name).context("it was in the list")?;
            let (sql, touched) = self.remove(connection, &name, marks).await?;
            watch.treated(touched);
            super::advance(touched);
            statements.push(counted((sql, touched), i64::try_from(marks.count)?, &name)?);
        }
        // Keys of the user may be checked only at the end of the transaction, and an ALTER TABLE before that would
        // fail.
        execute(connection, "SET CONSTRAINTS ALL IMMEDIATE".into())
            .await
            .context("while checking deferred keys")?;
        Ok(statements)
    }

    /// The marked rows of one table, as the statements that treat them name both.
    pub(super) fn treated(&self, table: &CatalogTable, marks: &WorkTable) -> Variables {
        Variables::default()
            .sql("table", SqlFragment::qualified(&self.catalog.schema, &table.name))
            .sql("marks", marks.name())
            .sql("marked_key", SqlFragment::columns(Some("marked"), &table.primary_key))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key))
    }

    /// Orders tables so that whatever refers to a table comes before it.
    fn children_first(&self, tables: Vec<String>) -> Vec<String> {
        children_first(tables, |child, parent| {
            self.all.iter().any(|r| r.child_table == child && r.parent_table == parent)
        })
    }
}

/// Orders tables so that whatever refers to a table comes before it; tables in a circle keep their order.
pub fn children_first(mut tables: Vec<String>, refers: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let free = tables
            .iter()
            .position(|parent| !tables.iter().any(|child| child != parent && refers(child, parent)));
        ordered.push(tables.remove(free.unwrap_or(0)));
    }
    ordered
}

/// A statement that touched another number of rows than were marked is an error: a trigger or a rule interfered.
fn counted((sql, touched): (String, u64), expected: i64, table: &str) -> Result<String> {
    if i64::try_from(touched).is_ok_and(|touched| touched == expected) {
        return Ok(sql);
    }
    Err(user_error(
        format!(
            "{expected} rows of {table} were to be written, but the server wrote {touched}; everything \
                was rolled back"
        ),
        format!("look for triggers or rules on {table:?} (\\d in psql) that keep rows from changing"),
    ))
}

/// The number of rows that refer by this key to one of `gone`, a query for what it refers to.
pub(super) async fn count_hanging_on(
    connection: &mut PgConnection,
    key: &DeclaredKey,
    gone: SqlFragment,
) -> Result<i64> {
    let variables = key
        .variables()
        .sql("gone", gone)
        .sql("gone_columns", SqlFragment::columns(Some("gone"), &key.parent_columns));
    let rows = query_file(connection, "sql/work_tables/hangs_on_removed.sql", &variables).await?;
    Ok(rows.first().context("a count is one row")?.try_get("count")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_before_parents() {
        let edges = [("Media", "Message"), ("MessageUpdate", "Message"), ("Message", "IntegrationSession")];
        let refers = |child: &str, parent: &str| edges.contains(&(child, parent));
        let tables = ["IntegrationSession", "Message", "Media", "MessageUpdate"].map(String::from).to_vec();
        assert_eq!(
            children_first(tables, refers),
            ["Media", "MessageUpdate", "Message", "IntegrationSession"]
        );
        let circle = ["A", "B"].map(String::from).to_vec();
        assert_eq!(children_first(circle, |_, _| true).len(), 2);
    }
}

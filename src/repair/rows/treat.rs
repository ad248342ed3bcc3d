//! Treating: what was marked is changed and removed, and the server is held to the count.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Work, treatment};
use crate::database::catalog::DeclaredKey;
use crate::database::run::rows;
use crate::exit::failure;
use crate::repair::quarantine::{self, RowAction, assignments, run, table_variables};
use crate::repair::strangers;

impl Work<'_> {
    /// Refuses when a row that cannot be quarantined hangs on one that is to be removed: the server would remove or
    /// change it silently.
    pub async fn guard(&self, connection: &mut PgConnection) -> Result<()> {
        let untreatable = self
            .all
            .iter()
            .filter(|r| treatment(r, self.catalog).is_err())
            .filter_map(|reference| reference.declared.as_ref())
            .chain(&self.catalog.incoming_keys);
        for key in untreatable.filter(|key| key.parent_schema == self.catalog.schema) {
            if !strangers::may_look(connection, self.catalog, self.code, key).await? {
                continue;
            }
            let count = hanging_on(connection, key).await?;
            if count > 0 {
                return Err(failure(
                    format!(
                        "{count} rows of {}.{} refer to rows that would be removed ({}), and evodoctor cannot put \
                         them back: they are in another schema, have no primary key, or may belong to a table that inherits",
                        key.child_schema, key.child_table, key.name
                    ),
                    "remove or repoint those rows yourself, then run the fix again",
                ));
            }
        }
        Ok(())
    }

    /// Changes rows, then removes rows, children first. Returns the statements.
    pub async fn treat(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        let mut to_change: BTreeMap<(String, Vec<String>), i64> = BTreeMap::new();
        let mut to_remove: BTreeMap<String, i64> = BTreeMap::new();
        for marked in quarantine::counts(connection, self.code).await? {
            if marked.action == RowAction::Removed {
                *to_remove.entry(marked.table).or_default() += marked.count;
            } else {
                *to_change.entry((marked.table, marked.columns)).or_default() += marked.count;
            }
        }
        for ((table, columns), count) in to_change {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, self.code)
                .text("changed_columns", serde_json::to_string(&columns)?)
                .sql("assignments", assignments(&columns, "changed"));
            let done = run(connection, "sql/quarantine/change.sql", &variables).await?;
            statements.push(counted(done, count, &table)?);
        }
        for table in self.children_first(to_remove.keys().cloned().collect()) {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, self.code);
            let done = run(connection, "sql/quarantine/remove.sql", &variables).await?;
            statements.push(counted(done, to_remove[&table], &table)?);
        }
        quarantine::room(connection, false).await?;
        Ok(statements)
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

/// A statement that touched another number of rows than were marked must not stand: a trigger or a rule interfered.
fn counted((sql, touched): (String, u64), expected: i64, table: &str) -> Result<String> {
    if i64::try_from(touched).is_ok_and(|touched| touched == expected) {
        return Ok(sql);
    }
    Err(failure(
        format!(
            "{expected} rows of {table} were to be treated, but the server treated {touched}; all was rolled back"
        ),
        format!("look for triggers or rules on {table:?} (\\d in psql) that keep rows from changing"),
    ))
}

async fn hanging_on(connection: &mut PgConnection, key: &DeclaredKey) -> Result<i64> {
    let rows = rows(connection, "sql/quarantine/hangs_on_removed.sql", &key.variables()).await?;
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

//! Removing rows that others could refer to by columns without an index. For every removed row the server searches for
//! rows that still refer to it, and without an index it reads the whole referring table each time. No row refers to
//! them any more when they are removed, so the search can be skipped, or gets an index for as long as it is needed.

use anyhow::{Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::RowChanges;
use super::write_rows::count_hanging_on;
use crate::database::catalog::DeclaredKey;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::Variables;
use crate::repair::locks::{LockMode, LockTimeout};
use crate::repair::work_tables::{self, WorkTable, run_file};

/// From how many rows that would be read on it is worth it: a second or two.
const MANY: u64 = 10_000_000;

/// How the names of our own short-lived indexes begin.
const PREFIX: &str = "evodoctor_";

/// A key whose referring columns no index leads with.
struct UnindexedKey {
    child_table: String,
    child_columns: Vec<String>,
    is_in_schema: bool,
}

impl RowChanges<'_> {
    /// Removes the marked rows of a table. Returns the statement and how many rows it touched.
    pub(super) async fn remove(
        &self,
        connection: &mut PgConnection,
        name: &str,
        marks: &WorkTable,
    ) -> Result<(String, u64)> {
        let variables = self.treated(self.table(name)?, marks);
        let slow = self.slow_keys(connection, name, marks.count).await?;
        if slow.is_empty() {
            return run_file(connection, "sql/work_tables/remove.sql", &variables).await;
        }
        if self.may_skip_checks(connection, name).await? {
            execute(connection, "SET LOCAL session_replication_role = replica".into()).await?;
            let done = run_file(connection, "sql/work_tables/remove.sql", &variables).await?;
            execute(connection, "SET LOCAL session_replication_role = origin".into()).await?;
            self.expect_nothing_left(connection, name, marks).await?;
            return Ok(done);
        }
        let mut made = Vec::new();
        for (number, key) in slow.iter().enumerate().filter(|(_, key)| key.is_in_schema) {
            let index = format!("{PREFIX}{}", number + 1);
            let variables = Variables::default()
                .text("index_name", &index)
                .sql("child", SqlFragment::qualified(&self.catalog.schema, &key.child_table))
                .sql("columns", SqlFragment::columns(None, &key.child_columns));
            run_file(connection, "sql/work_tables/index.sql", &variables).await?;
            made.push((index, key.child_table.clone()));
        }
        let done = run_file(connection, "sql/work_tables/remove.sql", &variables).await?;
        for (index, table) in made {
            let index = SqlFragment::qualified(&self.catalog.schema, &index);
            let variables = Variables::default().sql("index", index);
            let dropped = run_file(connection, "sql/work_tables/drop_index.sql", &variables).await;
            // Dropping an index needs an ACCESS EXCLUSIVE lock: the next attempt takes it from the start.
            dropped.map_err(|error| as_exclusive(error, &self.catalog.schema, table))?;
        }
        Ok(done)
    }

    /// The keys to a table for which removing so many rows would read too much.
    async fn slow_keys(
        &self,
        connection: &mut PgConnection,
        name: &str,
        count: u64,
    ) -> Result<Vec<UnindexedKey>> {
        let variables = Variables::for_schema(&self.catalog.schema).text("table_name", name);
        let mut slow = Vec::new();
        for row in query_file(connection, "sql/work_tables/unindexed.sql", &variables).await? {
            let of_child = u64::try_from(row.try_get::<i64, _>("rows")?).unwrap_or_default();
            if of_child.saturating_mul(count) >= MANY {
                slow.push(UnindexedKey {
                    child_table: row.try_get("child_table")?,
                    child_columns: row.try_get("child_columns")?,
                    is_in_schema: row.try_get("is_in_schema")?,
                });
            }
        }
        Ok(slow)
    }

    /// True if the server's own check can be skipped: this session may do that, every referring table is locked, no
    /// user code runs when a row is removed, and the check can be done afterwards at once.
    async fn may_skip_checks(&self, connection: &mut PgConnection, name: &str) -> Result<bool> {
        let is_elsewhere = self.catalog.incoming_keys.iter().any(|key| key.parent_table == name);
        let key = &self.table(name)?.primary_key;
        let is_by_key = |one: &DeclaredKey| one.parent_columns.iter().all(|column| key.contains(column));
        if is_elsewhere
            || !self.keys_to(name).all(is_by_key)
            || !work_tables::can_replicate(connection).await?
        {
            return Ok(false);
        }
        let variables = Variables::for_schema(&self.catalog.schema).text("table_name", name);
        let found = query_file(connection, "sql/work_tables/has_triggers.sql", &variables).await?;
        Ok(found.first().map(|row| row.try_get::<bool, _>("has_triggers")).transpose()? == Some(false))
    }

    async fn expect_nothing_left(
        &self,
        connection: &mut PgConnection,
        name: &str,
        marks: &WorkTable,
    ) -> Result<()> {
        for key in self.keys_to(name) {
            let gone = self.gone(name, &key.parent_columns, marks, None)?;
            let count = count_hanging_on(connection, key, gone).await?;
            if count > 0 {
                bail!(
                    "{count} rows of {} came to refer to removed rows of {name} ({})",
                    key.child_table,
                    key.name
                );
            }
        }
        Ok(())
    }

    fn keys_to(&self, name: &str) -> impl Iterator<Item = &DeclaredKey> {
        let schema = &self.catalog.schema;
        let keys = self.catalog.foreign_keys.iter();
        keys.filter(move |key| key.parent_schema == *schema && key.parent_table == name)
    }
}

fn as_exclusive(error: anyhow::Error, schema: &str, table: String) -> anyhow::Error {
    if LockTimeout::within(&error, schema).is_none() {
        return error;
    }
    let (schema, mode) = (schema.to_owned(), LockMode::AccessExclusive);
    LockTimeout { schema, tables: vec![table], mode, is_sure: true }.into()
}
